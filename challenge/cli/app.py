"""The `flight-prophet` command and its entry point."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import typer

from challenge.cli import evaluate, formats, live, model, monitor, predict, serve, train
from challenge.cli.exit_codes import FAILED, WORSE
from challenge.errors import FlightProphetError, WorseModelError

app = typer.Typer(
    name="flight-prophet",
    help="Predict whether a flight will leave more than 15 minutes late.",
    epilog="Exit codes: 0 success; 1 error, like invalid data or an invalid model file; 2 "
    "wrong usage; 3 a new model is worse than its baseline or changes too many "
    "decisions, live predictions are worse than the model card states, or servers serve "
    "different models.",
    no_args_is_help=True,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
)
app.command()(train.train)
app.command()(predict.predict)
app.command()(predict.rank)
app.command()(serve.serve)
app.command()(model.check)
app.command()(evaluate.evaluate)
app.command()(train.update)
app.command()(train.tune)
app.command()(monitor.monitor)
app.command()(monitor.replay)
app.command()(formats.formats)
app.command("check-data")(formats.check_data)
app.command("api-key")(serve.api_key)

models = typer.Typer(no_args_is_help=True)
models.command()(model.show)
models.command()(model.status)
models.command()(model.promote)
models.command()(model.rollback)
models.command("list")(model.list_models)
app.add_typer(models, name="model", help="Inspect and manage models.")

of_today = typer.Typer(no_args_is_help=True)
of_today.command()(live.push)
of_today.command()(live.play)
of_today.command()(live.status)
of_today.command()(live.reset)
app.add_typer(of_today, name="live", help="Tell a server of the day's flights.")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command with these arguments, by default those of the process."""
    return run(app, arguments, "flight-prophet")


def run(commands: typer.Typer, arguments: Sequence[str] | None, program: str) -> int:
    """Run commands and return the exit code; an error is one line on stderr."""
    try:
        commands(args=arguments, prog_name=program)
    except SystemExit as stop:
        return stop.code if isinstance(stop.code, int) else FAILED
    except FlightProphetError as error:
        print(f"{program}: {error}", file=sys.stderr)
        return WORSE if isinstance(error, WorseModelError) else FAILED
    return 0
