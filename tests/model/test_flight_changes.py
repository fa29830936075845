"""What of today's flights is sent, and what is kept of it; how a past day is played."""

from __future__ import annotations

from datetime import date, datetime, time
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from challenge.errors import FlightsFileError
from challenge.files import sent_flights
from challenge.files.flight_changes import batches, by_key, changes, key_of
from challenge.files.played_day import PlayedDay, moments
from challenge.files.sent_flights import SentFlights
from challenge.files.telling import ToldFlight

SANTIAGO = ZoneInfo("America/Santiago")
FIELDS = {
    "OPERA": "Sky Airline",
    "TIPOVUELO": "N",
    "SIGLADES": "Arica",
    "Fecha-I": "2017-05-14 08:15:00",
    "Vlo-I": "H2 115",
    "MATRICULA": "CC-AHE",
    "Llegada-I": "2017-05-14 07:20:00",
}
KEY = {name: FIELDS[name] for name in ("OPERA", "Fecha-I", "Vlo-I")}
WITHOUT_NUMBER = {name: value for name, value in FIELDS.items() if name != "Vlo-I"}


def told(*flights):
    return {key_of(one): [one] for one in flights}


def messages(now, sent):
    return [[one.message for one in listed] for listed in changes(now, sent)]


def test_at_first_all_of_a_flight_is_sent_and_then_what_has_changed():
    assert messages(told(FIELDS), {}) == [[FIELDS]]
    assert messages(told(FIELDS), told(FIELDS)) == []
    left = FIELDS | {"Fecha-O": "2017-05-14 08:20:00"}
    new = KEY | {"Fecha-O": "2017-05-14 08:20:00"}
    assert messages(told(left), told(FIELDS)) == [[new]]


def test_a_value_that_went_away_is_cleared():
    cancelled = FIELDS | {"CANCELADO": True}
    assert messages(told(FIELDS), told(cancelled)) == [[KEY | {"CANCELADO": None}]]


def test_of_another_aircraft_its_arrivals_are_told_again():
    swapped = FIELDS | {"MATRICULA": "CC-AHF"}
    message = KEY | {"MATRICULA": "CC-AHF", "Llegada-I": FIELDS["Llegada-I"]}
    assert messages(told(swapped), told(FIELDS)) == [[message]]


def test_a_flight_that_is_no_longer_there_stays_as_it_was_told():
    assert messages({}, told(FIELDS)) == []


def test_a_flight_that_was_not_taken_is_sent_as_a_whole_again():
    key = key_of(FIELDS)
    assert messages(told(FIELDS), {key: [None]}) == [[FIELDS]]


def test_flights_without_a_number_are_sent_with_their_equals_before():
    now = {key_of(WITHOUT_NUMBER): [WITHOUT_NUMBER] * 3}
    left = WITHOUT_NUMBER | {"Fecha-O": "2017-05-14 08:20:00"}
    then = {key_of(WITHOUT_NUMBER): [WITHOUT_NUMBER, left, WITHOUT_NUMBER]}
    key = {name: FIELDS[name] for name in ("OPERA", "SIGLADES", "Fecha-I")}
    assert messages(now, {}) == [[WITHOUT_NUMBER] * 3]
    # The place among equals tells which is meant.
    new = [key, key | {"Fecha-O": "2017-05-14 08:20:00"}]
    assert messages(then, now) == [new]


def flight(row=2, fields=FIELDS, scheduled=0, departed=None, arrived=None):
    return ToldFlight(row, dict(fields), scheduled, departed, arrived, SANTIAGO)


def test_rows_with_a_number_are_one_flight_and_others_are_not():
    again = {"Fecha-O": "2017-05-14 08:20:00", "Vlo-I": "h2 115 "}
    [same] = by_key([flight(2, departed=7), flight(3, FIELDS | again)]).values()
    assert [one.fields for one in same] == [FIELDS | again]
    assert [(one.row, one.departed) for one in same] == [(3, 7)]
    [two] = by_key([flight(2, WITHOUT_NUMBER), flight(3, WITHOUT_NUMBER)]).values()
    assert [one.row for one in two] == [2, 3]


