"""What messages tell is known whatever way they come: as from a file of the same flights."""

from __future__ import annotations

import random
from datetime import timedelta

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from challenge.flights.fields import (
    AIRCRAFT,
    AIRLINE,
    ARRIVED,
    CANCELLED,
    DEPARTED,
    DESTINATION,
    DUE,
    EXPECTED,
    FLIGHT_NUMBER,
    FLIGHT_TYPE,
    SCHEDULED,
)
from challenge.live.clock import DAY_SECONDS, EPOCH
from challenge.live.history import History, PastFlight
from challenge.live.known import NOT_LEFT
from challenge.live.messages import Report, told_by, with_report
from challenge.live.questions import Facts
from challenge.live.state import MESSAGE_SECONDS, LiveState
from challenge.model import DelayModel

MINUTE, HOUR = 60, 3_600
# 2018-01-02 00:00 in Santiago, a day after the model's own flights end.
MIDNIGHT = 1_514_862_000
OFFSET = 3 * HOUR
NOW = float(MIDNIGHT)


def local(moment: int) -> str:
    return f"{EPOCH + timedelta(seconds=moment - OFFSET):%Y-%m-%d %H:%M:%S}"


@pytest.fixture(scope="module")
def model(live_model):
    return DelayModel.load(live_model)


@pytest.fixture(scope="module")
def flights(model):
    """Fifty flights of a day with all that may happen to them, in seconds."""
    chosen = random.Random(1)
    airlines = ["Grupo LATAM", "Sky Airline", "Copa Air"]
    made = []
    for number in range(50):
        scheduled = MIDNIGHT + 5 * HOUR + number * 15 * MINUTE
        due = scheduled - chosen.choice([30, 45, 120]) * MINUTE
        made.append(
            {
                AIRLINE: chosen.choice(airlines),
                FLIGHT_TYPE: chosen.choice("IN"),
                DESTINATION: chosen.choice(model.vocabulary[DESTINATION][:8]),
                # Some have none.
                FLIGHT_NUMBER: f"{number:03}" if number % 7 else None,
                AIRCRAFT: f"CC-{chosen.randrange(12)}",
                SCHEDULED: scheduled,
                DUE: due,
                EXPECTED: due + chosen.randrange(-5, 60) * MINUTE,
                ARRIVED: due + chosen.randrange(-5, 60) * MINUTE,
                DEPARTED: scheduled + chosen.randrange(-5, 90) * MINUTE,
                CANCELLED: number % 11 == 5,
            }
        )
    return made


def key_of(flight):
    key = {name: flight[name] for name in (AIRLINE, FLIGHT_NUMBER, DESTINATION)} | {
        SCHEDULED: local(flight[SCHEDULED])
    }
    return {name: value for name, value in key.items() if value is not None}


def messages_of(flights):
    """When what is told of which flight."""
    told = []
    for flight in flights:
        first = key_of(flight) | {
            FLIGHT_TYPE: flight[FLIGHT_TYPE],
            AIRCRAFT: flight[AIRCRAFT],
            DUE: local(flight[DUE]),
        }
        told.append((MIDNIGHT, first))
        expected = {EXPECTED: local(flight[EXPECTED])}
        told.append((flight[DUE] - HOUR, key_of(flight) | expected))
        arrived = {ARRIVED: local(flight[ARRIVED])}
        told.append((flight[ARRIVED], key_of(flight) | arrived))
        if flight[CANCELLED]:
            told.append((flight[SCHEDULED] - HOUR, key_of(flight) | {CANCELLED: True}))
        else:
            left = {DEPARTED: local(flight[DEPARTED])}
            told.append((flight[DEPARTED], key_of(flight) | left))
    return sorted(told, key=lambda one: one[0])


def reports_of(messages):
    return [
        Report(at, number, 0, msgspec.json.encode(told))
        for number, (at, told) in enumerate(messages, start=1)
    ]


def state_of(model, reports, clock=None):
    state = LiveState(model.encoder, model.grid, model.day, model.predict_cells)
    state.apply(reports, NOW)
    if clock is not None:
        tick = Report(clock, 10**6, 0, b"")
        state.apply([tick], NOW)
    return state


def answers(model, day, flights):
    """To questions that name nothing but the flights."""
    found = []
    for flight in flights:
        fields = key_of(flight) | {FLIGHT_TYPE: flight[FLIGHT_TYPE]}
        cell = model.encoder.cell(fields)
        assert isinstance(cell, int), cell
        [probability] = model.predict_cells([cell])
        number = fields.get(FLIGHT_NUMBER)
        question = day.question(fields[SCHEDULED], number=number, cell=cell)
        if question is not None:
            probability = day.moved(probability, cell, question)
        found.append(probability)
    return found


