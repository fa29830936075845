"""Files of flights: the same rows and columns out, with answers."""

from __future__ import annotations

import csv
import gzip
from pathlib import Path

import duckdb
import pandas as pd
import pytest

from challenge.cli import main
from challenge.errors import FlightsFileError, MissingColumnsError
from challenge.files.answering import count_delays, predict_file
from challenge.model import DelayModel
from challenge.training.data.dataset import read_dataset
from tests.conftest import TEST_MODEL

HEADER = "OPERA,TIPOVUELO,MES,SIGLADES,Fecha-I"
VALID = "Grupo LATAM,N,7,Arica,2017-07-03 08:15:00"
KINDS = [".csv", ".csv.gz", ".parquet"]


@pytest.fixture(scope="module")
def model(schedule_model):
    return DelayModel.load(schedule_model)


def write(path: Path, text: str) -> Path:
    """A CSV text as a file of the kind that its name tells."""
    if path.name.endswith(".gz"):
        path.write_bytes(gzip.compress(text.encode()))
    elif path.suffix == ".parquet":
        rows = list(csv.DictReader(text.splitlines()))
        table = pd.DataFrame([{k: v or None for k, v in row.items()} for row in rows])
        month = table["MES"].map(
            lambda v: int(v) if isinstance(v, str) and v.isdecimal() else v
        )
        duckdb.from_df(table.assign(MES=month)).write_parquet(str(path))
    else:
        path.write_text(text, newline="")
    return path


