"""The model card: what a model is and where it comes from."""

from __future__ import annotations

import contextlib
import os
import platform
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from typing import Any, Final, Literal, Self, TypeAlias

import msgspec
from msgspec.structs import force_setattr

SCHEMA_VERSION: Final = 5
MADE_WITH: Final = ("flight-prophet", "numpy", "scikit-learn", "xgboost", "xgboost-cpu")

ClassifierName: TypeAlias = Literal["logistic-regression", "xgboost"]
# What people are told of a model with `sample` in its card.
SAMPLE_DATA: Final = "sample data, made from counts: none of the flights is a real one"
Level: TypeAlias = Literal["usual", "raised", "high"]


class KnownFlight(msgspec.Struct, frozen=True):
    """A flight, its fields as requests name them, and the probability of its delay."""

    flight: dict[str, str | int]
    probability: float


class DistanceQuality(msgspec.Struct, frozen=True):
    """How good a model is on flights that are asked about at one distance.

    Judged in training, forward in time: on the later of the training flights, each with
    a table and an adjustment of flights before it.

    Attributes:
        roc_auc, average_precision: with what was known by then, each 0 to 1.
        schedule_roc_auc, schedule_average_precision: of the same flights, by their
            schedule alone.
        flights: how many they are.
    """

    roc_auc: float
    average_precision: float
    schedule_roc_auc: float
    schedule_average_precision: float
    flights: int


class LiveCard(msgspec.Struct, frozen=True):
    """What a model knows of the day of operations; see `challenge.live.day`.

    Attributes:
        helps: by so many minutes before a flight, what then helps to predict it better
            than its schedule; nothing where nothing does.
        flights: how many past flights the model's file keeps.
        until: the moment up to which it knows how they left, UTC, ISO 8601; None if
            none has left.
        quality: by so many minutes before a flight, how good the model then is; nothing
            at distances at which too few flights could be asked about.
    """

    helps: dict[str, list[str]]
    flights: int
    until: str | None
    quality: dict[str, DistanceQuality] = {}


class Levels(msgspec.Struct, frozen=True):
    """The bounds of the levels of a probability, each 0 to 1; a level begins above its
    bound."""

    raised: float
    high: float

    @classmethod
    def of_delay_rate(cls, rate: float) -> Self:
        """Raised above the average of past flights, high above twice that; where over a
        third of them were late, above the middle between it and 1."""
        return cls(raised=rate, high=min(2 * rate, (1 + rate) / 2))

    def level_of(self, probability: float) -> Level:
        """The name of the level of a probability of a delay."""
        if probability > self.high:
            return "high"
        return "raised" if probability > self.raised else "usual"


# In the files of models that were made before there were levels.
_NO_LEVELS: Final = Levels(raised=0.0, high=0.0)


class ModelCard(msgspec.Struct, kw_only=True, frozen=True):
    """What a model is and where it comes from, for people and for /model.

    `delay_rate` and `threshold` are shares, 0 to 1; `created` is UTC, ISO 8601;
    `data_sha256` is that of the training file's bytes; `period` holds the first and
    the last scheduled time of the training flights, as they write it; `known` are some
    flights with the probabilities that the model must answer with; `live` is None if too
    few flights had a time to learn from. `time_zones` are those of the origins, by their
    names, as far as they are known; of a model whose flights tell no origin, by the empty text.
    `levels` are those of `delay_rate`; `sample` says that the training flights are the
    project's sample data, none of which is a real flight.
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
    levels: Levels = _NO_LEVELS
    data: str = ""
    data_sha256: str = ""
    sample: bool = False
    period: tuple[str, str] | None = None
    time_zones: dict[str, str] = {}
    metrics: dict[str, Any] = {}
    library_versions: dict[str, str] = {}
    known: list[KnownFlight] = []
    live: LiveCard | None = None
    schema_version: int = SCHEMA_VERSION

    def __post_init__(self) -> None:
        if self.levels == _NO_LEVELS:
            force_setattr(self, "levels", Levels.of_delay_rate(self.delay_rate))


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
