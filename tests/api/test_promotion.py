"""Promotion reaches running servers, and status tells whether all serve the same."""

from __future__ import annotations

import json
import shutil

import pytest

from challenge.cli import main
from tests.api.conftest import wait_for
from tests.api.test_reload import OFTEN, never_late
from tests.conftest import TEST_MODEL

__all__ = ["never_late"]


@pytest.fixture
def used(tmp_path):
    return shutil.copy(TEST_MODEL, tmp_path / "model.pkl")


def test_a_promoted_model_is_served_by_every_worker_of_every_server(
    used, never_late, serve, capsys
):
    servers = [serve(used, workers=2, **OFTEN) for _ in range(2)]
    urls = [server.url for server in servers]
    assert main(["model", "status", *urls, "--json"]) == 0
    before = json.loads(capsys.readouterr().out)
    assert [list(of_server.values()) for of_server in before.values()] == [[2], [2]]
    assert main(["model", "promote", str(never_late), "--model", str(used)]) == 0
    capsys.readouterr()

    def now():
        main(["model", "status", *urls, "--json"])
        return json.loads(capsys.readouterr().out)

    wait_for(lambda: now() != before and main(["model", "status", *urls]) == 0)
    wait_for(lambda: all(server.predict() == [0] for server in servers))
    assert main(["model", "rollback", "--model", str(used)]) == 0
    capsys.readouterr()
    wait_for(lambda: now() == before)
    assert all(server.predict() == [1] for server in servers)


def test_servers_that_differ_are_told_by_the_exit_code(never_late, serve, capsys):
    urls = [serve(TEST_MODEL).url, serve(never_late, workers=1).url]
    assert main(["model", "status", *urls]) == 3
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[1:] for line in lines] == [
        ["2", "workers", urls[0]],
        ["1", "workers", urls[1]],
    ]


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("http://127.0.0.1:9", "cannot be asked"),
        ("file:///etc/passwd", "is no address like http://host:8000"),
    ],
)
def test_a_server_that_does_not_answer_is_told(url, problem, capsys):
    assert main(["model", "status", url]) == 1
    assert problem in capsys.readouterr().err
