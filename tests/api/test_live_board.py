"""What GET /flights tells of a flight for the board, and how its probability went."""

from __future__ import annotations

import asyncio
import gzip
from datetime import UTC, datetime

import numpy as np
import pytest
from fastapi.testclient import TestClient
from msgspec.structs import replace

from challenge.api import create_app
from challenge.artifact import model_file
from challenge.live.adjustment import DISTANCES_MINUTES, Adjustment
from challenge.live.day import Day
from challenge.live.terms import INBOUND_TERMS
from challenge.model import DelayModel
from challenge.serving.shared_bodies import SharedBodies, accepts_gzip
from tests.api.test_live import (
    FLIGHT,
    board,
    client,
    client_with,
    probabilities,
    tell,
    tell_day,
)
from tests.conftest import TEST_MODEL
from tests.model.test_live_state import (
    CLOCKS,
    HOUR,
    MIDNIGHT,
    MINUTE,
    flights,
    local,
    messages_of,
    model,
)

__all__ = ["board", "client", "client_with", "flights", "model"]
UNKNOWN = FLIGHT | {"OPERA": "Nueva", "Vlo-I": "8"}


def utc(moment):
    return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def only_row(client, **query):
    [row] = client.get("/flights", params=query).json()["flights"]
    return row


# Rows.


def test_rows_tell_what_the_schedule_alone_says(board, model):
    told = board("?hours=24")
    assert len(told["left"]) > 3
    for row in told["flights"] + told["left"]:
        [expected] = model.predict_cells([model.encoder.cell(row["flight"])])
        assert row["schedule_probability"] == round(expected, 6)


def test_of_an_unknown_airline_no_probability_is_told(client):
    tell(client, MIDNIGHT, UNKNOWN)
    row = only_row(client)
    assert (row["schedule_probability"], row["reasons"]) == (None, [])


def test_the_aircraft_before_the_present_one_is_told(client):
    cases = [
        (["CC-A"], None),
        (["CC-A", "cc-a "], None),
        (["CC-A", "CC-B"], "CC-A"),
        (["CC-A", "CC-B", "CC-C"], "CC-B"),
        (["CC-A", "CC-B", "CC-A"], "CC-B"),
        (["CC-A", "CC-B", "CC-B"], "CC-A"),
        (["CC-A", None], None),
        (["CC-A", None, "CC-B"], "CC-A"),
        ([None, "CC-B"], None),
    ]
    for number, (told, _) in enumerate(cases):
        for minute, aircraft in enumerate(told):
            change = {"Vlo-I": str(number), "MATRICULA": aircraft}
            tell(client, MIDNIGHT + minute * MINUTE, FLIGHT | change)
    rows = client.get("/flights").json()["flights"]
    found = {row["flight"]["Vlo-I"]: row["aircraft_before"] for row in rows}
    assert [found[str(number)] for number in range(len(cases))] == [
        before for _, before in cases
    ]


def test_what_is_corrected_at_its_own_moment_was_no_aircraft(client):
    for aircraft in ("CC-A", "CC-B"):
        tell(client, MIDNIGHT, FLIGHT | {"MATRICULA": aircraft})
    assert only_row(client)["aircraft_before"] is None


def test_where_the_aircraft_is_as_far_as_it_is_told(client):
    def at(hours):
        return None if hours is None else local(MIDNIGHT + int(hours * HOUR))

    cases = [
        ({"Llegada-I": 5}, 5, 5, None, "unknown"),
        ({"Llegada-I": 5, "Llegada-E": 5.5}, 5, 5.5, None, "unknown"),
        ({"Llegada-E": 5.5}, None, 5.5, None, "unknown"),
        # It is overdue, and may come at any moment.
        ({"Llegada-I": 3}, 3, 4, None, "unknown"),
        ({"Llegada-I": 3, "Llegada-O": 3.5}, 3, None, 3.5, "landed"),
        ({"Llegada-O": 3.5}, None, None, 3.5, "landed"),
    ]
    told = [
        FLIGHT
        | {"Vlo-I": str(number)}
        | {name: at(hours) for name, hours in one.items()}
        for number, (one, *_) in enumerate(cases)
    ]
    tell(client, MIDNIGHT + 4 * HOUR, *told)
    rows = client.get("/flights").json()["flights"]
    found = {row["flight"]["Vlo-I"]: row["inbound"] for row in rows}
    for number, (_, due, expected, arrived, status) in enumerate(cases):
        assert found[str(number)] == {
            "due": at(due),
            "expected": at(expected),
            "arrived": at(arrived),
            "status": status,
        }


