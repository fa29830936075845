"""The same flights have the same answers, however their file is written."""

from __future__ import annotations

import csv
import io
import zipfile

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from challenge.cli import main
from challenge.errors import FlightsFileError
from challenge.files.answering import predict_file
from challenge.files.dialects import Dialect, as_known
from challenge.files.opening import plain_file
from challenge.files.ranking import rank_file
from challenge.model import DelayModel
from challenge.training.data.counting import count_file
from challenge.training.data.rows import read_rows
from tests.written_files import WAYS, Text, csv_line

NAMES = ["OPERA", "TIPOVUELO", "MES", "SIGLADES", "Fecha-I", "Fecha-O", "nota"]
NOTES = ("", "café", 'dice "hola"', "a, b; c|d", "dos\nlíneas", "=1+1", "  x")


@pytest.fixture(scope="module")
def model(schedule_model):
    return DelayModel.load(schedule_model)


@pytest.fixture(scope="module")
def flights(sample_flights):
    chosen = sample_flights[NAMES[:-1]].iloc[::340].head(200).fillna("")
    rows = chosen.astype(str).values.tolist()
    return [NAMES] + [[*row, NOTES[n % len(NOTES)]] for n, row in enumerate(rows)]


@pytest.fixture(params=WAYS)
def way(request):
    return WAYS[request.param]


@pytest.fixture
def source(way, flights, tmp_path):
    path = tmp_path / f"flights{way.suffix}"
    way.write(path, flights)
    return path


def answers(rows):
    """The answers of a file, as numbers."""
    place = rows[0].index("probability")
    return [(float(row[place]), int(row[place + 1])) for row in rows[1:]]


@pytest.fixture(scope="module")
def expected(model, flights, tmp_path_factory):
    path = tmp_path_factory.mktemp("plain") / "flights.csv"
    WAYS["plain"].write(path, flights)
    output = path.with_name("answers.csv")
    assert predict_file(model, path, output).rows == 200
    return answers(WAYS["plain"].read(output))


def test_a_command_answers_it_and_says_how_it_was_read(
    way, source, expected, schedule_model, capsys
):
    output = source.with_name(f"answers{way.suffix}")
    command = ["predict", str(source), str(output), "--model", str(schedule_model)]
    assert main(command) == 0
    told = capsys.readouterr().err
    assert told == (f"{source.name!r} was read as {way.said}\n" if way.said else "")
    rows = way.read(output)
    assert answers(rows) == expected
    assert {len(row) for row in rows} == {len(NAMES) + 2}


def test_a_text_keeps_its_characters(way, source, model, flights):
    if not isinstance(way, Text):
        pytest.skip("it is no text")
    output = source.with_name(f"answers{way.suffix}")
    predict_file(model, source, output)
    before, after = way.text(source), way.text(output)
    cut = [way.delimiter + name for name in ("probability", "delay")]
    lines = after.split(way.end)
    # Behind the last delimiters there are the answers and nothing else is new.
    assert before == way.end.join(
        line.rsplit(way.delimiter, 2)[0] if is_answered(line, way, cut) else line
        for line in lines
    )


def is_answered(line, way, cut):
    *_, probability, delay = ["", *line.rsplit(way.delimiter, 2)]
    numbers = probability.startswith(f"0{way.point}") and delay in ("0", "1")
    return numbers or line.endswith("".join(cut))


def test_an_excel_file_is_answered_as_csv_if_asked(model, flights, expected, tmp_path):
    source, output = tmp_path / "flights.xlsx", tmp_path / "answers.csv"
    WAYS[".xlsx"].write(source, flights)
    predict_file(model, source, output)
    rows = WAYS["plain"].read(output)
    assert answers(rows) == expected
    assert [row[:-2] for row in rows] == flights


def test_training_counts_the_same_flights(way, source, flights, tmp_path):
    plain = tmp_path / "plain.csv"
    WAYS["plain"].write(plain, flights)
    counted, of_plain = count_file(str(source)), count_file(str(plain))
    assert (counted.rows, counted.rejected.rows) == (200, 0)
    assert counted.vocabulary == of_plain.vocabulary
    assert counted.period == of_plain.period
    for column in ("codes", "flights", "delayed"):
        mine, its = (getattr(one.counts, column) for one in (counted, of_plain))
        assert mine.tolist() == its.tolist()
    assert len(read_rows(source, 3, 1, counted.vocabulary)) == 66


