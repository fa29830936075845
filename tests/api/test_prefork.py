"""Several processes behind one port: they share, replace each other, stop together."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from challenge.serving.server import prefork as workers
from challenge.serving.server.prefork import available_cpus
from tests.conftest import TEST_MODEL

FLIGHT = {"OPERA": "Grupo LATAM", "TIPOVUELO": "I", "MES": 7}


@pytest.fixture
def port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


@pytest.fixture(params=[1, 2])
def server(request, port) -> Iterator[subprocess.Popen[str]]:
    command = [
        sys.executable,
        "-c",
        "from challenge.cli import main; exit(main())",
    ]
    options = ["serve", str(TEST_MODEL), "--port", str(port)]
    process = subprocess.Popen(
        [*command, *options, "--workers", str(request.param)],
        stderr=subprocess.PIPE,
        text=True,
    )
    process.workers = request.param
    try:
        wait_for(lambda: answers(port))
        yield process
    finally:
        process.kill()
        process.communicate(timeout=20)


def answers(port: int) -> bool:
    try:
        url = f"http://127.0.0.1:{port}/predict"
        response = httpx.post(url, json={"flights": [FLIGHT]}, timeout=5)
    except httpx.TransportError:
        return False
    return response.json() == {"predict": [1]}


def wait_for(condition) -> None:
    until = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < until, "it did not happen in 20 s"
        time.sleep(0.05)


def children(pid: int) -> set[int]:
    listed = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    return set(map(int, listed.split()))


def test_sigterm_stops_it_with_exit_code_0(server, port):
    server.terminate()
    _, log = server.communicate(timeout=20)
    assert server.returncode == 0, log
    assert not answers(port)


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="needs /proc")
def test_a_worker_that_dies_is_replaced(server, port):
    if server.workers == 1:
        assert children(server.pid) == set()
        return
    before = children(server.pid)
    assert len(before) == 2
    victim = min(before)
    os.kill(victim, signal.SIGKILL)
    wait_for(
        lambda: len(children(server.pid)) == 2 and victim not in children(server.pid)
    )
    assert all(answers(port) for _ in range(10))


def test_a_model_that_cannot_be_read_starts_no_worker(tmp_path):
    program = "from challenge.cli import main; exit(main())"
    options = ["serve", str(tmp_path / "none.pkl"), "--workers", "2"]
    run = subprocess.run(
        [sys.executable, "-c", program, *options], capture_output=True, text=True
    )
    assert run.returncode == 1
    [line] = run.stderr.splitlines()
    assert "none.pkl' does not exist" in line


@pytest.mark.parametrize(
    ("files", "cpus"),
    [
        ({"cpu.max": "150000 100000\n"}, 1),
        ({"cpu.max": "50000 100000\n"}, 1),
        ({"cpu/cpu.cfs_quota_us": "100000\n", "cpu/cpu.cfs_period_us": "100000\n"}, 1),
        ({"cpu.max": "max 100000\n"}, None),
        ({"cpu/cpu.cfs_quota_us": "-1\n", "cpu/cpu.cfs_period_us": "100000\n"}, None),
        ({}, None),
    ],
)
def test_the_cpus_are_those_that_a_container_may_use(
    files, cpus, tmp_path, monkeypatch
):
    for name, text in files.items():
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    monkeypatch.setattr(workers, "CGROUP", tmp_path)
    assert available_cpus() == (cpus or len(os.sched_getaffinity(0)))
