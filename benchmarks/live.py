"""What the live day costs: answers with 100,000 flights known, messages, and memory.

    python benchmarks/live.py MODEL [--flights N] [--rounds N] [--seconds N]

Needs wrk. The model is served with coefficients at which all terms count. Two servers, one
that knows no flight of the day and one that knows all, take turns in every round: one
flight a request, of a thousand with times, aircraft and numbers. Then messages about 500
flights, and single answers while as many messages come as are taken. Medians.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import tempfile
import threading
import time
from contextlib import ExitStack
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import numpy as np
from serving import OURS, load, memory, server

from challenge.live.adjustment import DISTANCES_MINUTES, Adjustment
from challenge.live.day import Day
from challenge.live.terms import TERMS
from challenge.model import DelayModel

CONNECTIONS = 32
ASKED = 1_000
SENT_AT_ONCE = 5_000
OF_A_MESSAGE = 500
DAYS = 30


def with_all_terms(source: str, output: Path) -> DelayModel:
    """A model at which every term of the day counts."""
    model = DelayModel.load(source)
    day = model.known_day
    drawn = np.random.default_rng(0)
    coefficients = {
        name: (drawn.normal(size=len(DISTANCES_MINUTES)) / 10).tolist()
        for name in TERMS
    }
    rules, grid = model.encoder.rules, model.grid
    adjusted = Day(Adjustment(10.0, coefficients), day.history, rules, grid)
    model.with_day(adjusted).save(output)
    return DelayModel.load(output)


def flights_of(model: DelayModel, number: int, clock: datetime) -> list[dict[str, Any]]:
    """The flights of thirty days, a day of which is still to come."""
    drawn = random.Random(0)
    first = clock - timedelta(days=DAYS - 1)
    minutes = DAYS * 24 * 60
    flights = []
    for place in range(number):
        scheduled = first + timedelta(minutes=place * minutes // number)
        flight = {
            "OPERA": drawn.choice(model.vocabulary["OPERA"]),
            "TIPOVUELO": drawn.choice("IN"),
            "SIGLADES": drawn.choice(model.vocabulary["SIGLADES"]),
            "Fecha-I": str(scheduled),
            "Vlo-I": str(place % 9_999),
            "MATRICULA": f"CC-{place % 4_000}",
            "Llegada-I": str(scheduled - timedelta(hours=1)),
        }
        departed = scheduled + timedelta(minutes=drawn.randrange(60))
        if departed < clock:
            flight["Fecha-O"] = str(departed)
        flights.append(flight)
    return flights


def script(flights: list[dict[str, Any]], path: Path) -> str:
    """One of the flights a request, in their order."""
    bodies = ",\n".join(
        f"[[{json.dumps({'flights': [one]}, ensure_ascii=False)}]]" for one in flights
    )
    path.write_text(
        f"""
local bodies = {{ {bodies} }}
local headers = {{["content-type"] = "application/json"}}
local place = 0
function request()
  place = place % #bodies + 1
  return wrk.format("POST", nil, headers, bodies[place])
end
""",
        encoding="utf-8",
    )
    return str(path)


def tell(client: httpx.Client, at: str, flights: list[dict[str, Any]]) -> None:
    told = client.post("/flights", json={"at": at, "flights": flights})
    assert told.raise_for_status().json()["rejected"] == 0, told.text[:500]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model")
    parser.add_argument("--flights", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=4)
    options = parser.parse_args()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        model = with_all_terms(options.model, folder / "model.pkl")
        until = model.card.live and model.card.live.until
        assert until is not None
        [zone] = set(model.encoder.rules.time_zones.values())
        clock = datetime.fromisoformat(until).astimezone(zone).replace(tzinfo=None)
        at = str(clock)
        flights = flights_of(model, options.flights, clock)
        to_come = [one for one in flights if one["Fecha-I"] > str(clock)][:ASKED]
        asked = script(to_come, folder / "asked.lua")
        none = stack.enter_context(server(OURS, str(folder / "model.pkl"), ""))
        all_ = stack.enter_context(server(OURS, str(folder / "model.pkl"), ""))
        client = httpx.Client(base_url=all_[1].removesuffix("/predict"), timeout=300)
        before = memory(all_[0])
        began = time.perf_counter()
        for start in range(0, len(flights), SENT_AT_ONCE):
            tell(client, at, flights[start : start + SENT_AT_ONCE])
        while client.get("/model").json()["live"]["flights"] < len(flights):
            time.sleep(0.1)
        took = time.perf_counter() - began
        print(f"{len(flights):,} flights told in {took:.1f} s")
        print(f"memory: {memory(all_[0]) - before:.0f} MB more")
        rates: dict[str, list[float]] = {"none": [], "all": []}
        for _ in range(options.rounds):
            for name, (_, url, _) in (("none", none), ("all", all_)):
                rates[name].append(
                    load(url, CONNECTIONS, options.seconds, asked)["requests/s"]
                )
        ratios = [b / a for a, b in zip(rates["none"], rates["all"], strict=True)]
        for name, of_kind in rates.items():
            print(f"{name} known: {statistics.median(of_kind):,.0f} requests/s")
        print(f"ratio: {statistics.median(ratios):.3f}")
        messages(client, at, to_come)
        flood(client, at, to_come)


def messages(client: httpx.Client, at: str, flights: list[dict[str, Any]]) -> None:
    """How long a message takes to be accepted, and to be answered with."""
    accepted, answered = [], []
    for number in range(9):
        changed = [
            one | {"MATRICULA": f"N-{number}-{place}"}
            for place, one in enumerate(flights[:OF_A_MESSAGE])
        ]
        began = time.perf_counter()
        tell(client, at, changed)
        accepted.append(time.perf_counter() - began)
        while True:
            board = client.get("/flights?hours=24").json()["flights"]
            if any(one["flight"].get("MATRICULA") == f"N-{number}-0" for one in board):
                break
        answered.append(time.perf_counter() - began)
    for name, times in (("accepted", accepted), ("on the board", answered)):
        print(
            f"a message about {OF_A_MESSAGE} flights, {name}: "
            f"{1_000 * statistics.median(times):.0f} ms"
        )


def flood(client: httpx.Client, at: str, flights: list[dict[str, Any]]) -> None:
    """How long single answers take while messages come as fast as they are taken."""
    over, sent = threading.Event(), [0]

    def send() -> None:
        with httpx.Client(base_url=client.base_url, timeout=60) as own:
            while not over.is_set():
                tell(own, at, random.sample(flights, 50))
                sent[0] += 1

    threads = [threading.Thread(target=send) for _ in range(4)]
    for thread in threads:
        thread.start()
    times = []
    until = time.monotonic() + 10
    while time.monotonic() < until:
        began = time.perf_counter()
        client.post("/predict", json={"flights": flights[:1]}).raise_for_status()
        times.append(time.perf_counter() - began)
    over.set()
    for thread in threads:
        thread.join()
    print(
        f"under {sent[0] / 10:.0f} messages a second: an answer takes "
        f"{1_000 * statistics.median(times):.0f} ms, at most {1_000 * max(times):.0f} ms"
    )


if __name__ == "__main__":
    main()
