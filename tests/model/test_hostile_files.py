"""No name in a file, and no name of a file, changes an answer."""

from __future__ import annotations

import csv
import gzip
import io

import duckdb
import msgspec
import pytest

from challenge.artifact import model_file
from challenge.errors import FlightsFileError, TrainingDataError
from challenge.files.answering import answered_rows, count_delays, predict_file
from challenge.files.many_files import predict_files
from challenge.files.opening import plain_file
from challenge.files.ranking import rank_file
from challenge.files.sql import engine
from challenge.model import DelayModel
from challenge.training.data.dataset import read_dataset
from tests.conftest import TEST_MODEL

FLIGHT = {"OPERA": "Grupo LATAM", "TIPOVUELO": "N", "MES": 3}
SQL = "SELECT 'Grupo LATAM' AS OPERA, 'N' AS TIPOVUELO, 3::BIGINT AS MES"
HEADER, ROW = ",".join(FLIGHT), "Grupo LATAM,N,3"
# Names in our queries, of now and of before, and names that SQL gives a meaning.
NAMES = (
    *("cell", "cell_", "month_", "time_", "airline_", "type_", "destination_"),
    *("row_", "row", "file_row_number", "filename", "answers", "rows", "batch"),
    *("c0", "C1", "c3", "field_0", "certain", "late", "month", "scheduled"),
    *("select", 'a "quoted" name', "it's", "a,b", " ", "*", "rowid", "ñandú", "opera"),
)


@pytest.fixture(scope="module")
def model(schedule_model):
    return DelayModel.load(schedule_model)


@pytest.fixture(scope="module")
def expected(model):
    cell = model.encoder.cell(FLIGHT)
    return model.predict_cells([cell])[0]


def quoted(name):
    return '"' + name.replace('"', '""') + '"'


def csv_file(folder, *names, value="12345"):
    path = folder / "flights.csv"
    header = ",".join([HEADER, *map(quoted, names)])
    row = ",".join([ROW, *[value] * len(names)])
    path.write_text(f"{header}\n{row}\n")
    return path


def parquet_file(folder, *names, value="12345"):
    path = folder / "flights.parquet"
    columns = ", ".join([SQL, *(f"{value}::BIGINT AS {quoted(one)}" for one in names)])
    duckdb.sql(f"COPY ({columns}) TO '{path}' (FORMAT parquet)")
    return path


def names_in(path):
    """As they stand in a Parquet file."""
    schema = duckdb.execute("SELECT name FROM parquet_schema(?)", [str(path)])
    return [name for (name,) in schema.fetchall()][1:]


@pytest.mark.parametrize("value", ["12345", "999999999999"])
@pytest.mark.parametrize("make", [csv_file, parquet_file])
def test_columns_of_any_names_change_no_answer(make, value, model, expected, tmp_path):
    # Parquet's writer here would rename what differs from OPERA in capitals.
    names = NAMES if make is csv_file else NAMES[:-1]
    source = make(tmp_path, *names, value=value)
    for invalid in ("stop", "keep"):
        output = tmp_path / f"answers{source.suffix}"
        assert predict_file(model, source, output, invalid).rows == 1
        with plain_file(output) as file, engine(model, file) as connection:
            ((answered,),) = answered_rows(connection, model, file, invalid)
        assert answered[-2] == pytest.approx(expected, abs=1e-6)
        added = ["probability", "delay", "fault"][: 2 if invalid == "stop" else 3]
        if source.suffix == ".parquet":
            assert names_in(output) == [*FLIGHT, *names, *added]
        else:
            header = source.read_text().splitlines()[0]
            assert output.read_text().splitlines()[0] == ",".join([header, *added])
    assert count_delays(model, source).delayed == int(expected > model.threshold)
    [ranked], _ = rank_file(model, source, 5)
    assert ranked.probability == pytest.approx(expected, abs=1e-6)
    assert {str(ranked.values[name]) for name in names} == {value}


@pytest.mark.parametrize("make", [csv_file, parquet_file])
def test_columns_of_any_names_change_nothing_that_is_learned(make, tmp_path):
    source = make(tmp_path, *NAMES, "delay", value="1")
    dataset = read_dataset(source)
    assert dataset.counted.counts.total == 1
    assert dataset.vocabulary["OPERA"] == ("Grupo LATAM",)
    assert dataset.codes[:, 2].tolist() == [2]
    assert dataset.delayed.tolist() == [1]


@pytest.mark.parametrize("name", ["Probability", "DELAY", "Fault"])
def test_a_name_that_differs_from_ours_in_capitals(name, model, expected, tmp_path):
    """To Parquet's readers they are one name; in a CSV file they are two."""
    source, output = csv_file(tmp_path, name), tmp_path / "answers.csv"
    assert predict_file(model, source, output, "keep").rows == 1
    assert output.read_text().startswith(f'{HEADER},"{name}",probability,delay,fault')
    source = parquet_file(tmp_path, name)
    with pytest.raises(FlightsFileError, match=f"has a column '{name}' already"):
        predict_file(model, source, tmp_path / "answers.parquet")


