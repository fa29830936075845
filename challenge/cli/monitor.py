"""Commands that compare predictions that were made: `monitor` and `replay`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from challenge.cli.exit_codes import WORSE
from challenge.cli.options import DEFAULT_MODEL, HistoryOption, Json, ModelOption
from challenge.cli.output import print_json, spinner
from challenge.cli.reading import reads_flights
from challenge.files.formats import ReadOptions


@reads_flights(past=False)
def monitor(
    predictions: Annotated[
        Path,
        typer.Argument(
            help="Predictions: a file written by `predict`, or the PREDICTION_LOG of a "
            "server."
        ),
    ],
    flights: Annotated[
        Path,
        typer.Argument(help="The same flights with their departure times (Fecha-O)."),
    ],
    model: ModelOption = DEFAULT_MODEL,
    as_json: Json = False,
    *,
    reading: ReadOptions,
) -> None:
    """Compare predictions with departures, week by week.

    Exits with 3 if they are worse than the card of the model states: if the 95 %
    interval of the ROC AUC or the calibration error is entirely worse than the card's.

    Examples:

        flight-prophet monitor predictions.parquet departed.csv --model model.pkl

        flight-prophet monitor /var/log/flight-prophet departed.csv
    """
    from challenge.cli.summaries.monitoring import print_monitoring
    from challenge.model import DelayModel
    from challenge.training.evaluate.monitor import monitor as run

    card = DelayModel.load(model).card
    found = run(predictions, flights, card, reading)
    if as_json:
        print_json(found.to_dict())
    else:
        print_monitoring(found)
    if found.is_worse:
        raise typer.Exit(WORSE)


@reads_flights(past=False)
def replay(
    log: Annotated[
        Path,
        typer.Argument(help="Prediction log of a server: a file or the folder."),
    ],
    candidate: Annotated[Path, typer.Argument(help="File of the new model.")],
    departures: Annotated[
        Path | None,
        typer.Option(
            help="The same flights with their departure times (Fecha-O), to see which "
            "predictions were better."
        ),
    ] = None,
    max_flips: Annotated[
        float | None,
        typer.Option(
            min=0, max=1, help="Exit with 3 if a larger share of the decisions changes."
        ),
    ] = None,
    no_worse: Annotated[
        bool,
        typer.Option(
            "--no-worse",
            help="Exit with 3 if the new model is worse than the logged predictions. "
            "Requires --departures.",
        ),
    ] = False,
    history: HistoryOption = None,
    as_json: Json = False,
    *,
    reading: ReadOptions,
) -> None:
    """Predict logged flights with a new model and compare the predictions.

    Each flight is predicted with what was known when it was answered, as the log tells.

    Worse means that the 95 % interval of the paired difference in average precision or
    Brier score is entirely on the worse side of zero.

    Examples:

        flight-prophet replay /var/log/flight-prophet new.pkl --max-flips 0.05

        flight-prophet replay log new.pkl --departures departed.csv --no-worse

        flight-prophet replay log new.pkl --history last_weeks.csv
    """
    if no_worse and departures is None:
        raise typer.BadParameter("--no-worse requires --departures")
    from challenge.cli.summaries.monitoring import print_replay
    from challenge.files.history import on_day
    from challenge.model import DelayModel
    from challenge.training.evaluate.replay import replay as run

    with spinner("Replaying"):
        model = on_day(DelayModel.load(candidate), history, None, None, reading)
        found = run(log, model, departures, reading)
    if as_json:
        print_json(found.to_dict())
    else:
        print_replay(found)
    flips_too_much = max_flips is not None and found.flip_share > max_flips
    if flips_too_much or (no_worse and found.is_worse):
        raise typer.Exit(WORSE)
