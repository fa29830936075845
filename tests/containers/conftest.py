"""Containers of the image that CONTAINER_IMAGE names (`make container-test`)."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable, Iterator

import httpx
import pytest


def docker(*arguments: str, check: bool = True) -> str:
    run = subprocess.run(
        ["docker", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert not check or run.returncode == 0, run.stdout
    return run.stdout.strip()


@pytest.fixture(scope="session")
def image() -> str:
    """Without an engine the tests do not run; .ci/run says so before it comes here."""
    return os.environ["CONTAINER_IMAGE"]


class Container:
    """A container that was started, and the address of its server."""

    def __init__(self, name: str, image: str, *options: str) -> None:
        self.name = name
        self.started = time.monotonic()
        docker(
            "run", "--detach", "--name", name, "-p", "127.0.0.1::8000", *options, image
        )

    @property
    def url(self) -> str:
        return f"http://{docker('port', self.name, '8000').splitlines()[0]}"

    def inspect(self, what: str) -> str:
        return docker("inspect", "--format", f"{{{{{what}}}}}", self.name)

    def wait_until_healthy(self, seconds: float) -> float:
        """Wait, and return how many seconds after its start it was healthy."""
        while time.monotonic() - self.started < seconds:
            if self.inspect(".State.Health.Status") == "healthy":
                return time.monotonic() - self.started
            time.sleep(0.1)
        raise AssertionError(docker("logs", self.name))

    def predict(self, **flight: object) -> object:
        asked = {"OPERA": "Grupo LATAM", "TIPOVUELO": "I", "MES": 7} | flight
        answer = httpx.post(f"{self.url}/predict", json={"flights": [asked]})
        return answer.raise_for_status().json()


@pytest.fixture
def start(image: str) -> Iterator[Callable[..., Container]]:
    started: list[Container] = []

    def start_one(*options: str) -> Container:
        name = f"flight-prophet-test-{os.getpid()}-{len(started)}"
        started.append(Container(name, image, *options))
        return started[-1]

    yield start_one
    for container in started:
        docker("rm", "--force", container.name, check=False)