def expected_answers(model, flights, clock):
    """The same of a day of which a file tells all, by what was known at a moment."""
    past = []
    for flight in flights:
        cancelled = flight[CANCELLED] and clock >= flight[SCHEDULED] - HOUR
        cell = model.encoder.cell(key_of(flight) | {FLIGHT_TYPE: flight[FLIGHT_TYPE]})
        departed = NOT_LEFT if flight[CANCELLED] else flight[DEPARTED]
        [odds] = model.predict_cells([cell])
        scheduled, aircraft = flight[SCHEDULED], flight[AIRCRAFT]
        if not cancelled:
            past.append(PastFlight(cell, scheduled, departed, aircraft, odds))
    history = History.of([*model.day.history.flights(), *past])
    day = model.day.with_history(history).at_moment(clock)
    found = []
    for flight in flights:
        scheduled = flight[SCHEDULED]
        cell = model.encoder.cell(key_of(flight) | {FLIGHT_TYPE: flight[FLIGHT_TYPE]})
        [probability] = model.predict_cells([cell])
        left = not flight[CANCELLED] and flight[DEPARTED] <= clock
        gone = flight[CANCELLED] and clock >= scheduled - HOUR
        question = day.question(local(scheduled), aircraft=flight[AIRCRAFT])
        if question is not None and not ((left or gone) and scheduled <= clock):
            told = Facts(
                flight[AIRCRAFT],
                flight[DUE],
                flight[EXPECTED] if clock >= flight[DUE] - HOUR else None,
                flight[ARRIVED] if clock >= flight[ARRIVED] else None,
            )
            question = told.completed(question)
            probability = day.moved(probability, cell, question)
        found.append(probability)
    return found


CLOCKS = [MIDNIGHT + 5 * HOUR + minutes * MINUTE for minutes in (0, 7, 130, 415, 760)]


