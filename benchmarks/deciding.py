"""What the day, the prediction log and ranking cost, beside the service without them.

    python benchmarks/deciding.py MODEL DATA [--rounds N] [--seconds N]

Needs wrk. One server on one core, the load on another; the kinds of server take turns in
every round, each asked about one flight: beyond the reach of the day, or on the day after
the flights that the model keeps. Medians, and
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
from datetime import date, datetime, timedelta
from pathlib import Path

import httpx
from serving import OURS, cpu_seconds, load, server

from challenge.files.prediction_log import read_prediction_log
from challenge.model import DelayModel

CONNECTIONS = 32
WITHOUT = "neither"
AWAKE = "while True: pass"
KINDS = (WITHOUT, "the day", "log", "both")


def script(flight: dict[str, object]) -> str:
    body = json.dumps({"flights": [flight]}, ensure_ascii=False)
    return f"""
wrk.method = "POST"
wrk.headers["content-type"] = "application/json"
wrk.body = [[{body}]]
"""


def flights_on(data: str, day: date) -> list[dict[str, object]]:
    """The flights of the data's last day, on another day."""
    with open(data, encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    last = max(row["Fecha-I"] for row in rows)[:10]
    names = ("OPERA", "TIPOVUELO", "SIGLADES")
    return [
        {name: row[name] for name in names}
        | {"MES": day.month, "Fecha-I": f"{day}{row['Fecha-I'][10:]}"}
        for row in rows
        if row["Fecha-I"].startswith(last)
    ]


def check(model: DelayModel, url: str, flights: list[dict[str, object]]) -> None:
    """All answers right, and not all the same."""
    answer = httpx.post(f"{url}?details=true", json={"flights": flights}).json()
    cells = list(map(model.encoder.cell, flights))
    expected = model.predict_flights(cells, model.questions(flights))
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
    model = DelayModel.load(options.model)
    known_until = datetime.fromisoformat(model.card.live.until).date()
    asked = {
        "near": flights_on(options.data, known_until + timedelta(days=1)),
        "far": flights_on(options.data, known_until + timedelta(days=366)),
    }
    with ExitStack() as stack:
        awake = subprocess.Popen(
            ["taskset", "-c", "1", "chrt", "--idle", "0", sys.executable, "-c", AWAKE]
        )
        stack.callback(awake.kill)
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        scripts = {}
        for kind, flights in asked.items():
            scripts[kind] = folder / f"{kind}.lua"
            scripts[kind].write_text(script(flights[0]), encoding="utf-8")
        for number in range(options.rounds):
            for kind in KINDS:
                place = "near" if kind in ("the day", "both") else "far"
                settings = {}
                record = folder / f"log-{kind}-{number}"
                if kind in ("log", "both"):
                    settings["PREDICTION_LOG"] = str(record)
                with server(OURS, options.model, options.data, **settings) as (
                    pid,
                    url,
                    _,
                ):
                    check(model, url, asked[place])
                    measured = load(
                        url, CONNECTIONS, options.seconds, str(scripts[place])
                    )
                    for measure, value in measured.items():
                        found[kind][measure].append(value)
                    if kind == WITHOUT:
                        for measure, value in ranking(pid, url, asked["far"]).items():
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
