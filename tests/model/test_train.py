"""train.py: from a file of flights to the file of a model."""

from __future__ import annotations

import gzip
import hashlib
import subprocess
import sys
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd
import pytest
from fastapi.testclient import TestClient

from challenge.api import create_app
from challenge.cli import main
from challenge.errors import MissingColumnsError, TrainingDataError
from challenge.flights.fields import AIRLINE, DESTINATION
from challenge.model import DelayModel
from challenge.training.data.dataset import read_dataset
from challenge.training.recipe import Recipe
from tests.conftest import ROOT, probabilities

NOTEBOOK = ["--features", "top10", "--classifier", "logistic-regression"]


@pytest.fixture
def csv(few_flights, tmp_path) -> Path:
    path = tmp_path / "flights.csv"
    few_flights.to_csv(path, index=False)
    return path


def test_it_prints_rows_faults_metrics_and_where_the_model_went(
    sample_csv, tmp_path, capsys
):
    output = tmp_path / "model.pkl"
    assert main(["train", str(sample_csv), str(output), *NOTEBOOK]) == 0
    printed = capsys.readouterr().out
    assert "68,206 rows" in printed
    assert "data       sample data, made from counts" in printed
    assert "rejected   none" in printed
    assert "random     22,508 flights held out, 18.5% delayed: ROC AUC 0.6" in printed
    assert "forward    22,508 flights held out, 21.7% delayed: ROC AUC 0.5" in printed
    assert "threshold  0.185" in printed
    assert str(output) in printed

    card = DelayModel.load(output).card
    assert card.rows == 68_206
    assert card.sample
    assert card.data_sha256 == hashlib.sha256(sample_csv.read_bytes()).hexdigest()
    assert card.period == ("2017-01-01 00:35:00", "2017-12-31 23:50:00")
    random, forward = (
        card.metrics[split]["roc_auc"] for split in ("random", "forward")
    )
    assert 0.62 < random["low"] < random["value"] < random["high"] < 0.66
    assert forward["high"] < random["low"]


def test_by_default_it_trains_xgboost_on_the_whole_schedule(schedule_model):
    card = DelayModel.load(schedule_model).card
    assert (card.classifier, card.features) == ("xgboost", "schedule")
    assert card.metrics["random"]["roc_auc"]["value"] > 0.68
    assert card.metrics["random"]["average_precision"]["value"] > 0.35


@pytest.mark.parametrize("kind", ["csv", "csv.gz", "parquet", "csv with a BOM"])
def test_every_kind_of_file_gives_the_same_flights(kind, csv, few_flights, tmp_path):
    expected = read_dataset(csv)
    path = tmp_path / f"other.{kind.split()[0]}"
    if kind == "csv.gz":
        path.write_bytes(gzip.compress(csv.read_bytes()))
    elif kind == "parquet":
        table = few_flights.assign(
            **{c: pd.to_datetime(few_flights[c]) for c in ("Fecha-I", "Fecha-O")}
        )
        duckdb.from_df(table).write_parquet(str(path))
    else:
        path.write_bytes(b"\xef\xbb\xbf" + csv.read_bytes())
    dataset = read_dataset(path)
    assert dataset.vocabulary == expected.vocabulary
    assert dataset.codes.tolist() == expected.codes.tolist()
    assert dataset.delayed.tolist() == expected.delayed.tolist()


def test_the_vocabulary_is_what_the_flights_hold(csv):
    vocabulary = read_dataset(csv).vocabulary
    assert vocabulary[AIRLINE] == ("Grupo LATAM", "Sky Airline")
    assert vocabulary[DESTINATION] == ("Arica", "Lima")


def test_a_retrained_model_knows_a_new_airline(few_flights, tmp_path):
    source, output = tmp_path / "flights.csv", tmp_path / "model.pkl"
    renamed = few_flights.replace({"OPERA": {"Sky Airline": "Aerolínea Nueva"}})
    renamed.to_csv(source, index=False)
    assert main(["train", str(source), str(output)]) == 0
    flight = {"OPERA": "Aerolínea Nueva", "TIPOVUELO": "N", "MES": 6}
    client = TestClient(create_app(output))
    assert client.post("/predict", json={"flights": [flight]}).status_code == 200


