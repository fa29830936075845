"""Files of any format, read as messages about today's flights."""

from __future__ import annotations

import csv
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import duckdb
import pandas as pd
import pytest

from challenge.errors import MissingColumnsError
from challenge.files.formats import ReadOptions, load_format
from challenge.files.told_flights import ServedModel, local_midnight, read_told_flights
from challenge.flights.vocabulary import Vocabulary
from tests.conftest import ROOT
from tests.model.flights_in_formats import FLOWN, FORMATS, ISO, ZONES

SANTIAGO = ServedModel(
    Vocabulary({"TIPOVUELO": ("I", "N"), "SIGLAORI": ("Santiago",)}),
    {"Santiago": "America/Santiago"},
)
TWO_ORIGINS = ServedModel(
    Vocabulary({"TIPOVUELO": ("N",), "SIGLAORI": ("KDEN", "KDFW")}),
    {name: zone.key for name, zone in ZONES.items()},
)
FLIGHT = {"OPERA": "Sky Airline", "TIPOVUELO": "N", "Fecha-I": "2017-05-14 08:15"}
DAY = datetime(2017, 5, 14)
AIRTRAN = ROOT.parent / "shared/data/bts_2008_airtran.csv.gz"


def utc(zone: str, *time: int) -> int:
    return int(datetime(*time, tzinfo=ZoneInfo(zone)).timestamp())


@pytest.fixture
def read(tmp_path):
    def run(rows, model=SANTIAGO, day=DAY, days=1, name="today.csv", **options):
        path = tmp_path / name
        if name.endswith(".parquet"):
            frame = pd.DataFrame(rows)
            with duckdb.connect() as connection:
                connection.register("frame", frame)
                connection.execute(f"COPY (FROM frame) TO '{path}'")
        else:
            with path.open("w", newline="") as stream:
                names = {name: None for row in rows for name in row}
                writer = csv.DictWriter(stream, list(names))
                writer.writeheader()
                writer.writerows(rows)
        last = day + timedelta(days=days)
        return read_told_flights(str(path), model, day, last, ReadOptions(**options))

    return run


@pytest.mark.parametrize("name", FORMATS)
def test_flights_of_every_format_are_told_alike(name, read):
    write, columns = FORMATS[name]
    own = None if columns is None else load_format(ROOT / "examples/columns" / columns)
    day = datetime(2013, 3, 1)
    told = read([write(one) for one in FLOWN], TWO_ORIGINS, day, 30, columns=own)
    assert told.faults == []
    assert len(told.flights) == len(FLOWN)
    for one, flight in zip(FLOWN, told.flights, strict=True):
        zone = ZONES[one.origin]
        scheduled = one.scheduled.replace(tzinfo=zone).timestamp()
        assert flight.scheduled == scheduled
        assert flight.zone == zone
        told_of = {field: flight.fields.get(field) for field in ("SIGLAORI", "Fecha-O")}
        if name == "eurocontrol":
            continue  # it has no cancelled flights
        # Departures are what the clock shows, also on the night when it is changed.
        shown = one.by(zone, ISO, one.late) or None
        assert told_of == {"SIGLAORI": one.origin, "Fecha-O": shown}
        late = None if one.late is None else scheduled + one.late * 60
        assert flight.departed == late


@pytest.mark.parametrize("name", ["bts", "bts in capitals", "anac-vra", "kaggle-2015"])
def test_a_format_that_tells_cancellations_passes_them_on(name, read):
    write, columns = FORMATS[name]
    own = None if columns is None else load_format(ROOT / "examples/columns" / columns)
    day = datetime(2013, 3, 1)
    told = read([write(one) for one in FLOWN], TWO_ORIGINS, day, 30, columns=own)
    cancelled = [one.fields.get("CANCELADO") for one in told.flights]
    assert cancelled == [True if one.late is None else None for one in FLOWN]


@pytest.mark.parametrize("name", ["today.csv", "today.parquet"])
def test_columns_that_only_todays_files_have(name, read):
    rows = [
        FLIGHT | {"Llegada-E": "2017-05-14T07:55", "CANCELADO": "no"},
        FLIGHT | {"Llegada-E": "2017-05-14 10:55Z", "CANCELADO": "Sí"},
        FLIGHT | {"Llegada-E": "soon", "CANCELADO": "1"},
        FLIGHT | {"Llegada-E": "", "CANCELADO": ""},
    ]
    told = read(rows, name=name).flights
    # A time with an offset, and what is none, are for the server to read.
    assert [one.fields.get("Llegada-E") for one in told] == [
        "2017-05-14 07:55:00",
        "2017-05-14 10:55Z",
        "soon",
        None,
    ]
    assert [one.fields.get("CANCELADO") for one in told] == [None, True, True, None]


