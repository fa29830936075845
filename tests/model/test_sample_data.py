"""data/data.csv: sample flights that reproduce every count of the figures."""

from __future__ import annotations

import csv
import hashlib
import shutil
import subprocess
import sys
from pathlib import Path

import duckdb
import pandas as pd
import pytest

from challenge.features.counts import Counts
from challenge.files.dask_cluster import parallel_map
from challenge.files.sources import find_files
from challenge.training.data.counting import count_files
from challenge.training.data.sample_data import (
    SampleDataError,
    is_sample,
    write_sample_flights,
)
from tests.conftest import ROOT

FIGURES = ROOT / "data/figures"
SHA256 = "93468a4604bd63eda7181602a79c5f3182c2b772a65737433093ba9e0eb29b8d"
WEEKDAYS = ("Lunes", "Martes", "Miercoles", "Jueves", "Viernes", "Sabado", "Domingo")
COUNTED = {
    "flights_by_month_airline_city.csv": ["MES", "OPERA", "TIPOVUELO", "SIGLADES"],
    "flights_by_airline_city_hour.csv": ["OPERA", "SIGLADES", "hour"],
    "flights_by_month_weekday.csv": ["MES", "DIANOM"],
    "flights_by_delay_minutes.csv": ["min_diff"],
}


@pytest.fixture(scope="module")
def flights(sample_csv: Path) -> pd.DataFrame:
    table = pd.read_csv(sample_csv, parse_dates=["Fecha-I", "Fecha-O"])
    late = (table["Fecha-O"] - table["Fecha-I"]).dt.total_seconds() / 60
    return table.assign(
        hour=table["Fecha-I"].dt.hour, min_diff=late, delayed=(late > 15).astype(int)
    )


@pytest.mark.parametrize("name", COUNTED)
def test_every_count_is_exact(name, flights):
    figures = pd.read_csv(FIGURES / name)
    keys = COUNTED[name]
    assert len(figures) > 80
    counted = flights.groupby(keys).agg(
        flights=("delayed", "size"), delayed=("delayed", "sum")
    )
    expected = figures.set_index(keys).sort_index()
    for column in set(expected.columns) & {"flights", "delayed"}:
        assert counted[column].to_dict() == expected[column].to_dict()


def test_the_columns_are_those_of_the_dataset(sample_csv):
    with sample_csv.open(encoding="utf-8", newline="") as stream:
        header = next(csv.reader(stream))
    assert header == [
        *("Fecha-I", "Vlo-I", "Ori-I", "Des-I", "Emp-I"),
        *("Fecha-O", "Vlo-O", "Ori-O", "Des-O", "Emp-O"),
        *("DIA", "MES", "AÑO", "DIANOM", "TIPOVUELO", "OPERA", "SIGLAORI", "SIGLADES"),
    ]


def test_day_month_year_and_weekday_are_those_of_the_schedule(flights):
    scheduled = flights["Fecha-I"]
    assert flights["DIA"].equals(scheduled.dt.day.astype("int64"))
    assert flights["MES"].equals(scheduled.dt.month.astype("int64"))
    assert (flights["AÑO"] == 2017).all()
    named = scheduled.dt.day_of_week.map(dict(enumerate(WEEKDAYS)))
    assert (flights["DIANOM"] == named).all()


def test_the_bytes_are_the_same_each_time(sample_csv, tmp_path):
    write_sample_flights(FIGURES, tmp_path / "again.csv")
    again = hashlib.sha256((tmp_path / "again.csv").read_bytes()).hexdigest()
    assert again == hashlib.sha256(sample_csv.read_bytes()).hexdigest()
    assert again == SHA256


@pytest.mark.parametrize(
    "copies",
    [
        {"a.csv.gz": "true"},
        {"a.parquet": "true"},
        {"a.csv": "MES < 6", "b.csv": "MES > 5"},
    ],
    ids=["compressed", "Parquet", "two files"],
)
def test_they_are_known_again_in_any_kind_of_file(copies, sample_csv, tmp_path):
    for name, condition in copies.items():
        copy_flights(sample_csv, tmp_path / name, condition)
    assert is_sample(counts_of(tmp_path))


def test_other_flights_are_not_taken_for_them(sample_csv, tmp_path):
    copy_flights(sample_csv, tmp_path / "a.csv", "NOT (MES = 1 AND DIA = 1)")
    assert not is_sample(counts_of(tmp_path))


def counts_of(folder: Path) -> Counts:
    with parallel_map(None) as each:
        return count_files(find_files(folder), each).counts


def copy_flights(source: Path, output: Path, condition: str) -> None:
    duckdb.sql(f"COPY (FROM '{source}' WHERE {condition}) TO '{output}'")


@pytest.mark.parametrize("name", [*COUNTED, "airlines.csv", "cities.csv"])
def test_a_missing_figure_is_named(name, tmp_path):
    figures = tmp_path / "figures"
    shutil.copytree(FIGURES, figures)
    (figures / name).unlink()
    with pytest.raises(SampleDataError, match=name):
        write_sample_flights(figures, tmp_path / "data.csv")


@pytest.mark.parametrize("name", COUNTED)
def test_figures_that_contradict_each_other_leave_the_old_file(name, tmp_path):
    figures, output = tmp_path / "figures", tmp_path / "data.csv"
    shutil.copytree(FIGURES, figures)
    lines = (figures / name).read_text(encoding="utf-8").splitlines(keepends=True)
    (figures / name).write_text("".join(lines[:-1]), encoding="utf-8")
    output.write_text("the old one")
    with pytest.raises(SampleDataError, match=r"\.csv"):
        write_sample_flights(figures, output)
    assert output.read_text() == "the old one"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data.csv", "figures"]


def test_the_command_says_what_the_flights_are(tmp_path):
    module = [sys.executable, "-m", "challenge.training.data.sample_data"]
    output = tmp_path / "data.csv"
    run = subprocess.run([*module, output], capture_output=True, text=True, cwd=ROOT)
    assert run.returncode == 0
    assert "68,206 sample flights" in run.stdout
    failed = subprocess.run(
        [*module, "--figures", tmp_path, output], capture_output=True, text=True
    )
    assert failed.returncode == 1
    assert len(failed.stderr.splitlines()) == 1