def test_nothing_is_told_of_an_aircraft_of_which_nothing_is_known(client):
    tell(client, MIDNIGHT, FLIGHT | {"MATRICULA": "CC-A"}, UNKNOWN)
    rows = client.get("/flights").json()["flights"]
    assert [row["inbound"] for row in rows] == [None, None]


@pytest.fixture(scope="module")
def model_of_aircraft(two_origins_model, tmp_path_factory):
    """The file of a model to which it matters where aircraft are."""
    model = DelayModel.load(two_origins_model)
    counts = np.full(len(DISTANCES_MINUTES), 0.1).tolist()
    adjustment = Adjustment(10.0, {term.name: counts for term in INBOUND_TERMS})
    rules, grid = model.encoder.rules, model.grid
    day = Day(adjustment, model.known_day.history, rules, grid)
    path = tmp_path_factory.mktemp("aircraft") / "model.pkl"
    model.with_day(day).save(path)
    return path


def test_an_aircraft_that_comes_from_another_origin_is_followed(model_of_aircraft):
    leg = {
        "OPERA": "Sky Airline",
        "TIPOVUELO": "N",
        "SIGLAORI": "Santiago",
        "SIGLADES": "Concepcion",
        "Fecha-I": local(MIDNIGHT + 3 * HOUR),
        "Vlo-I": "1",
        "MATRICULA": "CC-A",
    }
    back = leg | {
        "SIGLAORI": "Concepción",
        "SIGLADES": "Calama",
        "Fecha-I": local(MIDNIGHT + 6 * HOUR),
        "Vlo-I": "2",
        "Llegada-I": local(MIDNIGHT + 4 * HOUR),
    }
    with TestClient(create_app(model_of_aircraft)) as client:
        tell(client, MIDNIGHT + 2 * HOUR, leg, back)

        def inbound():
            rows = client.get("/flights").json()["flights"]
            [row] = [one for one in rows if one["flight"]["Vlo-I"] == "2"]
            return row["inbound"]

        assert inbound()["status"] == "not_left"
        left = leg | {"Fecha-O": local(MIDNIGHT + 3 * HOUR + 20 * MINUTE)}
        tell(client, MIDNIGHT + 3 * HOUR + 20 * MINUTE, left)
        found = inbound()
        assert found["status"] == "in_air"
        assert found["expected"] == local(MIDNIGHT + 4 * HOUR + 20 * MINUTE)


# Reasons.


def changed(source, path, **changes):
    """The file of a model of which something is left out."""
    stored, _ = model_file.read(source)
    card = replace(stored.card, known=[], live=None)
    model_file.write(path, replace(stored, card=card, **changes))
    return path


def test_on_a_quiet_day_the_schedule_gives_the_reasons(tmp_path):
    path = changed(TEST_MODEL, tmp_path / "model.pkl", adjustment=None, history=None)
    with TestClient(create_app(path)) as client:
        tell(client, MIDNIGHT, FLIGHT | {"OPERA": "Plus Ultra Lineas Aereas"})
        row = only_row(client)
        assert "Plus Ultra Lineas Aereas" in {one["name"] for one in row["reasons"]}
        sizes = [abs(one["log_odds"]) for one in row["reasons"]]
        assert sizes == sorted(sizes, reverse=True)
        assert all(size >= 0.07 for size in sizes) and len(sizes) <= 3
        names = {one["name"] for one in only_row(client, language="es")["reasons"]}
        assert names & {"enero", "ser nacional"}


def test_reasons_name_the_hour_shortly(client):
    night = FLIGHT | {"Fecha-I": local(MIDNIGHT + 26 * HOUR)}
    tell(client, MIDNIGHT, night)
    names = [one["name"] for one in only_row(client, hours=30)["reasons"]]
    # 3 January 2018 was a Wednesday.
    assert "Wednesday 2 h" in names


