"""A model takes the place of another while the service runs."""

from __future__ import annotations

import asyncio
import hashlib
import os
import re
import shutil
import signal
import sys
import threading
from pathlib import Path
from unittest.mock import Mock

import httpx
import msgspec
import pytest

from challenge.artifact import model_file
from challenge.cli import main
from challenge.model import DelayModel
from challenge.serving.model_watcher import ModelWatcher
from challenge.serving.observability.counters import Counters
from challenge.training.recipe import Recipe
from challenge.training.threshold import Given
from challenge.training.train import train
from tests.api.conftest import FLIGHT, wait_for
from tests.conftest import TEST_MODEL

SWAPPED = 'flight_prophet_model_reloads_total{outcome="swapped"}'
REFUSED = 'flight_prophet_model_reloads_total{outcome="refused"}'
OFTEN = {"MODEL_RELOAD_SECONDS": "0.05"}


@pytest.fixture(scope="module")
def never_late(sample_csv, tmp_path_factory):
    """A model that predicts no delay at all: its answers tell it from the other."""
    path = tmp_path_factory.mktemp("models") / "never_late.pkl"
    recipe = Recipe("logistic-regression", "top10")
    train(str(sample_csv), str(path), recipe, Given(1.0))
    return path


@pytest.fixture
def model(tmp_path):
    return shutil.copy(TEST_MODEL, tmp_path / "model.pkl")


def replace(model, content: bytes) -> None:
    new = model.with_suffix(".new")
    new.write_bytes(content)
    new.replace(model)


def test_a_new_file_is_served_by_every_worker(serve, model, never_late):
    server = serve(model, **OFTEN)
    assert server.predict() == [1]
    replace(model, never_late.read_bytes())
    wait_for(lambda: server.metric(SWAPPED) == 2)
    assert {server.predict()[0] for _ in range(20)} == {0}
    served = httpx.get(f"{server.url}/model").json()["fingerprint"]
    assert served == hashlib.sha256(never_late.read_bytes()).hexdigest()
    assert "model reloaded" in server.log


@pytest.mark.parametrize("workers", [1, 2])
def test_sighup_reloads(workers, serve, model, never_late):
    server = serve(model, workers=workers, MODEL_RELOAD_SECONDS="0")
    replace(model, never_late.read_bytes())
    assert server.predict() == [1]
    server.process.send_signal(signal.SIGHUP)
    wait_for(lambda: {server.predict()[0] for _ in range(10)} == {0})


@pytest.mark.parametrize("broken", [b"", b"no model", TEST_MODEL.read_bytes()[:-9]])
def test_a_broken_file_changes_nothing_and_is_told(broken, serve, model):
    server = serve(model, workers=1, **OFTEN)
    replace(model, broken)
    wait_for(lambda: server.metric(REFUSED) == 1)
    assert server.predict() == [1]
    assert server.answers()
    assert "model not reloaded: model file " in server.log


def test_a_model_that_does_not_answer_as_its_card_says_is_refused(
    serve, model, wrong_model
):
    server = serve(model, workers=1, **OFTEN)
    replace(model, wrong_model.read_bytes())
    wait_for(lambda: server.metric(REFUSED) == 1)
    assert server.predict() == [1]
    assert "its card says" in server.log


def test_nothing_is_served_by_a_model_that_does_not_answer_as_its_card_says(
    wrong_model, capfd
):
    assert main(["serve", str(wrong_model), "--port", "0"]) == 1
    assert "its card says" in capfd.readouterr().err


def test_a_model_without_its_classifier_is_refused_and_the_next_one_served(
    serve, model, never_late, tmp_path
):
    stored, _ = model_file.read(model)
    hollow = tmp_path / "hollow.pkl"
    model_file.write(hollow, msgspec.structs.replace(stored, table=None, classifier={}))
    server = serve(model, workers=1, **OFTEN)
    replace(model, hollow.read_bytes())
    wait_for(lambda: server.metric(REFUSED) == 1)
    assert "is not a whole model: the classifier's state is damaged" in server.log
    assert server.predict() == [1]
    replace(model, never_late.read_bytes())
    wait_for(lambda: server.metric(SWAPPED) == 1)
    assert server.predict() == [0]
    assert server.stop() == 0


