"""Arguments and options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final, Literal

import typer

DEFAULT_MODEL: Final = Path("tmp/delay_model.pkl")

_FILES: Final = (
    "a .csv, .csv.gz or .parquet file, a folder or a glob pattern of such files, or an "
    "address like s3://bucket/flights/*.parquet."
)

Flights = Annotated[str, typer.Argument(help=f"Flights: {_FILES}")]
PastFlights = Annotated[str, typer.Argument(help=f"Past flights: {_FILES}")]
ModelFile = Annotated[Path, typer.Argument(help="Model file.")]
# With a default, so that servers and scripts can set it once.
ModelArgument = Annotated[
    Path, typer.Argument(envvar="MODEL_FILEPATH", help="Model file.")
]
ModelOption = Annotated[
    Path, typer.Option("--model", envvar="MODEL_FILEPATH", help="Model file.")
]
Classifier = Annotated[
    Literal["logistic-regression", "xgboost"],
    typer.Option(help="Learning algorithm."),
]
SkipInvalid = Annotated[
    bool, typer.Option("--skip-invalid", help="Skip invalid rows instead of failing.")
]
Scheduler = Annotated[
    str | None,
    typer.Option(
        help="Run on a Dask cluster: the address of its scheduler, or `local` for one "
        "process per CPU."
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def _checked_zone(name: str | None) -> str | None:
    from zoneinfo import available_timezones

    if name is not None and name not in available_timezones():
        raise typer.BadParameter(f"{name!r} is not a time zone like 'America/Santiago'")
    return name


TimeZone = Annotated[
    str | None,
    typer.Option(
        callback=_checked_zone,
        help="The time zone of the airport, like America/Santiago; by default those in "
        "the model's card.",
    ),
]
