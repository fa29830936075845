"""The project's files agree with each other."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import typer

from challenge.cli import app
from challenge.serving.settings import Settings
from tests.conftest import ROOT


def text(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def versions(name: str) -> dict[str, str]:
    return dict(re.findall(r"^([\w.-]+)==([\w.]+)", text(name), flags=re.MULTILINE))


@pytest.mark.parametrize("tool", ["black", "isort"])
def test_hooks_format_as_the_code_quality_check_does(tool):
    [hook] = re.findall(rf"\[{tool}==([\w.]+)\]", text(".pre-commit-config.yaml"))
    assert hook == versions("requirements-dev.txt")[tool]


@pytest.mark.parametrize("extra", ["train", "demo", "test", "dev"])
def test_every_environment_serves_with_the_same_versions(extra):
    served = versions("requirements.txt")
    assert "fastapi" in served
    assert served.items() <= versions(f"requirements-{extra}.txt").items()


def test_locks_hold_hashes_and_name_no_host():
    names = [path.name for path in ROOT.glob("requirements*.txt")]
    assert len(names) == 6
    for name in names:
        assert "--hash=sha256:" in text(name)
        assert not re.search(r"https?://|file:|--index|--find-links", text(name))


def test_serving_installs_no_training_library():
    heavy = {"numpy", "pandas", "scikit-learn", "scipy", "xgboost", "xgboost-cpu"}
    assert heavy.isdisjoint(versions("requirements.txt"))


def leaf_commands(command, *names):
    for name, one in getattr(command, "commands", {}).items():
        yield from leaf_commands(one, *names, name)
    if not hasattr(command, "commands"):
        yield " ".join(names)


def test_every_command_is_in_the_documents():
    commands = list(leaf_commands(typer.main.get_command(app)))
    assert {"update", "replay", "model promote", "live push"} <= set(commands)
    documented = text("docs/using.md")
    assert [name for name in commands if f"`{name}`" not in documented] == []


def test_every_setting_is_in_the_documents():
    documented = text("docs/operations.md")
    names = [name.upper() for name in Settings.model_fields]
    assert "PREDICTION_LOG_DAYS" in names
    assert [name for name in names if f"`{name}`" not in documented] == []


def test_every_alert_is_in_the_runbook_and_has_a_test():
    alerts = re.findall(r"alert: (\w+)", text("deploy/monitoring/alerts.yml"))
    assert "FlightProphetPredictionsNotLogged" in alerts
    runbook, tests = (
        text(name)
        for name in ("docs/operations.md", "deploy/monitoring/alerts.test.yml")
    )
    assert [name for name in alerts if f"| {name} |" not in runbook] == []
    assert [name for name in alerts if f"alertname: {name}" not in tests] == []


def test_make_prints_every_target_with_one_line():
    printed = subprocess.run(
        ["make", "--no-print-directory"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    described = {line.split()[0] for line in printed.splitlines() if len(line) > 25}
    [phony] = re.findall(r"^\.PHONY: ((?:.*\\\n)*.*)$", text("Makefile"), re.MULTILINE)
    assert described == set(phony.replace("\\", "").split())


def release(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    script = folder / ".github/scripts/release.py"
    return subprocess.run(
        [sys.executable, script, *arguments], capture_output=True, text=True
    )


@pytest.fixture
def copied(tmp_path):
    for name in ("pyproject.toml", "CHANGELOG.md", ".github/scripts/release.py"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    return tmp_path


def test_a_release_has_its_version_and_its_notes_in_one_place(copied):
    assert release(copied, "prepare", "9.8.7-rc1").returncode == 0
    assert 'version = "9.8.7-rc1"' in (copied / "pyproject.toml").read_text()
    assert release(copied, "check", "v9.8.7-rc1").returncode == 0
    notes = release(copied, "notes", "v9.8.7-rc1").stdout
    assert notes.startswith("### ")
    assert "POST /predict" in notes


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["prepare", "1.2"], "is not a version like 1.2.3"),
        (["check", "v9.8.7"], "is not the version in pyproject.toml"),
        (["notes", "v9.8.7"], "has no section for 9.8.7"),
        (["prepare"], "release.py prepare"),
    ],
)
def test_a_release_that_does_not_fit_is_refused(arguments, message, copied):
    run = release(copied, *arguments)
    assert run.returncode == 1
    assert message in run.stderr
    assert (copied / "CHANGELOG.md").read_text() == (ROOT / "CHANGELOG.md").read_text()
