"""The short cut from values to cells agrees with the rules, or does not answer."""

from __future__ import annotations

import pickle
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from challenge.compiled.encoder import CellEncoder
from challenge.compiled.grid import Grid
from challenge.flights.fields import (
    AIRLINE,
    DESTINATION,
    FIELDS,
    FLIGHT_TYPE,
    MONTHS,
    ORIGIN,
    Flight,
)
from challenge.flights.scl_2017 import SCL_2017
from challenge.flights.vocabulary import Vocabulary

NEW_YORK = Vocabulary(
    {
        AIRLINE: ("JetBlue", "United"),
        FLIGHT_TYPE: ("N",),
        DESTINATION: ("Boston", "Miami"),
        ORIGIN: ("EWR", "JFK", "LGA"),
    }
)
ENCODERS = {
    "one origin": CellEncoder(SCL_2017, Grid(SCL_2017, SCL_2017.told_apart)),
    "three origins": CellEncoder(NEW_YORK, Grid(NEW_YORK, NEW_YORK.told_apart)),
}

times = st.datetimes().map(lambda time: f"{time:%Y-%m-%d %H:%M:%S}".zfill(19))
near_times = (
    times | st.text(max_size=20) | st.from_regex(r"\d{4}.\d\d.\d\d.\d\d:\d\d:\d\d")
)


def asked(values: dict[str, object]) -> SimpleNamespace:
    return SimpleNamespace(**{one.attribute: values.get(one.name) for one in FIELDS})


@pytest.mark.parametrize("encoder", ENCODERS.values(), ids=ENCODERS)
@given(data=st.data())
def test_what_is_found_is_what_the_rules_say(encoder, data):
    vocabulary = encoder.rules.vocabulary
    values = {
        "OPERA": data.draw(st.sampled_from(vocabulary[AIRLINE])),
        "TIPOVUELO": data.draw(st.sampled_from(vocabulary[FLIGHT_TYPE])),
        "MES": data.draw(st.sampled_from(MONTHS)),
        "SIGLAORI": data.draw(st.sampled_from((None, "", *vocabulary[ORIGIN]))),
        "SIGLADES": data.draw(st.sampled_from((None, "", *vocabulary[DESTINATION]))),
        "Fecha-I": data.draw(near_times),
    }
    outcome = encoder.rules.read(values)
    try:
        found = encoder.look_up([asked(values)])
    except ValueError:
        if isinstance(outcome, Flight):
            assert values["Fecha-I"] != values["Fecha-I"].strip()
        else:
            assert encoder.cell(values) == outcome
    else:
        assert found == [encoder.cell(values)]


@pytest.mark.parametrize(
    "time",
    [
        "2017-03-06t08:15:00",
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
        ENCODERS["one origin"].time(time, 3)


def test_an_origin_is_an_axis_where_there_are_several():
    flight = {"OPERA": "United", "TIPOVUELO": "N", "MES": 7}
    one, several = ENCODERS.values()
    in_santiago = {"OPERA": "Sky Airline", "TIPOVUELO": "N", "MES": 7}
    assert one.cell(in_santiago | {"SIGLAORI": "Santiago"}) == one.cell(in_santiago)
    cells = {several.cell(flight | {"SIGLAORI": name}) for name in NEW_YORK[ORIGIN]}
    assert len(cells | {several.cell(flight)}) == 4


def test_an_encoder_can_be_pickled():
    encoder = ENCODERS["three origins"]
    flight = asked({"OPERA": "United", "TIPOVUELO": "N", "MES": 7})
    copied = pickle.loads(pickle.dumps(encoder))
    assert copied.look_up([flight]) == encoder.look_up([flight])
