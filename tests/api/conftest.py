"""Real servers, started as `flight-prophet serve` starts them."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from tests.conftest import TEST_MODEL

FLIGHT = {"OPERA": "Grupo LATAM", "TIPOVUELO": "I", "MES": 7}
MEMORY_CAP = 512 * 1024 * 1024
PROGRAM = "from challenge.cli import main; exit(main())"


def wait_for(condition: Callable[[], object], seconds: float = 20) -> None:
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, f"it did not happen in {seconds} s"
        time.sleep(0.02)


class Server:
    """A server that runs.

    Args:
        model: the file to serve.
        workers: how many processes serve.
        stderr: where its log goes.
        settings: in the environment.
        memory_cap: how many bytes of data the process may have.
    """

    def __init__(
        self,
        model: Path,
        workers: int,
        stderr: Path,
        settings: dict[str, str],
        memory_cap: int | None = None,
    ) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self.log_path = stderr
        options = ["--port", str(self.port), "--workers", str(workers)]
        program = PROGRAM
        if memory_cap is not None:
            limit = f"resource.setrlimit(resource.RLIMIT_DATA, ({memory_cap},) * 2)"
            program = f"import resource; {limit}; {PROGRAM}"
        with stderr.open("wb") as stream:
            self.process = subprocess.Popen(
                [sys.executable, "-c", program, "serve", str(model), *options],
                env=os.environ | settings,
                stderr=stream,
            )
        wait_for(self.answers)

    @property
    def log(self) -> str:
        return self.log_path.read_text()

    def answers(self) -> bool:
        try:
            return httpx.get(f"{self.url}/health/ready", timeout=5).is_success
        except httpx.TransportError:
            assert self.process.poll() is None, self.log
            return False

    def connect(self) -> socket.socket:
        """A connection for requests that no client library sends."""
        connection = socket.create_connection(("127.0.0.1", self.port), timeout=20)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return connection

    def predict(self, *flights: dict[str, object]) -> list[int]:
        asked = {"flights": list(flights) or [FLIGHT]}
        answer = httpx.post(f"{self.url}/predict", json=asked, timeout=20)
        answer.raise_for_status()
        found: list[int] = answer.json()["predict"]
        return found

    def metric(self, name: str) -> float:
        """The value of a metric, named with its labels."""
        text = httpx.get(f"{self.url}/metrics", timeout=20).text
        found = re.search(rf"^{re.escape(name)} (\S+)$", text, re.MULTILINE)
        return float(found[1]) if found else 0.0

    def workers(self) -> set[int]:
        pid = self.process.pid
        listed = Path(f"/proc/{pid}/task/{pid}/children").read_text()
        return set(map(int, listed.split()))

    def end(self) -> None:
        """By all means."""
        if self.process.poll() is None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.stop(5)
        self.process.kill()
        self.process.wait()

    def stop(self, seconds: float = 20) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(seconds)


@contextlib.contextmanager
def capped_server(log: Path) -> Iterator[Server]:
    """One that fails where it takes much memory, and must not."""
    server = Server(TEST_MODEL, 1, log, {}, memory_cap=MEMORY_CAP)
    try:
        yield server
    finally:
        server.end()
    assert "Traceback" not in server.log


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[..., Server]]:
    """Starts servers; settings are named as in the environment."""
    started: list[Server] = []

    def start(
        model: Path = TEST_MODEL,
        workers: int = 2,
        stderr: Path | None = None,
        **settings: object,
    ) -> Server:
        log = stderr or tmp_path / f"server-{len(started)}.log"
        texts = {name: str(value) for name, value in settings.items()}
        started.append(Server(model, workers, log, texts))
        return started[-1]

    yield start
    for server in started:
        server.end()
