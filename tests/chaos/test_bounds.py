"""Whatever one request is, it is answered or refused soon, takes little memory, and others
do not wait for it. Each case is sent to a real server of one worker under a memory cap.
"""

from __future__ import annotations

import contextlib
import json
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.api.conftest import FLIGHT, Server, capped_server

MEMORY_MB = 200
WAIT_SECONDS = 0.5
ANSWER_SECONDS = 60
BODY_BYTES = 32 * 1024 * 1024
INFER = "/v2/models/delay/infer"
JSON = {"Content-Type": "application/json"}


@pytest.fixture(scope="module")
def server(tmp_path_factory) -> Iterator[Server]:
    with capped_server(tmp_path_factory.mktemp("bounds") / "server.log") as server:
        yield server


def filled(item: bytes, before: bytes, behind: bytes, size: int = BODY_BYTES) -> bytes:
    """So many items that a body is as large as it may be."""
    times = (size - len(before) - len(behind)) // (len(item) + 1)
    return before + b",".join([item] * times) + behind


def flights(item: bytes) -> bytes:
    return filled(item, b'{"flights":[', b"]}")


def names(before: bytes, behind: bytes) -> bytes:
    """An object of millions of different names."""
    some = (b'"%07d":1' % number for number in range(BODY_BYTES // 12 - 10))
    return before + b",".join(some) + behind


TENSOR = b'{"inputs":[{"name":"OPERA","datatype":"BYTES",'
BODIES = {
    "lists": ("/predict", lambda: flights(b"[]"), 413),
    "objects": ("/predict", lambda: flights(b"{}"), 413),
    "numbers": ("/predict", lambda: flights(b"1"), 413),
    "texts": ("/predict", lambda: flights(b'"a"'), 413),
    "valid flights": (
        "/predict",
        lambda: filled(
            b'{"OPERA":"a","TIPOVUELO":"b","MES":1}', b'{"top":1,"flights":[', b"]}"
        ),
        413,
    ),
    "one flight of lists": (
        "/predict",
        lambda: filled(b"[]", b'{"flights":[[', b"]]}"),
        400,
    ),
    "one flight of names": ("/predict", lambda: names(b'{"flights":[{', b"}]}"), 400),
    "one long name": (
        "/predict",
        lambda: b'{"flights":[{"OPERA":"' + b"x" * (BODY_BYTES - 50) + b'"}]}',
        400,
    ),
    "one long number": (
        "/predict",
        lambda: b'{"flights":[' + b"1" * (BODY_BYTES - 50) + b"]}",
        400,
    ),
    "blanks": ("/predict", lambda: b'{"flights":[' + b" " * 33_000_000 + b"]}", 400),
    "names": ("/predict", lambda: names(b"{", b"}"), 400),
    "a list": ("/predict", lambda: filled(b"[]", b"[", b"]"), 400),
    "an object of flights": (
        "/predict",
        lambda: filled(b'"a":1', b'{"flights":{', b"}}"),
        400,
    ),
    "nested": (
        "/predict",
        lambda: b'{"flights":' + b"[" * 16_000_000 + b"]" * 16_000_000 + b"}",
        400,
    ),
    "no JSON": ("/predict", lambda: b"\0" * BODY_BYTES, 400),
    "too long": ("/predict", lambda: b" " * (BODY_BYTES + 1), 413),
    "rank top": ("/rank", lambda: filled(b"[]", b'{"top":[', b'],"flights":[]}'), 400),
    "explain": ("/explain", lambda: flights(b"{}"), 413),
    "infer objects": (INFER, lambda: filled(b"{}", b'{"inputs":[', b"]}"), 400),
    "infer tensors": (
        INFER,
        lambda: filled(b'{"name":"","shape":[],"datatype":""}', b'{"inputs":[', b"]}"),
        400,
    ),
    "infer data": (
        INFER,
        lambda: filled(b"[]", TENSOR + b'"shape":[1],"data":[', b"]}]}"),
        400,
    ),
    "infer shape": (INFER, lambda: filled(b"1", TENSOR + b'"shape":[', b"]}]}"), 400),
    "infer parameters": (
        INFER,
        lambda: filled(b"[]", b'{"parameters":{"a":[', b']},"inputs":[]}'),
        400,
    ),
    "infer outputs": (
        INFER,
        lambda: filled(b'{"name":"delay"}', b'{"inputs":[],"outputs":[', b"]}"),
        400,
    ),
    "100,000 empty flights": (
        "/predict",
        lambda: b'{"flights":[' + b",".join([b"{}"] * 100_000) + b"]}",
        400,
    ),
    "100,000 unknown names": (
        "/predict",
        lambda: json.dumps(
            {"flights": [FLIGHT | {"OPERA": f"x{n}"} for n in range(100_000)]}
        ).encode(),
        400,
    ),
    "100,000 flights": (
        "/predict?details=true",
        lambda: json.dumps({"flights": [FLIGHT] * 100_000}).encode(),
        200,
    ),
}


class Neighbour:
    """Another client, who asks about one flight again and again."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.waited = 0.0
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> Neighbour:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._ended.set()
        self._thread.join()

    def _run(self) -> None:
        with httpx.Client(timeout=ANSWER_SECONDS) as client:
            while not self._ended.wait(0.005):
                start = time.perf_counter()
                answer = client.post(
                    f"{self.server.url}/predict", json={"flights": [FLIGHT]}
                )
                assert answer.status_code == 200
                self.waited = max(self.waited, time.perf_counter() - start)


@contextlib.contextmanager
def watched(server: Server) -> Iterator[None]:
    """While the block runs, the server's memory and its other clients are watched."""
    process = Path(f"/proc/{server.process.pid}")
    process.joinpath("clear_refs").write_text("5")
    before = memory(process, "VmRSS")
    with Neighbour(server) as neighbour:
        start = time.perf_counter()
        yield
        assert time.perf_counter() - start < ANSWER_SECONDS
    assert memory(process, "VmHWM") - before < MEMORY_MB
    assert neighbour.waited < WAIT_SECONDS


def memory(process: Path, name: str) -> float:
    lines = process.joinpath("status").read_text().splitlines()
    return int(next(one for one in lines if one.startswith(name)).split()[1]) / 1024


@pytest.mark.parametrize("case", BODIES)
def test_a_body_of_any_kind_is_bounded(case, server):
    path, make, status = BODIES[case]
    body = make()
    with watched(server):
        answer = httpx.post(
            server.url + path, content=body, headers=JSON, timeout=ANSWER_SECONDS
        )
    assert answer.status_code == status
    if status != 200:
        faults = answer.json()["detail"]
        assert all(fault["msg"] and fault["type"] for fault in faults)
        assert len(faults) <= 101
        assert len(answer.content) < 100_000
        assert ("error" in answer.json()) == (path == INFER)


def test_bodies_that_are_held_together_are_bounded(server):
    """Each is one value that cannot be cut, and its end does not come."""
    head = (
        f"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
        f"Content-Length: {BODY_BYTES}\r\n\r\n"
    ).encode()
    value = b'{"flights":[{"OPERA":"' + b"x" * (BODY_BYTES - 1_000)
    with watched(server), contextlib.ExitStack() as stack:
        clients = []
        for _ in range(24):
            clients.append(stack.enter_context(server.connect()))
        threads = [
            threading.Thread(target=send_what_is_taken, args=(one, head + value))
            for one in clients
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(ANSWER_SECONDS)
        time.sleep(0.2)
        statuses = [status_of(client) for client in clients]
        assert {503, None} == set(statuses)
        # Those that are held are few, and go on.
        assert statuses.count(None) <= 2


def send_what_is_taken(client: socket.socket, data: bytes) -> None:
    with contextlib.suppress(OSError):
        client.sendall(data)


def status_of(client: socket.socket) -> int | None:
    """The status of the answer; None if there is none yet."""
    client.settimeout(0.2)
    try:
        return int(client.recv(65_536).split()[1])
    except TimeoutError:
        return None
    except (OSError, IndexError):
        return 503  # closed before the answer was read


@pytest.mark.parametrize(
    "head",
    [
        b"GET /health HTTP/1.1\r\n" + b"X-A: 0123456789\r\n" * 1_000_000,
        b"GET /health HTTP/1.1\r\nX-A: " + b"x" * 50_000_000,
        b"GET /health HTTP/1.1\r\n" + b"x" * 50_000_000,
        b"GET /" + b"x" * 50_000_000,
        b"GET /health?" + b"x=1&" * 10_000_000,
    ],
    ids=["many", "one long", "a long name", "a long path", "a long query"],
)
def test_headers_are_refused_while_they_arrive(head, server):
    with watched(server):
        with server.connect() as client:
            send_what_is_taken(client, head)
            with contextlib.suppress(ConnectionResetError):
                answer = client.recv(65_536)
                assert answer.split()[1] == b"431"
                assert b'"msg":"the headers are over 65,536 bytes"' in answer


def test_trailers_are_bounded_as_well(server):
    head = (
        b"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
        b"Transfer-Encoding: chunked\r\n\r\n1\r\n{\r\n0\r\n"
    )
    with watched(server):
        with server.connect() as client:
            send_what_is_taken(client, head + b"X-A: 0123456789\r\n" * 3_000_000)
