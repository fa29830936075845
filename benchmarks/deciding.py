"""What recent form, the record and ranking cost, beside the service without them.

    python benchmarks/deciding.py MODEL DATA [--rounds N] [--seconds N]

Needs wrk. One server on one core, the load on another; the kinds of server take turns in
every round, each asked about one flight on a day that recent form reaches. Medians, and
the medians of the ratios within a round. The core of the load is kept awake: to wake it
takes a virtual machine longer than what is measured, and happens as it happens.
"""

from __future__ import annotations

import argparse
import csv
import json
import statistics
import subprocess
import sys
import tempfile
from collections import defaultdict
from contextlib import ExitStack
from pathlib import Path

import httpx
from serving import OURS, cpu_seconds, load, server

from challenge.files.prediction_log import read_prediction_log
from challenge.model import DelayModel
from challenge.training.form import update

CONNECTIONS = 32
WITHOUT = "neither"
AWAKE = "while True: pass"
KINDS = (WITHOUT, "recent form", "record", "both")


def script(flight: dict[str, object]) -> str:
    body = json.dumps({"flights": [flight]}, ensure_ascii=False)
    return f"""
wrk.method = "POST"
wrk.headers["content-type"] = "application/json"
wrk.body = [[{body}]]
"""


def last_day(data: str) -> list[dict[str, object]]:
    """The flights of the data's last day, on which the form counts fully."""
    with open(data, encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    last = max(row["Fecha-I"] for row in rows)[:10]
    names = ("OPERA", "TIPOVUELO", "SIGLADES", "Fecha-I")
    return [
        {**{name: row[name] for name in names}, "MES": int(row["MES"])}
        for row in rows
        if row["Fecha-I"].startswith(last)
    ]


def check(model: DelayModel, url: str, flights: list[dict[str, object]]) -> None:
    """All answers right, and not all the same."""
    answer = httpx.post(f"{url}?details=true", json={"flights": flights}).json()
    expected = model.predict_cells(list(map(model.encoder.cell, flights)))
    assert 0 < sum(answer["predict"]) < len(flights), answer["predict"]
    assert (
        max(abs(a - b) for a, b in zip(answer["probability"], expected, strict=True))
        <= 1e-6
    )


def cpu_time(pid: int, url: str, body: bytes, times: int) -> tuple[float, dict]:
    """The server's CPU time for a request, in ms, and the answer."""
    headers = {"content-type": "application/json"}
    with httpx.Client(timeout=60) as client:
        client.post(url, content=body, headers=headers)
        before = cpu_seconds(pid)
        for _ in range(times):
            answer = client.post(url, content=body, headers=headers)
        spent = cpu_seconds(pid) - before
    return 1_000 * spent / times, answer.raise_for_status().json()


def ranking(pid: int, url: str, flights: list[dict[str, object]]) -> dict[str, float]:
    """Ranking 10,000 flights beside answering them with details."""
    many = (flights * (10_000 // len(flights) + 1))[:10_000]
    body = json.dumps({"flights": many}).encode()
    rank_url = url.replace("/predict", "/rank")
    ranked, first = cpu_time(pid, rank_url, body, 20)
    answered, details = cpu_time(pid, f"{url}?details=true", body, 20)
    order = sorted(range(10_000), key=lambda i: (-details["probability"][i], i))
    assert first["position"] == order[:20]
    return {
        "rank of 10,000, ms": ranked,
        "predict with details of 10,000, ms": answered,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model")
    parser.add_argument("data")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=4)
    options = parser.parse_args()
    rate = "requests/s"
    found: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    flights = last_day(options.data)
    with ExitStack() as stack:
        awake = subprocess.Popen(
            ["taskset", "-c", "1", "chrt", "--idle", "0", sys.executable, "-c", AWAKE]
        )
        stack.callback(awake.kill)
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        updated = folder / "updated.pkl"
        update(options.model, options.data, updated)
        models = {
            path: DelayModel.load(path) for path in (Path(options.model), updated)
        }
        asked = folder / "flight.lua"
        asked.write_text(script(flights[0]), encoding="utf-8")
        for number in range(options.rounds):
            for kind in KINDS:
                path = updated if kind in ("recent form", "both") else options.model
                settings = {}
                record = folder / f"record-{kind}-{number}"
                if kind in ("record", "both"):
                    settings["PREDICTION_LOG"] = str(record)
                with server(OURS, str(path), options.data, **settings) as (pid, url, _):
                    check(models[Path(path)], url, flights)
                    measured = load(url, CONNECTIONS, options.seconds, str(asked))
                    for measure, value in measured.items():
                        found[kind][measure].append(value)
                    if kind == WITHOUT:
                        for measure, value in ranking(pid, url, flights).items():
                            found[kind][measure].append(value)
                if settings:
                    logged = sum(map(len, read_prediction_log(record)))
                    share = logged / (measured[rate] * options.seconds)
                    found[kind]["logged, share"].append(share)
                    sizes = sum(one.stat().st_size for one in record.iterdir())
                    found[kind]["bytes a flight"].append(sizes / logged)
    for kind, values in found.items():
        for measure, runs in values.items():
            print(f"{kind:12} {measure:36} {statistics.median(runs):12,.2f}")
        if kind != WITHOUT:
            ratios = [
                with_it / without
                for with_it, without in zip(values[rate], found[WITHOUT][rate])
            ]
            print(
                f"{kind:12} {'of the requests/s without':36} "
                f"{statistics.median(ratios):12.2f}"
            )
    ranked, answered = (
        found[WITHOUT][name]
        for name in ("rank of 10,000, ms", "predict with details of 10,000, ms")
    )
    ratio = statistics.median(a / b for a, b in zip(ranked, answered))
    print(f"ranking takes {ratio:.2f} times answering with details")


if __name__ == "__main__":
    main()
