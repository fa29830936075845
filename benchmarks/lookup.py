"""What the answer to a flight costs, from a table and without one.

    python benchmarks/lookup.py MODEL [--flights N] [--rounds N]

Asks a model with a table in this process about random flights, each once, and explains
some of them; then the same as a model of too many cells for a table. Medians.
"""

from __future__ import annotations

import argparse
import random
import statistics
import time

from msgspec import structs

from challenge.artifact import model_file
from challenge.artifact.stored_table import stored_table
from challenge.model import DelayModel

EXPLAINED = 20


def without_table(path: str) -> DelayModel:
    model = DelayModel.load(path)
    stored, _ = model_file.read(path)
    stored = structs.replace(stored, table=None)
    model.table = stored_table(stored, model.grid, model.features)
    return model


def seconds(model: DelayModel, cells: list[int]) -> dict[str, float]:
    start = time.perf_counter()
    answers = model.predict_cells(cells)
    answered = time.perf_counter()
    assert 0 < min(answers) and max(answers) < 1
    model.explain(cells[:1])
    explaining = time.perf_counter()
    model.explain(cells[:EXPLAINED])
    explained = time.perf_counter() - explaining
    return {
        "answer": (answered - start) / len(cells),
        "explanation": explained / EXPLAINED,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model")
    parser.add_argument("--flights", type=int, default=50_000)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    found: dict[str, list[dict[str, float]]] = {"table": [], "computed": []}
    for _ in range(options.rounds):
        with_table, computed = (
            DelayModel.load(options.model),
            without_table(options.model),
        )
        cells = random.sample(range(with_table.grid.cells), options.flights)
        for kind, model in (("table", with_table), ("computed", computed)):
            found[kind].append(seconds(model, cells))
    for kind, runs in found.items():
        for measure in runs[0]:
            median = statistics.median(run[measure] for run in runs)
            print(f"{kind:10} {measure:12} {1e6 * median:12,.2f} µs a flight")


if __name__ == "__main__":
    main()
