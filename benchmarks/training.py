"""Training against its yardstick, a row-wise pandas script, as whole processes.

    python benchmarks/training.py [DATA] [--runs N]

Prints the median seconds of each and their ratio, run in turns so that a busy machine
slows both.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]
COMMANDS = {
    "row-wise pandas script": ["benchmarks/rowwise_training.py"],
    "train.py, notebook's model": [
        *("train.py", "--features", "top10", "--classifier", "logistic-regression")
    ],
    "train.py, default model": ["train.py"],
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", nargs="?", default="data/data.csv")
    parser.add_argument("--runs", type=int, default=5)
    options = parser.parse_args()
    seconds: dict[str, list[float]] = {name: [] for name in COMMANDS}
    with tempfile.TemporaryDirectory() as folder:
        for _ in range(options.runs):
            for name, (script, *arguments) in COMMANDS.items():
                command = [sys.executable, script, options.data, f"{folder}/m.pkl"]
                start = time.perf_counter()
                subprocess.run(
                    [*command, *arguments], cwd=ROOT, check=True, capture_output=True
                )
                seconds[name].append(time.perf_counter() - start)
    yardstick = statistics.median(next(iter(seconds.values())))
    for name, runs in seconds.items():
        median = statistics.median(runs)
        print(f"{name:28} {median:6.2f} s   {median / yardstick:5.2f}")


if __name__ == "__main__":
    main()
