"""Arguments and options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final, Literal

import typer

DEFAULT_MODEL: Final = Path("tmp/delay_model.pkl")

FILE: Final = "a .csv, .txt, .tsv, .gz, .zip, .xlsx or .parquet file"
FILES: Final = (
    f"{FILE}, a folder or a glob pattern of such files, or an "
    "address like s3://bucket/flights/*.parquet."
)

Flights = Annotated[str, typer.Argument(help=f"Flights: {FILES}")]
PastFlights = Annotated[str, typer.Argument(help=f"Past flights: {FILES}")]
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
Unknown = Annotated[
    Literal["reject", "average"],
    typer.Option(
        help="What to do with a destination or an origin that the model does not know: "
        "reject the row, or predict as for a flight without one."
    ),
]
Scheduler = Annotated[
    str | None,
    typer.Option(
        help="Run on a Dask cluster: the address of its scheduler, or `local` for one "
        "process per CPU."
    ),
]
_DAY_PANEL = "What was known"
HistoryOption = Annotated[
    str | None,
    typer.Option(
        "--history",
        help="Flights as they left so far, in place of those that the model keeps: "
        f"{FILES} An empty Fecha-O is a flight that has not left.",
        rich_help_panel=_DAY_PANEL,
    ),
]
LeadOption = Annotated[
    int | None,
    typer.Option(
        "--lead",
        min=0,
        help="Predict each flight with what was known so many minutes before its "
        "scheduled time.",
        rich_help_panel=_DAY_PANEL,
    ),
]
AtOption = Annotated[
    str | None,
    typer.Option(
        "--at",
        help="Predict all flights with what was known at this time, like '2017-03-06 "
        "08:15' or 2017-03-06T08:15-03:00. By default all that the past flights tell.",
        rich_help_panel=_DAY_PANEL,
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def check_day_options(at: str | None, lead: int | None) -> None:
    """Refuse --at and --lead together."""
    if at is not None and lead is not None:
        raise typer.BadParameter("--at and --lead exclude each other")
