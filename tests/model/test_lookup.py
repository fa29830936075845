"""The short cut from values to cells agrees with the rules, or does not answer."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from challenge.compiled.encoder import CellLookup
from challenge.flights.fields import MONTHS, Flight
from challenge.flights.rules import FlightReader
from challenge.flights.scl_2017 import SCL_2017
from challenge.model import DelayModel

grid = DelayModel(features="schedule").grid
lookup, reader = CellLookup(grid, SCL_2017), FlightReader(SCL_2017)

times = st.datetimes().map(lambda time: f"{time:%Y-%m-%d %H:%M:%S}".zfill(19))
near_times = (
    times | st.text(max_size=20) | st.from_regex(r"\d{4}.\d\d.\d\d.\d\d:\d\d:\d\d")
)


@given(
    st.sampled_from(SCL_2017.airlines),
    st.sampled_from(SCL_2017.flight_types),
    st.sampled_from(MONTHS),
    st.sampled_from((None, "", *SCL_2017.destinations)),
    near_times,
)
def test_what_is_found_is_what_the_rules_say(airline, kind, month, destination, time):
    values = {
        "OPERA": airline,
        "TIPOVUELO": kind,
        "MES": month,
        "SIGLADES": destination,
        "Fecha-I": time,
    }
    outcome = reader.read(values)
    try:
        cell = (
            lookup.airlines[airline]
            + lookup.flight_types[kind]
            + lookup.months[month]
            + lookup.destinations[destination]
            + (lookup.time(time, month) if time else 0)
        )
    except ValueError:
        assert not isinstance(outcome, Flight)
    else:
        assert isinstance(outcome, Flight)
        assert cell == grid.cell(outcome)


@pytest.mark.parametrize(
    "time",
    [
        "2017-03-06T08:15:00",
        "2017-03-06 8:15:00",
        "2017-03-06 24:00:00",
        "2017-02-30 08:15:00",
        "2017-03-06 08:15:00 ",
        "２０１７-03-06 08:15:00",
        "2017-04-06 08:15:00",
    ],
)
def test_a_time_that_is_not_certainly_right_is_left_to_the_rules(time):
    with pytest.raises(ValueError):
        lookup.time(time, 3)