def test_columns_without_a_name_are_kept(model, expected, tmp_path):
    source, output = tmp_path / "flights.csv", tmp_path / "answers.csv"
    source.write_text(f",{HEADER},\n0,{ROW},x\n")
    predict_file(model, source, output)
    assert output.read_text().splitlines() == [
        f",{HEADER},,probability,delay",
        f"0,{ROW},x,{expected:.6f},{int(expected > model.threshold)}",
    ]
    [ranked], _ = rank_file(model, source, 1)
    assert list(ranked.values) == ["column 0", *FLIGHT, "column 4"]


def test_a_column_that_stands_twice_is_refused(model, tmp_path):
    source = tmp_path / "flights.csv"
    source.write_text(f"{HEADER},MES\n{ROW},4\n")
    with pytest.raises(FlightsFileError, match="has the column 'MES' twice"):
        predict_file(model, source, tmp_path / "answers.csv")


@pytest.mark.parametrize(
    "name", ["f[1]", "f*", "f?", "f[", "**", "f'1", "f{1,2}", "f\\1"]
)
@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_a_file_with_the_name_of_a_pattern_is_that_file(
    name, suffix, model, expected, tmp_path
):
    other = csv_file if suffix == ".csv" else parquet_file
    other(tmp_path, "x").rename(tmp_path / f"f1{suffix}")
    source = other(tmp_path, "x").rename(tmp_path / f"{name}{suffix}")
    if suffix == ".csv":
        source.write_text(f"{HEADER}\n" + f"{ROW}\n" * 3)
    else:
        target = str(source).replace("'", "''")
        duckdb.sql(f"COPY ({SQL} FROM range(3)) TO '{target}' (FORMAT parquet)")
    assert predict_file(model, source, tmp_path / f"answers{suffix}").rows == 3
    ranked, counts = rank_file(model, source, 10)
    assert len(ranked) == counts.rows == 3


@pytest.mark.parametrize("make", [csv_file, parquet_file])
def test_a_folder_with_the_name_of_a_column_overrides_nothing(
    make, model, expected, schedule_model, tmp_path
):
    folder = tmp_path / "OPERA=Air France" / "MES=7"
    folder.mkdir(parents=True)
    source = make(folder, "x")
    [ranked], _ = rank_file(model, source, 1)
    assert ranked.probability == pytest.approx(expected, abs=1e-6)
    counted = predict_files(schedule_model, folder, None)
    assert counted.delayed == int(expected > model.threshold)


def test_the_engine_reads_no_other_file_and_loads_nothing(model, tmp_path):
    source = csv_file(tmp_path, "x")
    other = tmp_path / "other.csv"
    other.write_text("a\n1\n")
    with plain_file(source) as file, engine(model, file) as connection:
        for query in (
            f"SELECT * FROM '{other}'",
            f"COPY (SELECT 1) TO '{tmp_path / 'new.csv'}'",
            "INSTALL httpfs",
            "LOAD httpfs",
            "SET enable_external_access = true",
            "ATTACH 'new.db'",
        ):
            with pytest.raises(duckdb.Error):
                connection.execute(query)


def test_a_message_names_the_file_and_not_our_folder(model, tmp_path):
    source = tmp_path / "flights.parquet"
    source.write_bytes(b"PAR1 no Parquet PAR1")
    with pytest.raises(FlightsFileError) as raised:
        predict_file(model, source, tmp_path / "answers.parquet")
    assert str(tmp_path) not in raised.value.problem


def test_a_time_with_a_zone_needs_that_of_the_airport(tmp_path):
    source = tmp_path / "flights.parquet"
    time = "TIMESTAMPTZ '2017-03-06 08:15:00+00' AS \"Fecha-I\""
    duckdb.sql(f"COPY ({SQL}, {time}) TO '{source}' (FORMAT parquet)")
    stored, _ = model_file.read(TEST_MODEL)
    card = msgspec.structs.replace(stored.card, time_zones={})
    unzoned = tmp_path / "unzoned.pkl"
    model_file.write(unzoned, msgspec.structs.replace(stored, card=card))
    needed = "has times that the clock of the airport does not tell, .* --timezone"
    with pytest.raises(FlightsFileError, match=needed):
        predict_file(DelayModel.load(unzoned), source, tmp_path / "answers.parquet")
    dataset = "SELECT *, 1 AS delay FROM"
    labelled = tmp_path / "labelled.parquet"
    duckdb.sql(f"COPY ({dataset} '{source}') TO '{labelled}' (FORMAT parquet)")
    with pytest.raises(TrainingDataError, match=needed):
        read_dataset(labelled)


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize(
    "value",
    [
        *('5" pipe', '"a\nb"', '"a\r\nb, c"', '"a ""quoted"" b"', 'a"b"c', '"x"', '""'),
        *('5" pipe,"a\nb"', '"a\nb",5" pipe', '5",6"', '5","a\n\nb",6"', ' "a, b"'),
    ],
)
def test_a_record_ends_where_its_parser_says(value, end, model, expected, tmp_path):
    """Whatever quotes and line breaks there are, an answer stands behind its record."""
    text = io.StringIO(value, newline="")
    fields = len(next(csv.reader(text, skipinitialspace=True)))
    names = ",".join(f"x{n}" for n in range(fields))
    rows = [f"{ROW},{value}", f"{ROW},plain" + ",y" * (fields - 1)] * 20
    source, output = tmp_path / "flights.csv", tmp_path / "answers.csv"
    source.write_bytes((end.join([f"{HEADER},{names}", *rows]) + end).encode())
    predict_file(model, source, output)
    answer = f",{expected:.6f},{int(expected > model.threshold)}"
    answered = [f"{HEADER},{names},probability,delay", *(row + answer for row in rows)]
    assert output.read_bytes() == (end.join(answered) + end).encode()


