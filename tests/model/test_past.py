"""Past flights with their real times: zones, changes of the clock, aircraft."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from challenge.errors import TrainingDataError
from challenge.training.data import past as past_module
from challenge.training.data.dataset import read_dataset
from challenge.training.data.past import ANY_ORIGIN, read_past

SANTIAGO = {ANY_ORIGIN: "America/Santiago"}
FLIGHT = {"OPERA": "Sky Airline", "TIPOVUELO": "N", "SIGLADES": "Arica"}


@pytest.fixture
def read(tmp_path):
    def read(flights, time_zones=SANTIAGO, skip_invalid=False):
        path = tmp_path / "flights.csv"
        pd.DataFrame([FLIGHT | one for one in flights]).to_csv(path, index=False)
        return read_past(path, read_dataset(path), time_zones, skip_invalid)

    return read


def left(scheduled, departed, **others):
    return {"Fecha-I": scheduled, "Fecha-O": departed} | others


@pytest.mark.parametrize(
    ("scheduled", "departed", "late"),
    [
        pytest.param("2017-03-06 08:15", "2017-03-06 08:30", 0, id="15 minutes"),
        pytest.param("2017-03-06 08:15", "2017-03-06 08:31", 1, id="16 minutes"),
        pytest.param("2017-08-12 23:50", "2017-08-13 01:04", 0, id="clock forward"),
        pytest.param("2017-08-12 23:50", "2017-08-13 01:06", 1, id="forward, 16"),
        pytest.param("2017-05-13 23:50", "2017-05-13 23:55", 0, id="clock back, twice"),
        pytest.param("2017-05-13 23:30", "2017-05-14 00:00", 1, id="clock back, late"),
    ],
)
def test_a_flight_is_late_by_real_minutes(read, scheduled, departed, late):
    assert read([left(scheduled, departed)]).late.tolist() == [late]


def test_flights_are_in_the_order_of_utc_not_of_local_clocks(read):
    flights = [
        left("2017-03-06 08:30", "2017-03-06 08:30", SIGLAORI="Punta Arenas"),
        left("2017-03-06 08:00", "2017-03-06 08:00", SIGLAORI="Isla de Pascua"),
    ]
    zones = {"Punta Arenas": "America/Punta_Arenas", "Isla de Pascua": "Pacific/Easter"}
    past = read(flights, zones)
    scheduled = past.flights.scheduled.astype(str).tolist()
    assert scheduled == ["2017-03-06T11:30:00", "2017-03-06T13:00:00"]
    assert past.local.astype(str).tolist() == [
        "2017-03-06T08:30:00",
        "2017-03-06T08:00:00",
    ]


def test_times_of_an_unknown_zone_are_taken_as_they_are(read):
    past = read([left("2017-03-06 08:15", "2017-03-06 08:20")], {})
    assert past.flights.scheduled.astype(str).tolist() == ["2017-03-06T08:15:00"]


def test_the_leg_before_is_the_flight_on_which_the_aircraft_comes(read):
    here, there = {"SIGLAORI": "Arica"}, {"SIGLAORI": "Iquique"}
    past = read(
        [
            left("2017-03-06 06:00", "2017-03-06 06:30", MATRICULA="CC-A", **there),
            left(
                "2017-03-06 08:00",
                "2017-03-06 08:40",
                MATRICULA="cc-a ",
                **{"Llegada-I": "2017-03-06 07:00", "Llegada-O": "2017-03-06 07:35"},
                **here,
            ),
            left(
                "2017-03-06 09:00",
                "2017-03-06 09:00",
                MATRICULA="CC-B",
                **{"Llegada-I": "2017-03-06 08:00", "Llegada-O": "2017-03-06 08:00"},
                **here,
            ),
        ]
    )
    assert past.flights.leg.tolist() == [-1, 0, -1]
    assert past.flights.aircraft.tolist() == [0, 0, 1]
    assert np.isnat(past.flights.due).tolist() == [True, False, False]


def test_flights_that_tell_no_departure_are_left_out(tmp_path, few_flights):
    path = tmp_path / "flights.csv"
    few_flights.drop(columns="Fecha-O").assign(delay=0).to_csv(path, index=False)
    assert len(read_past(path, read_dataset(path))) == 0


def test_an_arrival_that_is_no_time_is_told_with_its_row(read):
    flights = [
        left("2017-03-06 06:00", "2017-03-06 06:30"),
        left("2017-03-06 07:00", "2017-03-06 07:30", **{"Llegada-O": "soon"}),
    ]
    with pytest.raises(TrainingDataError, match="row 3: Llegada-O: 'soon' is not a"):
        read(flights)
    assert len(read(flights, skip_invalid=True)) == 1


def test_more_flights_than_can_be_held_are_refused(tmp_path, few_flights, monkeypatch):
    path = tmp_path / "flights.csv"
    few_flights.to_csv(path, index=False)
    monkeypatch.setattr("challenge.training.data.dataset.MAX_ROWS_KEPT", 50)
    monkeypatch.setattr(past_module, "MAX_ROWS_KEPT", 50)
    with pytest.raises(TrainingDataError, match="has 60 flights; at most 50 can be"):
        read_past(path, read_dataset(path))
