"""A real day as a feed tells it is answered as by a file that tells how it went."""

from __future__ import annotations

import random
from datetime import UTC, datetime

import pandas as pd
import pytest
from fastapi.testclient import TestClient

from challenge.api import create_app
from challenge.cli import main
from challenge.files.history import on_day, update
from challenge.files.told_flights import ServedModel, read_told_flights
from challenge.flights.fields import (
    AIRCRAFT,
    AIRLINE,
    ARRIVED,
    DEPARTED,
    DUE,
    FLIGHT_NUMBER,
    FLIGHT_TYPE,
    ORIGIN,
    SCHEDULED,
)
from challenge.model import DelayModel
from tests.conftest import AIRTRAN

DAY = datetime(2008, 5, 22)
KEY = (AIRLINE, SCHEDULED, ORIGIN, FLIGHT_NUMBER)


@pytest.fixture(scope="module")
def served(airtran_model, tmp_path_factory):
    """The file of a model that keeps the flights before the day."""
    folder = tmp_path_factory.mktemp("airtran day")
    rows = pd.read_csv(AIRTRAN, dtype=str)
    before = pd.to_datetime(rows["FlightDate"]) < DAY
    rows[before].to_csv(folder / "past.csv", index=False)
    update(airtran_model, folder / "past.csv", folder / "model.pkl")
    return folder / "model.pkl"


@pytest.fixture(scope="module")
def flights(served):
    """The flights of the day."""
    model = DelayModel.load(served)
    zones = {name: zone.key for name, zone in model.encoder.rules.time_zones.items()}
    told = read_told_flights(
        str(AIRTRAN),
        ServedModel(model.vocabulary, zones),
        DAY,
        DAY + pd.Timedelta(days=1),
    )
    assert not told.faults and len(told.flights) > 600
    return told.flights


def messages_of(flights):
    """What becomes known of them, with the moment."""
    messages = []
    for one in flights:
        schedule = {
            name: value
            for name, value in one.fields.items()
            if name not in (DEPARTED, ARRIVED)
        }
        messages.append((0, schedule))
        for name, moment in ((DEPARTED, one.departed), (ARRIVED, one.arrived)):
            if moment is not None:
                key = {field: one.fields[field] for field in KEY}
                messages.append((moment, key | {name: one.fields[name]}))
    return sorted(messages, key=lambda message: message[0])


def test_a_real_day_is_answered_as_a_file_of_it_at_any_minute(served, flights):
    chosen = random.Random(0)
    begin = int(DAY.replace(tzinfo=UTC).timestamp())
    clocks = sorted(begin + 60 * chosen.randrange(9 * 60, 32 * 60) for _ in range(20))
    history = on_day(DelayModel.load(served), str(AIRTRAN), None, None)
    messages, told = messages_of(flights), 0
    needed = (*KEY, FLIGHT_TYPE, "SIGLADES")
    asked = [{name: one.fields[name] for name in needed} for one in flights]
    cells = [history.encoder.cell(fields) for fields in asked]
    of_schedule = history.predict_cells(cells)
    moved = 0
    with TestClient(create_app(served)) as client:
        for clock in clocks:
            known = [fields for moment, fields in messages[told:] if moment <= clock]
            told += len(known)
            at = datetime.fromtimestamp(clock, UTC).isoformat()
            answer = client.post("/flights", json={"at": at, "flights": known}).json()
            assert answer["rejected"] == 0 and not answer["notes"], answer
            assert client.get("/flights?hours=0.1").json()["known"] == len(flights)
            found = client.post("/predict?details=true", json={"flights": asked}).json()
            day = history.known_day.at_moment(clock)
            for place, one in enumerate(flights):
                fields = one.fields
                question = day.question(
                    fields[SCHEDULED],
                    fields[ORIGIN],
                    fields.get(AIRCRAFT),
                    fields.get(DUE),
                    None,
                    fields.get(ARRIVED),
                    departed=one.departed,
                )
                expected = of_schedule[place]
                if question is not None:
                    expected = day.moved(expected, cells[place], question)
                    moved += abs(expected - of_schedule[place]) > 0.05
                assert found["probability"][place] == pytest.approx(expected, abs=2e-6)
    assert moved > 2_000


def test_the_command_says_the_same_of_that_minute(served, flights, tmp_path):
    at = "2008-05-22T18:00:00+00:00"
    clock = int(datetime.fromisoformat(at).timestamp())
    output = tmp_path / "answers.csv"
    command = ["predict", str(AIRTRAN), str(output), "--model", str(served)]
    command += [f"--history={AIRTRAN}", "--at", at, "--unknown=average"]
    plain = tmp_path / "answers.csv.gz"
    command[2] = str(plain)
    assert main(command) == 0
    rows = pd.read_csv(plain, dtype=str)
    of_row = rows["probability"].astype(float)
    known = [fields for moment, fields in messages_of(flights) if moment <= clock]
    needed = (*KEY, FLIGHT_TYPE, "SIGLADES")
    asked = [{name: one.fields[name] for name in needed} for one in flights]
    with TestClient(create_app(served)) as client:
        client.post("/flights", json={"at": at, "flights": known})
        client.get("/flights?hours=0.1")
        found = client.post("/predict?details=true", json={"flights": asked}).json()
    expected = [of_row[one.row - 2] for one in flights]
    assert found["probability"] == pytest.approx(expected, abs=2e-6)
