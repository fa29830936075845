"""As many names as there may be: every number fits where it is kept."""

from __future__ import annotations

import duckdb
import numpy as np
import pandas as pd
import pytest

from challenge.artifact import model_file
from challenge.errors import ModelFileError, TrainingDataError
from challenge.features.counts import unique_rows
from challenge.files import csv_answers
from challenge.files.answering import predict_file
from challenge.files.answers import PredictionCounts, judged_rows
from challenge.files.opening import plain_file
from challenge.files.scanning import FlightsScan
from challenge.files.sql import engine
from challenge.flights.fields import AIRLINE, DESTINATION, FLIGHT_TYPE, ORIGIN, Flight
from challenge.flights.vocabulary import MAX_NAMES, Vocabulary
from challenge.live.adjustment import Adjustment
from challenge.live.history import History, PastFlight
from challenge.model import DelayModel
from challenge.training.train import train
from tests.conftest import TEST_MODEL


def vocabulary(airlines: int, places: int, types: tuple[str, ...] = ("I", "N")):
    cities = tuple(f"City {number:05}" for number in range(places))
    return Vocabulary(
        {
            AIRLINE: tuple(f"Airline {number:05}" for number in range(airlines)),
            FLIGHT_TYPE: types,
            ORIGIN: cities,
            DESTINATION: cities,
        }
    )


def test_the_last_flight_of_the_largest_grid_has_the_last_number():
    model = DelayModel(features="schedule", vocabulary=vocabulary(MAX_NAMES, MAX_NAMES))
    last = Flight(MAX_NAMES - 1, 1, 11, MAX_NAMES - 1, 23, 6, MAX_NAMES - 1)
    cell = model.grid.cell(last)
    assert cell == model.grid.cells - 1 < 2**63
    assert model.grid.flight(cell) == last
    codes = np.array([last], np.int16)
    assert model.grid.numbers(codes).tolist() == [cell]
    np.testing.assert_array_equal(model.grid.codes(np.array([cell])), codes)
    rows, place = unique_rows(np.concatenate([codes, codes]), model.vocabulary.sizes)
    assert (rows.tolist(), place.tolist()) == ([list(last)], [0, 0])


@pytest.mark.parametrize(
    ("airlines", "places"), [(20, 300), (3, 1_500)], ids=["US", "many cities"]
)
@pytest.mark.parametrize("kind", [".csv", ".parquet"])
def test_files_are_numbered_as_requests(kind, airlines, places, tmp_path):
    model = DelayModel(features="schedule", vocabulary=vocabulary(airlines, places))
    # Of the day before the flight.
    history = History.of([PastFlight(0, 1_701_475_200, 1_701_475_200, "", 0.2)])
    model.learn_day(Adjustment(1.0, {"all_24h": [1.0] * 8}), history, {}, {})
    flight = {
        AIRLINE: f"Airline {airlines - 1:05}",
        FLIGHT_TYPE: "N",
        "MES": 12,
        ORIGIN: f"City {places - 1:05}",
        DESTINATION: f"City {places - 1:05}",
        "Fecha-I": "2023-12-03 23:59:00",
    }
    path = tmp_path / f"flights{kind}"
    frame = pd.DataFrame([flight, flight | {"Fecha-I": None}])
    if kind == ".csv":
        frame.to_csv(path, index=False)
    else:
        duckdb.from_df(frame).write_parquet(str(path))
    with plain_file(path) as file, engine(model, file) as connection:
        scan = FlightsScan(connection, model, file)
        [(cells, questions, faults)] = judged_rows(scan, PredictionCounts())
    assert cells == [
        model.encoder.cell(flight),
        model.encoder.cell({**flight, "Fecha-I": ""}),
    ]
    assert questions == model.questions([flight])
    assert list(questions) == [0] and faults == {}


def test_more_names_than_codes_are_refused(few_flights, tmp_path):
    with pytest.raises(TrainingDataError, match="OPERA: there are 32768 names, more"):
        vocabulary(MAX_NAMES + 1, 2)
    source, output = tmp_path / "flights.csv", tmp_path / "model.pkl"
    many = few_flights.sample(MAX_NAMES + 1, replace=True, random_state=0)
    names = [f"City {number}" for number in range(len(many))]
    many.assign(SIGLADES=names).to_csv(source, index=False)
    with pytest.raises(TrainingDataError, match="SIGLADES: there are 32768 names"):
        train(str(source), str(output))
    stored, _ = model_file.read(TEST_MODEL)
    stored.vocabulary.names[AIRLINE] = ("same",) * (MAX_NAMES + 1)
    model_file.write(output, stored)
    with pytest.raises(ModelFileError, match="not a whole model: OPERA: there are"):
        DelayModel.load(output)


def test_a_file_of_many_kinds_of_flights_is_answered_in_bounded_memory(
    monkeypatch, schedule_model, sample_csv, tmp_path
):
    model = DelayModel.load(schedule_model)
    expected, found = tmp_path / "expected.csv", tmp_path / "found.csv"
    counted = predict_file(model, sample_csv, expected)
    monkeypatch.setattr(csv_answers._AnswerTexts, "KEPT", 10)
    assert predict_file(model, sample_csv, found) == counted
    assert found.read_bytes() == expected.read_bytes()
