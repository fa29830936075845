"""Arguments and options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final, Literal

import typer

DEFAULT_MODEL: Final = Path("tmp/delay_model.pkl")

FILE: Final = "a .csv, .txt, .tsv, .gz, .zip, .xlsx or .parquet file"
_FILES: Final = (
    f"{FILE}, a folder or a glob pattern of such files, or an "
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
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