def test_expected_arrivals_are_written_like_the_other_times(read):
    row = FLIGHT | {"Fecha-I": "14/05/2017 8:15", "Llegada-E": "14/05/2017 24:00"}
    [flight] = read([row]).flights
    assert flight.fields["Fecha-I"] == "2017-05-14 08:15:00"
    assert flight.fields["Llegada-E"] == "2017-05-15 00:00:00"


def test_times_of_parquet_files_are_told_as_texts(read):
    row = {"Fecha-I": DAY, "Fecha-O": DAY + timedelta(minutes=9), "Vlo-I": 530}
    [flight] = read([FLIGHT | row], name="today.parquet").flights
    assert flight.fields == {
        "OPERA": "Sky Airline",
        "TIPOVUELO": "N",
        "Fecha-I": "2017-05-14 00:00:00",
        "Fecha-O": "2017-05-14 00:09:00",
        "Vlo-I": "530",
    }
    assert flight.departed == utc("America/Santiago", 2017, 5, 14, 0, 9)


def test_only_flights_of_the_days_are_read(read):
    times = ["2017-05-13 23:59", "2017-05-14 00:00", "2017-05-14 23:59", "2017-05-15"]
    told = read([FLIGHT | {"Fecha-I": f"{time} 00:00"[:16]} for time in times])
    assert [one.row for one in told.flights] == [3, 4]


def test_rows_that_tell_no_flight_are_faults_with_their_numbers(tmp_path):
    path = tmp_path / "today.csv"
    lines = [
        "OPERA,TIPOVUELO,Fecha-I",
        "Sky Airline,N,2017-05-14 08:15",
        "",
        "Sky Airline,N,soon",
        "Sky Airline,N,",
        "Sky Airline,N,2017-05-14 08:15,N123,x",
    ]
    path.write_text("\n".join(lines))
    told = read_told_flights(str(path), SANTIAGO, DAY, DAY + timedelta(days=1))
    assert [one.row for one in told.flights] == [2]
    assert [(row, fault.type) for row, fault in told.faults] == [
        (4, "datetime_format"),
        (6, "ragged_row"),
    ]
    assert told.without_time == 1


def test_what_a_message_needs_must_be_there(read):
    with pytest.raises(MissingColumnsError, match="'Fecha-I'"):
        read([{"OPERA": "Sky Airline", "TIPOVUELO": "N", "MES": 5}])
    with pytest.raises(MissingColumnsError, match="'SIGLAORI'"):
        read([FLIGHT], TWO_ORIGINS)
    row = {"OPERA": "AA", "Fecha-I": "2017-05-14 08:15", "SIGLAORI": "KDEN"}
    assert read([row], TWO_ORIGINS).flights


@pytest.mark.skipif(not AIRTRAN.exists(), reason="no real flights beside the project")
def test_the_leg_before_is_told_by_the_clock_of_the_airport():
    zones = {"ATL": "America/New_York", "MKE": "America/Chicago"}
    model = ServedModel(Vocabulary({"TIPOVUELO": ("N",), "SIGLAORI": ("ATL",)}), zones)
    day = datetime(2008, 5, 14)
    told = read_told_flights(str(AIRTRAN), model, day, day + timedelta(days=1))
    known = [one for one in told.flights if one.zone and "Llegada-O" in one.fields]
    assert len(known) == 9
    assert {one.zone.key for one in known} == set(zones.values())
    for one in known:
        local = datetime.fromisoformat(str(one.fields["Llegada-O"]))
        assert local.replace(tzinfo=one.zone).timestamp() == one.arrived


def test_midnight_is_that_of_the_airport():
    moment = utc("UTC", 2017, 5, 14, 2)
    santiago = ZoneInfo("America/Santiago")
    assert local_midnight(santiago, moment) == utc("America/Santiago", 2017, 5, 13)
    assert local_midnight(None, moment) == utc("UTC", 2017, 5, 14)
