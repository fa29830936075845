"""Counting files of flights equals reading their rows one by one."""

from __future__ import annotations

import hashlib

import duckdb
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from challenge.errors import MissingColumnsError, TrainingDataError
from challenge.features.counts import Counts
from challenge.files.dask_cluster import parallel_map
from challenge.files.sources import find_files
from challenge.training.data import dataset as dataset_module
from challenge.training.data.counting import (
    code_past,
    count_file,
    count_files,
    vocabulary_of,
)
from challenge.training.data.dataset import read_dataset

COLUMNS = ["OPERA", "TIPOVUELO", "MES", "SIGLADES", "Fecha-I", "Fecha-O"]


def counted(source):
    with parallel_map(None) as each:
        return count_files(find_files(source), each)


def kinds(counts):
    rows = zip(counts.codes.tolist(), counts.flights, counts.delayed, strict=True)
    return {tuple(codes): (flights, late) for codes, flights, late in rows}


def write(data: pd.DataFrame, path):
    if path.suffix == ".parquet":
        duckdb.from_df(data).write_parquet(str(path))
    else:
        data.to_csv(path, index=False)
    return path


@pytest.mark.parametrize("kind", [".csv", ".csv.gz", ".parquet"])
def test_the_counts_are_those_of_the_rows(kind, sample_csv, tmp_path):
    data = pd.read_csv(sample_csv, dtype=str)
    if kind == ".parquet":
        data["MES"] = data["MES"].astype(int)
        for name in ("Fecha-I", "Fecha-O"):
            data[name] = pd.to_datetime(data[name])
    path = write(data, tmp_path / f"flights{kind}")
    rows = data.assign(MES=data["MES"].astype(int))
    coded = code_past(rows, None)
    expected = Counts.of_rows(coded.codes, coded.delayed, vocabulary_of(rows))
    found = count_file(str(path))
    assert found.vocabulary.names == vocabulary_of(rows).names
    assert found.vocabulary.aliases["OPERA"]["SKU"] == "Sky Airline"
    assert kinds(found.counts) == kinds(expected)
    assert found.rows == len(data)
    assert found.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()


value = st.sampled_from(["", "Sky Airline", "Copa Air", 'É, "x"', " "])
times = [
    *("2017-01-31 23:59:00", "2017-02-01 00:10:00", "2017-02-28 12:00:00"),
    *("2017-02-28 12:15:00", "2017-02-28 12:15:01", "", "2017-02-30 10:00:00", "soon"),
]
past_flight = st.fixed_dictionaries(
    {
        "OPERA": value,
        "TIPOVUELO": st.sampled_from(["I", "N", "", "X"]),
        "MES": st.sampled_from(["1", "2", "02", "0", "13", "x", "", "2.0"]),
        "SIGLADES": value,
        "Fecha-I": st.sampled_from(times),
        "Fecha-O": st.sampled_from(times),
    }
)


@settings(max_examples=25, deadline=None)
@given(st.lists(past_flight, min_size=1, max_size=12))
def test_sql_and_the_rules_agree_on_every_row(tmp_path_factory, rows):
    """Most of these flights are wrong in one way or another."""
    path = tmp_path_factory.mktemp("flights") / "flights.csv"
    data = pd.DataFrame(rows, columns=COLUMNS)
    data.to_csv(path, index=False)
    found = count_file(str(path))
    read = data.replace("", None)
    written = {"1": 1, "2": 2, "02": 2, "2.0": 2, "0": 0, "13": 13}
    read["MES"] = [written.get(text, text) for text in read["MES"]]
    # Without a departure a flight is left out, whatever else it says.
    left = read[read["Fecha-O"].notna()].reset_index(drop=True)
    wrong = {row for row, _ in code_past(left, None).faults}
    assert found.left_out.total() == len(read) - len(left)
    assert found.rejected.rows == len(wrong)
    assert found.rows == len(rows)
    valid = left.drop(index=sorted(wrong)).reset_index(drop=True)
    assert found.vocabulary == vocabulary_of(valid)
    coded = code_past(valid, None)
    expected = Counts.of_rows(coded.codes, coded.delayed, found.vocabulary)
    assert kinds(found.counts) == kinds(expected)


def test_a_name_in_other_letters_is_the_same_name_whatever_else_the_file_holds(
    few_flights, tmp_path
):
    """Also a flight type, of which no row has the usual spelling."""
    written = few_flights.assign(
        TIPOVUELO=few_flights["TIPOVUELO"].str.lower(),
        OPERA=few_flights["OPERA"].where(few_flights.index % 2 == 0, "GRUPO latam "),
    )
    written["SIGLADES"] = written["SIGLADES"].mask(written.index % 4 == 0, "LÍMA")
    dataset = read_dataset(write(written, tmp_path / "flights.csv"))
    assert dataset.rejected == 0
    assert len(dataset.codes) == dataset.counted.counts.total == len(few_flights)
    assert dataset.vocabulary["TIPOVUELO"] == ("I", "N")
    assert len(dataset.vocabulary["OPERA"]) == 1


