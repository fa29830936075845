"""Flights by the ten millions: one process beside Dask clusters on this machine.

    python benchmarks/cluster.py MODEL DATA [--times 10 100 1000]

Repeats DATA so many times as Parquet files of ten copies each, in a folder of its own,
and counts them for training; then answers them into new files, once. The workers of a
cluster are processes of one thread. Memory is the peak of the process that had most.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb

ROOT = Path(__file__).parents[1]
COPIES = 10
COUNT = """
import sys
from challenge.files.dask_cluster import parallel_map
from challenge.files.sources import find_files
from challenge.training.data.counting import count_files
with parallel_map(sys.argv[2] or None) as each:
    counted = count_files(find_files(sys.argv[1]), each)
print(counted.counts.total, counted.sha256)
"""
SCORE = """
import sys
from pathlib import Path
from challenge.files.many_files import predict_files
source, scheduler, model, output = sys.argv[1:]
print(predict_files(model, source, Path(output), scheduler=scheduler or None).delayed)
"""


def make_parts(data: Path, times: int, folder: Path) -> int:
    """Write the files, and return how many rows they have."""
    first = folder / "part-0000.parquet"
    typed = (
        '* REPLACE (MES::INTEGER AS MES, "Fecha-I"::TIMESTAMP AS "Fecha-I", '
        '"Fecha-O"::TIMESTAMP AS "Fecha-O")'
    )
    dialect = "header=true, all_varchar=true, delim=',', quote='\"', escape='\"'"
    rows = f"read_csv('{data}', {dialect})"
    # In random order, as flights of many days are: repeats must not compress away.
    duckdb.sql(
        f"COPY (SELECT {typed} FROM {rows}, range({COPIES}) "
        f"ORDER BY random()) TO '{first}' (FORMAT parquet)"
    )
    (rows,) = duckdb.sql(f"SELECT count(*) FROM '{first}'").fetchall()[0]
    parts = max(1, times // COPIES)
    for part in range(1, parts):
        shutil.copy(first, folder / f"part-{part:04}.parquet")
    return rows * parts


@contextmanager
def cluster(workers: int) -> Iterator[tuple[str, list[int]]]:
    """The address of a scheduler, and the ids of its workers."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    address = f"tcp://127.0.0.1:{port}"
    options = ("--nthreads=1", "--no-nanny", "--no-dashboard")
    commands = [("scheduler", f"--port={port}", "--no-dashboard")]
    commands += [("worker", address, *options)] * workers
    with tempfile.TemporaryDirectory() as folder:
        processes = [
            subprocess.Popen(
                [sys.executable, "-m", "dask", *command],
                cwd=folder,
                env=os.environ | {"OMP_NUM_THREADS": "1"},
                stderr=subprocess.DEVNULL,
            )
            for command in commands
        ]
        try:
            time.sleep(5)
            yield address, [process.pid for process in processes[1:]]
        finally:
            for process in processes:
                process.kill()
                process.wait()


def peak(pid: int) -> float:
    """Megabytes."""
    status = Path(f"/proc/{pid}/status").read_text()
    (line,) = (one for one in status.splitlines() if one.startswith("VmHWM"))
    return int(line.split()[1]) / 1024


def run(program: str, *arguments: str) -> tuple[float, float, str]:
    """Seconds of a whole process, its peak memory (MB), and what it printed."""
    start = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-c", program, *arguments],
        stdout=subprocess.PIPE,
        text=True,
    )
    highest = 0.0
    while process.poll() is None:
        try:
            highest = max(highest, peak(process.pid))
        except (OSError, ValueError):
            break
        time.sleep(0.02)
    printed, _ = process.communicate()
    assert process.returncode == 0
    return time.perf_counter() - start, highest, printed


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model")
    parser.add_argument("data", type=Path)
    parser.add_argument("--times", type=int, nargs="+", default=[10, 100, 1000])
    options = parser.parse_args()
    found = []
    header = f"{'':12}{'rows':>12}{'who':>12}{'s':>9}{'rows/s':>12}{'MB':>7}"
    print(header, flush=True)
    for times in options.times:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name, "flights")
            folder.mkdir()
            rows = make_parts(options.data, times, folder)
            for task, program in (("counted", COUNT), ("answered", SCORE)):
                if task == "answered" and times != 100:
                    continue
                printed = set()
                for workers in (0, 1, 2):
                    more = [options.model, f"{name}/answers-{workers}"]
                    arguments = more if task == "answered" else []
                    if workers:
                        with cluster(workers) as (address, pids):
                            seconds, _, told = run(
                                program, str(folder), address, *arguments
                            )
                            memory = max(map(peak, pids))
                    else:
                        seconds, memory, told = run(
                            program, str(folder), "", *arguments
                        )
                    printed.add(told)
                    who = f"{workers} workers" if workers else "one process"
                    line = f"{task:12}{rows:12,}{who:>12}{seconds:9.1f}"
                    line += f"{rows / seconds:12,.0f}{memory:7.0f}"
                    print(line, flush=True)
                    found.append([task, rows, who, seconds, memory])
                assert len(printed) == 1, printed
    report = ROOT / "reports/benchmark-cluster.json"
    report.parent.mkdir(exist_ok=True)
    report.write_text(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
