"""What was known when: no feature sees what became known after the question."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from challenge.compiled.grid import Grid
from challenge.features.feature_sets import Schedule
from challenge.flights.fields import AIRLINE, CATEGORIES, DESTINATION, NOT_GIVEN, ORIGIN
from challenge.flights.vocabulary import Vocabulary
from challenge.training.data.past import Past
from challenge.training.live.features import Replay
from challenge.training.live.known import Flights, Known

MINUTE = np.timedelta64(1, "m")
NEVER = np.datetime64("NaT", "s")
DAY = "2017-03-06T"


def times(*clock):
    return np.array(
        [
            NEVER if one is None else np.datetime64(f"{DAY}{one}:00", "s")
            for one in clock
        ]
    )


def inbound(at, departed="06:30", arrived="08:20"):
    """Of a flight at 09:00 whose aircraft should leave at 06:00 and come at 08:00."""
    flights = Flights(
        scheduled=times("06:00", "09:00"),
        departed=times(departed, None),
        aircraft=np.array([0, 0]),
        due=times(None, "08:00"),
        arrived=times(None, arrived),
        leg=np.array([-1, 0]),
    )
    return Known(flights).inbound(np.array([1]), times(at))


@pytest.mark.parametrize(
    ("at", "status", "expected"),
    [
        pytest.param("05:50", "has_not_left", "08:00", id="not due to leave yet"),
        pytest.param("06:10", "has_not_left", "08:10", id="overdue for ten minutes"),
        pytest.param("06:29", "has_not_left", "08:29", id="a minute before it leaves"),
        pytest.param("06:30", "has_left", "08:30", id="left half an hour late"),
        pytest.param("08:19", "has_left", "08:30", id="a minute before it lands"),
        pytest.param("08:20", "has_landed", "08:20", id="landed"),
    ],
)
def test_an_aircraft_is_expected_by_what_is_known_of_its_flight(at, status, expected):
    told = inbound(at)
    assert told.expected.tolist() == times(expected).tolist()
    statuses = ("has_not_left", "has_left", "has_landed")
    assert [name for name in statuses if getattr(told, name)[0]] == [status]


def test_an_aircraft_that_is_overdue_is_expected_now():
    assert inbound("08:45", arrived="09:30").expected == times("08:45")


def test_nothing_is_told_of_an_aircraft_that_is_not_due():
    assert (
        not Known(
            Flights(
                scheduled=times("09:00"),
                departed=times("09:00"),
                aircraft=np.array([-1]),
                due=times(None),
                arrived=times(None),
                leg=np.array([-1]),
            )
        )
        .inbound(np.array([0]), times("08:00"))
        .is_told.any()
    )


@pytest.mark.parametrize(
    ("departed", "at", "known"),
    [
        pytest.param("08:05", "08:04", [0, 0], id="not left"),
        pytest.param("08:05", "08:05", [1, 0], id="left on time"),
        pytest.param("07:50", "07:50", [1, 0], id="left early"),
        pytest.param("08:40", "08:15", [0, 0], id="15 minutes overdue"),
        pytest.param("08:40", "08:16", [1, 1], id="16 minutes overdue"),
        pytest.param(None, "08:16", [1, 1], id="16 minutes overdue, and still here"),
        pytest.param("08:40", "09:16", [1, 1], id="the last minute of the window"),
        pytest.param("08:40", "09:17", [0, 0], id="a minute after the window"),
    ],
)
def test_lateness_is_known_from_departure_or_16_minutes_after_schedule(
    departed, at, known
):
    """Of a flight at 08:00, in a window of 61 minutes."""
    flights = Flights(
        scheduled=times("08:00", "12:00"),
        departed=times(departed, None),
        aircraft=np.array([-1, -1]),
        due=times(None, None),
        arrived=times(None, None),
        leg=np.array([-1, -1]),
    )
    [[sums]] = Known(flights).lateness(
        np.zeros(2, dtype=np.int64),
        np.array([0.25, 0.25]),
        np.array([1]),
        times(at),
        [np.timedelta64(61, "m")],
    )
    assert sums.tolist() == [known[0], known[1], 0.25 * known[0]]


@pytest.mark.parametrize(
    ("at", "delay"),
    [("08:19", None), ("08:20", 20), ("10:04", 20), ("10:05", 5)],
)
def test_the_last_departure_of_an_aircraft_is_known_once_it_left(at, delay):
    flights = Flights(
        scheduled=times("08:00", "10:00", "12:00", "08:00"),
        departed=times("08:20", "10:05", None, "07:00"),
        aircraft=np.array([4, 4, 4, 3]),
        due=times(None, None, None, None),
        arrived=times(None, None, None, None),
        leg=np.full(4, -1),
    )
    last = Known(flights).last_departure(np.array([2]), times(at))
    assert last.is_known.tolist() == [delay is not None]
    if delay is not None:
        assert last.delay.tolist() == [delay * MINUTE]


# Around midnight, when clocks in Santiago go forward and in Berlin do not.
START = np.datetime64("2017-08-12T18:00", "s")
ZONES = ("America/Santiago", "Europe/Berlin")


@st.composite
def pasts(draw):
    """Flights of two airports in different zones, two airlines and three aircraft, with
    departures and arrivals around the change of a clock."""
    flights = draw(st.integers(6, 20))

    def drawn(low, high):
        return np.array(
            draw(st.lists(st.integers(low, high), min_size=flights, max_size=flights))
        )

    minutes = st.lists(
        st.integers(0, 12 * 60), min_size=flights, max_size=flights, unique=True
    )
    scheduled = np.sort(START + np.array(draw(minutes)) * MINUTE)
    departed = scheduled + drawn(-30, 200) * MINUTE
    aircraft = drawn(-1, 2)
    due = scheduled - drawn(10, 90) * MINUTE
    due = np.where(aircraft < 0, NEVER, due)
    leg = np.array(
        [
            max((j for j in range(i) if aircraft[j] == aircraft[i]), default=-1)
            for i in range(flights)
        ]
    )
    leg[aircraft < 0] = -1
    origin, airline = drawn(0, 1), drawn(0, 1)
    local = np.empty_like(scheduled)
    for code, zone in enumerate(ZONES):
        there = pd.DatetimeIndex(scheduled[origin == code]).tz_localize("UTC")
        local[origin == code] = there.tz_convert(zone).tz_localize(None)
    codes = np.full((flights, 7), NOT_GIVEN, dtype=np.int16)
    hours = (local - local.astype("datetime64[D]")) // np.timedelta64(1, "h")
    codes[:, 0], codes[:, 3], codes[:, 4] = airline, drawn(-1, 1), hours
    codes[:, 1], codes[:, 2], codes[:, 5], codes[:, 6] = 0, 7, 5, origin
    names = {field.name: ("A", "B") for field in CATEGORIES}
    assert {AIRLINE, DESTINATION, ORIGIN} <= set(names)
    return Past(
        Flights(scheduled, departed, aircraft, due, due + drawn(-20, 99) * MINUTE, leg),
        codes,
        local,
        Vocabulary(names),
        ("N1", "N2", "N3"),
    )


def replayed(past, expected):
    return Replay(past, expected, grid_of(past))


def grid_of(past):
    return Grid(past.vocabulary, Schedule(past.vocabulary).fields)


def features(past, at):
    """Of the flights that were not known to have left at a moment."""
    replay = replayed(past, np.linspace(-2, 0, len(past)))
    asked = np.arange(len(past))
    state = replay.state(asked, np.full(len(past), at))
    return state.asked, state.features(prior=10.0)


def with_outcomes(past, at, later_departures, later_arrivals):
    flights = past.flights
    return Past(
        flights._replace(
            departed=np.where(
                flights.departed > at, later_departures, flights.departed
            ),
            arrived=np.where(flights.arrived > at, later_arrivals, flights.arrived),
        ),
        past.codes,
        past.local,
        past.vocabulary,
        past.registrations,
    )


@given(pasts(), st.integers(0, 14 * 60), st.randoms(use_true_random=False))
@settings(max_examples=40, deadline=None)
def test_what_became_known_later_may_be_nonsense(past, minutes, random):
    at = START + minutes * MINUTE
    nonsense = [
        at + np.array([random.randint(1, 9_999) for _ in range(len(past))]) * MINUTE
        for _ in range(2)
    ]
    asked, before = features(past, at)
    others, after = features(with_outcomes(past, at, *nonsense), at)
    assert asked.tolist() == others.tolist()
    np.testing.assert_allclose(after, before, rtol=0, atol=1e-9)


@given(pasts(), st.integers(0, 14 * 60))
@settings(max_examples=40, deadline=None)
def test_what_became_known_later_may_be_cut_away(past, minutes):
    at = START + minutes * MINUTE
    asked, before = features(past, at)
    others, after = features(with_outcomes(past, at, NEVER, NEVER), at)
    assert asked.tolist() == others.tolist()
    np.testing.assert_allclose(after, before, rtol=0, atol=1e-9)


def test_what_is_known_moves_features():
    """Or the properties above would say nothing."""
    flights = Flights(
        scheduled=times("08:00", "09:00", "10:00"),
        departed=times("08:40", "09:00", None),
        aircraft=np.array([0, 1, 0]),
        due=times(None, None, "09:30"),
        arrived=times(None, None, "09:50"),
        leg=np.array([-1, -1, 0]),
    )
    codes = np.zeros((3, 7), dtype=np.int16)
    names = {field.name: ("A",) for field in CATEGORIES}
    past = Past(flights, codes, flights.scheduled, Vocabulary(names), ("N1", "N2"))
    replay = replayed(past, np.full(3, -1.0))
    state = replay.state(np.array([2, 2]), times("07:00", "09:55"))
    before, after = state.features(prior=10.0)
    moved = [
        t.name for t, a, b in zip(replay.terms, before, after, strict=True) if a != b
    ]
    assert {"all_3h", "aircraft_slack_15min", "aircraft_landed"} <= set(moved)
