"""Past flights with their real times: zones, changes of the clock, aircraft."""

from __future__ import annotations

import duckdb
import numpy as np
import pandas as pd
import pytest

from challenge.errors import TrainingDataError
from challenge.files.formats import ReadOptions
from challenge.training.data import past as past_module
from challenge.training.data.dataset import read_dataset
from challenge.training.data.past import read_past
from tests.model.flights_in_formats import FLOWN, bts, nycflights13

SANTIAGO = ReadOptions(timezone="America/Santiago")
FLIGHT = {"OPERA": "Sky Airline", "TIPOVUELO": "N", "SIGLADES": "Arica"}
TIMES = ["Fecha-I", "Fecha-O", "Llegada-I", "Llegada-O"]


@pytest.fixture
def read(tmp_path):
    def read(flights, options=SANTIAGO, skip_invalid=False, name="flights.csv"):
        path, data = tmp_path / name, pd.DataFrame(flights)
        if path.suffix == ".parquet":
            data = data.astype(dict.fromkeys(TIMES, "datetime64[us]"))
            duckdb.sql(f"COPY (FROM data) TO '{path}'")
        else:
            data.to_csv(path, index=False)
        dataset = read_dataset(path, skip_invalid, options)
        return read_past(path, dataset, skip_invalid, options)

    return read


def left(scheduled, departed, **others):
    return FLIGHT | {"Fecha-I": scheduled, "Fecha-O": departed} | others


def minutes_before(past):
    """How long before the schedule aircraft were due and came."""
    flights = past.flights
    times = [(flights.scheduled - one) for one in (flights.due, flights.arrived)]
    return [one.astype("timedelta64[m]").astype(int).tolist() for one in times]


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


SPRING = [
    "2017-08-13 01:30",
    "2017-08-13 01:30",
    "2017-08-12 23:40",
    "2017-08-12 23:50",
]


def with_offsets(time):
    return pd.Timestamp(time).tz_localize("America/Santiago").isoformat()


def day_first(time):
    return format(pd.Timestamp(time), "%d/%m/%Y %H:%M")


@pytest.mark.parametrize(
    ("times", "due", "came"),
    [
        pytest.param(SPRING, 50, 40, id="clock forward"),
        pytest.param(
            [*["2017-05-14 00:30"] * 2, "2017-05-13 22:20", "2017-05-13 22:30"],
            190,
            180,
            id="clock back",
        ),
        pytest.param(
            ["2017-08-14 06:00", "2017-08-14 06:00", "2017-08-12 23:00", ""],
            30 * 60,
            None,
            id="clock forward, days before",
        ),
        pytest.param([*map(with_offsets, SPRING)], 50, 40, id="with offsets"),
        pytest.param([*map(day_first, SPRING)], 50, 40, id="day first"),
        pytest.param(
            [*SPRING[:2], *map(with_offsets, SPRING[2:])], 50, 40, id="offsets of some"
        ),
    ],
)
def test_arrivals_are_as_long_before_the_schedule_as_they_really_were(
    read, times, due, came
):
    past = read([dict(zip(TIMES, times, strict=True)) | FLIGHT])
    expected = np.timedelta64("NaT").astype(int) if came is None else came
    assert minutes_before(past) == [[due], [expected]]


def test_arrivals_in_parquet_are_read_like_those_in_csv(read):
    flight = dict(zip(TIMES, SPRING, strict=True)) | FLIGHT
    assert minutes_before(read([flight], name="flights.parquet")) == [[50], [40]]


def test_formats_bring_aircraft_and_arrivals(read):
    """The aircraft goes from Denver (UTC-7) to Dallas (UTC-6), and back."""
    rows = [
        bts(FLOWN[0])
        | {"FlightDate": "2013-01-07", "Tail_Number": "N1", "CRSElapsedTime": "110"}
        | leg
        for leg in (
            {"CRSDepTime": "0800", "Origin": "DEN", "Dest": "DFW", "ArrDelay": "12.0"},
            {"CRSDepTime": "1205", "Origin": "DFW", "Dest": "DEN", "ArrDelay": ""},
        )
    ]
    past = read(rows[::-1], ReadOptions())
    flights = past.flights
    assert past.has_aircraft and flights.leg.tolist() == [-1, 0]
    assert flights.scheduled.astype(str).tolist() == [
        "2013-01-07T15:00:00",
        "2013-01-07T18:05:00",
    ]
    assert flights.due.astype(str).tolist() == ["NaT", "2013-01-07T16:50:00"]
    assert flights.arrived.astype(str).tolist() == ["NaT", "2013-01-07T17:02:00"]
    of_new_york = [nycflights13(one) | {"tailnum": "N2"} for one in FLOWN]
    assert read(of_new_york, ReadOptions()).has_aircraft


def test_flights_are_in_the_order_of_utc_not_of_local_clocks(read):
    flights = [
        left("2017-03-06 08:30", "2017-03-06 08:30", SIGLAORI="PUQ"),
        left("2017-03-06 08:00", "2017-03-06 08:00", SIGLAORI="IPC"),
    ]
    past = read(flights, ReadOptions())
    scheduled = past.flights.scheduled.astype(str).tolist()
    assert scheduled == ["2017-03-06T11:30:00", "2017-03-06T13:00:00"]
    assert past.local.astype(str).tolist() == [
        "2017-03-06T08:30:00",
        "2017-03-06T08:00:00",
    ]


def test_times_of_an_unknown_zone_are_taken_as_they_are(read):
    past = read([left("2017-03-06 08:15", "2017-03-06 08:20")], ReadOptions())
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


def test_an_arrival_that_is_no_time_is_told_with_its_row_in_the_file(read):
    flights = [
        left("2017-03-06 05:00", ""),
        left("2017-03-06 06:00", "2017-03-06 06:30"),
        left("2017-03-06 07:00", "2017-03-06 07:30", **{"Llegada-O": "soon"}),
    ]
    with pytest.raises(TrainingDataError, match="row 4: Llegada-O: 'soon' is not a"):
        read(flights)
    assert len(read(flights, skip_invalid=True)) == 1


def test_more_flights_than_can_be_held_are_refused(tmp_path, few_flights, monkeypatch):
    path = tmp_path / "flights.csv"
    few_flights.to_csv(path, index=False)
    monkeypatch.setattr("challenge.training.data.dataset.MAX_ROWS_KEPT", 50)
    monkeypatch.setattr(past_module, "MAX_ROWS_KEPT", 50)
    with pytest.raises(TrainingDataError, match="has 60 flights; at most 50 can be"):
        read_past(path, read_dataset(path))
