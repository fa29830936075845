"""Commands that train models: `train`, `update` and `tune`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from challenge.cli.options import (
    FILES,
    Classifier,
    Json,
    ModelFile,
    PastFlights,
    Scheduler,
    SkipInvalid,
)
from challenge.cli.output import print_dialects, print_model_json, spinner
from challenge.cli.reading import reads_flights
from challenge.files.formats import ReadOptions

if TYPE_CHECKING:
    from challenge.training.threshold import ThresholdRule


@reads_flights
def train(
    source: PastFlights,
    output: Annotated[Path, typer.Argument(help="Model file to write.")],
    classifier: Classifier = "xgboost",
    features: Annotated[
        Literal["top10", "all", "schedule"],
        typer.Option(
            help="Features. schedule: airline, type and month, optionally destination "
            "and time; all: without the optional ones; top10: the ten columns of the "
            "notebook."
        ),
    ] = "schedule",
    threshold: Annotated[
        float | None,
        typer.Option(
            min=0,
            max=1,
            help="Predict a delay above this probability. By default the delay rate.",
        ),
    ] = None,
    false_alarm_cost: Annotated[
        float | None,
        typer.Option(
            min=0,
            help="Cost of a false alarm: choose the threshold with the lowest cost. "
            "Requires --missed-delay-cost.",
        ),
    ] = None,
    missed_delay_cost: Annotated[
        float | None, typer.Option(min=0, help="Cost of a missed delay.")
    ] = None,
    min_recall: Annotated[
        float | None,
        typer.Option(
            min=0,
            max=1,
            help="Choose the highest threshold that catches this share of the delays.",
        ),
    ] = None,
    capacity: Annotated[
        float | None,
        typer.Option(
            min=0,
            max=1,
            help="Predict a delay for at most this share of the flights, like 0.1.",
        ),
    ] = None,
    baseline: Annotated[
        Path | None,
        typer.Option(
            help="Write nothing if the model is worse than this one (exit code 3)."
        ),
    ] = None,
    skip_invalid: SkipInvalid = False,
    scheduler: Scheduler = None,
    as_json: Json = False,
    *,
    reading: ReadOptions,
) -> None:
    """Train a model on past flights and evaluate it on held-out ones.

    Examples:

        flight-prophet train flights.parquet model.pkl

        flight-prophet train nycflights13.csv.gz model.pkl --origin JFK

        flight-prophet train flights.csv model.pkl --min-recall 0.7 --baseline model.pkl

        flight-prophet train 'flights/*.parquet' model.pkl --scheduler tcp://host:8786
    """
    rule = _threshold_rule(
        threshold, false_alarm_cost, missed_delay_cost, min_recall, capacity
    )
    from challenge.cli.summaries.training import print_training
    from challenge.training.recipe import Recipe
    from challenge.training.train import train as run

    recipe = Recipe(classifier, features)
    with spinner("Training") as progress:
        training = run(
            source,
            output,
            recipe,
            rule,
            baseline,
            skip_invalid,
            reading,
            scheduler,
            lambda done, of: progress(f"{done:,} of {of:,} files"),
        )
    print_dialects(training.dataset.counted.read_as)
    if as_json:
        print_model_json(output)
    else:
        print_training(training, output)


@reads_flights
def update(
    model: ModelFile,
    flights: Annotated[
        str,
        typer.Argument(
            help=f"Flights of the last weeks as they left: {FILES} An empty Fecha-O is "
            "a flight that has not left."
        ),
    ],
    output: Annotated[
        Path, typer.Argument(help="Model file to write; may be the same file.")
    ],
    skip_invalid: SkipInvalid = False,
    as_json: Json = False,
    *,
    reading: ReadOptions,
) -> None:
    """Replace the flights of the last 30 days that a model keeps.

    Flights of the next four weeks are predicted with how these left, by airline,
    destination and aircraft. Run it every night.

    Example:

        flight-prophet update model.pkl last_weeks.csv new.pkl &&
        flight-prophet model promote new.pkl --model model.pkl
    """
    from challenge.cli.summaries.training import print_update
    from challenge.files.history import update as run

    with spinner("Updating"):
        updated = run(model, flights, output, skip_invalid, reading)
    print_dialects(updated.read_as)
    if as_json:
        print_model_json(output)
    else:
        print_update(updated, output)


@reads_flights
def tune(
    source: PastFlights,
    classifier: Classifier = "xgboost",
    skip_invalid: SkipInvalid = False,
    *,
    reading: ReadOptions,
) -> None:
    """Search the parameters of a classifier by cross-validation.

    The third of the flights that `train` evaluates on is left out. Prints a Markdown
    table, the best parameters first.

    Example:

        flight-prophet tune flights.parquet --classifier logistic-regression
    """
    from challenge.training.data.dataset import read_dataset
    from challenge.training.tuning import tune as run
    from challenge.training.tuning import tuning_table

    with spinner("Tuning"):
        dataset = read_dataset(source, skip_invalid, reading)
        tuned = run(classifier, dataset)
    print_dialects(dataset.counted.read_as)
    print(tuning_table(tuned))


def _threshold_rule(
    threshold: float | None,
    false_alarm_cost: float | None,
    missed_delay_cost: float | None,
    min_recall: float | None,
    capacity: float | None,
) -> ThresholdRule:
    from challenge.training.threshold import (
        Balanced,
        Capacity,
        Given,
        LeastCost,
        MinRecall,
    )

    if (false_alarm_cost is None) != (missed_delay_cost is None):
        raise typer.BadParameter(
            "--false-alarm-cost and --missed-delay-cost go together"
        )
    for option, value in (
        ("--false-alarm-cost", false_alarm_cost),
        ("--missed-delay-cost", missed_delay_cost),
        ("--min-recall", min_recall),
        ("--capacity", capacity),
    ):
        if value == 0:
            raise typer.BadParameter(f"{option} must be above 0")
    rules: list[ThresholdRule] = []
    if threshold is not None:
        rules.append(Given(threshold))
    if false_alarm_cost is not None and missed_delay_cost is not None:
        rules.append(LeastCost(false_alarm_cost, missed_delay_cost))
    if min_recall is not None:
        rules.append(MinRecall(min_recall))
    if capacity is not None:
        rules.append(Capacity(capacity))
    if len(rules) > 1:
        raise typer.BadParameter(
            "choose the threshold in one way: --threshold, the costs, --min-recall, or "
            "--capacity"
        )
    return rules[0] if rules else Balanced()
