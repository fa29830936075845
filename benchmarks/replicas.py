"""One server, several workers, and several servers behind nginx, on this machine.

    python benchmarks/replicas.py MODEL [--rounds N] [--seconds N]

Needs wrk and nginx. The load, nginx and all servers share this machine's cores, so the
table tells what each way costs, not what more machines would give.
"""

from __future__ import annotations

import argparse
import re
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import httpx

ROOT = Path(__file__).parents[1]
BIN = Path(sys.executable).parent
LUA = """
wrk.method = "POST"
wrk.headers["content-type"] = "application/json"
wrk.body = '{"flights":[{"OPERA":"Grupo LATAM","TIPOVUELO":"I","MES":7}]}'
"""
LATE = {"OPERA": "Grupo LATAM", "TIPOVUELO": "I", "MES": 7}
ON_TIME = {"OPERA": "Aerolineas Argentinas", "TIPOVUELO": "N", "MES": 3}
WAYS = {
    "one process": (1, 1, False),
    "two workers": (1, 2, False),
    "one behind nginx": (1, 1, True),
    "two behind nginx": (2, 1, True),
    "four behind nginx": (4, 1, True),
}


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


@contextmanager
def running(command: list[str], url: str) -> Iterator[None]:
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    try:
        for _ in range(200):
            try:
                httpx.get(f"{url}/health/ready").raise_for_status()
                break
            except httpx.HTTPError:
                time.sleep(0.05)
        yield
    finally:
        process.terminate()
        process.wait()


@contextmanager
def serving(model: str, replicas: int, workers: int, nginx: bool) -> Iterator[str]:
    with ExitStack() as stack:
        ports = [free_port() for _ in range(replicas)]
        for port in ports:
            serve = [str(BIN / "flight-prophet"), "serve", model, "--port", str(port)]
            command = [*serve, "--workers", str(workers)]
            stack.enter_context(running(command, f"http://127.0.0.1:{port}"))
        if not nginx:
            yield f"http://127.0.0.1:{ports[0]}"
            return
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        text = (ROOT / "deploy/nginx/nginx.conf").read_text()
        servers = "".join(f"server 127.0.0.1:{port};\n" for port in ports)
        text = re.sub(r"(?:server 127\.0\.0\.1:.*\n\s*)+", servers, text)
        port = free_port()
        config = folder / "nginx.conf"
        config.write_text(text.replace("listen 8000", f"listen 127.0.0.1:{port}"))
        options = f"daemon off; pid {folder}/pid; error_log {folder}/log;"
        command = ["nginx", "-c", str(config), "-p", str(folder), "-g", options]
        url = f"http://127.0.0.1:{port}"
        stack.enter_context(running(command, url))
        yield url


def load(url: str, seconds: int, script: Path) -> float:
    # Far from the threshold on either side, under every model of the SCL 2017 flights.
    answer = httpx.post(f"{url}/predict", json={"flights": [LATE, ON_TIME]}).json()
    assert answer == {"predict": [1, 0]}, answer
    told = subprocess.run(
        ["wrk", "-t1", "-c64", f"-d{seconds}s", "-s", str(script), f"{url}/predict"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert "Non-2xx" not in told and "Socket errors" not in told, told
    (rate,) = re.findall(r"Requests/sec:\s+([\d.]+)", told)
    return float(rate)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=int, default=4)
    options = parser.parse_args()
    rates = defaultdict(list)
    with tempfile.TemporaryDirectory() as name:
        script = Path(name, "load.lua")
        script.write_text(LUA)
        for _ in range(options.rounds):
            for way, (replicas, workers, nginx) in WAYS.items():
                with serving(options.model, replicas, workers, nginx) as url:
                    load(url, 1, script)
                    rates[way].append(load(url, options.seconds, script))
    one = statistics.median(rates["one process"])
    print(f"{'median':20}{'requests/s':>12}{'ratio':>8}")
    for way, found in rates.items():
        rate = statistics.median(found)
        print(f"{way:20}{rate:12,.0f}{rate / one:8.2f}")


if __name__ == "__main__":
    main()