def rows(path: Path) -> list[dict[str, object]]:
    if path.suffix == ".parquet":
        return duckdb.read_parquet(str(path)).df().to_dict("records")
    opened = gzip.open if path.suffix == ".gz" else open
    with opened(path, "rt", encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


@pytest.mark.parametrize("kind", KINDS)
def test_the_answers_are_those_of_the_model(
    kind, model, sample_csv, sample_flights, tmp_path
):
    source, output = tmp_path / f"flights{kind}", tmp_path / f"answers{kind}"
    if kind == ".parquet":
        times = {c: pd.to_datetime(sample_flights[c]) for c in ("Fecha-I", "Fecha-O")}
        duckdb.from_df(sample_flights.assign(**times)).write_parquet(str(source))
    else:
        write(source, sample_csv.read_text())
    scored = predict_file(model, source, output)
    expected = model.forecast(sample_flights)["probability"]
    answered = pd.DataFrame(rows(output))
    assert len(answered) == scored.rows == 68_206
    assert (answered["probability"].astype(float) - expected).abs().max() < 1e-6
    late = answered["delay"].astype(int)
    assert late.tolist() == model.decide(expected.tolist())
    assert late.sum() == scored.delayed == count_delays(model, source).delayed
    # In the order of the file, with all that it held.
    assert (answered["SIGLADES"] == sample_flights["SIGLADES"]).all()
    assert list(answered.columns[:-2]) == list(sample_flights.columns)


def test_a_csv_keeps_its_bytes(model, tmp_path):
    source, output = tmp_path / "flights.csv", tmp_path / "answers.csv"
    lines = [
        '"OPERA",TIPOVUELO,MES,note',
        'Sky Airline,N,3,"a ""quoted"", note"',
        'Sky Airline,N,3,"two',
        'lines"',
        "Sky Airline,N,3,1.50",
    ]
    source.write_bytes("\r\n".join(lines).encode())
    assert predict_file(model, source, output).rows == 3
    answered = output.read_bytes().decode().split("\r\n")
    assert answered[0] == lines[0] + ",probability,delay"
    assert answered[1].startswith(lines[1] + ",0.")
    assert answered[2] == lines[2]
    assert answered[4].startswith(lines[4] + ",0.")


def test_optional_columns_may_be_missing_or_empty(model, tmp_path):
    source, output = tmp_path / "flights.csv", tmp_path / "answers.csv"
    write(source, f"{HEADER}\nSky Airline,N,3,,\n\nSky Airline,N,03,,\n")
    predict_file(model, source, output)
    with_gaps = [row["probability"] for row in rows(output)]
    write(source, "OPERA,TIPOVUELO,MES\nSky Airline,N,3\n")
    predict_file(model, source, output)
    [without] = rows(output)
    assert with_gaps == [without["probability"]] * 2


INVALID = [
    ("Nobody,N,7,Arica,", "OPERA: 'Nobody' is not an airline that the model knows"),
    (",N,7,Arica,", "OPERA: is required"),
    ("Grupo LATAM,X,7,Arica,", "TIPOVUELO: 'X' is not a flight type"),
    ("Grupo LATAM,N,13,Arica,", "MES: 13 is not a month; months are 1 to 12"),
    ("Grupo LATAM,N,July,Arica,", "MES: 'July' is not a whole number"),
    ("Grupo LATAM,N,,Arica,", "MES: is required"),
    ("Grupo LATAM,N,7,Narnia,", "SIGLADES: 'Narnia' is not a destination"),
    ("Grupo LATAM,N,7,Arica,6 July", "Fecha-I: '6 July' is not a local time"),
    ("Grupo LATAM,N,7,,2017-02-30 08:15:00", "Fecha-I: '2017-02-30 08:15:00' is not"),
    ("Grupo LATAM,N,7,,2017-08-03 08:15:00", "is not in month 7, which MES says"),
]


@pytest.mark.parametrize("kind", [".csv", ".parquet"])
@pytest.mark.parametrize(("line", "message"), INVALID)
def test_an_invalid_row_stops_it_or_is_kept_with_what_is_wrong(
    kind, line, message, model, tmp_path
):
    if kind == ".parquet" and "July,Arica" in line:
        pytest.skip("a column of Parquet has one type")
    source = write(tmp_path / f"f{kind}", f"{HEADER}\n{VALID}\n{line}\n{VALID}\n")
    output = tmp_path / f"answers{kind}"
    row = 3 if kind == ".csv" else 2
    with pytest.raises(
        FlightsFileError, match=f"1 invalid rows .* row {row}: "
    ) as error:
        predict_file(model, source, output)
    assert message in str(error.value)
    assert sorted(path.name for path in tmp_path.iterdir()) == [f"f{kind}"]

    scored = predict_file(model, source, output, invalid="keep")
    assert (scored.rows, scored.invalid) == (3, 1)
    first, second, third = rows(output)
    assert message in str(second["fault"])
    assert second["delay"] in ("", None) or pd.isna(second["delay"])
    for valid in (first, third):
        assert float(valid["probability"]) > 0
        assert not valid["fault"] or pd.isna(valid["fault"])


@pytest.mark.parametrize(
    ("source", "content", "output", "message"),
    [
        ("none.csv", None, "o.csv", "does not exist"),
        ("f.pdf", "x", "o.pdf", "is not a .csv, .txt, .tsv, .gz, .zip, .xlsx or"),
        (
            "f.csv",
            HEADER,
            "o.parquet",
            "must be a .csv or .txt or .tsv or .xlsx file, as",
        ),
        ("f.csv", "", "o.csv", "is empty"),
        ("f.parquet", "no parquet", "o.parquet", "cannot be read"),
        ("f.csv", f"{HEADER},delay\n", "o.csv", "has a column 'delay' already"),
        ("f.csv", f"{HEADER},MES\n", "o.csv", "has the column 'MES' twice"),
        ("f.csv", f"{HEADER}\n{VALID},1,2\n", "o.csv", "row 2: has 7 values; the"),
        ("f.csv", f"{HEADER}\n{VALID}\n", "none/o.csv", "cannot be written"),
        (
            "f.csv",
            'OPERA,TIPOVUELO,MES\nSky Airline,N,3\nx"y,N,3\n',
            "o.csv",
            "invalid",
        ),
    ],
)
def test_a_file_that_cannot_be_answered_is_refused(
    source, content, output, message, model, tmp_path
):
    if content is not None:
        (tmp_path / source).write_text(content)
    with pytest.raises(FlightsFileError, match=message):
        predict_file(model, tmp_path / source, tmp_path / output)
    assert not (tmp_path / output).exists()


def test_a_column_may_be_without_a_name(model, tmp_path):
    source, output = tmp_path / "flights.csv", tmp_path / "answers.csv"
    source.write_text(f",{HEADER}\n0,{VALID}\n")
    assert predict_file(model, source, output).rows == 1
    assert output.read_text().startswith(f",{HEADER},probability,delay\n0,{VALID},0.")


def test_missing_columns_are_named(model, tmp_path):
    source = write(tmp_path / "flights.csv", "OPERA,city\nSky Airline,Lima\n")
    with pytest.raises(MissingColumnsError, match="'TIPOVUELO', 'MES'"):
        predict_file(model, source, tmp_path / "answers.csv")


def test_a_departed_flight_may_be_in_the_month_after_its_schedule(model, tmp_path):
    text = "OPERA,TIPOVUELO,MES,Fecha-I,Fecha-O\nSky Airline,N,8,{},{}\n".format(
        "2017-07-31 23:50:00", "2017-08-01 00:10:00"
    )
    source = write(tmp_path / "flights.csv", text)
    assert predict_file(model, source, tmp_path / "answers.csv").invalid == 0


def test_progress_is_told_in_rows(sample_csv, tmp_path):
    told: list[int] = []
    model = DelayModel.load(TEST_MODEL)
    predict_file(model, sample_csv, tmp_path / "answers.csv", progress=told.append)
    assert told == sorted(told)
    assert told[-1] == 68_206


def test_the_command_answers_a_file_or_only_counts(sample_csv, tmp_path, capsys):
    options = ["--model", str(TEST_MODEL)]
    output = tmp_path / "answers.csv"
    assert main(["predict", str(sample_csv), *options]) == 0
    counted = capsys.readouterr().out
    assert "rows     68,206, " in counted
    assert "invalid  none" in counted
    assert main(["predict", str(sample_csv), str(output), *options]) == 0
    assert capsys.readouterr().out == counted
    assert output.exists()


@pytest.mark.parametrize("month", ["7", "07", "7.0", "07.0"])
@pytest.mark.parametrize("time", ["2017-07-03 08:15", "2017-07-03T08:15:00"])
def test_months_and_times_are_taken_as_other_programs_write_them(
    month, time, model, tmp_path
):
    source = tmp_path / "flights.csv"
    row = "Grupo LATAM,N,{},Arica,{},{}"
    left = time.replace("08:15", "09:15")
    source.write_text(
        "OPERA,TIPOVUELO,MES,SIGLADES,Fecha-I,Fecha-O\n"
        + row.format(7, "2017-07-03 08:15:00", "2017-07-03 09:15:00")
        + "\n"
        + row.format(month, time, left)
        + "\n"
    )
    output = tmp_path / "answers.csv"
    predict_file(model, source, output)
    first, second = (line.split(",") for line in output.read_text().splitlines()[1:])
    assert first[-2:] == second[-2:]
    dataset = read_dataset(source)
    assert dataset.counted.counts.flights.tolist() == [2]
    assert dataset.delayed.tolist() == [1, 1]
    assert dataset.scheduled[0] == dataset.scheduled[1]
