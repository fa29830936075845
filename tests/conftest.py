"""Real parts for all tests: sample flights, models trained on them, running clients."""

from __future__ import annotations

import fcntl
import os
import ssl
from array import array
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import msgspec
import numpy as np
import pandas as pd
import pytest

from challenge.artifact import model_file
from challenge.files.history import update
from challenge.flights.fields import Flight
from challenge.live.adjustment import DISTANCES_MINUTES, Adjustment
from challenge.live.day import Day
from challenge.live.terms import TERMS
from challenge.model import DelayModel
from challenge.training.data.sample_data import write_sample_flights
from challenge.training.recipe import Recipe
from challenge.training.train import train

ROOT = Path(__file__).parents[1]
TEST_MODEL = ROOT / "tests/resources/test_model.pkl"
AIRTRAN = ROOT.parent / "shared/data/bts_2008_airtran.csv.gz"

# What asks for `challenge.app` gets the committed model, whatever was trained here.
os.environ["MODEL_FILEPATH"] = str(TEST_MODEL)


def probabilities(model: DelayModel, flights: Iterable[Flight]) -> list[float]:
    """What a model says of coded flights, on no day."""
    return model.predict_cells(list(map(model.grid.cell, flights)))


def trained(flights: pd.DataFrame, folder: Path, **parameters: float) -> Path:
    """The file of a model of flights, in a folder."""
    source, output = folder / "flights.csv", folder / "model.pkl"
    flights.to_csv(source, index=False)
    train(str(source), str(output), Recipe(parameters=parameters))
    return output


@pytest.fixture(scope="session", autouse=True)
def one_tls_context() -> Iterator[None]:
    """httpx makes one for each client, which takes a twentieth of a second; tests ask
    servers without TLS."""
    with pytest.MonkeyPatch.context() as patch:
        context = ssl.create_default_context()
        patch.setattr(ssl, "create_default_context", lambda *_, **__: context)
        yield


def made_once(
    tmp_path_factory: pytest.TempPathFactory, name: str, make: Callable[[Path], object]
) -> Path:
    """A file that the first of all processes makes for them."""
    folder = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        folder = folder.parent
    path = folder / name
    with path.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not path.exists():
            make(path)
    return path


def trained_once(
    tmp_path_factory: pytest.TempPathFactory, name: str, flights: Path, recipe: Recipe
) -> Path:
    """The file of a model, which the first of all processes trains for them."""

    def make(path: Path) -> None:
        train(str(flights), str(path), recipe)

    return made_once(tmp_path_factory, f"{name}.pkl", make)