def test_ranking_names_the_rows_of_the_file(way, source, model, expected, flights):
    ranked, counts = rank_file(model, source, 5)
    assert counts.rows == 200
    above = len(getattr(way, "above", ()))
    first = {".parquet": 1, ".xlsx": 4}.get(way.suffix, above + 2)
    for one in ranked:
        assert one.values["OPERA"] == flights[one.row - first + 1][0]
        assert expected[one.row - first][0] == pytest.approx(one.probability, abs=1e-6)


HEADER, ROW = "OPERA;TIPOVUELO;MES;nota", "Grupo LATAM;N;3;é"
FAULTS = {
    "too few values": ("Grupo LATAM;N;3", "has 3 values; the header has 4 columns"),
    "one value": ("Grupo LATAM", "has 1 value; the header has 4 columns"),
    "too many values": (f"{ROW};x", "has 5 values; the header has 4 columns"),
    "a bad value": ("Grupo LATAM;N;13;", "MES: 13 is not a month; months are 1 to 12"),
    "a byte that is no text": (
        "Grupo LATAM;N\udce1;3;x",
        "has what is no text in UTF-8: 'po LATAM;N?;3;x'",
    ),
    "an open quote": (
        'Grupo LATAM;N;3;"x',
        "has a quote that is not closed; the file ends before",
    ),
}


@pytest.mark.parametrize("delimiter", [",", ";"])
@pytest.mark.parametrize("case", FAULTS)
def test_a_row_that_is_not_like_the_others_is_a_fault_of_that_row(
    case, delimiter, model, tmp_path
):
    line, message = (one.replace(";", delimiter) for one in FAULTS[case])
    message = FAULTS[case][1] if "; " in FAULTS[case][1] else message
    before = [one.replace(";", delimiter) for one in (HEADER, ROW, "", ROW)]
    behind = [] if case == "an open quote" else [before[1]]
    source, output = tmp_path / "flights.csv", tmp_path / "answers.csv"
    text = "\n".join([*before, line, *behind]) + "\n"
    source.write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(FlightsFileError) as raised:
        predict_file(model, source, output)
    assert f"the first: row 5: {message}" in raised.value.problem
    assert not output.exists()
    scored = predict_file(model, source, output, "keep")
    assert (scored.rows, scored.invalid) == (3 + len(behind), 1)
    answered = output.read_text(errors="replace")
    assert message in answered
    if case != "too many values":
        rows = csv.DictReader(io.StringIO(answered, newline=""), delimiter=delimiter)
        given = [bool(row["probability"]) for row in rows]
        assert given == [True, True, False, *map(bool, behind)]


@pytest.mark.parametrize("delimiter", [",", ";"])
def test_training_leaves_out_the_rows_that_are_not_like_the_others(delimiter, tmp_path):
    lines = [
        *("OPERA;TIPOVUELO;MES;delay;nota", "Sky;N;3;1;é", "", "Sky;N;3;0"),
        *("Sky;N;3;0;\udce1", "Sky;N;3;2;", "Sky;N;4;0;x", 'Sky;N;3;0;"open'),
    ]
    path = tmp_path / "flights.csv"
    text = "\n".join(lines).replace(";", delimiter)
    path.write_bytes(text.encode("utf-8", "surrogateescape"))
    counted = count_file(str(path))
    assert (counted.rows, counted.counts.total) == (6, 2)
    kinds = [(row, fault.type) for row, _, fault in counted.rejected.first]
    assert kinds == [
        (4, "ragged_row"),
        (5, "undecodable_row"),
        (6, "out_of_range"),
        (8, "open_quote"),
    ]
    assert len(read_rows(path, 1, 0, counted.vocabulary)) == 3


# Without those that could be the rest of a character of UTF-8.
LETTERS = [chr(code) for code in [*range(32, 127), *range(192, 256)]]
VALUES = st.text(st.sampled_from([*LETTERS, *';,|\t"\n\r =' * 5]), max_size=20)


