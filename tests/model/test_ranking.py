"""Which flights of a file to look at first."""

from __future__ import annotations

import csv
import io
import json
import os
import pty
import subprocess
import sysconfig
from pathlib import Path

import duckdb
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from challenge.cli import main
from challenge.errors import FlightsFileError
from challenge.files.ranking import highest, rank_file
from challenge.model import DelayModel

PROGRAM = Path(sysconfig.get_path("scripts"), "flight-prophet")


@given(st.lists(st.sampled_from([0.1, 0.2, 0.25, 0.9])), st.integers(1, 8))
def test_the_highest_come_first_and_of_equals_the_earlier(probabilities, top):
    found = highest(probabilities, top)
    whole = sorted(enumerate(probabilities), key=lambda one: (-one[1], one[0]))
    assert found == [(p, position) for position, p in whole][:top]


@pytest.fixture(scope="module")
def model(schedule_model):
    return DelayModel.load(schedule_model)


@pytest.fixture(scope="module", params=[".csv", ".csv.gz", ".parquet"])
def flights(request, sample_flights, tmp_path_factory):
    path = tmp_path_factory.mktemp("flights") / f"flights{request.param}"
    if path.suffix == ".parquet":
        duckdb.from_df(sample_flights).write_parquet(str(path))
    else:
        sample_flights.to_csv(path, index=False)
    return path


def test_a_file_is_ranked_as_its_rows_are_predicted(flights, model, sample_flights):
    found, counts = rank_file(model, flights, 50)
    probabilities = model.predict_proba(model.preprocess(sample_flights))
    order = pd.Series(probabilities).sort_values(ascending=False, kind="stable")
    assert counts.rows == len(sample_flights)
    first = 1 if flights.suffix == ".parquet" else 2
    assert [one.row - first for one in found] == order.index[:50].tolist()
    assert [one.probability for one in found] == pytest.approx(order[:50].tolist())
    for one in found:
        row = sample_flights.iloc[one.row - first]
        assert str(one.values["OPERA"]) == row["OPERA"]
        assert str(one.values["Fecha-I"]) == row["Fecha-I"]
        assert list(one.values) == list(sample_flights.columns)


def test_more_than_there_are_is_all_of_them(model, tmp_path):
    path = tmp_path / "flights.csv"
    path.write_text("OPERA,TIPOVUELO,MES\nSky Airline,N,7\nGrupo LATAM,N,3\n")
    found, counts = rank_file(model, path, 99)
    assert counts.rows == len(found) == 2


def test_invalid_rows_are_told_and_nothing_is_ranked(model, tmp_path):
    path = tmp_path / "flights.csv"
    path.write_text("OPERA,TIPOVUELO,MES\nSky Airline,N,7\nSky Airline,N,13\n")
    with pytest.raises(FlightsFileError, match="row 3: MES: 13 is not a month"):
        rank_file(model, path, 1)


def ask(schedule_model, flights, *options):
    return [
        *("rank", str(flights), "--top", "3", "--model", str(schedule_model)),
        *options,
    ]


def test_a_pipe_gets_csv_with_all_columns(schedule_model, flights, capsys):
    assert main(ask(schedule_model, flights)) == 0
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert len(rows) == 3
    assert rows[0]["SIGLADES"]
    shown = [float(row["probability"]) for row in rows]
    assert shown == sorted(shown, reverse=True)


def test_json_tells_how_many_will_be_late(schedule_model, flights, capsys):
    assert main(ask(schedule_model, flights, "--json")) == 0
    told = json.loads(capsys.readouterr().out)
    shown = [flight["probability"] for flight in told["flights"]]
    assert told["expected_late"] == pytest.approx(sum(shown))
    assert told["rows"] == 68_206


def test_a_terminal_gets_a_table(schedule_model, flights):
    ours, theirs = pty.openpty()
    asked = [PROGRAM, *ask(schedule_model, flights)]
    environment = os.environ | {"COLUMNS": "120", "TERM": "xterm"}
    subprocess.run(
        asked, stdout=theirs, stderr=subprocess.DEVNULL, env=environment, check=True
    )
    os.close(theirs)
    shown = os.read(ours, 65_536).decode()
    os.close(ours)
    assert "SIGLADES" in shown
    assert "of 68,206 flights; about" in shown