@pytest.mark.parametrize("clock", CLOCKS)
def test_answers_are_those_of_a_file_of_the_same_flights(clock, model, flights):
    known = [one for one in messages_of(flights) if one[0] <= clock]
    state = state_of(model, reports_of(known), clock)
    found = answers(model, state.day, flights)
    assert found == pytest.approx(expected_answers(model, flights, clock), abs=1e-9)
    # The day says something.
    table = answers(model, model.day, flights)
    assert max(abs(a - b) for a, b in zip(found, table, strict=True)) > 0.02


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_messages_may_come_in_any_order_twice_and_in_parts(seed, model, flights):
    chosen = random.Random(seed)
    clock = CLOCKS[3]
    known = [one for one in messages_of(flights) if one[0] <= clock]
    parts = []
    for at, told in known:
        key = {name: told[name] for name in told if name in (AIRLINE, SCHEDULED)}
        key |= {one: told[one] for one in (FLIGHT_NUMBER, DESTINATION) if one in told}
        others = [{name: told[name]} for name in told if name not in key]
        parts += (
            [(at, key | other) for other in others]
            if chosen.random() < 0.5
            else [(at, told)]
        )
    parts += chosen.sample(parts, len(parts) // 3)
    chosen.shuffle(parts)
    reports = reports_of(parts)
    state = LiveState(model.encoder, model.grid, model.day, model.predict_cells)
    while reports:
        size = chosen.randrange(1, 40)
        state.apply(reports[:size], NOW)
        reports = reports[size:]
    state.apply([Report(clock, 10**6, 0, b"")], NOW)
    whole = state_of(model, reports_of(known), clock)
    found = answers(model, state.day, flights)
    assert found == pytest.approx(answers(model, whole.day, flights), abs=1e-9)


@pytest.mark.parametrize("clock", CLOCKS)
def test_an_earlier_moment_is_answered_as_it_was_then(clock, model, flights):
    messages = messages_of(flights)
    state = state_of(model, reports_of(messages))
    then = state.as_of(clock, state.flights.copy(), state.day)
    known = state_of(model, reports_of([m for m in messages if m[0] <= clock]), clock)
    found = answers(model, then, flights)
    assert found == pytest.approx(answers(model, known.day, flights), abs=1e-9)
    # Neither did it change what is known now.
    again = state_of(model, reports_of(messages))
    now = answers(model, state.day, flights)
    assert now == pytest.approx(answers(model, again.day, flights), abs=1e-12)


def test_many_earlier_moments_are_answered_as_each_of_them(model, flights):
    state = state_of(model, reports_of(messages_of(flights)))
    known = state.flights.copy()
    moments = list(range(CLOCKS[-1], MIDNIGHT - HOUR, -37 * MINUTE))
    days = state.each_as_of(moments, known, state.day)
    for at, day in zip(moments, days, strict=True):
        alone = state.as_of(at, known, state.day)
        expected = answers(model, alone, flights)
        assert answers(model, day, flights) == pytest.approx(expected, abs=1e-9)


def test_what_is_forgotten_changes_no_answer(model, flights):
    messages = messages_of(flights)
    # All but the last flights are of more than two days ago.
    end = max(at for at, _ in messages) + MESSAGE_SECONDS - 3 * HOUR
    state = state_of(model, reports_of(messages), end)
    before = answers(model, state.day, flights)
    reports = len(state.reports())
    pruned = state.prune()
    assert len(state.reports()) == reports - len(pruned.removed) < reports
    assert answers(model, state.day, flights) == pytest.approx(before, abs=1e-9)
    # What the store keeps makes the same state.
    again = state_of(model, state.reports())
    assert answers(model, again.day, flights) == pytest.approx(before, abs=1e-9)


def test_flights_of_a_month_ago_are_forgotten(model, flights):
    state = state_of(model, reports_of(messages_of(flights)))
    state.apply([Report(MIDNIGHT + 31 * DAY_SECONDS, 10**6, 0, b"")], NOW)
    pruned = state.prune()
    assert not state.flights
    assert len(pruned.removed) == len(messages_of(flights))
    empty = state_of(model, [], state.clock)
    at = {SCHEDULED: MIDNIGHT + 31 * DAY_SECONDS + HOUR}
    asked = [flight | at for flight in flights]
    found = answers(model, state.day, asked)
    assert found == pytest.approx(answers(model, empty.day, asked), abs=1e-9)


def test_a_flight_that_the_model_keeps_too_counts_once(model):
    own = list(model.day.history.flights())[-200:]
    grid, vocabulary = model.grid, model.vocabulary

    def told(flight: PastFlight):
        codes = grid.flight(flight.cell)
        return {
            AIRLINE: vocabulary[AIRLINE][codes.airline],
            FLIGHT_TYPE: vocabulary[FLIGHT_TYPE][codes.flight_type],
            DESTINATION: vocabulary[DESTINATION][codes.destination],
            SCHEDULED: local(flight.scheduled),
            FLIGHT_NUMBER: "1",
        }

    clock = model.day.clock
    messages = [(clock, told(flight)) for flight in own]
    state = state_of(model, reports_of(messages))
    assert {flight.kept >= 0 for flight in state.flights.values()} == {True}
    # They tell nothing new, and when they left is known from the model's file.
    before = model.day.last_hour()
    assert state.day.last_hour() == pytest.approx(before, abs=1e-9)


def test_a_new_aircraft_is_one_of_which_nothing_else_is_known(model, flights):
    flight = flights[20]
    first, *_ = messages_of([flight])
    swap = key_of(flight) | {AIRCRAFT: "CC-NEW"}
    state = state_of(model, reports_of([first, (first[0] + MINUTE, swap)]))
    [key] = state.flights
    assert state.facts(key) == Facts("CC-NEW")


def test_null_clears_and_absent_stays():
    reports = reports_of(
        [
            (10, {AIRCRAFT: "CC-A", DUE: "2018-01-02 08:00"}),
            (20, {DUE: None, DESTINATION: "Lima"}),
            (30, {}),
        ]
    )
    assert told_by(reports) == {AIRCRAFT: "CC-A", DESTINATION: "Lima"}
    assert told_by(reports, 15) == {AIRCRAFT: "CC-A", DUE: "2018-01-02 08:00"}
    assert told_by(reports, 5) == {}


def test_of_what_is_told_over_and_over_the_first_and_the_last_are_kept():
    kept: tuple[Report, ...] = ()
    same, other = b'{"MATRICULA":"CC-A"}', b'{"MATRICULA":"CC-B"}'
    for number, told in enumerate([same, same, same, same, other, same, same]):
        kept = with_report(kept, Report(10 * number, number, 0, told))
    assert [report.number for report in kept] == [0, 3, 4, 5, 6]
