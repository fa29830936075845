"""Commands that predict files of flights: `predict` and `rank`."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from challenge.cli.options import (
    DEFAULT_MODEL,
    FILE,
    AtOption,
    Flights,
    HistoryOption,
    Json,
    LeadOption,
    ModelOption,
    Scheduler,
    Unknown,
    check_day_options,
)
from challenge.cli.output import print_dialects, print_json, spinner
from challenge.cli.reading import reads_flights
from challenge.files.formats import ReadOptions
from challenge.files.rejected_rows import Invalid

if TYPE_CHECKING:
    from challenge.files.answers import PredictionCounts
    from challenge.files.ranking import RankedFlight


@reads_flights(past=False)
def predict(
    source: Flights,
    output: Annotated[
        Path | None,
        typer.Argument(
            help="Output file: the input with the columns `probability` and `delay`, in "
            "the same format; for several files a new folder. Without it the delays are "
            "only counted."
        ),
    ] = None,
    model: ModelOption = DEFAULT_MODEL,
    invalid: Annotated[
        Invalid,
        typer.Option(
            help="What to do with invalid rows: stop; keep them without a prediction, the "
            "fault in a column `fault`; or write only them, the fault in a column "
            "`problem`, and predict nothing."
        ),
    ] = "stop",
    unknown: Unknown = "reject",
    scheduler: Scheduler = None,
    history: HistoryOption = None,
    lead: LeadOption = None,
    at: AtOption = None,
    as_json: Json = False,
    *,
    reading: ReadOptions,
) -> None:
    """Predict the delays of flights in files of any size.

    Flights up to four weeks after those that the model keeps, or --history has, are
    predicted with how these left.

    Examples:

        flight-prophet predict flights.csv predictions.csv

        flight-prophet predict flights.parquet --model model.pkl --json

        flight-prophet predict today.csv predictions.csv --history last_weeks.csv

        flight-prophet predict 'flights/*.parquet' output --scheduler tcp://host:8786
    """
    from challenge.files.many_files import predict_files

    check_day_options(at, lead)
    with spinner("Predicting") as progress:
        counts = predict_files(
            model,
            source,
            output,
            invalid,
            reading,
            scheduler,
            progress,
            average=unknown == "average",
            history=history,
            at=at,
            lead=lead,
        )
    print_dialects(counts.read_as)
    if as_json:
        names = ("rows", "delayed", "invalid", "averaged")
        print(json.dumps({name: getattr(counts, name) for name in names}))
        return
    from challenge.cli.tables import columns, show

    rows = f"{counts.rows:,}"
    if output is None or invalid != "only":
        rows += f", {counts.delayed:,} predicted to be late"
    rejected = str(counts.rejected) if counts.invalid else "none"
    told = [("rows", rows), ("invalid", rejected)]
    if counts.averaged:
        told.append(("unknown, averaged", _averaged_text(counts)))
    show(columns(told))


@reads_flights(past=False)
def rank(
    schedule: Annotated[Path, typer.Argument(help=f"Flights: {FILE}.")],
    top: Annotated[int, typer.Option(min=1, help="Number of flights.")] = 20,
    model: ModelOption = DEFAULT_MODEL,
    unknown: Unknown = "reject",
    history: HistoryOption = None,
    lead: LeadOption = None,
    at: AtOption = None,
    as_json: Json = False,
    *,
    reading: ReadOptions,
) -> None:
    """List the flights most likely to be delayed.

    Prints a table on a terminal, and CSV with all columns of the file into a pipe.

    Examples:

        flight-prophet rank tomorrow.csv --top 20

        flight-prophet rank tomorrow.parquet > first.csv
    """
    from challenge.files.history import on_day
    from challenge.files.ranking import expected_late, rank_file
    from challenge.model import DelayModel

    check_day_options(at, lead)
    with spinner("Ranking"):
        loaded = on_day(DelayModel.load(model), history, at, lead, reading)
        average = unknown == "average"
        ranked, counts = rank_file(loaded, schedule, top, reading, average)
    print_dialects(counts.read_as)
    late = expected_late([one.probability for one in ranked])
    if as_json:
        flights = [
            {"row": one.row, "probability": one.probability} | one.values
            for one in ranked
        ]
        print_json(
            {
                "rows": counts.rows,
                "averaged": counts.averaged,
                "expected_late": late,
                "flights": flights,
            }
        )
        return
    if counts.averaged:
        typer.echo(f"unknown, averaged: {_averaged_text(counts)}", err=True)
    if sys.stdout.isatty():
        _print_ranked(
            ranked,
            f"of {counts.rows:,} flights; about {late:.1f} of these will be late",
        )
    else:
        names = list(ranked[0].values) if ranked else []
        writer = csv.writer(sys.stdout, lineterminator="\n")
        writer.writerow(["row", "probability", *names])
        for one in ranked:
            writer.writerow([one.row, f"{one.probability:.6f}", *one.values.values()])


def _averaged_text(counts: PredictionCounts) -> str:
    return ", ".join(f"{count:,} {name}" for name, count in counts.averaged.items())


def _print_ranked(ranked: Sequence[RankedFlight], caption: str) -> None:
    from challenge.cli.tables import show, table
    from challenge.flights.fields import FLIGHT_FIELDS

    fields = [name for name in FLIGHT_FIELDS if ranked and name in ranked[0].values]
    cells = (
        [
            str(one.row),
            f"{one.probability:.1%}",
            *(str(one.values[name] or "") for name in fields),
        ]
        for one in ranked
    )
    show(table(["row", "probability", *fields], cells, left=fields), caption)
