"""Models are promoted and taken back in one step each, whatever interrupts it."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys

import msgspec
import pandas as pd
import pytest

from challenge.artifact import model_file
from challenge.cli import main
from challenge.errors import HistoryError, ModelFileError
from challenge.files.history import update
from challenge.model import DelayModel
from challenge.training.promotion import KEPT, promote, promotions, rollback
from challenge.training.recipe import Recipe
from challenge.training.threshold import Given
from challenge.training.train import train

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def candidates(sample_csv, tmp_path_factory):
    """Seven models that differ in their thresholds alone."""
    folder = tmp_path_factory.mktemp("candidates")
    first = folder / "0.pkl"
    train(str(sample_csv), first, Recipe("logistic-regression", "top10"), Given(0.1))
    stored, _ = model_file.read(first)
    made = [first]
    for number in range(1, 7):
        card = {"threshold": 0.1 + number / 100}
        path = folder / f"{number}.pkl"
        changed = msgspec.structs.replace(stored.card, **card)
        model_file.write(path, msgspec.structs.replace(stored, card=changed))
        made.append(path)
    return made


@pytest.fixture
def used(candidates, tmp_path):
    return shutil.copy(candidates[0], tmp_path / "model.pkl")


def fingerprints(path):
    return [one.fingerprint for one in promotions(path)]


def short(path):
    return model_file.fingerprint(path.read_bytes())[:12]


def test_a_promoted_model_is_the_one_in_use_and_the_one_before_is_kept(
    used, candidates
):
    assert promotions(used) == []
    assert promote(candidates[1], used) == short(candidates[1]) == short(used)
    assert fingerprints(used) == [short(candidates[0]), short(candidates[1])]
    assert [one.is_used for one in promotions(used)] == [False, True]


def test_the_first_model_needs_none_before(candidates, tmp_path):
    path = tmp_path / "new" / "model.pkl"
    path.parent.mkdir()
    promote(candidates[0], path)
    assert fingerprints(path) == [short(path)]


def test_the_last_five_are_kept(used, candidates):
    for candidate in candidates[1:]:
        promote(candidate, used)
    assert fingerprints(used) == [short(one) for one in candidates[-KEPT:]]


def test_rollbacks_go_back_one_by_one_and_what_was_taken_back_is_forgotten(
    used, candidates
):
    for candidate in candidates[1:4]:
        promote(candidate, used)
    assert rollback(used) == short(candidates[2]) == short(used)
    assert rollback(used) == short(candidates[1]) == short(used)
    promote(candidates[5], used)
    assert rollback(used) == short(candidates[1])
    assert rollback(used) == short(candidates[0])
    with pytest.raises(HistoryError, match="has no model before it"):
        rollback(used)
    assert short(used) == short(candidates[0])


def test_a_candidate_that_is_no_good_changes_nothing(used, wrong_model, tmp_path):
    before = used.read_bytes()
    cut = tmp_path / "cut.pkl"
    cut.write_bytes(before[:-9])
    for candidate in (cut, wrong_model, tmp_path / "missing.pkl"):
        with pytest.raises(ModelFileError):
            promote(candidate, used)
    assert used.read_bytes() == before
    assert promotions(used) == []


@pytest.mark.parametrize("step", range(8))
def test_a_promotion_that_is_killed_leaves_a_whole_model_and_a_history(
    step, used, candidates, tmp_path
):
    promote(candidates[1], used)
    program = (
        "import os, sys; from pathlib import Path; real, left = Path.replace, [STEP]\n"
        "def replace(self, target):\n"
        "    if left[0] == 0: os.kill(os.getpid(), 9)\n"
        "    left[0] -= 1; done = real(self, target)\n"
        "    if left[0] == 0: os.kill(os.getpid(), 9)\n"
        "    left[0] -= 1; return done\n"
        "Path.replace = replace\n"
        "from challenge.training.promotion import promote; promote(*sys.argv[1:])"
    ).replace("STEP", str(step))
    asked = [sys.executable, "-c", program, str(candidates[2]), str(used)]
    code = subprocess.run(asked).returncode
    assert code in (-signal.SIGKILL, 0)
    assert short(used) in (short(candidates[1]), short(candidates[2]))
    DelayModel.load(used).verify()
    promote(candidates[3], used)
    assert short(used) == short(candidates[3])
    back = rollback(used)
    assert back in (short(candidates[1]), short(candidates[2]))


def test_a_folder_that_cannot_be_written_to_is_told(used, candidates):
    history = used.with_name(f"{used.name}.history")
    history.write_text("a file in the way")
    with pytest.raises(HistoryError, match="cannot be changed"):
        promote(candidates[1], used)
    assert short(used) == short(candidates[0])


def test_the_command_promotes_lists_and_takes_back(used, candidates, capsys):
    model = ["--model", str(used)]
    assert main(["model", "promote", str(candidates[1]), *model]) == 0
    assert main(["model", "list", *model]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == f"{used} is now {short(candidates[1])}"
    assert [line[0] for line in lines[1:]] == [" ", "*"]
    assert main(["model", "rollback", *model]) == 0
    assert short(used) == short(candidates[0])
    assert main(["model", "rollback", *model]) == 1
    assert "has no model before it" in capsys.readouterr().err


def test_a_model_that_ranks_worse_is_not_promoted(
    schedule_model, candidates, sample_csv, tmp_path, capsys
):
    used = shutil.copy(schedule_model, tmp_path / "model.pkl")
    asked = ["model", "promote", str(candidates[0]), "--model", str(used)]
    assert main([*asked, "--flights", str(sample_csv)]) == 3
    assert "the model is worse than" in capsys.readouterr().err
    assert short(used) == short(schedule_model)
    better = ["model", "promote", str(schedule_model), "--model", str(candidates[6])]
    assert main([*better, "--flights", str(sample_csv)]) == 0
    assert "average precision" in capsys.readouterr().out
    shutil.rmtree(f"{candidates[6]}.history")


def test_going_back_is_not_going_back_to_the_flights_of_last_night(
    schedule_model, last_weeks, candidates, tmp_path
):
    used = shutil.copy(candidates[0], tmp_path / "model.pkl")
    promote(schedule_model, used)
    weeks = pd.read_csv(last_weeks)
    for night in range(3):
        until = f"2017-12-{20 + night}"
        weeks[weeks["Fecha-I"] < until].to_csv(tmp_path / "weeks.csv", index=False)
        update(used, tmp_path / "weeks.csv", tmp_path / "tonight.pkl")
        promote(tmp_path / "tonight.pkl", used)
    assert DelayModel.load(used).card.live.until.startswith("2017-12-22T0")
    assert fingerprints(used) == [short(candidates[0]), short(used)]
    assert rollback(used) == short(candidates[0])
