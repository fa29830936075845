"""The rules of a flight."""

from datetime import UTC, datetime

import pytest

from challenge.flights.faults import Fault
from challenge.flights.fields import Flight
from challenge.flights.rules import FlightRules
from challenge.flights.scl_2017 import SCL_2017

RULES = FlightRules(SCL_2017)
LATAM = {"OPERA": "Grupo LATAM", "TIPOVUELO": "N", "MES": 3}


def test_three_fields_are_enough():
    assert RULES.read(LATAM) == Flight(12, 1, 2)


def test_hour_and_weekday_come_from_the_scheduled_time():
    flight = LATAM | {"SIGLADES": "Lima", "Fecha-I": "2017-03-06 08:15:00"}
    destination = SCL_2017["SIGLADES"].index("Lima")
    assert RULES.read(flight) == Flight(12, 1, 2, destination, hour=8, weekday=0)


@pytest.mark.parametrize("number", ["x" * 21, " " * 21])
def test_a_flight_number_has_up_to_twenty_characters_of_any_kind(number):
    [fault] = RULES.read(LATAM | {"Vlo-I": number})
    assert (fault.field, fault.type) == ("Vlo-I", "too_long")
    assert RULES.read(LATAM | {"Vlo-I": number[:20]}) == RULES.read(LATAM)


@pytest.mark.parametrize("nothing", [None, "", "  "])
@pytest.mark.parametrize("field", ["SIGLADES", "Fecha-I"])
def test_an_optional_field_may_be_left_empty(field, nothing):
    assert RULES.read(LATAM | {field: nothing}) == RULES.read(LATAM)


@pytest.mark.parametrize(
    ("field", "value", "kind", "message"),
    [
        ("OPERA", None, "missing", "is required"),
        ("OPERA", "", "missing", "is required"),
        ("OPERA", 7, "string_type", "7 is not a text"),
        (
            "OPERA",
            "Argentinas",
            "unknown_value",
            "'Argentinas' is not an airline that the model knows; "
            "nearest: 'Aerolineas Argentinas'",
        ),
        (
            "OPERA",
            "@@@@",
            "unknown_value",
            "'@@@@' is not an airline that the model knows; "
            "none of the 23 that it knows is near",
        ),
        (
            "TIPOVUELO",
            "O",
            "unknown_value",
            "'O' is not a flight type that the model knows; known: 'I', 'N'",
        ),
        ("MES", 0, "out_of_range", "0 is not a month; months are 1 to 12"),
        ("MES", 13, "out_of_range", "13 is not a month; months are 1 to 12"),
        ("MES", "3", "int_type", "'3' is not a whole number"),
        ("MES", 3.5, "int_type", "3.5 is not a whole number"),
        ("MES", True, "int_type", "True is not a whole number"),
        (
            "SIGLADES",
            "Buenos Ayres",
            "unknown_value",
            "'Buenos Ayres' is not a destination that the model knows; "
            "nearest: 'Buenos Aires'",
        ),
        (
            "Fecha-I",
            "2017-03-32 08:15:00",
            "datetime_format",
            "'2017-03-32 08:15:00' is not a local time like '2017-03-06 08:15:00'",
        ),
        (
            "Fecha-I",
            "2017-03-06t08:15:00",
            "datetime_format",
            "'2017-03-06t08:15:00' is not a local time like '2017-03-06 08:15:00'",
        ),
        (
            "Fecha-I",
            "2017-03-06 24:00:00",
            "datetime_format",
            "'2017-03-06 24:00:00' is not a local time like '2017-03-06 08:15:00'",
        ),
        (
            "Fecha-I",
            1488788100,
            "string_type",
            "1488788100 is not a local time like '2017-03-06 08:15:00'",
        ),
        (
            "Fecha-I",
            "2017-04-06 08:15:00",
            "month_mismatch",
            "'2017-04-06 08:15:00' is not in month 3, which MES says",
        ),
    ],
)
def test_a_wrong_value_is_told_with_what_would_be_right(field, value, kind, message):
    given = None if kind == "missing" else value
    assert RULES.read(LATAM | {field: value}) == [Fault((field,), kind, message, given)]


def test_a_time_with_a_zone_is_refused():
    zoned = datetime(2017, 3, 6, 8, 15, tzinfo=UTC)
    [fault] = RULES.read(LATAM | {"Fecha-I": zoned})
    assert fault.type == "datetime_format"


@pytest.mark.parametrize(
    ("written", "meant"),
    [("Internacional", "I"), ("D", "N"), ("doméstico", "N"), ("NACIONAL", "N")],
)
def test_a_word_for_a_type_is_refused_with_what_to_write(written, meant):
    [fault] = RULES.read(LATAM | {"TIPOVUELO": written})
    assert fault.msg.endswith(f"; write {meant!r}")


@pytest.mark.parametrize("written", ["i", " I ", "I"])
def test_a_type_is_recognized_as_names_are(written):
    assert RULES.read(LATAM | {"TIPOVUELO": written}) == RULES.read(
        LATAM | {"TIPOVUELO": "I"}
    )


def test_a_time_that_is_wrong_is_the_only_fault_of_a_flight_without_a_month():
    [fault] = RULES.read(LATAM | {"MES": None, "Fecha-I": "yesterday"})
    assert fault.field == "Fecha-I"


def test_every_fault_of_a_flight_is_listed():
    faults = RULES.read({"OPERA": "Argentinas", "TIPOVUELO": "O", "MES": 13})
    assert [fault.field for fault in faults] == ["OPERA", "TIPOVUELO", "MES"]


def test_a_message_shows_a_hundred_characters_of_a_long_value():
    [fault] = RULES.read(LATAM | {"OPERA": "x" * 10_000})
    assert fault.msg.startswith("'" + "x" * 99 + "…")
    assert len(fault.msg) < 200


@pytest.mark.parametrize(
    ("month", "scheduled", "departed", "valid"),
    [
        (3, "2017-03-31 23:50:00", "2017-04-01 00:20:00", True),
        (4, "2017-03-31 23:50:00", "2017-04-01 00:20:00", True),
        (1, "2017-12-31 23:50:00", "2018-01-01 00:20:00", True),
        (2, "2017-03-01 00:05:00", "2017-02-28 23:55:00", True),
        (2, "2017-03-31 23:50:00", "2017-04-01 00:20:00", False),
        (5, "2017-03-31 23:50:00", "2017-04-01 00:20:00", False),
        (4, "2017-03-31 23:50:00", None, False),
    ],
)
def test_the_month_is_of_the_schedule_or_of_the_operation_once_the_flight_has_left(
    month, scheduled, departed, valid
):
    outcome = RULES.read(
        LATAM | {"MES": month, "Fecha-I": scheduled, "Fecha-O": departed}
    )
    assert isinstance(outcome, Flight) == valid


@pytest.mark.parametrize(
    "scheduled", ["2016-02-29 08:15:00", "2017-08-13 00:30:00", "2017-05-13 23:30:00"]
)
def test_leap_days_and_hours_that_clocks_skip_or_repeat_are_times(scheduled):
    month = int(scheduled[5:7])
    outcome = RULES.read(LATAM | {"MES": month, "Fecha-I": scheduled})
    assert outcome.hour == int(scheduled[11:13])
