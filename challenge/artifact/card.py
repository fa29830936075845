"""The model card: what a model is and where it comes from."""

from __future__ import annotations

import contextlib
import os
import platform
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from typing import Any, Final, Literal, TypeAlias

import msgspec

SCHEMA_VERSION: Final = 5
MADE_WITH: Final = ("flight-prophet", "numpy", "scikit-learn", "xgboost", "xgboost-cpu")

ClassifierName: TypeAlias = Literal["logistic-regression", "xgboost"]


class KnownFlight(msgspec.Struct, frozen=True):
    """A flight, its fields as requests name them, and the probability of its delay."""

    flight: dict[str, str | int]
    probability: float


class LiveCard(msgspec.Struct, frozen=True):
    """What a model knows of the day of operations; see `challenge.live.day`.

    Attributes:
        helps: by so many minutes before a flight, what then helps to predict it better
            than its schedule; nothing where nothing does.
        flights: how many past flights the model's file keeps.
        until: the moment up to which it knows how they left, UTC, ISO 8601; None if
            none has left.
    """

    helps: dict[str, list[str]]
    flights: int
    until: str | None


class ModelCard(msgspec.Struct, kw_only=True, frozen=True):
    """What a model is and where it comes from, for people and for /model.

    `delay_rate` and `threshold` are shares, 0 to 1; `created` is UTC, ISO 8601;
    `data_sha256` is that of the training file's bytes; `period` holds the first and
    the last scheduled time of the training flights, as they write it; `known` are some
    flights with the probabilities that the model must answer with; `live` is None if too
    few flights had a time to learn from. `time_zones` are those of the origins, by their
    names, as far as they are known; of a model whose flights tell no origin, by the empty text.
    """

    created: str
    features: str
    classifier: ClassifierName
    parameters: dict[str, Any]
    threshold: float
    threshold_rule: str
    rows: int
    rows_rejected: int = 0
    delay_rate: float
    data: str = ""
    data_sha256: str = ""
    period: tuple[str, str] | None = None
    time_zones: dict[str, str] = {}
    metrics: dict[str, Any] = {}
    library_versions: dict[str, str] = {}
    known: list[KnownFlight] = []
    live: LiveCard | None = None
    schema_version: int = SCHEMA_VERSION


def new_card(**about: Any) -> ModelCard:
    """The card of a model that is made now, with these libraries."""
    return ModelCard(created=now(), library_versions=library_versions(), **about)


def now() -> str:
    """The time that a model is made at, in UTC.

    SOURCE_DATE_EPOCH in the environment, in seconds, takes its place where the same
    data must give the same bytes (reproducible-builds.org/specs/source-date-epoch).
    """
    epoch = os.environ.get("SOURCE_DATE_EPOCH")
    made = (
        datetime.now(UTC) if epoch is None else datetime.fromtimestamp(int(epoch), UTC)
    )
    return made.isoformat(timespec="seconds")


def library_versions() -> dict[str, str]:
    """The versions of Python, of this package and of what a model is made with."""
    versions = {"python": platform.python_version()}
    for package in MADE_WITH:
        # Of the two names of XGBoost one is installed.
        with contextlib.suppress(PackageNotFoundError):
            versions[package] = version(package)
    return versions
