"""The command `evaluate`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from challenge.cli.options import (
    AtOption,
    HistoryOption,
    Json,
    LeadOption,
    ModelFile,
    PastFlights,
    SkipInvalid,
    check_day_options,
)
from challenge.cli.output import print_dialects, print_json, spinner
from challenge.cli.reading import reads_flights
from challenge.files.formats import ReadOptions


@reads_flights
def evaluate(
    model: ModelFile,
    source: PastFlights,
    skip_invalid: SkipInvalid = False,
    as_json: Json = False,
    report: Annotated[
        Path | None, typer.Option(help="Write an HTML report with charts to this file.")
    ] = None,
    history: HistoryOption = None,
    lead: LeadOption = None,
    at: AtOption = None,
    live: Annotated[
        bool,
        typer.Option(
            "--live",
            help="Also ask about the last third by date from 14 days to 15 minutes before "
            "each flight, with what was known by then of the flights before and of the "
            "aircraft.",
        ),
    ] = False,
    *,
    reading: ReadOptions,
) -> None:
    """Evaluate a model on flights that it was not trained on.

    Trains the same kind of model on a part of the flights and evaluates it on the rest:
    on a random third, and on the last third by date. A model that was trained on other
    data is also evaluated as it is, and with --history, --lead or --at also as it
    answers with what was known then.

    Examples:

        flight-prophet evaluate model.pkl flights.csv --report report.html

        flight-prophet evaluate model.pkl flights.csv --live --timezone America/Santiago

        flight-prophet evaluate model.pkl flights.csv --history flights.csv --lead 60

        flight-prophet evaluate model.pkl flights.csv --json
    """
    check_day_options(at, lead)
    from challenge.cli.summaries.evaluation import print_evaluation
    from challenge.cli.summaries.live import print_live
    from challenge.files.history import on_day
    from challenge.model import DelayModel
    from challenge.training.data.dataset import read_dataset
    from challenge.training.data.past import read_past
    from challenge.training.evaluate.asked import evaluate_asked
    from challenge.training.evaluate.evaluation import evaluate as run
    from challenge.training.evaluate.live import evaluate_live

    with spinner("Evaluating"):
        dataset = read_dataset(source, skip_invalid, reading)
        loaded = DelayModel.load(model)
        evaluation = run(loaded, dataset)
        asked = None
        if history is not None or lead is not None or at is not None:
            on_that_day = on_day(loaded, history, at, lead, reading)
            asked = evaluate_asked(on_that_day, source, skip_invalid, reading)
        replayed = None
        if live:
            past = read_past(source, dataset, skip_invalid, reading)
            replayed = evaluate_live(evaluation.recipe, past)
    print_dialects(dataset.counted.read_as)
    if report is not None:
        from challenge.training.report.report import write_report

        write_report(evaluation, report, replayed)
    if as_json:
        print_json(
            evaluation.to_dict()
            | {
                "asked": asked and asked.to_dict(),
                "live": replayed and replayed.to_dict(),
            }
        )
        return
    print_evaluation(evaluation, asked)
    if live:
        print()
        print_live(replayed)
