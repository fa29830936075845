"""Files of flights: rows/s, beside DuckDB alone, as whole processes.

    python benchmarks/files.py MODEL DATA [--times 100]

Repeats DATA so many times in a folder of its own, as CSV and as Parquet. DuckDB's
part is a join of the needed columns with a table of answers and a copy of the file
with the result: less than the service does, for its rows come in any order and nothing
is checked.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import duckdb

ROOT = Path(__file__).parents[1]

COUNT = """
import sys
from challenge.files.answering import count_delays
from challenge.model import DelayModel
print(count_delays(DelayModel.load(sys.argv[1]), sys.argv[2]).delayed)
"""
SCORE = """
import sys
from challenge.files.answering import predict_file
from challenge.model import DelayModel
print(predict_file(DelayModel.load(sys.argv[1]), *sys.argv[2:]).delayed)
"""
JOIN = """
import sys
import duckdb
_, model, source, output = sys.argv
keys = 'OPERA, TIPOVUELO, MES, SIGLADES, hour("Fecha-I"::TIMESTAMP)'
dialect = "header=true, all_varchar=true, delim=',', quote='\\"', escape='\\"'"
rows = f"'{source}'" if source.endswith("parquet") else f"read_csv('{source}', {dialect})"
duckdb.sql("SET memory_limit = '400MB'")
kinds = f'SELECT DISTINCT {keys} AS h FROM (SELECT * FROM {rows} LIMIT 68206)'
duckdb.sql(f"CREATE TABLE answers AS SELECT *, random() AS probability FROM ({kinds})")
duckdb.sql("SET disabled_optimizers = 'join_order,build_side_probe_side'")
kind = "parquet" if output.endswith("parquet") else "csv"
duckdb.sql(f'''COPY (SELECT f.*, a.probability, a.probability > 0.5 AS delay
    FROM (SELECT *, hour("Fecha-I"::TIMESTAMP) AS h FROM {rows}) f
    LEFT JOIN answers a USING (OPERA, TIPOVUELO, MES, SIGLADES, h))
    TO '{output}' (FORMAT {kind})''')
"""


def run(program: str, *arguments: str) -> tuple[float, str]:
    start = time.perf_counter()
    printed = subprocess.run(
        [sys.executable, "-c", program, *arguments],
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
    ).stdout
    return time.perf_counter() - start, printed


def repeat(data: str, times: int, folder: Path) -> int:
    dialect = "header=true, all_varchar=true, delim=',', quote='\"', escape='\"'"
    duckdb.sql(f"CREATE TABLE one AS SELECT * FROM read_csv('{data}', {dialect})")
    rows = f"FROM range({times}) times, one ORDER BY times.range, one.rowid"
    duckdb.sql(f"COPY (SELECT one.* {rows}) TO '{folder}/flights.csv' (HEADER)")
    typed = 'MES::INT AS MES, "Fecha-I"::TIMESTAMP AS "Fecha-I"'
    duckdb.sql(
        f"COPY (SELECT one.* REPLACE ({typed}) {rows}) "
        f"TO '{folder}/flights.parquet' (FORMAT parquet)"
    )
    [(count,)] = duckdb.sql("SELECT count(*) FROM one").fetchall()
    return count * times


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model")
    parser.add_argument("data")
    parser.add_argument("--times", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    found: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        rows = repeat(options.data, options.times, folder)
        for _ in range(options.rounds):
            for kind in ("csv", "parquet"):
                source, output = f"{folder}/flights.{kind}", f"{folder}/answers.{kind}"
                counted, delays = run(COUNT, options.model, source)
                scored, same = run(SCORE, options.model, source, output)
                assert delays == same and int(delays) > 0
                joined, _ = run(JOIN, options.model, source, output)
                for what, seconds in (
                    ("answered", counted),
                    ("answered and copied", scored),
                    ("joined and copied by DuckDB", joined),
                ):
                    found.setdefault(f"{kind} {what}", []).append(seconds)
    medians = {name: statistics.median(runs) for name, runs in found.items()}
    print(f"{rows:,} rows, medians of {options.rounds} runs")
    for name, seconds in medians.items():
        print(f"{name:38} {seconds:7.2f} s {rows / seconds / 1e6:7.2f} million rows/s")
    for kind in ("csv", "parquet"):
        own = medians[f"{kind} answered and copied"]
        ratio = own / medians[f"{kind} joined and copied by DuckDB"]
        print(f"{kind}: {ratio:.2f} times DuckDB's time")
    largest = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    print(f"largest process {largest:.0f} MB")
    reports = ROOT / "reports"
    reports.mkdir(exist_ok=True)
    (reports / "benchmark-files.json").write_text(json.dumps(medians, indent=2))


if __name__ == "__main__":
    main()