def test_destination_and_time_may_be_missing_from_the_table(few_flights, tmp_path):
    delay = (few_flights["Fecha-O"].str[14:16] == "55").astype(int)
    source, output = tmp_path / "flights.csv", tmp_path / "model.pkl"
    columns = few_flights[["OPERA", "TIPOVUELO", "MES"]]
    columns.assign(delay=delay).to_csv(source, index=False)
    assert main(["train", str(source), str(output)]) == 0
    assert DelayModel.load(output).vocabulary[DESTINATION] == ()


def test_duplicate_rows_are_flights_of_their_own(few_flights, tmp_path):
    source = tmp_path / "flights.csv"
    pd.concat([few_flights, few_flights]).to_csv(source, index=False)
    assert read_dataset(source).counts().total == 120


def test_invalid_rows_stop_it_with_every_fault_counted_and_the_first_shown(
    csv, tmp_path, capsys
):
    spoil(csv, {2: ("MES", "13"), 5: ("MES", "June"), 7: ("Fecha-O", "late")})
    assert main(["train", str(csv), str(tmp_path / "model.pkl")]) == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    [line] = captured.err.splitlines()
    assert "3 invalid rows" in line
    assert "MES out_of_range: 1, MES int_type: 1, Fecha-O datetime_format: 1" in line
    assert "row 4: MES: 13 is not a month" in line
    assert not (tmp_path / "model.pkl").exists()


def test_invalid_rows_can_be_skipped_and_are_reported(csv, tmp_path, capsys):
    spoil(csv, {2: ("MES", "13"), 5: ("TIPOVUELO", "X")})
    output = tmp_path / "model.pkl"
    assert main(["train", str(csv), str(output), "--skip-invalid"]) == 0
    assert "rejected   2 invalid rows" in capsys.readouterr().out
    card = DelayModel.load(output).card
    assert (card.rows, card.rows_rejected) == (58, 2)


def test_rows_of_a_parquet_file_count_from_one(few_flights, tmp_path):
    path = tmp_path / "flights.parquet"
    few_flights.loc[2, "MES"] = 13
    duckdb.from_df(few_flights).write_parquet(str(path))
    with pytest.raises(TrainingDataError, match="the first: row 3: MES: 13 is not a"):
        read_dataset(path)


def spoil(path: Path, faults: dict[int, tuple[str, str]]) -> None:
    table = pd.read_csv(path, dtype=str)
    for row, (column, value) in faults.items():
        table.loc[row, column] = value
    table.to_csv(path, index=False)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("none.csv", None, "does not exist"),
        ("empty.csv", b"", "is empty"),
        ("flights.doc", b"OPERA", "is not a .csv, .txt, .tsv, .gz, .zip, .xlsx or"),
        ("bad.parquet", b"no parquet", "cannot be read"),
        (
            "cut.csv.gz",
            gzip.compress(b"OPERA,MES" * 99, mtime=0)[:20],
            "cannot be read",
        ),
        ("header.csv", b"OPERA,TIPOVUELO,MES,Fecha-I,Fecha-O\n", "no valid flight"),
    ],
)
def test_a_file_that_is_no_table_of_flights_is_refused(
    name, content, message, tmp_path
):
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(TrainingDataError, match=message):
        read_dataset(path)


def test_all_missing_columns_are_named_with_those_that_were_found(tmp_path):
    path = tmp_path / "flights.csv"
    path.write_text("OPERA,city\nSky Airline,Lima\n")
    missing = "'TIPOVUELO', 'MES', 'Fecha-I', 'Fecha-O'; found: 'OPERA', 'city'"
    with pytest.raises(MissingColumnsError, match=missing):
        read_dataset(path)


