"""The service against its yardsticks, side by side, each on one core.

    python benchmarks/serving.py MODEL DATA [--rounds N] [--seconds N]

Needs wrk. Servers take turns in every round, so that a busy machine slows all of them;
medians are reported. Writes reports/benchmark-serving.json and .svg.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import re
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from contextlib import contextmanager
from pathlib import Path

import httpx

ROOT = Path(__file__).parents[1]
BIN = Path(sys.executable).parent
LATE = {"OPERA": "Grupo LATAM", "TIPOVUELO": "I", "MES": 7}
ON_TIME = {"OPERA": "Aerolineas Argentinas", "TIPOVUELO": "N", "MES": 3}
CONNECTIONS = (1, 32, 256)
OURS = "flight-prophet"
PLAIN = "pandas + scikit-learn handler"
CONSTANTS = {
    "FastAPI, constant": "fastapi_constant",
    "Starlette, constant": "starlette_constant",
    "ASGI, constant": "asgi_constant",
}
LUA = """
wrk.method = "POST"
wrk.headers["content-type"] = "application/json"
wrk.body = '{"flights":[{"OPERA":"Aerolineas Argentinas","TIPOVUELO":"N","MES":3}]}'
"""


def command(name: str, model: str, port: int) -> list[str]:
    if name == OURS:
        return [str(BIN / "flight-prophet"), "serve", model, "--port", str(port)]
    application = CONSTANTS.get(name, "plain")
    factory = [] if name in CONSTANTS else ["--factory"]
    return [
        *(str(BIN / "uvicorn"), "--app-dir", str(ROOT / "benchmarks"), *factory),
        *(f"yardsticks:{application}", "--port", str(port)),
        *("--no-access-log", "--no-proxy-headers", "--log-level", "warning"),
    ]


@contextmanager
def server(name: str, model: str, data: str, **settings: str):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    start = time.perf_counter()
    process = subprocess.Popen(
        ["taskset", "-c", "0", *command(name, model, port)],
        env=os.environ | {"PLAIN_DATA": data} | settings,
        stderr=subprocess.DEVNULL,
    )
    url = f"http://127.0.0.1:{port}/predict"
    try:
        with httpx.Client(timeout=60) as client:
            while True:
                try:
                    client.post(url, json={"flights": [ON_TIME]})
                    break
                except httpx.TransportError:
                    assert process.poll() is None, f"{name} did not start"
                    time.sleep(0.005)
        yield process.pid, url, time.perf_counter() - start
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait()


def check(name: str, url: str) -> None:
    """A server that answers wrongly is not worth measuring."""
    answer = httpx.post(url, json={"flights": [ON_TIME, LATE]}).json()
    assert answer == {"predict": [0] if name in CONSTANTS else [0, 1]}, answer


def load(url: str, connections: int, seconds: int, script: str) -> dict[str, float]:
    printed = subprocess.run(
        ["taskset", "-c", "1", "wrk", "-t1", f"-c{connections}", f"-d{seconds}s"]
        + ["--latency", "-s", script, url],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    # A slow server may time out under many connections; it may not fail.
    failed = re.search(r"Non-2xx|connect [1-9]|read [1-9]|write [1-9]", printed)
    assert failed is None, printed
    unit = {"us": 1e-3, "ms": 1, "s": 1e3}
    found = {"requests/s": float(re.search(r"Requests/sec: +([\d.]+)", printed)[1])}
    for share in (50, 99):
        value, of = re.search(rf"{share}% +([\d.]+)(us|ms|s)", printed).groups()
        found[f"p{share} ms"] = float(value) * unit[of]
    return found


def memory(pid: int) -> float:
    """The proportional set size, in MB: shared pages count in part."""
    rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
    return int(re.search(r"^Pss: +(\d+)", rollup, re.MULTILINE)[1]) / 1024


def ten_thousand(data: str) -> dict[str, bytes]:
    with open(data, encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))[::6][:10_000]
    three = [{**{k: r[k] for k in LATE}, "MES": int(r["MES"])} for r in rows]
    five = [
        flight | {"SIGLADES": row["SIGLADES"], "Fecha-I": row["Fecha-I"]}
        for flight, row in zip(three, rows, strict=True)
    ]
    return {
        "10,000 flights, 3 fields, ms": json.dumps({"flights": three}).encode(),
        "10,000 flights, 5 fields, ms": json.dumps({"flights": five}).encode(),
    }


def cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def server_time(pid: int, url: str, body: bytes, times: int) -> float:
    """The server's CPU time for such a request, in ms: the client shares the machine."""
    headers = {"content-type": "application/json"}
    with httpx.Client(timeout=60) as client:
        client.post(url, content=body, headers=headers)
        before = cpu_seconds(pid)
        for _ in range(times):
            answer = client.post(url, content=body, headers=headers).json()["predict"]
        spent = cpu_seconds(pid) - before
    assert len(answer) == 10_000 and 0 < sum(answer) < 10_000
    return 1_000 * spent / times


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model")
    parser.add_argument("data")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=int, default=4)
    options = parser.parse_args()
    found: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    large = ten_thousand(options.data)
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as script:
        script.write(LUA)
        script.flush()
        for _ in range(options.rounds):
            for name in (OURS, PLAIN, *CONSTANTS):
                values = found[name]
                with server(name, options.model, options.data) as (pid, url, start):
                    values["start s"].append(start)
                    check(name, url)
                    for connections in CONNECTIONS:
                        measured = load(url, connections, options.seconds, script.name)
                        for measure, value in measured.items():
                            values[f"{measure} at {connections}"].append(value)
                    values["memory MB"].append(memory(pid))
                    if name in (OURS, PLAIN):
                        for title, body in large.items():
                            if name == PLAIN and "5" in title:
                                continue
                            times = 50 if name == OURS else 5
                            spent = server_time(pid, url, body, times)
                            values[title].append(spent)
    medians = {
        name: {measure: statistics.median(runs) for measure, runs in values.items()}
        for name, values in found.items()
    }
    table(medians)
    reports = ROOT / "reports"
    reports.mkdir(exist_ok=True)
    (reports / "benchmark-serving.json").write_text(json.dumps(medians, indent=2))
    picture(medians, reports / "benchmark-serving.svg")


def table(medians: dict[str, dict[str, float]]) -> None:
    measures = list(medians[OURS])
    print(f"{'median':30}" + "".join(f"{name[:20]:>22}" for name in medians))
    for measure in measures:
        cells = (values.get(measure) for values in medians.values())
        print(
            f"{measure:30}"
            + "".join(
                f"{'-' if cell is None else f'{cell:,.2f}':>22}" for cell in cells
            )
        )
    rate = "requests/s at 32"
    for name in (PLAIN, *CONSTANTS):
        ratio = medians[OURS][rate] / medians[name][rate]
        print(f"{rate}: {ratio:.2f} times {name}")


def picture(medians: dict[str, dict[str, float]], path: Path) -> None:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 2.6), layout="constrained")
    axes = figure.add_subplot()
    names = list(medians)[::-1]
    rates = [medians[name]["requests/s at 32"] for name in names]
    bars = axes.barh(
        names, rates, color=["#d55e00" if n == OURS else "#8a8f98" for n in names]
    )
    axes.bar_label(bars, [f"{rate:,.0f}" for rate in rates], padding=4)
    axes.set(xlabel="requests/s on one core, one flight each, 32 connections")
    axes.spines[["top", "right"]].set_visible(False)
    axes.margins(x=0.12)
    figure.savefig(path)


if __name__ == "__main__":
    main()
