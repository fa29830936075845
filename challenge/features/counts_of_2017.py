"""The counts of the public SCL 2017 dataset, where the project's figures are at hand."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Final

import numpy as np

from challenge.features.counts import Counts
from challenge.flights.fields import MONTH
from challenge.flights.rules import FlightRules

FIGURES: Final = (
    Path(__file__).parents[2] / "data/figures/flights_by_month_airline_city.csv"
)


def counts_of_2017(rules: FlightRules) -> Counts:
    """The flights by month, airline, flight type and destination."""
    with FIGURES.open(encoding="utf-8", newline="") as stream:
        lines = list(csv.DictReader(stream))
    flights = [rules.read(line | {MONTH: int(line[MONTH])}) for line in lines]
    counted = [[int(line["flights"]), int(line["delayed"])] for line in lines]
    return Counts(np.array(flights, dtype=np.int16), *np.array(counted).T)