def test_one_class_only_is_refused(few_flights, tmp_path, capsys):
    source = tmp_path / "flights.csv"
    few_flights.assign(**{"Fecha-O": few_flights["Fecha-I"]}).to_csv(source)
    assert main(["train", str(source), str(tmp_path / "model.pkl")]) == 1
    assert "all flights were on time" in capsys.readouterr().err


def test_a_run_that_is_killed_leaves_the_old_model(csv, tmp_path):
    output = tmp_path / "model.pkl"
    output.write_bytes(b"the old one")
    program = (
        "import os, sys; os.fsync = lambda _: os.kill(os.getpid(), 9);"
        "from challenge.cli import main; main(['train', *sys.argv[1:]])"
    )
    run = subprocess.run([sys.executable, "-c", program, csv, output, *NOTEBOOK])
    assert run.returncode == -9
    assert output.read_bytes() == b"the old one"


def test_the_script_exits_with_one_line_and_1_when_it_fails(tmp_path):
    run = subprocess.run(
        [sys.executable, ROOT / "train.py", "none.csv", tmp_path / "model.pkl"],
        capture_output=True,
        text=True,
    )
    assert run.returncode == 1
    assert run.stderr == "train.py: 'none.csv' does not exist or is not a file\n"


def test_the_same_data_gives_the_same_file_but_for_its_date(csv, tmp_path, monkeypatch):
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1500000000")
    first, second = (tmp_path / name for name in ("first.pkl", "second.pkl"))
    for output in (first, second):
        assert main(["train", str(csv), str(output)]) == 0
    assert first.read_bytes() == second.read_bytes()
    assert DelayModel.load(first).card.created == "2017-07-14T02:40:00+00:00"


def test_one_row_is_no_data_to_learn_from(few_flights, tmp_path, capsys):
    source = tmp_path / "flights.csv"
    few_flights.head(1).to_csv(source, index=False)
    assert main(["train", str(source), str(tmp_path / "model.pkl")]) == 1
    assert "all flights were on time" in capsys.readouterr().err


def test_an_airline_with_one_flight_is_learned_and_measured(few_flights, tmp_path):
    source, output = tmp_path / "flights.csv", tmp_path / "model.pkl"
    few_flights.loc[0, "OPERA"] = "Concorde"
    few_flights.to_csv(source, index=False)
    assert main(["train", str(source), str(output)]) == 0
    model = DelayModel.load(output)
    flight = model.encoder.rules.read({"OPERA": "Concorde", "TIPOVUELO": "I", "MES": 6})
    [probability] = probabilities(model, [flight])
    assert 0 < probability < 1


def test_a_table_without_times_has_no_split_forward_in_time(few_flights, tmp_path):
    source, output = tmp_path / "flights.csv", tmp_path / "model.pkl"
    table = few_flights[["OPERA", "TIPOVUELO", "MES", "SIGLADES"]]
    table = table.assign(delay=[0, 1, 0] * 20)
    table.to_csv(source, index=False)
    assert main(["train", str(source), str(output)]) == 0
    card = DelayModel.load(output).card
    assert card.metrics.keys() == {"random"}
    assert card.period is None


@pytest.mark.parametrize("features", ["schedule", "all", "top10"])
@pytest.mark.parametrize("missing", [(9, 10, 11), (1, 6, 12)])
def test_months_without_a_past_are_answered_as_the_model_knows_flights(
    features, missing, sample_csv
):
    dataset = read_dataset(sample_csv)
    known = ~np.isin(dataset.codes[:, 2] + 1, missing)
    recipe = Recipe("xgboost", features)
    model = recipe.fit(dataset.counts(known), dataset.vocabulary)
    asked = np.unique(dataset.codes[~known], axis=0)
    flights = dataset.counts(~known)
    assert len(asked) == len(flights.codes) > 1_000
    probability = model.predict_codes(flights.codes)
    mean = np.average(probability, weights=flights.flights)
    assert mean == pytest.approx(model.threshold, abs=0.03)
    # They are told apart by everything else.
    assert probability.std() > 0.02