@pytest.fixture(scope="session")
def sample_csv(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("data") / "data.csv"
    write_sample_flights(ROOT / "data/figures", path)
    return path


@pytest.fixture(scope="session")
def sample_flights(sample_csv: Path) -> pd.DataFrame:
    return pd.read_csv(sample_csv)


@pytest.fixture(scope="session")
def schedule_model(sample_csv: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file of the model that train.py makes by default."""
    return trained_once(tmp_path_factory, "schedule", sample_csv, Recipe())


@pytest.fixture(scope="session")
def airtran_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file of a model of real flights, that knows where aircraft are."""
    if not AIRTRAN.exists():
        pytest.skip(f"no real flights beside {ROOT}")
    return trained_once(
        tmp_path_factory, "airtran", AIRTRAN, Recipe(parameters={"rounds": 5})
    )


@pytest.fixture(scope="session")
def live_model(schedule_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file of a model to which all terms of the day count."""

    def make(path: Path) -> None:
        model = DelayModel.load(schedule_model)
        drawn = np.random.default_rng(0)
        coefficients = {
            name: (drawn.normal(size=len(DISTANCES_MINUTES)) / 10).tolist()
            for name in TERMS
        }
        adjustment = Adjustment(10.0, coefficients)
        history = model.known_day.history
        day = Day(adjustment, history, model.encoder.rules, model.grid)
        model.with_day(day).save(path)

    return made_once(tmp_path_factory, "live.pkl", make)


@pytest.fixture(scope="session")
def flights_of_two_origins(sample_flights: pd.DataFrame) -> pd.DataFrame:
    """Half of the flights leave from another city, and an hour late."""
    data = sample_flights.sample(6_000, random_state=0).reset_index(drop=True)
    there = data.index % 2 == 1
    late = pd.to_datetime(data["Fecha-I"]) + pd.Timedelta(hours=1)
    data.loc[there, "SIGLAORI"] = "Concepción"
    data.loc[there, "Fecha-O"] = late[there].astype("str")
    data.loc[~there, "Fecha-O"] = data.loc[~there, "Fecha-I"]
    return data


@pytest.fixture(scope="session")
def two_origins_model(
    flights_of_two_origins: pd.DataFrame, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    folder = tmp_path_factory.mktemp("two origins")
    return trained(flights_of_two_origins, folder, rounds=20)


@pytest.fixture(scope="session")
def flights_of_a_large_grid() -> pd.DataFrame:
    """Flights of 40 airlines, 100 destinations and 2 origins, in all months. Half of
    those of the first ten airlines are late, and a fifth of the others."""
    random = np.random.default_rng(0)
    size = 8_000
    airline = np.append(np.arange(40), random.integers(40, size=size - 40))
    destination = np.append(np.arange(100), random.integers(100, size=size - 100))
    is_santiago = random.random(size) < 0.6
    hours = np.sort(random.integers(8_760, size=size))
    scheduled = pd.Timestamp("2017-01-01 00:10") + pd.to_timedelta(hours, unit="h")
    late = random.random(size) < np.where(airline < 10, 0.5, 0.2)
    departed = scheduled + pd.to_timedelta(np.where(late, 40, 3), unit="min")
    return pd.DataFrame(
        {
            "OPERA": [f"Airline {one:02}" for one in airline],
            "TIPOVUELO": np.where(destination < 50, "I", "N"),
            "MES": scheduled.month,
            "SIGLAORI": np.where(is_santiago, "Santiago", "Concepción"),
            "SIGLADES": [f"City {one:03}" for one in destination],
            "Fecha-I": scheduled.astype(str),
            "Fecha-O": departed.astype(str),
        }
    )


@pytest.fixture(scope="session")
def large_grid_model(
    flights_of_a_large_grid: pd.DataFrame, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """A model of more cells than a table may have."""
    folder = tmp_path_factory.mktemp("large grid")
    return trained(flights_of_a_large_grid, folder, rounds=20, learning_rate=0.2)


@pytest.fixture(scope="session")
def last_weeks(
    sample_flights: pd.DataFrame, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """The sample's last weeks, in which every flight of Sky Airline left an hour late."""
    path = tmp_path_factory.mktemp("weeks") / "last_weeks.csv"
    last = sample_flights[sample_flights["Fecha-I"] >= "2017-12-01"]
    late = pd.to_datetime(last["Fecha-I"]) + pd.Timedelta(hours=1)
    is_sky = last["OPERA"] == "Sky Airline"
    last.assign(**{"Fecha-O": last["Fecha-O"].mask(is_sky, late.astype("str"))}).to_csv(
        path, index=False
    )
    return path


@pytest.fixture(scope="session")
def updated_model(
    schedule_model: Path, last_weeks: Path, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """The default model with those weeks in place of the flights that it kept."""
    path = tmp_path_factory.mktemp("updated") / "updated.pkl"
    update(schedule_model, last_weeks, path)
    return path


@pytest.fixture
def wrong_model(schedule_model: Path, tmp_path: Path) -> Path:
    """A whole, undamaged model whose table is another one's: all of it turned around."""
    stored, _ = model_file.read(schedule_model)
    table = memoryview(stored.table or b"").cast("f")
    turned = array("f", reversed(table.tolist()))
    path = tmp_path / "wrong.pkl"
    model_file.write(path, msgspec.structs.replace(stored, table=turned.tobytes()))
    return path


@pytest.fixture
def enough_flights(few_flights: pd.DataFrame) -> pd.DataFrame:
    """The sixty flights, a third of them an hour late: enough to hold some out."""
    departed = few_flights["Fecha-I"].str.replace("08:15", "09:15")
    return few_flights.assign(
        **{"Fecha-O": few_flights["Fecha-O"].mask(few_flights.index % 3 == 0, departed)}
    )


@pytest.fixture
def few_flights() -> pd.DataFrame:
    """Sixty flights of two airlines; those of the second are late on Mondays."""
    rows = []
    for day in range(1, 31):
        for airline, destination, flight_type in (
            ("Grupo LATAM", "Lima", "I"),
            ("Sky Airline", "Arica", "N"),
        ):
            scheduled = pd.Timestamp(2017, 6, day, 8, 15)
            late = airline == "Sky Airline" and scheduled.weekday() == 0
            rows.append(
                {
                    "OPERA": airline,
                    "TIPOVUELO": flight_type,
                    "MES": 6,
                    "SIGLADES": destination,
                    "Fecha-I": str(scheduled),
                    "Fecha-O": str(scheduled + pd.Timedelta(minutes=40 if late else 3)),
                }
            )
    return pd.DataFrame(rows)
