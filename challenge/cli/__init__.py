"""The `flight-prophet` command: a module per group of commands."""

from challenge.cli.app import app, main, run

__all__ = ["app", "main", "run"]
