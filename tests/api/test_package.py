"""The package as other programs import it: test suites, servers, notebooks."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import challenge
from challenge.errors import FlightProphetError
from tests.conftest import ROOT, TEST_MODEL


def run(program: str, model: Path = TEST_MODEL) -> subprocess.CompletedProcess[str]:
    """A program in an interpreter that has imported nothing yet."""
    return subprocess.run(
        [sys.executable, "-c", program],
        env=os.environ | {"MODEL_FILEPATH": str(model), "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )


@pytest.mark.parametrize(
    "program",
    [
        # What mockito's when("challenge.classifier.Classifier").predict(ANY) does.
        "from challenge import app\n"
        "import challenge\n"
        "Classifier = getattr(getattr(challenge, 'classifier'), 'Classifier')\n"
        "assert callable(Classifier.predict)",
        "import challenge; challenge.classifier.Classifier",
        "import challenge; challenge.model.DelayModel",
        "import challenge; challenge.api.create_app",
        "import challenge, challenge.model, challenge.classifier, challenge.api\n"
        "challenge.model.DelayModel, challenge.classifier.Classifier\n"
        "challenge.api.create_app",
        "from challenge import api, classifier, model; model.DelayModel",
        "from challenge import app, application; assert app is application",
        "import challenge; assert challenge.api.app is challenge.app",
        "import challenge; assert hasattr(challenge.api, 'app')",
        # Where `fastapi run` and `fastapi dev` look.
        "import challenge.api; assert 'app' in dir(challenge.api)",
        "from challenge.api import create_app; create_app()",
    ],
)
def test_everything_is_reachable_in_a_fresh_interpreter(program):
    result = run(program)
    assert result.returncode == 0, result.stderr


@pytest.mark.parametrize(
    "expression",
    [
        "from challenge import app",
        "from challenge import application",
        "import challenge; hasattr(challenge, 'app')",
        "import challenge.api; hasattr(challenge.api, 'app')",
        "import challenge.api; challenge.api.create_app()",
    ],
)
def test_without_a_model_an_error_says_so_and_ends_no_interpreter(expression, tmp_path):
    missing = tmp_path / "model.pkl"
    program = f"""
from challenge.errors import FlightProphetError
try:
    {expression}
except FlightProphetError as error:
    print(error)
"""
    result = run(program, missing)
    assert result.returncode == 0, result.stderr
    [line] = result.stdout.splitlines()
    assert str(missing) in line
    assert "make model-train" in line


def test_importing_reads_no_model(tmp_path):
    result = run(
        "import challenge, challenge.api, challenge.model; print(challenge.__version__)",
        tmp_path / "model.pkl",
    )
    assert result.stdout.strip() == challenge.__version__, result.stderr


def test_a_wrong_setting_is_an_error_too(monkeypatch):
    monkeypatch.setenv("MAX_FLIGHTS", "none")
    with pytest.raises(FlightProphetError, match="MAX_FLIGHTS"):
        challenge.api.create_app()


def test_a_name_that_the_package_lacks_is_told():
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        challenge.nothing  # noqa: B018
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        challenge.api.nothing  # noqa: B018