def test_without_past_flights_the_day_alone_gives_reasons(
    live_model, flights, tmp_path
):
    path = changed(live_model, tmp_path / "model.pkl", counts=None)
    with TestClient(create_app(path)) as client:
        tell_day(client, messages_of(flights), 0, CLOCKS[2])
        rows = client.get("/flights?hours=24").json()["flights"]
        names = {reason["name"] for row in rows for reason in row["reasons"]}
        assert names and not {"Sky Airline", "January"} & names


# The trend of a flight.


def trend(client, flight, status=200, **query):
    names = ("OPERA", "Fecha-I", "Vlo-I", "SIGLAORI", "SIGLADES")
    named = {name: flight[name] for name in names if name in flight}
    answer = client.get("/flights/trend", params=named | query)
    assert answer.status_code == status, answer.text
    return answer.json()


def test_a_trend_is_what_was_answered_at_each_half_hour(board, client, flights):
    clock = CLOCKS[2]
    rows = [one for one in board("?hours=24")["flights"] if one["minutes"] > 0]
    by_time = {local(one["Fecha-I"]): one for one in flights}
    for row in (rows[0], rows[-1]):
        found = trend(client, row["flight"], place=row["place"])
        halves = range(MIDNIGHT, clock, 30 * MINUTE)
        assert found["at"] == [utc(at) for at in (*halves, clock)]
        assert found["schedule_probability"] == row["schedule_probability"]
        assert found["probability"][-1] == row["probability"]
        flight = by_time[row["flight"]["Fecha-I"]]
        for at, probability in zip(halves, found["probability"]):
            [expected] = probabilities(client, [flight], f"&at={local(at)}")
            assert probability == expected
    assert len(set(found["probability"])) > 5


def test_what_is_told_later_of_an_earlier_moment_changes_the_trend(client):
    clock = MIDNIGHT + 4 * HOUR
    tell(client, clock, FLIGHT | {"Llegada-I": local(MIDNIGHT + 5 * HOUR)})
    before = trend(client, FLIGHT)["probability"]
    at = MIDNIGHT + 2 * HOUR
    tell(client, at, FLIGHT | {"Llegada-E": local(MIDNIGHT + 7 * HOUR)})
    after = trend(client, FLIGHT)["probability"]
    changed = [a != b for a, b in zip(before, after, strict=True)]
    assert changed == [False] * 4 + [True] * 5
    # And what is told of now leaves it as it was.
    tell(client, clock + MINUTE, FLIGHT | {"Llegada-E": local(MIDNIGHT + 5 * HOUR)})
    later = trend(client, FLIGHT)["probability"]
    assert later[:8] == after[:8] and later[-1] != after[-1]


def test_a_trend_ends_as_the_flight_leaves_and_says_nothing_of_a_cancelled_one(client):
    # 6:00 is its time.
    for minutes, told, expected in (
        (-31, {}, (11, [])),
        (14, {}, (13, [])),
        (31, {}, (14, [1.0, 1.0])),
        (40, {"CANCELADO": True}, (14, [1.0, None])),
        (41, {"CANCELADO": False, "Fecha-O": local(MIDNIGHT + 385 * MINUTE)}, (13, [])),
    ):
        clock = MIDNIGHT + 6 * HOUR + minutes * MINUTE
        tell(client, clock, FLIGHT | told)
        found = trend(client, FLIGHT)
        halves, last = expected
        has_left = "Fecha-O" in told
        assert len(found["at"]) == halves + (not has_left)
        assert found["probability"][len(found["at"]) - len(last) :] == last
        assert all(0 < one < 1 for one in found["probability"][:13])
        assert found["at"][-1] == (utc(MIDNIGHT + 6 * HOUR) if has_left else utc(clock))


def test_a_trend_goes_back_a_day_at_most(client):
    late = FLIGHT | {"Fecha-I": local(MIDNIGHT + 30 * HOUR)}
    clock = MIDNIGHT + 27 * HOUR + 10 * MINUTE
    tell(client, clock, late, FLIGHT)
    # Of one of today since midnight, of one of yesterday since a day ago.
    assert trend(client, late)["at"][0] == utc(MIDNIGHT + 24 * HOUR)
    assert trend(client, FLIGHT)["at"][0] == utc(MIDNIGHT + 3 * HOUR + 30 * MINUTE)