def test_names_and_numbers_are_compared_as_the_server_does():
    assert key_of({"OPERA": "Sky ", "Vlo-I": "0115"}) == key_of(
        {"OPERA": "SKY", "Vlo-I": "115", "SIGLADES": "Arica"}
    )
    arica, lima = ({"OPERA": "Sky", "SIGLADES": name} for name in ("Arica", "Lima"))
    assert key_of(arica) != key_of(lima)


def test_equals_are_not_torn_apart():
    listed = [["a"] * size for size in (2, 2, 1, 7, 1)]
    sizes = [[len(one) for one in batch] for batch in batches(listed, 4)]
    assert sizes == [[2, 2], [1], [7], [1]]
    assert list(batches([], 4)) == []


@pytest.fixture
def sent():
    sent = SentFlights("9f3c", 1_494_763_200)
    sent.add(key_of(WITHOUT_NUMBER), 1, WITHOUT_NUMBER)
    sent.add(key_of(FIELDS), 0, FIELDS | {"CANCELADO": True})
    return sent


def test_what_was_sent_is_kept(sent, tmp_path):
    path = tmp_path / "state" / "sent.json"
    assert sent_flights.load(path) == SentFlights()
    sent_flights.save(path, sent)
    assert sent_flights.load(path) == sent
    assert sent.flights[key_of(WITHOUT_NUMBER)] == [None, WITHOUT_NUMBER]
    assert [one.name for one in path.parent.iterdir()] == ["sent.json"]


def test_old_flights_are_forgotten(sent):
    sent.forget_before("2017-05-14 08:15:00")
    assert len(sent.flights) == 2
    sent.forget_before("2017-05-14 08:15:01")
    assert sent.flights == {}


def test_another_file_is_not_taken_for_what_was_sent(tmp_path):
    path = tmp_path / "sent.json"
    path.write_text("{}")
    with pytest.raises(FlightsFileError, match="cannot be read"):
        sent_flights.load(path)
    with pytest.raises(FlightsFileError, match="cannot be written"):
        sent_flights.save(path / "below.json", SentFlights())


def test_each_server_and_file_has_a_place_of_its_own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    home = {"XDG_STATE_HOME": "/var/state"}
    path = sent_flights.default_path("http://a", "today.csv", home)
    assert path.parent == Path("/var/state/flight-prophet")
    others = [
        sent_flights.default_path(url, source, home)
        for url in ("http://a/", "http://b")
        for source in (str(tmp_path / "today.csv"), "other.csv")
    ]
    assert [one == path for one in others] == [True, False, False, False]
    default = sent_flights.default_path("http://a", "s3://today.csv", {})
    assert default.parent == Path.home() / ".local/state/flight-prophet"


def at(clock):
    local = datetime.fromisoformat(f"2017-05-14 {clock}").replace(tzinfo=SANTIAGO)
    return int(local.timestamp())


@pytest.fixture
def played():
    late = flight(
        2,
        FIELDS
        | {
            "Llegada-O": "2017-05-14 07:50:00",
            "Llegada-E": "2017-05-14 07:45:00",
            "Fecha-O": "2017-05-14 08:31:00",
        },
        at("08:15"),
        at("08:31"),
        at("07:50"),
    )
    on_time = flight(
        3,
        FIELDS | {"Vlo-I": "H2 117", "Fecha-O": "2017-05-14 08:30:00"},
        at("08:15"),
        at("08:30"),
    )
    cancelled = FIELDS | {"Vlo-I": "H2 119", "CANCELADO": True}
    return PlayedDay([late, on_time, flight(4, cancelled)], date(2017, 5, 14))


def play(played, clock):
    """What is told at a time."""
    listed = [one for same in played.changes(at(clock)) for one in same]
    for one in listed:
        played.sent.add(one.key, one.place, one.fields)
    return [one.message for one in listed]