def test_a_label_may_take_the_place_of_the_times(tmp_path):
    path = tmp_path / "flights.csv"
    path.write_text(
        "OPERA,TIPOVUELO,MES,delay\nA,I,1,1\nA,I,1,0\nA,I,1,1\nB,N,2,0\nB,N,2,2\n"
    )
    found = count_file(str(path))
    assert sorted(kinds(found.counts).values()) == [(1, 0), (3, 2)]
    assert found.rejected.rows == 1
    assert found.period is None


@pytest.fixture
def parts(sample_csv, tmp_path):
    """The sample flights in files of every kind, whose vocabularies differ."""
    data = pd.read_csv(sample_csv, dtype=str).sort_values("OPERA", kind="stable")
    folder = tmp_path / "parts"
    folder.mkdir()
    for number, part in enumerate(np.array_split(data.index, 5)):
        kind = (".csv", ".csv.gz", ".parquet")[number % 3]
        rows = data.loc[part].reset_index(drop=True)
        if kind == ".parquet":
            rows["MES"] = rows["MES"].astype(int)
        write(rows, folder / f"part-{number}{kind}")
    return folder


def test_parts_count_as_the_whole(parts, sample_csv):
    whole, of_parts = counted(sample_csv), counted(parts)
    assert of_parts.vocabulary == whole.vocabulary
    assert of_parts.period == whole.period
    assert kinds(of_parts.counts) == kinds(whole.counts)
    assert of_parts.counts.codes.tolist() == whole.counts.codes.tolist()
    assert sum(of_parts.rows) == sum(whole.rows)


def test_a_fault_is_told_with_its_file_and_row(parts):
    part = parts / "part-1.csv.gz"
    data = pd.read_csv(part, dtype=str)
    data.loc[7, "MES"] = "13"
    data.to_csv(part, index=False)
    other = parts / "part-2.parquet"
    duckdb.sql(
        f"COPY (SELECT * EXCLUDE file_row_number REPLACE (CASE WHEN file_row_number = 3 THEN '' ELSE OPERA END "
        f"AS OPERA) FROM read_parquet('{other}', file_row_number = true)) "
        f"TO '{other}.new' (FORMAT parquet)"
    )
    (parts / "part-2.parquet.new").replace(other)
    with pytest.raises(TrainingDataError) as told:
        read_dataset(parts)
    message = str(told.value)
    assert "2 invalid rows (MES out_of_range: 1, OPERA missing: 1)" in message
    assert "row 9 of 'part-1.csv.gz': MES" in message
    assert "row 4 of 'part-2.parquet': OPERA" in message
    kept = read_dataset(parts, skip_invalid=True)
    assert kept.rejected == 2
    assert len(kept.codes) == kept.counted.counts.total == 68_204


@pytest.mark.parametrize(
    ("content", "problem"),
    [("OPERA,MES\nA,1\n", "missing columns: 'TIPOVUELO'"), ("", "is empty")],
)
def test_a_part_that_is_no_good_is_named(content, problem, parts):
    (parts / "part-9.csv").write_text(content)
    with pytest.raises(TrainingDataError, match=problem) as told:
        read_dataset(parts)
    assert "part-9.csv" in str(told.value)


def test_a_broken_part_is_named(parts):
    path = parts / "part-2.parquet"
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(TrainingDataError, match="part-2.parquet' cannot be read"):
        read_dataset(parts)


def test_one_file_that_lacks_columns_is_told_as_before(tmp_path):
    path = tmp_path / "flights.csv"
    path.write_text("OPERA,MES\nA,1\n")
    with pytest.raises(MissingColumnsError, match="'TIPOVUELO'"):
        read_dataset(path)


def test_more_flights_than_are_kept_are_counted_and_sampled(
    parts, sample_csv, monkeypatch
):
    monkeypatch.setattr(dataset_module, "MAX_ROWS_KEPT", 10_000)
    sampled, whole = read_dataset(parts), read_dataset(sample_csv)
    assert sampled.every == whole.every == 7
    assert sampled.counted.counts.total == 68_206
    assert len(sampled.codes) == len(whole.codes) == 9_744
    rows = pd.read_csv(sample_csv, dtype=str)[::7]
    assert whole.scheduled.tolist() == pd.to_datetime(rows["Fecha-I"]).tolist() or (
        np.array_equal(whole.scheduled, rows["Fecha-I"].to_numpy("datetime64[us]"))
    )


def test_all_are_kept_where_they_are_few(sample_csv):
    dataset = read_dataset(sample_csv)
    assert dataset.every == 1
    assert kinds(dataset.counts()) == kinds(dataset.counted.counts)
