"""The project's files agree with each other."""

from __future__ import annotations

import re
import subprocess

import pytest

from tests.conftest import ROOT


def text(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def versions(name: str) -> dict[str, str]:
    return dict(re.findall(r"^([\w.-]+)==([\w.]+)", text(name), flags=re.MULTILINE))


@pytest.mark.parametrize("tool", ["black", "isort"])
def test_hooks_format_as_the_code_quality_check_does(tool):
    [hook] = re.findall(rf"\[{tool}==([\w.]+)\]", text(".pre-commit-config.yaml"))
    assert hook == versions("requirements-dev.txt")[tool]


@pytest.mark.parametrize("extra", ["train", "test", "dev"])
def test_every_environment_serves_with_the_same_versions(extra):
    served = versions("requirements.txt")
    assert "fastapi" in served
    assert served.items() <= versions(f"requirements-{extra}.txt").items()


def test_locks_hold_hashes_and_name_no_host():
    names = [path.name for path in ROOT.glob("requirements*.txt")]
    assert len(names) == 4
    for name in names:
        assert "--hash=sha256:" in text(name)
        assert not re.search(r"https?://|file:|--index|--find-links", text(name))


def test_serving_installs_no_training_library():
    heavy = {"numpy", "pandas", "scikit-learn", "scipy", "xgboost", "xgboost-cpu"}
    assert heavy.isdisjoint(versions("requirements.txt"))


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
