"""How good the answers given were, once the flights have left: week by week."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path
from typing import Any, Final

import duckdb
import numpy as np

from challenge.artifact import ModelCard
from challenge.errors import FlightsFileError, MissingColumnsError, TrainingDataError
from challenge.flights import (
    AIRLINE,
    DELAY_THRESHOLD_MINUTES,
    DEPARTED,
    DESTINATION,
    FLIGHT_TYPE,
    SCHEDULED,
)
from challenge.scan import reading, source_sql
from challenge.training.quality import Answers, Estimate, Quality, measure

PROBABILITY: Final = "probability"
FLIGHT_NUMBER: Final = "Vlo-I"
# What names a flight, as far as both files tell it.
NEEDED_KEYS: Final = (SCHEDULED, AIRLINE)
OPTIONAL_KEYS: Final = (FLIGHT_TYPE, DESTINATION, FLIGHT_NUMBER)
# What is compared with the model card, and whether more of it is better.
PROMISED: Final = {"roc_auc": True, "ece": False}
WEEK_REPLICATES: Final = 200


@dataclass(frozen=True)
class Promise:
    """A measure now, and what the model card says of it.

    Attributes:
        measure: its name in `Quality`.
        promised: on flights later than those that the model learned from.
        now: on those that were answered.
        is_worse: whether the two intervals do not meet, on the bad side.
    """

    measure: str
    promised: Estimate
    now: Estimate
    is_worse: bool


@dataclass(frozen=True)
class Monitoring:
    """What became of predictions.

    Attributes:
        predictions: how many flights were answered.
        departures: how many flights left.
        quality: of the answers about flights that left.
        weeks: the same by the Monday that the week of the scheduled time begins with.
        promises: each beside the model card's; none if that has no quality.
        unanswered: departures without a prediction.
        unusable: rows of either file without a readable time or probability.
    """

    predictions: int
    departures: int
    quality: Quality
    weeks: dict[date, Quality]
    promises: list[Promise]
    unanswered: int
    unusable: int

    @property
    def is_worse(self) -> bool:
        """Whether anything is worse than promised, by more than chance explains."""
        return any(promise.is_worse for promise in self.promises)

    def to_dict(self) -> dict[str, Any]:
        return {
            "predictions": self.predictions,
            "departures": self.departures,
            "unanswered": self.unanswered,
            "unusable": self.unusable,
            "quality": self.quality.to_dict(),
            "weeks": {str(week): q.to_dict() for week, q in self.weeks.items()},
            "promises": [asdict(promise) for promise in self.promises],
            "is_worse": self.is_worse,
        }


def monitor(
    predictions: str | Path, flights: str | Path, card: ModelCard
) -> Monitoring:
    """Join what was predicted with what happened, and measure it.

    A flight is found by Fecha-I and OPERA, and by TIPOVUELO, SIGLADES and Vlo-I where
    both files have them. A flight predicted several times has its last prediction.

    Args:
        predictions: what `challenge.files.score_file` wrote, or any .csv, .csv.gz or
            .parquet file with a column `probability`.
        flights: the flights as they left, with Fecha-I and Fecha-O.
        card: of the model that answered; the threshold and the promises are its own.

    Raises:
        MissingColumnsError: a file lacks a column.
        TrainingDataError: a file cannot be read, or no flight is in both.
    """
    with duckdb.connect() as connection:
        try:
            predicted = _relation(connection, predictions, (*NEEDED_KEYS, PROBABILITY))
            left = _relation(connection, flights, (*NEEDED_KEYS, DEPARTED))
            keys = [
                *NEEDED_KEYS,
                *(name for name in OPTIONAL_KEYS if name in predicted and name in left),
            ]
            return _joined(connection, keys, Path(flights), card)
        except FlightsFileError as error:
            raise TrainingDataError(str(error)) from error


def _relation(
    connection: duckdb.DuckDBPyConnection, source: str | Path, needed: Sequence[str]
) -> list[str]:
    """Make a table of the file's rows, `predicted` or `departed`; its columns."""
    path = Path(source)
    table = "predicted" if PROBABILITY in needed else "departed"
    with reading(path):
        relation = connection.sql(f"SELECT * FROM {source_sql(path)}")
        columns = relation.columns
        missing = [name for name in needed if name not in columns]
        if missing:
            raise MissingColumnsError(missing, columns)
        wanted = dict.fromkeys((*needed, *OPTIONAL_KEYS))
        chosen = ", ".join(_typed(name) for name in wanted if name in columns)
        # The order of the rows tells which prediction is the last.
        connection.execute(
            f"CREATE TABLE {table} AS SELECT {chosen}, row_number() OVER () AS row "
            f"FROM {source_sql(path)}"
        )
    return columns