async def adopt(model):
    """Nothing is known of today's flights."""


@pytest.mark.parametrize("error", [KeyError, MemoryError, RecursionError, ImportError])
def test_a_file_that_goes_wrong_in_any_way_does_not_stop_the_next(error, monkeypatch):
    watcher, counters = ModelWatcher(TEST_MODEL, None, 0), Counters()
    served = watcher.model
    with monkeypatch.context() as wrong:
        wrong.setattr(DelayModel, "verify", Mock(side_effect=error))
        asyncio.run(watcher.reload(counters, adopt))
    assert counters.reloads == {"swapped": 0, "refused": 1}
    assert watcher.model is served
    asyncio.run(watcher.reload(counters, adopt))
    assert counters.reloads == {"swapped": 1, "refused": 1}
    assert watcher.model is not served


def test_a_file_that_is_gone_changes_nothing(serve, model):
    server = serve(model, workers=1, **OFTEN)
    os.unlink(model)
    wait_for(lambda: server.metric(REFUSED) == 1)
    assert server.predict() == [1]


def test_only_the_pinned_file_is_served(serve, model, never_late):
    pinned = hashlib.sha256(TEST_MODEL.read_bytes()).hexdigest()
    server = serve(model, workers=1, MODEL_SHA256=pinned, **OFTEN)
    replace(model, never_late.read_bytes())
    wait_for(lambda: server.metric(REFUSED) == 1)
    assert server.predict() == [1]
    assert f"only {pinned} is allowed" in server.log


@pytest.mark.slow
def test_no_request_fails_or_sees_half_a_model_while_models_change(
    serve, model, never_late
):
    """Eighty changes, every third to a file that is no good, under load."""
    server = serve(model, **OFTEN)
    good = [TEST_MODEL.read_bytes(), never_late.read_bytes()]
    done = threading.Event()
    seen: set[tuple[int, ...]] = set()
    failed: list[str] = []

    def ask() -> None:
        body = {"flights": [FLIGHT] * 50}
        with httpx.Client(timeout=20) as client:
            while not done.is_set():
                try:
                    answer = client.post(f"{server.url}/predict", json=body)
                    seen.add(tuple(answer.raise_for_status().json()["predict"]))
                except Exception as error:
                    failed.append(repr(error))

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for number in range(80):
        replace(model, good[number % 2] if number % 3 else b"garbage")
        # Longer than a worker takes to look at the file and to read it.
        done.wait(0.09)
    replace(model, good[1])
    wait_for(lambda: {server.predict()[0] for _ in range(10)} == {0})
    done.set()
    for thread in threads:
        thread.join()
    assert failed == []
    assert seen == {(1,) * 50, (0,) * 50}
    # How many are seen in time, the machine says.
    assert server.metric(SWAPPED) > 10
    assert server.metric(REFUSED) > 3


@pytest.mark.skipif(sys.platform != "linux", reason="memory is read from /proc")
def test_models_that_were_replaced_give_their_memory_back(
    serve, schedule_model, tmp_path
):
    path = tmp_path / "model.pkl"
    content = schedule_model.read_bytes()
    path.write_bytes(content)
    server = serve(path, workers=1, **OFTEN)
    # The metrics look at the past of each model, which takes memory, too.
    assert server.metric(SWAPPED) == 0
    before = memory(server.process.pid)
    for reload in range(1, 6):
        replace(path, content)
        wait_for(lambda: server.metric(SWAPPED) == reload)
    assert memory(server.process.pid) - before < len(content) / 2


def memory(pid: int) -> int:
    """The bytes that are this process's alone, or its share of what is not."""
    rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
    (kilobytes,) = re.findall(r"^Pss: +(\d+) kB", rollup, re.MULTILINE)
    return int(kilobytes) * 1024
