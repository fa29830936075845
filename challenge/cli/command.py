"""The `flight-prophet` command.

Exit codes: 0 when all went well, 1 when the data or a model's file is no good, 2 when
the command is called wrongly, 3 when a new model is worse than its baseline or changes
too much, or live predictions are worse than promised, or servers serve different models.
"""

from __future__ import annotations

import contextlib
import csv
import gc
import hashlib
import json
import re
import secrets
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from challenge.errors import FlightProphetError, WorseModelError

if TYPE_CHECKING:
    from challenge.files.ranking import RankedFlight
    from challenge.training.threshold import ThresholdRule

FAILED = 1
MISUSED = 2
WORSE = 3

app = typer.Typer(
    name="flight-prophet",
    help="Will a flight leaving Santiago de Chile be more than 15 minutes late?",
    epilog="Exit codes: 0 when all went well, 1 when the data or a model's file is no "
    "good, 2 when the command is called wrongly, 3 when a new model is worse than its "
    "baseline or changes too much, live predictions are worse than promised, or servers "
    "serve different models.",
    no_args_is_help=True,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
)
models = typer.Typer(no_args_is_help=True)
app.add_typer(models, name="model", help="Look at models.")

Source = Annotated[
    str,
    typer.Argument(
        help="Past flights: a .csv, .csv.gz or .parquet file, a folder or a pattern of "
        "them, here or at an address like s3://bucket/flights/*.parquet."
    ),
]
Scheduler = Annotated[
    str | None,
    typer.Option(
        help="Let a Dask cluster do it: the address of its scheduler, or local for one "
        "process a CPU."
    ),
]
SkipInvalid = Annotated[
    bool,
    typer.Option(
        "--skip-invalid", help="Leave out invalid rows instead of stopping at them."
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON, for machines.")]


@app.command()
def train(
    source: Source,
    output: Annotated[Path, typer.Argument(help="The model's file.")],
    classifier: Annotated[
        Literal["logistic-regression", "xgboost"],
        typer.Option(help="What learns."),
    ] = "xgboost",
    features: Annotated[
        Literal["top10", "all", "schedule"],
        typer.Option(
            help="What it sees of a flight. schedule: airline, type, month, and "
            "optionally destination and time; all: without the optional ones; "
            "top10: the notebook's ten columns."
        ),
    ] = "schedule",
    threshold: Annotated[
        float | None,
        typer.Option(
            min=0,
            max=1,
            help="Warn above this probability. By default above the delay rate.",
        ),
    ] = None,
    false_alarm_cost: Annotated[
        float | None,
        typer.Option(min=0, help="Warn where it costs least; with the next."),
    ] = None,
    missed_delay_cost: Annotated[
        float | None, typer.Option(min=0, help="See --false-alarm-cost.")
    ] = None,
    min_recall: Annotated[
        float | None,
        typer.Option(
            min=0, max=1, help="Warn of this share of the delays, as rarely as can be."
        ),
    ] = None,
    capacity: Annotated[
        float | None,
        typer.Option(
            min=0, max=1, help="Warn of this share of the flights at most, like 0.1."
        ),
    ] = None,
    baseline: Annotated[
        Path | None,
        typer.Option(
            help="Write nothing if the model is worse than this one (exit 3)."
        ),
    ] = None,
    skip_invalid: SkipInvalid = False,
    scheduler: Scheduler = None,
    as_json: Json = False,
) -> None:
    """Train a model of past flights, measure it on held-out ones, and write it.

    Examples:

        flight-prophet train flights.parquet model.pkl

        flight-prophet train flights.csv model.pkl --min-recall 0.7 --baseline model.pkl

        flight-prophet train 'flights/*.parquet' model.pkl --scheduler tcp://host:8786
    """
    rule = _threshold_rule(
        threshold, false_alarm_cost, missed_delay_cost, min_recall, capacity
    )
    from challenge.cli.summaries import training_summary
    from challenge.training.recipe import Recipe
    from challenge.training.train import train as run

    recipe = Recipe(classifier, features)
    with _busy("Training") as tell:
        training = run(
            source,
            output,
            recipe,
            rule,
            baseline,
            skip_invalid,
            scheduler,
            lambda done, of: tell(f"{done:,} of {of:,} files"),
        )
    if as_json:
        _print_model(output)
    else:
        print(training_summary(training, output))


@app.command()
def predict(
    source: Annotated[
        str,
        typer.Argument(
            help="Flights: a .csv, .csv.gz or .parquet file, a folder or a pattern of "
            "them, here or at an address like s3://bucket/flights/*.parquet."
        ),
    ],
    output: Annotated[
        Path | None,
        typer.Argument(
            help="The same file with `probability` and `delay`, of the same kind; for "
            "several files a new folder. Without it the delays are only counted."
        ),
    ] = None,
    model: Annotated[
        Path, typer.Option(envvar="MODEL_FILEPATH", help="The model's file.")
    ] = Path("tmp/delay_model.pkl"),
    invalid: Annotated[
        Literal["stop", "keep"],
        typer.Option(
            help="What to do at invalid rows: stop, or keep them with empty answers "
            "and what is wrong in a column `fault`."
        ),
    ] = "stop",
    scheduler: Scheduler = None,
    as_json: Json = False,
) -> None:
    """Answer files of flights of any size.

    Examples:

        flight-prophet predict flights.csv answers.csv

        flight-prophet predict flights.parquet --model model.pkl --json

        flight-prophet predict 'flights/*.parquet' answers --scheduler tcp://host:8786
    """
    from challenge.files.many_files import predict_files

    with _busy("Answering") as tell:
        scored = predict_files(model, source, output, invalid, scheduler, tell)
    if as_json:
        counts = {
            name: getattr(scored, name) for name in ("rows", "delayed", "invalid")
        }
        print(json.dumps(counts))
        return
    print(f"rows     {scored.rows:,}, {scored.delayed:,} predicted to be late")
    print(f"invalid  {scored.rejected}" if scored.invalid else "invalid  none")


@app.command()
def rank(
    schedule: Annotated[
        Path, typer.Argument(help="Flights: a .csv, .csv.gz or .parquet file.")
    ],
    top: Annotated[int, typer.Option(min=1, help="How many flights.")] = 20,
    model: Annotated[
        Path, typer.Option(envvar="MODEL_FILEPATH", help="The model's file.")
    ] = Path("tmp/delay_model.pkl"),
    as_json: Json = False,
) -> None:
    """Tell which flights to look at first: those most probably late.

    A table on a terminal, CSV with all columns of the file in a pipe.

    Examples:

        flight-prophet rank tomorrow.csv --top 20

        flight-prophet rank tomorrow.parquet > first.csv
    """
    from challenge.files.ranking import expected_late, rank_file
    from challenge.model import DelayModel

    with _busy("Ranking"):
        ranked, rows = rank_file(DelayModel.load(model), schedule, top)
    if as_json:
        described = {
            "rows": rows,
            "expected_late": expected_late([one.probability for one in ranked]),
            "flights": [
                {"row": one.row, "probability": one.probability} | one.values
                for one in ranked
            ],
        }
        print(json.dumps(described, ensure_ascii=False, indent=2, default=str))
    elif sys.stdout.isatty():
        _print_ranked(ranked, rows)
    else:
        columns = list(ranked[0].values) if ranked else []
        writer = csv.writer(sys.stdout, lineterminator="\n")
        writer.writerow(["row", "probability", *columns])
        for one in ranked:
            writer.writerow([one.row, f"{one.probability:.6f}", *one.values.values()])


@app.command()
def serve(
    model: Annotated[
        Path,
        typer.Argument(envvar="MODEL_FILEPATH", help="The model's file."),
    ] = Path("tmp/delay_model.pkl"),
    host: Annotated[str, typer.Option(help="The address to listen at.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535)] = 8000,
    workers: Annotated[
        int,
        typer.Option(
            min=0,
            envvar="WORKERS",
            help="How many processes serve; 0 for one on each CPU available.",
        ),
    ] = 1,
) -> None:
    """Serve predictions over HTTP until SIGTERM or Ctrl+C.

    Everything else is set in the environment; the README lists the settings.

    Examples:

        flight-prophet serve model.pkl --port 9000

        API_KEYS=tower:… flight-prophet serve model.pkl --host 0.0.0.0 --workers 0
    """
    # Nothing that is imported and loaded for serving becomes garbage; looking for it
    # takes a tenth of the start.
    gc.disable()
    from challenge.api import create_app
    from challenge.serving.server.prefork import available_cpus
    from challenge.serving.server.prefork import run as run_workers

    count = workers or available_cpus()
    raise typer.Exit(run_workers(create_app(model), host, port, count))


@app.command()
def check(
    model: Annotated[
        Path, typer.Argument(envvar="MODEL_FILEPATH", help="The model's file.")
    ] = Path("tmp/delay_model.pkl"),
) -> None:
    """Read a model's file as a server would, and say what it is.

    Example:

        flight-prophet check model.pkl
    """
    from challenge.model import DelayModel

    loaded = DelayModel.load(model).verify()
    assert loaded.card is not None
    print(f"{loaded.card.classifier}, {loaded.card.features}, {loaded.card.created}")
    print(f"sha256:{loaded.fingerprint}")


@models.command()
def show(
    model: Annotated[
        Path, typer.Argument(envvar="MODEL_FILEPATH", help="The model's file.")
    ] = Path("tmp/delay_model.pkl"),
    as_json: Json = False,
) -> None:
    """Show a model's card: what it is, what it learned from, how good it was.

    Examples:

        flight-prophet model show model.pkl

        flight-prophet model show model.pkl --json | jq .card.metrics.forward.roc_auc
    """
    if as_json:
        _print_model(model)
        return
    from challenge.cli.model_card import card_text
    from challenge.model import DelayModel

    loaded = DelayModel.load(model)
    assert loaded.card is not None and loaded.fingerprint is not None
    print(card_text(loaded.card, loaded.vocabulary, loaded.fingerprint))


@models.command()
def status(
    urls: Annotated[list[str], typer.Argument(help="Servers: http://host:8000 …")],
    key: Annotated[
        str | None, typer.Option(envvar="API_KEY", help="For servers that need one.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Tell which model each worker of each server serves; exits with 3 if they differ.

    Example:

        flight-prophet model status http://10.0.0.1:8000 http://10.0.0.2:8000
    """
    from challenge.serving.served_models import served_models

    served = served_models(urls, key)
    if as_json:
        print(json.dumps(served, indent=2))
    else:
        for url, by_model in served.items():
            for fingerprint, workers in by_model.items():
                print(f"{fingerprint}  {workers:3} workers  {url}")
    if (
        len({fingerprint for by_model in served.values() for fingerprint in by_model})
        > 1
    ):
        raise typer.Exit(WORSE)


Used = Annotated[
    Path,
    typer.Option("--model", envvar="MODEL_FILEPATH", help="The model in use."),
]


@models.command()
def promote(
    candidate: Annotated[Path, typer.Argument(help="The new model's file.")],
    model: Used = Path("tmp/delay_model.pkl"),
    flights: Annotated[
        str | None,
        typer.Option(
            help="Flights as they left: nothing is promoted that ranks them worse than "
            "the model in use (exit 3). Take some that neither has seen."
        ),
    ] = None,
) -> None:
    """Put a model in the place of the one in use; running servers take it up.

    It is read as a server would, and must answer the known flights of its card. The
    last five models are kept beside the file.

    Examples:

        flight-prophet model promote new.pkl --model /model/delay_model.pkl

        flight-prophet model promote new.pkl --flights last_weeks.csv
    """
    from challenge.training.promotion import promote as run

    if flights is not None and model.exists():
        from challenge.model import DelayModel
        from challenge.training.data.dataset import read_dataset
        from challenge.training.evaluate.gate import compare_as_they_are

        comparison = compare_as_they_are(
            DelayModel.load(candidate), DelayModel.load(model), read_dataset(flights)
        )
        if comparison is not None and comparison.is_worse:
            raise WorseModelError(model, comparison)
        print(comparison or "no flights that both models can answer")
    print(f"{model} is now {run(candidate, model)}")


@models.command()
def rollback(model: Used = Path("tmp/delay_model.pkl")) -> None:
    """Put the model that was in use before in its place again.

    Example:

        flight-prophet model rollback --model /model/delay_model.pkl
    """
    from challenge.training.promotion import rollback as run

    print(f"{model} is now {run(model)}")


@models.command("list")
def list_models(
    model: Used = Path("tmp/delay_model.pkl"), as_json: Json = False
) -> None:
    """List the models that were promoted, the oldest first; * is the one in use.

    Example:

        flight-prophet model list --model /model/delay_model.pkl
    """
    from challenge.training.promotion import promotions

    past = promotions(model)
    if as_json:
        described = [one._asdict() | {"path": str(one.path)} for one in past]
        print(json.dumps(described, indent=2))
        return
    for one in past:
        mark = "*" if one.is_used else " "
        print(f"{mark} {one.number:6}  {one.fingerprint}  {one.path}")


@app.command()
def evaluate(
    model: Annotated[Path, typer.Argument(help="The model's file.")],
    source: Source,
    skip_invalid: SkipInvalid = False,
    as_json: Json = False,
    report: Annotated[
        Path | None, typer.Option(help="Write a report with pictures: an HTML file.")
    ] = None,
    rolling: Annotated[
        bool,
        typer.Option(
            "--rolling",
            help="Also play the months after training day by day, with a form that is "
            "updated each night, and without: those after the model's own flights, if "
            "there are some, else the last third in time.",
        ),
    ] = False,
) -> None:
    """Measure a kind of model on flights that it has not seen.

    The model is made anew from a part of the flights and judged by the others: by a
    random third, and by the last third in time. If it was trained on other data, it is
    judged as it is, too.

    Examples:

        flight-prophet evaluate model.pkl flights.csv --report report.html

        flight-prophet evaluate model.pkl flights.csv --rolling

        flight-prophet evaluate model.pkl flights.csv --json
    """
    from challenge.cli.summaries import evaluation_summary, rolling_summary
    from challenge.model import DelayModel
    from challenge.training.data.dataset import read_dataset
    from challenge.training.evaluate.evaluation import evaluate as run
    from challenge.training.form import play, play_as_it_is

    with _busy("Evaluating"):
        dataset = read_dataset(source, skip_invalid)
        loaded = DelayModel.load(model)
        evaluation = run(loaded, dataset)
        played = None
        if rolling:
            played = play_as_it_is(loaded, dataset)
            played = played or play(evaluation.recipe, dataset, evaluation.rule)
    if report is not None:
        from challenge.training.report.report import write_report

        write_report(evaluation, report)
    if as_json:
        described = evaluation.to_dict() | {"rolling": played and played.to_dict()}
        print(json.dumps(described, ensure_ascii=False, indent=2))
        return
    print(evaluation_summary(evaluation))
    if rolling:
        print(f"\n{rolling_summary(played)}")


@app.command()
def update(
    model: Annotated[Path, typer.Argument(help="The model's file.")],
    flights: Annotated[
        str,
        typer.Argument(
            help="The flights of the last weeks as they left, as `train` takes them."
        ),
    ],
    output: Annotated[
        Path, typer.Argument(help="The file to write; it may be the model's own.")
    ],
    skip_invalid: SkipInvalid = False,
    as_json: Json = False,
) -> None:
    """Let a model's answers move with how the last flights left.

    Airlines and routes that are later than the model says get a higher probability for
    the days to come, and less of it with each day. Run it every night.

    Example:

        flight-prophet update model.pkl last_weeks.csv new.pkl &&
        flight-prophet model promote new.pkl --model model.pkl
    """
    from challenge.cli.summaries import update_summary
    from challenge.training.form import update as run

    with _busy("Updating"):
        updated = run(model, flights, output, skip_invalid)
    if as_json:
        _print_model(output)
    else:
        print(update_summary(updated, output))


@app.command()
def tune(
    source: Source,
    classifier: Annotated[
        Literal["logistic-regression", "xgboost"], typer.Option(help="What learns.")
    ] = "xgboost",
    skip_invalid: SkipInvalid = False,
) -> None:
    """Cross-validate the parameters of a classifier over a small space.

    The third of the flights that training reports on is left out. Prints a table in
    Markdown, the best parameters first.

    Example:

        flight-prophet tune flights.parquet --classifier logistic-regression
    """
    from challenge.training.data.dataset import read_dataset
    from challenge.training.tuning import tune as run
    from challenge.training.tuning import tuning_table

    with _busy("Tuning"):
        tuned = run(classifier, read_dataset(source, skip_invalid))
    print(tuning_table(tuned))


@app.command()
def monitor(
    predictions: Annotated[
        Path,
        typer.Argument(
            help="What was predicted: a file that `predict` wrote, or the record that a "
            "server keeps in PREDICTION_LOG."
        ),
    ],
    flights: Annotated[
        Path, typer.Argument(help="The flights as they left, with Fecha-O.")
    ],
    model: Annotated[
        Path, typer.Option(envvar="MODEL_FILEPATH", help="The model that answered.")
    ] = Path("tmp/delay_model.pkl"),
    as_json: Json = False,
) -> None:
    """Measure predictions by what happened, week by week.

    Exits with 3 if they are worse than the model card promises: if the 95 % interval of
    the ROC AUC or of the calibration error lies wholly on the bad side of the card's.

    Examples:

        flight-prophet monitor answers.parquet departed.csv --model model.pkl

        flight-prophet monitor /var/log/flight-prophet departed.csv
    """
    from challenge.cli.summaries import monitoring_summary
    from challenge.model import DelayModel
    from challenge.training.evaluate.monitor import monitor as run

    card = DelayModel.load(model).card
    assert card is not None
    found = run(predictions, flights, card)
    if as_json:
        print(json.dumps(found.to_dict(), ensure_ascii=False, indent=2))
    else:
        print(monitoring_summary(found))
    if found.is_worse:
        raise typer.Exit(WORSE)


@app.command()
def replay(
    record: Annotated[
        Path,
        typer.Argument(help="What a server recorded: a file or the folder."),
    ],
    candidate: Annotated[Path, typer.Argument(help="The new model's file.")],
    departures: Annotated[
        Path | None,
        typer.Option(help="The flights as they left, with Fecha-O: which was right?"),
    ] = None,
    max_flips: Annotated[
        float | None,
        typer.Option(
            min=0, max=1, help="Exit with 3 if a larger share of the decisions flips."
        ),
    ] = None,
    no_worse: Annotated[
        bool,
        typer.Option(
            "--no-worse",
            help="Exit with 3 if the candidate was worse than what was answered; with "
            "--departures.",
        ),
    ] = False,
    as_json: Json = False,
) -> None:
    """Answer recorded flights with another model: what would change, and for the better?

    Worse means that the 95 % interval of the paired difference in average precision or
    in the Brier score lies wholly on the bad side of zero.

    Examples:

        flight-prophet replay /var/log/flight-prophet new.pkl --max-flips 0.05

        flight-prophet replay record new.pkl --departures departed.csv --no-worse
    """
    if no_worse and departures is None:
        raise typer.BadParameter("--no-worse needs --departures to judge by")
    from challenge.cli.summaries import replay_summary
    from challenge.model import DelayModel
    from challenge.training.evaluate.replay import replay as run

    with _busy("Replaying"):
        found = run(record, DelayModel.load(candidate), departures)
    if as_json:
        print(json.dumps(found.to_dict(), ensure_ascii=False, indent=2))
    else:
        print(replay_summary(found))
    flips_too_much = max_flips is not None and found.flip_share > max_flips
    if flips_too_much or (no_worse and found.is_worse):
        raise typer.Exit(WORSE)


@app.command("api-key")
def api_key(
    name: Annotated[str, typer.Argument(help="Whose key it is: letters, digits, _.-")],
) -> None:
    """Make a key for a client.

    The first line is the key, for the client's header `X-API-Key`; it is shown once and
    kept nowhere. The second is its entry in the server's setting `API_KEYS`.

    Example:

        flight-prophet api-key tower
    """
    if re.fullmatch(r"[\w.-]+", name) is None:
        raise typer.BadParameter(
            f"{name!r} has other characters than letters, digits, _.-"
        )
    key = secrets.token_urlsafe(32)
    print(key)
    print(f"{name}:{hashlib.sha256(key.encode()).hexdigest()}")


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
    rules: list[ThresholdRule] = []
    if threshold is not None:
        rules.append(Given(threshold))
    if false_alarm_cost is not None and missed_delay_cost is not None:
        if not (false_alarm_cost and missed_delay_cost):
            raise typer.BadParameter("both costs must be above 0")
        rules.append(LeastCost(false_alarm_cost, missed_delay_cost))
    if min_recall is not None:
        if not min_recall:
            raise typer.BadParameter("--min-recall must be above 0")
        rules.append(MinRecall(min_recall))
    if capacity is not None:
        if not capacity:
            raise typer.BadParameter("--capacity must be above 0")
        rules.append(Capacity(capacity))
    if len(rules) > 1:
        raise typer.BadParameter(
            "choose the threshold in one way: --threshold, the costs, --min-recall, or "
            "--capacity"
        )
    return rules[0] if rules else Balanced()


def _print_ranked(ranked: Sequence[RankedFlight], rows: int) -> None:
    from rich.console import Console
    from rich.table import Table

    from challenge.files.ranking import expected_late
    from challenge.flights.fields import OPTIONAL_FIELDS, REQUIRED_FIELDS

    shown = [
        name
        for name in (*REQUIRED_FIELDS, *OPTIONAL_FIELDS)
        if ranked and name in ranked[0].values
    ]
    late = expected_late([one.probability for one in ranked])
    table = Table(
        caption=f"of {rows:,} flights; about {late:.1f} of these will be late"
    )
    table.add_column("row", justify="right")
    table.add_column("probability", justify="right")
    for name in shown:
        table.add_column(name)
    for one in ranked:
        values = (str(one.values[name] or "") for name in shown)
        table.add_row(str(one.row), f"{one.probability:.1%}", *values)
    Console().print(table)


def _print_model(path: Path) -> None:
    import msgspec

    from challenge.model import DelayModel

    loaded = DelayModel.load(path)
    described = {
        "fingerprint": loaded.fingerprint,
        "card": msgspec.to_builtins(loaded.card),
        "vocabulary": msgspec.to_builtins(loaded.vocabulary),
    }
    print(json.dumps(described, ensure_ascii=False, indent=2))


@contextlib.contextmanager
def _busy(doing: str) -> Iterator[Callable[[str], None]]:
    """Shows on a terminal what is done, and what it gives to tell; quiet in a pipe."""
    from rich.console import Console

    console = Console(stderr=True)
    if not console.is_terminal:
        yield lambda progress: None
        return
    with console.status(f"{doing} …") as status:
        yield lambda progress: status.update(f"{doing} … {progress}")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command with these arguments (those of the process by default)."""
    return run(app, arguments, "flight-prophet")


def run(commands: typer.Typer, arguments: Sequence[str] | None, program: str) -> int:
    """Run commands and return the exit code; what goes wrong is one line on stderr."""
    try:
        commands(args=arguments, prog_name=program)
    except SystemExit as stop:
        return stop.code if isinstance(stop.code, int) else FAILED
    except FlightProphetError as error:
        print(f"{program}: {error}", file=sys.stderr)
        return WORSE if isinstance(error, WorseModelError) else FAILED
    return 0