def test_of_a_flight_after_midnight_it_is_the_trend_of_this_day(client):
    late = FLIGHT | {"Fecha-I": local(MIDNIGHT + 26 * HOUR)}
    tell(client, MIDNIGHT + 23 * HOUR, late)
    assert trend(client, late)["at"][0] == utc(MIDNIGHT)


def test_equals_without_a_number_have_trends_of_their_own(client):
    same = {name: FLIGHT[name] for name in FLIGHT if name != "Vlo-I"}
    same |= {"SIGLADES": "Calama"}
    due = {"MATRICULA": "CC-2", "Llegada-I": local(MIDNIGHT + HOUR)}
    tell(client, MIDNIGHT + HOUR, same, same | due)
    rows = client.get("/flights").json()["flights"]
    assert [row["place"] for row in rows] == [0, 1]
    for row in rows:
        found = trend(client, row["flight"], place=row["place"])
        assert found["probability"][-1] == row["probability"]
    trend(client, same, status=404, place=2)


def test_a_trend_of_what_is_not_known_is_refused_or_unknown(client):
    [fault] = trend(client, FLIGHT, status=404)["detail"]
    assert fault["type"] == "unknown_flight"
    [fault] = trend(client, FLIGHT | {"Fecha-I": "soon"}, status=400)["detail"]
    assert (fault["loc"], fault["type"]) == (["Fecha-I"], "datetime_format")
    tell(client, MIDNIGHT + HOUR, UNKNOWN)
    found = trend(client, UNKNOWN)
    assert (found["schedule_probability"], set(found["probability"])) == (None, {None})


def test_more_trends_than_can_be_made_come_again_later(client, monkeypatch):
    tell(client, MIDNIGHT, FLIGHT)
    monkeypatch.setattr("challenge.serving.trend._MOST_WAITING", 0)
    [fault] = trend(client, FLIGHT, status=503)["detail"]
    assert fault["type"] == "overloaded"


# What all browsers ask for.


def test_the_board_is_compressed_for_who_takes_that(client):
    tell(client, MIDNIGHT, *(FLIGHT | {"Vlo-I": str(n)} for n in range(200)))
    headers = {"Accept-Encoding": "identity"}
    plain = client.get("/flights", headers=headers)
    assert "content-encoding" not in plain.headers
    with client.stream(
        "GET", "/flights", headers={"Accept-Encoding": "gzip"}
    ) as packed:
        body = b"".join(packed.iter_raw())
    assert packed.headers["content-encoding"] == "gzip"
    assert len(body) < len(plain.content) / 5
    assert gzip.decompress(body) == plain.content
    for answer in (plain, packed):
        assert answer.headers["vary"].lower() == "accept-encoding"
        # One tag for both, which therefore is a weak one.
        tag = answer.headers["etag"]
        assert tag.startswith("W/")
        same = client.get("/flights", headers={"If-None-Match": tag})
        assert (same.status_code, same.headers["etag"]) == (304, tag)


@pytest.mark.parametrize(
    ("header", "accepts"),
    [
        ("gzip, deflate, br", True),
        ("br;q=1.0, GZIP;q=0.5", True),
        ("*", True),
        ("gzip;q=0", False),
        ("gzip; q=0.000, *", False),
        ("br", False),
        ("", False),
    ],
)
def test_a_client_says_whether_it_takes_gzip(header, accepts):
    assert accepts_gzip(header) is accepts


def test_a_body_is_made_once_for_all_who_ask_and_again_after_a_failure():
    made = []

    async def make():
        made.append(1)
        await asyncio.sleep(0.01)
        if len(made) == 1:
            raise ValueError("no")
        return b"body" * 1_000

    async def ask():
        bodies = SharedBodies()
        asked = [bodies.body("a", place % 2 == 0, make) for place in range(10)]
        failed = await asyncio.gather(*asked, return_exceptions=True)
        assert {str(one) for one in failed} == {"no"} and len(made) == 1
        asked = [bodies.body("a", place % 2 == 0, make) for place in range(10)]
        packed, plain, *_ = await asyncio.gather(*asked)
        assert gzip.decompress(packed) == plain and len(made) == 2
        await bodies.body("b", False, make)
        assert len(made) == 3

    asyncio.run(ask())
