"""A model of too many cells for a table is served like any other, without numpy."""

from __future__ import annotations

import math
import os
import shutil

import duckdb
import httpx
import pytest

from challenge.cli import main
from challenge.model import DelayModel
from tests.api.conftest import FLIGHT, wait_for
from tests.api.test_reload import OFTEN, SWAPPED, replace
from tests.conftest import ROOT, TEST_MODEL

TRAINING_ONLY = ("numpy", "pandas", "sklearn", "scipy", "xgboost")
LATE = {
    "OPERA": "Airline 03",
    "TIPOVUELO": "N",
    "MES": 3,
    "SIGLAORI": "Santiago",
    "SIGLADES": "City 071",
    "Fecha-I": "2017-03-06 08:15:00",
}
ON_TIME = {"OPERA": "Airline 30", "TIPOVUELO": "I", "MES": 12}
FLIGHTS = [LATE, ON_TIME]


@pytest.fixture(scope="module")
def like_the_image(tmp_path_factory):
    """Settings of a server that lacks what the production image lacks."""
    folder = tmp_path_factory.mktemp("image")
    for name in TRAINING_ONLY:
        problem = f"raise ModuleNotFoundError({name!r}, name={name!r})"
        (folder / f"{name}.py").write_text(problem)
    return {"PYTHONPATH": os.pathsep.join([str(folder), str(ROOT)])}


@pytest.fixture
def server(serve, large_grid_model, like_the_image):
    return serve(large_grid_model, workers=1, **like_the_image)


@pytest.fixture(scope="module")
def model(large_grid_model):
    return DelayModel.load(large_grid_model)


def by_classifier(model, flights):
    """What numpy and XGBoost say."""
    cells = list(map(model.encoder.cell, flights))
    return model.predict_codes(model.grid.codes(cells)).tolist()


def post(server, path, **options):
    answer = httpx.post(server.url + path, timeout=20, **options)
    assert answer.status_code == 200, answer.text
    return answer


def test_predictions_are_those_of_the_classifier(server, model):
    answer = post(server, "/predict?details=true", json={"flights": FLIGHTS}).json()
    assert answer["predict"] == [1, 0]
    assert answer["probability"] == pytest.approx(
        by_classifier(model, FLIGHTS), abs=1e-6
    )
    support = [model.evidence.support(model.encoder.rules.read(f)) for f in FLIGHTS]
    assert answer["flights"] == support
    assert [server.predict(flight) for flight in FLIGHTS] == [[1], [0]]
    many = post(server, "/predict", json={"flights": FLIGHTS * 2_000}).json()
    assert many == {"predict": [1, 0] * 2_000}


def test_explanations_add_up_and_have_past_flights(server):
    answer = post(server, "/explain", json={"flights": FLIGHTS}).json()
    for why, flight in zip(answer["explanations"], FLIGHTS, strict=True):
        total = why["base_log_odds"] + math.fsum(why["contributions"].values())
        assert 1 / (1 + math.exp(-total)) == pytest.approx(why["probability"], abs=1e-6)
        assert why["contributions"]["OPERA"] * (1 if flight is LATE else -1) > 0
        assert why["past"]["flights"] >= 30


def test_the_likeliest_is_ranked_first_and_the_map_has_all_airlines(server):
    asked = {"flights": [ON_TIME, LATE], "top": 1}
    assert post(server, "/rank", json=asked).json()["position"] == [1]
    found = httpx.get(f"{server.url}/heatmap?TIPOVUELO=N", timeout=20).json()
    assert [len(row) for row in found["probability"]] == [12] * 40


def test_files_come_back_with_the_answers(
    server, model, flights_of_a_large_grid, tmp_path
):
    data = flights_of_a_large_grid.drop(columns="Fecha-O").head(500)
    expected = by_classifier(model, data.to_dict("records"))
    csv, parquet = tmp_path / "flights.csv", tmp_path / "flights.parquet"
    data.to_csv(csv, index=False)
    duckdb.sql(f"COPY (FROM '{csv}') TO '{parquet}' (FORMAT parquet)")
    for path, media_type in (
        (csv, "text/csv"),
        (parquet, "application/vnd.apache.parquet"),
    ):
        answer = post(
            server,
            "/predict/file",
            content=path.read_bytes(),
            headers={"content-type": media_type},
        )
        answered = tmp_path / f"answered{path.suffix}"
        answered.write_bytes(answer.content)
        rows = duckdb.sql(f"SELECT probability, delay FROM '{answered}'").fetchall()
        probabilities, delays = map(list, zip(*rows, strict=True))
        assert probabilities == pytest.approx(expected, abs=2e-6)
        assert delays == model.decide(expected)


def test_models_with_and_without_a_table_replace_each_other(
    serve, large_grid_model, like_the_image, tmp_path
):
    used = shutil.copy(TEST_MODEL, tmp_path / "model.pkl")
    server = serve(used, workers=2, **OFTEN, **like_the_image)
    assert server.predict() == [1]
    replace(used, large_grid_model.read_bytes())
    wait_for(lambda: server.metric(SWAPPED) == 2)
    assert [server.predict(flight) for flight in FLIGHTS] == [[1], [0]]
    replace(used, TEST_MODEL.read_bytes())
    wait_for(lambda: server.metric(SWAPPED) == 4)
    assert server.predict(FLIGHT) == [1]
    assert "Traceback" not in server.log


def test_it_is_promoted_and_ranked_and_counted_by_commands(
    large_grid_model, flights_of_a_large_grid, tmp_path, capsys
):
    used = shutil.copy(large_grid_model, tmp_path / "used.pkl")
    new = tmp_path / "new.pkl"
    DelayModel.load(large_grid_model).save(new, data="again")
    flights = tmp_path / "flights.csv"
    flights_of_a_large_grid.to_csv(flights, index=False)
    promote = ["model", "promote", str(new), "--model", str(used)]
    assert main([*promote, "--flights", str(flights)]) == 0
    assert used.read_bytes() == new.read_bytes()
    assert main(["rank", str(flights), "--model", str(used), "--top", "3"]) == 0
    assert "Airline 0" in capsys.readouterr().out
