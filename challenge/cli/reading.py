"""The options of commands that read files of flights: --format, --columns and others."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from challenge.files.formats import (
    LOCAL,
    Dates,
    ReadOptions,
    built_in_formats,
    check_timezone,
    load_format,
)

_PANEL = "How to read the files"


def format_name(name: str | None) -> str | None:
    """Refuse a name that is not that of a built-in format."""
    if name is not None and name not in built_in_formats():
        known = ", ".join(built_in_formats())
        raise typer.BadParameter(f"{name!r} is not a format; formats are {known}")
    return name


def _options(
    format: Annotated[
        str | None,
        typer.Option(
            callback=format_name,
            help="Format of the files, see `flight-prophet formats`. By default it is "
            "recognized by the columns.",
            rich_help_panel=_PANEL,
        ),
    ] = None,
    columns: Annotated[
        Path | None,
        typer.Option(
            help="TOML file that says which column is what, see docs/training.md.",
            rich_help_panel=_PANEL,
        ),
    ] = None,
    dates: Annotated[
        Dates | None,
        typer.Option(
            help="Order of dates like 06/03/2017, where the files do not tell it.",
            rich_help_panel=_PANEL,
        ),
    ] = None,
    timezone: Annotated[
        str | None,
        typer.Option(
            help="Time zone of the airport, like America/Santiago. By default that of "
            "its IATA or ICAO code.",
            rich_help_panel=_PANEL,
        ),
    ] = None,
    origin: Annotated[
        str | None,
        typer.Option(
            help="Learn from flights that leave from there only, like JFK.",
            rich_help_panel=_PANEL,
        ),
    ] = None,
) -> ReadOptions:
    if format is not None and columns is not None:
        raise typer.BadParameter("--format and --columns exclude each other")
    if timezone is not None:
        check_timezone(timezone)
    own = None if columns is None else load_format(columns)
    if own is not None and own.clock != LOCAL:
        check_timezone(own.clock)
    return ReadOptions(format, own, dates, timezone, origin)


def reads_flights(
    command: Callable[..., None] | None = None, *, past: bool = True
) -> Callable[..., Any]:
    """Give a command the options of `ReadOptions`, which it gets as `reading`.

    Args:
        command: the command; its last parameter is `reading`.
        past: whether it learns from the flights, so that --origin makes sense.
    """
    if command is None:
        return functools.partial(reads_flights, past=past)
    added = inspect.signature(_options, eval_str=True).parameters
    names = [name for name in added if past or name != "origin"]
    own = inspect.signature(command, eval_str=True)
    kept = [one for one in own.parameters.values() if one.name != "reading"]

    @functools.wraps(command)
    def run(**given: Any) -> None:
        chosen = {name: given.pop(name) for name in names}
        command(**given, reading=_options(**chosen))

    parameters = [*kept, *(added[name] for name in names)]
    # What typer makes its command of.
    run.__signature__ = own.replace(parameters=parameters)  # type: ignore[attr-defined]
    run.__annotations__ = {one.name: one.annotation for one in parameters}
    del run.__wrapped__
    return run
