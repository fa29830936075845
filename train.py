"""python train.py SOURCE OUTPUT: train a model; --help lists the options."""

import sys

import typer

from challenge.cli.command import run, train

if __name__ == "__main__":
    command = typer.Typer(
        add_completion=False,
        rich_markup_mode="markdown",
        pretty_exceptions_enable=False,
    )
    command.command()(train)
    sys.exit(run(command, None, "train.py"))
