"""An offer to upgrade to another protocol is ignored, and the request answered."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.api.conftest import FLIGHT, Server
from tests.conftest import TEST_MODEL

BODY = json.dumps({"flights": [FLIGHT]}).encode()
LENGTH = b"Content-Length: %d\r\n" % len(BODY)
CHUNKED = b"Transfer-Encoding: chunked\r\n"
IN_CHUNKS = b"5\r\n%b\r\n%x\r\n%b\r\n0\r\n\r\n" % (BODY[:5], len(BODY) - 5, BODY[5:])
# As Java's HttpClient and `curl --http2` send it.
H2C = (
    b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n"
    b"HTTP2-Settings: AAEAAEAAAAIAAAABAAMAAABkAAQBAAAAAAUAAEAA\r\n"
)
WEBSOCKET = (
    b"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
)
# Would be a second request, if a body was taken for what follows it.
SMUGGLED = b"GET /health HTTP/1.1\r\nHost: smuggled\r\n\r\n"


@pytest.fixture(scope="module")
def server(tmp_path_factory) -> Iterator[Server]:
    server = Server(TEST_MODEL, 1, tmp_path_factory.mktemp("upgrade") / "log", {})
    yield server
    server.end()


def post(headers: bytes, body: bytes, path: bytes = b"/predict") -> bytes:
    return (
        b"POST %b HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n%b\r\n%b"
        % (path, headers, body)
    )


def get(headers: bytes, path: bytes = b"/health") -> bytes:
    return b"GET %b HTTP/1.1\r\nHost: x\r\n%b\r\n" % (path, headers)


def answers(
    server: Server, sent: list[bytes], expected: int
) -> list[tuple[int, bytes]]:
    """The statuses and bodies of the answers, in their order."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as client:
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for part in sent:
            client.sendall(part)
        reader = client.makefile("rb")
        found = []
        for _ in range(expected):
            status = int(reader.readline().split()[1])
            length = 0
            while (line := reader.readline()) != b"\r\n":
                name, _, value = line.partition(b":")
                if name.lower() == b"content-length":
                    length = int(value)
            found.append((status, reader.read(length)))
        client.settimeout(0.1)
        with pytest.raises(TimeoutError):
            client.recv(1)  # no more answers than requests
        reader.close()
    return found


@pytest.mark.parametrize("upgrade", [H2C, WEBSOCKET], ids=["h2c", "websocket"])
@pytest.mark.parametrize(
    ("framing", "body"),
    [(LENGTH, BODY), (CHUNKED, IN_CHUNKS)],
    ids=["length", "chunks"],
)
def test_a_request_that_offers_an_upgrade_is_answered(framing, body, upgrade, server):
    asked = post(upgrade + framing, body)
    found = answers(server, [asked, get(b"")], 2)
    assert found == [(200, b'{"predict":[1]}'), (200, b'{"status":"OK"}')]


@pytest.mark.parametrize("upgrade", [H2C, WEBSOCKET], ids=["h2c", "websocket"])
def test_a_request_without_a_body_is_answered_and_so_is_the_next(upgrade, server):
    found = answers(server, [get(upgrade) + get(b"") + get(upgrade)], 3)
    assert found == [(200, b'{"status":"OK"}')] * 3


def test_very_many_of_them_at_once_are_answered(server):
    found = answers(server, [get(H2C) * 2_000], 2_000)
    assert found == [(200, b'{"status":"OK"}')] * 2_000


@pytest.mark.parametrize(
    ("framing", "body"),
    [
        (b"Content-Length: %d\r\n" % len(SMUGGLED), SMUGGLED),
        (CHUNKED, b"%x\r\n%b\r\n0\r\n\r\n" % (len(SMUGGLED), SMUGGLED)),
    ],
)
def test_a_body_is_never_taken_for_a_request(framing, body, server):
    found = answers(server, [post(H2C + framing, body), get(b"")], 2)
    assert [status for status, _ in found] == [400, 200]


@given(cuts=st.lists(st.integers(1, 700), max_size=8))
@settings(max_examples=25, deadline=None)
def test_it_does_not_matter_how_the_bytes_arrive(cuts, server):
    whole = post(H2C + LENGTH, BODY) + get(b"") + post(H2C + CHUNKED, IN_CHUNKS)
    places = sorted({0, *(cut for cut in cuts if cut < len(whole)), len(whole)})
    parts = [whole[begin:end] for begin, end in zip(places, places[1:])]
    found = answers(server, parts, 3)
    assert [status for status, _ in found] == [200, 200, 200]
    assert found[0][1] == found[2][1] == b'{"predict":[1]}'


def test_a_body_that_is_framed_in_two_ways_is_refused(server):
    asked = post(H2C + LENGTH + CHUNKED, BODY)
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as client:
        client.sendall(asked)
        assert client.recv(65_536).startswith(b"HTTP/1.1 400 ")
