"""python train.py SOURCE OUTPUT: train a model; see --help."""

import sys

import typer

from challenge.cli import run
from challenge.cli.train import train

if __name__ == "__main__":
    command = typer.Typer(
        add_completion=False,
        rich_markup_mode="markdown",
        pretty_exceptions_enable=False,
    )
    command.command()(train)
    sys.exit(run(command, None, "train.py"))
