"""The `flight-prophet` command."""

from challenge.cli.command import app, main, run

__all__ = ["app", "main", "run"]