@settings(
    deadline=None,
    max_examples=25,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    notes=st.lists(st.tuples(VALUES, VALUES), min_size=1, max_size=5),
    delimiter=st.sampled_from(",;\t|"),
    encoding=st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "cp1252"]),
    end=st.sampled_from(["\n", "\r\n", "\r"]),
    quoting=st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]),
)
def test_what_a_file_holds_comes_back_with_answers(
    notes, delimiter, encoding, end, quoting, model, tmp_path
):
    """Whatever texts there are, with quotes, delimiters, line breaks and accents."""
    rows = [["Grupo LATAM", "N", "3", *values] for values in notes]
    table = [["OPERA", "TIPOVUELO", "MES", "nota", "ñandú"], *rows]
    lines = [csv_line(row, delimiter, quoting) for row in table]
    source, output = tmp_path / "flights.csv", tmp_path / "answers.csv"
    source.write_bytes("".join(line + end for line in lines).encode(encoding))
    assert predict_file(model, source, output, "keep").invalid == 0
    answered = io.StringIO(output.read_bytes().decode(encoding), newline="")
    found = list(csv.reader(answered, delimiter=delimiter))
    assert [row[:5] for row in found] == table
    assert {tuple(row[5:]) for row in found[1:]} == {(*found[1][5:7], "")}


@pytest.mark.parametrize(
    ("names", "known"),
    [
        (["opera", " MES "], ["OPERA", "MES"]),
        (["OPERA", "opera"], ["OPERA", "opera"]),
        (["Opera", "opera"], ["Opera", "opera"]),
        (["fecha-i", "Ópera", ""], ["Fecha-I", "Ópera", ""]),
    ],
)
def test_names_are_known_in_other_capitals_and_with_blanks(names, known):
    assert as_known(names) == known


REFUSED = {
    "two files in a ZIP": (
        {"a.csv": b"x", "b.csv": b"y"},
        "must hold one file; it holds 'a.csv', 'b.csv'",
    ),
    "nothing in a ZIP": ({}, "must hold one file; it holds nothing"),
    "an Excel file in a ZIP": (
        {"a.xlsx": b"PK\3\4"},
        "holds 'a.xlsx', which is no text; take it out",
    ),
    "an old Excel file": (b"\xd0\xcf\x11\xe0 and more", "save it as .xlsx"),
    "an Excel file without a sheet": (
        {"xl/workbook.xml": b"<workbook/>", "xl/_rels/workbook.xml.rels": b"<a/>"},
        "is empty",
    ),
    "a broken Excel file": (
        {"xl/workbook.xml": b"<workbook>"},
        "is not as Excel writes it",
    ),
    "an Excel file with entities": (
        {"xl/workbook.xml": b'<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>'},
        "it declares a document type",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_holds_no_flights_is_refused_with_what_to_do(case, model, tmp_path):
    content, message = REFUSED[case]
    source = tmp_path / "flights.zip"
    if isinstance(content, dict):
        with zipfile.ZipFile(source, "w") as archive:
            for name, data in content.items():
                archive.writestr(name, data)
    else:
        source.write_bytes(content)
    with pytest.raises(FlightsFileError, match=message):
        predict_file(model, source, tmp_path / "answers.zip")


def test_content_counts_and_not_the_name(model, flights, expected, tmp_path):
    for way in ("gzip", "Parquet", ".xlsx", "Excel in Chile"):
        path = tmp_path / f"{way}.csv"
        WAYS[way].write(path, flights)
        output = tmp_path / f"answers{WAYS[way].suffix}"
        predict_file(model, path, output)
        assert answers(WAYS[way].read(output)) == expected


def test_a_dialect_is_told_in_a_header_of_http(tmp_path):
    path = tmp_path / "f.csv"
    path.write_bytes("Año\n\nOPERA;MES\nx;3,0\n".encode("cp1252"))
    with plain_file(path) as file:
        told = file.dialect.to_header()
    assert told == ('delimiter=";", encoding="Windows-1252", header-row=3, decimal=","')
    assert Dialect().to_header() == str(Dialect()) == ""