def test_a_quote_that_is_not_closed_is_told(model, tmp_path):
    source = tmp_path / "flights.csv"
    lines = [f'{ROW},"open'] * 3 + [f"{ROW},x"] * 100_000
    source.write_text("\n".join([f"{HEADER},x", *lines]))
    with pytest.raises(FlightsFileError, match="cannot be read"):
        predict_file(model, source, tmp_path / "answers.csv")


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"x" * 5_000_000, "has no end of line in its first 1,000,000 characters"),
        (b",".join(b"c%d" % n for n in range(40_000)) + b"\n1", "has 40,000 columns"),
        (b",".join([b"x"] * 1_500) + b"\n1", "has the column 'x' twice"),
    ],
    ids=["one line", "columns", "one name"],
)
@pytest.mark.parametrize("suffix", [".csv", ".csv.gz"])
def test_a_header_is_bounded(content, problem, suffix, model, tmp_path):
    source = tmp_path / f"flights{suffix}"
    source.write_bytes(gzip.compress(content) if suffix == ".csv.gz" else content)
    with pytest.raises(FlightsFileError, match=problem):
        predict_file(model, source, tmp_path / f"answers{suffix}")


@pytest.mark.parametrize("month", ["9" * 5_000, "-" + "1" * 30, "0" * 100])
def test_a_month_of_thousands_of_digits_is_a_fault(month, model, tmp_path):
    source, output = tmp_path / "flights.csv", tmp_path / "answers.csv"
    source.write_text(f"{HEADER}\nGrupo LATAM,N,{month}\n{ROW}\n")
    scored = predict_file(model, source, output, "keep")
    assert (scored.rows, scored.invalid) == (2, 1)
    assert "is not a whole number" in output.read_text().splitlines()[1]


def test_faults_of_very_many_rows_are_told_each_with_its_row(model, tmp_path):
    source, output = tmp_path / "flights.parquet", tmp_path / "answers.parquet"
    airline = "CASE WHEN n % 3 = 0 THEN 'x' || n ELSE 'Grupo LATAM' END AS OPERA"
    rest = "'N' AS TIPOVUELO, 3::BIGINT AS MES, n"
    duckdb.sql(
        f"COPY (SELECT {airline}, {rest} FROM range(60000) AS r(n)) "
        f"TO '{source}' (FORMAT parquet)"
    )
    scored = predict_file(model, source, output, "keep")
    assert (scored.rows, scored.invalid) == (60_000, 20_000)
    told = duckdb.sql(f"SELECT n, probability, fault FROM '{output}' ORDER BY n")
    for number, probability, fault in told.fetchall():
        if number % 3:
            assert probability is not None and fault is None
        else:
            assert probability is None
            assert fault.startswith(f"OPERA: 'x{number}' is not an airline")


def test_very_long_texts_are_faults_of_their_rows(model, tmp_path):
    source, output = tmp_path / "flights.parquet", tmp_path / "answers.parquet"
    long = "repeat('x', 1000000) AS OPERA, 'N' AS TIPOVUELO, 3::BIGINT AS MES"
    duckdb.sql(f"COPY (SELECT {long} FROM range(400)) TO '{source}' (FORMAT parquet)")
    scored = predict_file(model, source, output, "keep")
    assert (scored.rows, scored.invalid) == (400, 400)


def test_a_column_that_no_rule_looks_at_may_be_damaged(model, tmp_path):
    source = parquet_file(tmp_path, "x", value="123456789")
    content = source.read_bytes()
    place = content.index((123456789).to_bytes(8, "little"))
    # Of a page that is as long as it says, but is not what it says.
    source.write_bytes(content[: place - 2] + b"\xff\xff" + content[place:])
    with pytest.raises(FlightsFileError, match="cannot be read"):
        predict_file(model, source, tmp_path / "answers.parquet")