def _typed(name: str) -> str:
    kinds = {SCHEDULED: "TIMESTAMP", DEPARTED: "TIMESTAMP", PROBABILITY: "DOUBLE"}
    kind = kinds.get(name, "VARCHAR")
    return f'TRY_CAST("{name}" AS {kind}) AS "{name}"'


def _joined(
    connection: duckdb.DuckDBPyConnection,
    keys: Sequence[str],
    flights: Path,
    card: ModelCard,
) -> Monitoring:
    # Values that are not given are equal to each other; NULL is to nothing.
    key = ", ".join(f"coalesce(\"{name}\"::VARCHAR, '')" for name in keys)
    usable_prediction = f'"{SCHEDULED}" IS NOT NULL AND {PROBABILITY} BETWEEN 0 AND 1'
    usable_departure = f'"{SCHEDULED}" IS NOT NULL AND "{DEPARTED}" IS NOT NULL'
    late = f'"{DEPARTED}" - "{SCHEDULED}" > INTERVAL {DELAY_THRESHOLD_MINUTES} MINUTE'
    found = connection.execute(f"""
        SELECT probability, ({late})::TINYINT AS delayed,
            date_trunc('week', "{SCHEDULED}")::TIMESTAMP AS week
        FROM (SELECT *, [{key}] AS key FROM departed WHERE {usable_departure})
        JOIN (SELECT [{key}] AS key, arg_max({PROBABILITY}, row) AS probability
            FROM predicted WHERE {usable_prediction} GROUP BY 1) USING (key)
        ORDER BY row
        """).fetchnumpy()

    def count(table: str, where: str) -> tuple[int, int]:
        query = f"SELECT count(*), count(*) FILTER ({where}) FROM {table}"
        [(rows, usable)] = connection.execute(query).fetchall()
        return rows, usable

    predicted, usable_predictions = count("predicted", usable_prediction)
    departed, usable_departures = count("departed", usable_departure)
    if not len(found["delayed"]):
        problem = f"has no flight that was predicted; compared: {', '.join(keys)}"
        raise FlightsFileError(flights, problem)
    answers = Answers(
        np.asarray(found[PROBABILITY], np.float64),
        np.asarray(found["delayed"], np.int8),
    )
    weeks = np.asarray(found["week"], "datetime64[D]")
    quality = measure(answers, card.threshold)
    return Monitoring(
        predictions=usable_predictions,
        departures=usable_departures,
        quality=quality,
        weeks={
            week.item(): measure(
                answers[weeks == week], card.threshold, WEEK_REPLICATES
            )
            for week in np.unique(weeks)
        },
        promises=_promises(quality, card),
        unanswered=usable_departures - len(answers),
        unusable=predicted - usable_predictions + departed - usable_departures,
    )


def _promises(quality: Quality, card: ModelCard) -> list[Promise]:
    """What the card says of later flights, or else of others, beside what is."""
    metrics = card.metrics or {}
    told = metrics.get("forward") or metrics.get("random")
    if told is None:
        return []
    promises = []
    for name, more_is_better in PROMISED.items():
        promised, now = Estimate(**told[name]), getattr(quality, name)
        if None in (promised.low, promised.high, now.low, now.high):
            continue
        worse = now.high < promised.low if more_is_better else now.low > promised.high
        promises.append(Promise(name, promised, now, worse))
    return promises