def test_a_day_is_played_as_it_became_known(played):
    assert played.moment() == at("00:00")
    at_midnight = play(played, "00:00")
    # The schedule, aircraft, and when they are due; nothing of what came to be.
    numbers = ("H2 115", "H2 117", "H2 119")
    assert at_midnight == [FIELDS | {"Vlo-I": number} for number in numbers]
    assert play(played, "07:49") == []
    assert play(played, "07:50") == [KEY | {"Llegada-O": "2017-05-14 07:50:00"}]
    assert play(played, "08:30") == [
        KEY | {"Vlo-I": "H2 117", "Fecha-O": "2017-05-14 08:30:00"}
    ]
    assert play(played, "08:31") == [KEY | {"Fecha-O": "2017-05-14 08:31:00"}]
    assert play(played, "23:59") == []


def test_what_was_known_when_playing_begins_is_told_at_once(played):
    first, second, third = play(played, "08:30")
    assert "Llegada-O" in first and "Fecha-O" not in first
    assert "Fecha-O" in second
    assert third == FIELDS | {"Vlo-I": "H2 119"}


def test_how_a_played_day_went(played):
    assert [played.left(at(c)) for c in ("08:29", "08:30", "08:31")] == [0, 1, 2]
    # A quarter of an hour late is not late.
    assert played.late(at("08:00"), at("08:30")) == 0
    assert played.late(at("08:30"), at("08:31")) == 1
    assert played.moment(time(8, 30)) == at("08:30")
    assert played.shown(at("08:30")) == "08:30"
    assert played.shown(at("23:59") + 60) == "Mon 00:00"
    assert played.end == at("23:59") + 60


def test_a_day_ends_when_its_last_flight_has_left():
    late = flight(2, FIELDS | {"Fecha-O": "…"}, at("23:00"), at("23:59") + 3_600)
    assert PlayedDay([late], date(2017, 5, 14)).end == at("23:59") + 3_600


def test_a_day_begins_later_in_the_west():
    lima = flight(3)._replace(zone=ZoneInfo("America/Lima"))
    played = PlayedDay([flight(), flight(2), lima], date(2017, 5, 14))
    assert played.moment() == at("00:00")
    assert played.begun_everywhere == at("01:00")


def test_flights_without_a_number_are_played_one_by_one():
    one, two = (
        flight(n, WITHOUT_NUMBER | {"Fecha-O": clock}, at("08:15"), at(clock[11:16]))
        for n, clock in ((2, "2017-05-14 08:40:00"), (3, "2017-05-14 08:20:00"))
    )
    played = PlayedDay([one, two], date(2017, 5, 14))
    assert len(play(played, "00:00")) == 2
    first, second = play(played, "08:20")
    assert "Fecha-O" not in first
    assert second["Fecha-O"] == "2017-05-14 08:20:00"
    assert len(play(played, "08:40")) == 1


class Clock:
    """One that is only moved by sleeping, and by how long each message takes."""

    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now

    def sleep(self, seconds):
        self.now += seconds


def paced(speed, takes=0.0, begin=0, end=7_200):
    clock = Clock()
    played = []
    for moment in moments(begin, end, 0, speed, clock, clock.sleep):
        played.append((moment, round(clock.now, 6)))
        clock.now += takes
    return played


def test_a_minute_of_the_day_is_a_second_at_a_speed_of_60():
    assert paced(60) == [(n * 60, n) for n in range(121)]
    assert paced(60, takes=0.9) == [(n * 60, n) for n in range(121)]


def test_all_minutes_are_played_as_fast_as_can_be():
    assert paced(0, takes=0.5) == [(n * 60, n / 2) for n in range(121)]


def test_minutes_are_played_together_where_there_is_no_time_but_never_hours():
    played = paced(6_000, takes=0.1)
    assert played[-1] == (7_200, 1.2)
    moments_played = [moment for moment, _ in played]
    assert 3_600 in moments_played
    assert 10 < len(played) < 15


def test_playing_may_begin_and_end_at_any_time():
    played = [moment for moment, _ in paced(60, begin=3_570, end=3_700)]
    assert played == [3_570, 3_600, 3_660, 3_700]
