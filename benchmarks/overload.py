"""What becomes of requests when five times as many come as can be answered.

    python benchmarks/overload.py MODEL [--flights 2000] [--times 5] [--seconds 10]

An open loop: requests are due at fixed times, whether earlier ones were answered or
not, as the world sends them. They go over connections that stay open, as those of
clients and load balancers do. Latencies count from when a request was due, so that
waiting for a connection is part of them. The server has one worker and the client a
process of its own; both need a core.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import resource
import signal
import socket
import statistics
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import uvloop

ROOT = Path(__file__).parents[1]
AIRLINES = ("Grupo LATAM", "Sky Airline", "Aerolineas Argentinas", "Copa Air")


class Connection(asyncio.Protocol):
    """Sends one request at a time and hands back the status of its answer."""

    def __init__(self) -> None:
        self.received = b""
        self.answer: asyncio.Future[tuple[int, bytes]] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def ask(self, request: bytes) -> asyncio.Future[tuple[int, bytes]]:
        self.received = b""
        self.answer = asyncio.get_running_loop().create_future()
        self.transport.write(request)
        return self.answer

    def data_received(self, data: bytes) -> None:
        self.received += data
        head, found, body = self.received.partition(b"\r\n\r\n")
        if not found or self.answer is None or self.answer.done():
            return
        length = int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0])
        if len(body) >= length:
            self.answer.set_result((int(head[9:12]), body))

    def connection_lost(self, error: Exception | None) -> None:
        if self.answer is not None and not self.answer.done():
            self.answer.set_exception(
                ConnectionError(f"{error} {self.received[:30]!r}")
            )


class Client:
    """Asks over so many connections, opened beforehand."""

    def __init__(self, port: int, request: bytes, right: bytes) -> None:
        self.port, self.request, self.right = port, request, right
        self.idle: asyncio.Queue[Connection] = asyncio.Queue()
        self.seconds: dict[str, list[float]] = {}
        self.behind = 0.0

    async def connect(self, connections: int) -> None:
        for _ in range(connections):
            self.idle.put_nowait(await self.connection())

    async def connection(self) -> Connection:
        loop = asyncio.get_running_loop()
        _, made = await loop.create_connection(Connection, "127.0.0.1", self.port)
        return made

    async def ask(self, due: float) -> str:
        """What came of a request: `200`, `503`, `wrong`, or an error's name."""
        connection = await self.idle.get()
        try:
            if connection.transport.is_closing():
                connection = await self.connection()
            async with asyncio.timeout(30):
                status, body = await connection.ask(self.request)
            outcome = str(status)
            if status == 200 and body != self.right:
                outcome = "wrong"
        except (OSError, TimeoutError) as error:
            outcome = type(error).__name__
        self.idle.put_nowait(connection)
        self.seconds.setdefault(outcome, []).append(time.perf_counter() - due)
        return outcome

    async def open_loop(self, rate: float, seconds: float) -> None:
        start = time.perf_counter()
        tasks = set()
        for number in range(int(rate * seconds)):
            due = start + number / rate
            if (early := due - time.perf_counter()) > 0:
                await asyncio.sleep(early)
            self.behind = max(self.behind, time.perf_counter() - due)
            task = asyncio.create_task(self.ask(due))
            tasks.add(task)
            task.add_done_callback(tasks.discard)
        await asyncio.gather(*tasks)

    async def closed_loop(self, connections: int, seconds: float) -> float:
        """The rate at which so many clients are answered that ask in turn."""
        until = time.perf_counter() + seconds

        async def ask() -> int:
            answered = 0
            while (now := time.perf_counter()) < until:
                answered += await self.ask(now) == "200"
            return answered

        return sum(await asyncio.gather(*(ask() for _ in range(connections)))) / seconds

    def take(self) -> dict[str, list[float]]:
        taken, self.seconds = self.seconds, {}
        return taken


def p(seconds: list[float], share: float) -> float:
    return sorted(seconds)[min(int(len(seconds) * share), len(seconds) - 1)] * 1_000


async def recovery(client: Client, usual: float) -> float:
    """Seconds until ten requests in a row are answered about as fast as before."""
    start = last_slow = time.perf_counter()
    in_a_row = 0
    while in_a_row < 10:
        now = time.perf_counter()
        assert now < start + 30, "it does not recover"
        outcome = await client.ask(now)
        fast = outcome == "200" and time.perf_counter() - now < 3 * usual
        in_a_row = in_a_row + 1 if fast else 0
        last_slow = last_slow if fast else time.perf_counter()
    return last_slow - start


async def measure(port: int, options: argparse.Namespace) -> dict[str, float]:
    flights = [
        {"OPERA": AIRLINES[n % 4], "TIPOVUELO": "IN"[n % 2], "MES": 1 + n % 12}
        for n in range(options.flights)
    ]
    body = json.dumps({"flights": flights}).encode()
    head = "POST /predict?details=true HTTP/1.1\r\nhost: here\r\ncontent-type: application/json\r\n"
    request = head.encode() + b"content-length: %d\r\n\r\n%b" % (len(body), body)
    _, first = await asyncio.get_running_loop().create_connection(
        Connection, "127.0.0.1", port
    )
    status, right = await first.ask(request)
    decisions = json.loads(right)["predict"]
    assert status == 200 and len(decisions) == options.flights
    assert len(set(decisions)) == 2, "all answers are the same"
    client = Client(port, request, right)
    await client.connect(options.connections)
    await client.closed_loop(1, 1)
    client.take()
    await client.closed_loop(1, 3)
    alone = client.take()["200"]
    rate = await client.closed_loop(4, 3)
    client.take()
    await client.open_loop(rate * options.times, options.seconds)
    found = client.take()
    back = await recovery(client, statistics.median(alone))
    accepted, refused = found.get("200", []), found.get("503", [])
    others = Counter({k: len(v) for k, v in found.items() if k not in ("200", "503")})
    assert accepted and not others, dict(others)
    return {
        "sustainable requests/s": rate,
        "sent requests/s": rate * options.times,
        "accepted requests/s": len(accepted) / options.seconds,
        "refused requests/s": len(refused) / options.seconds,
        "p99 unloaded, ms": p(alone, 0.99),
        "p50 accepted, ms": p(accepted, 0.5),
        "p99 accepted, ms": p(accepted, 0.99),
        "p99 over unloaded": p(accepted, 0.99) / p(alone, 0.99),
        "p50 refused, ms": p(refused, 0.5) if refused else 0.0,
        "p99 refused, ms": p(refused, 0.99) if refused else 0.0,
        "client behind at most, ms": client.behind * 1_000,
        "back after, s": back,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model")
    parser.add_argument("--flights", type=int, default=2000)
    parser.add_argument("--times", type=float, default=5)
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--connections", type=int, default=500)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [
        sys.executable,
        "-c",
        "from challenge.cli import main; main()",
        "serve",
    ]
    server = subprocess.Popen(
        [*command, options.model, "--port", str(port)],
        stderr=subprocess.DEVNULL,
        env=os.environ | {"LOG_FORMAT": "json"},
        cwd=ROOT,
    )
    try:
        for _ in range(100):
            try:
                socket.create_connection(("127.0.0.1", port)).close()
                break
            except OSError:
                time.sleep(0.1)
        rounds = [uvloop.run(measure(port, options)) for _ in range(options.rounds)]
    finally:
        server.send_signal(signal.SIGTERM)
        server.wait()
    print(f"{options.flights} flights a request, medians of {options.rounds} rounds")
    for name in rounds[0]:
        print(f"{name:28} {statistics.median(r[name] for r in rounds):10.1f}")


if __name__ == "__main__":
    main()
