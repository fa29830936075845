"""What another model would have predicted for logged flights, and how well."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from challenge.errors import TrainingDataError
from challenge.files.formats import ReadOptions
from challenge.files.prediction_log import CLOCK, PROBABILITY_DECIMALS
from challenge.flights.fields import AIRLINE, DELAY, DESTINATION, FLIGHT_FIELDS, MONTH
from challenge.live.questions import QUESTION_FIELDS
from challenge.model import DelayModel
from challenge.training.evaluate.departures import (
    PROBABILITY,
    join_departures,
    read_logged,
)
from challenge.training.evaluate.metrics import (
    Difference,
    Predictions,
    compare_predictions,
)

GROUP_FIELDS: Final = (AIRLINE, DESTINATION, MONTH)
COMPARED_MEASURES: Final = ("roc_auc", "average_precision", "brier", "log_loss", "ece")
QUANTILES: Final = (0.05, 0.5, 0.95)
# What an answer depends on.
_ASKED_FIELDS: Final = tuple(dict.fromkeys((*FLIGHT_FIELDS, *QUESTION_FIELDS, CLOCK)))


class _Asked(NamedTuple):
    """A flight as the log has it, with its cell in the candidate's grid."""

    cell: int
    flight: dict[str, Any]


class _Answers(NamedTuple):
    """The candidate's answers.

    Attributes:
        probability: of each flight, NaN for those with a fault.
        faults: these, counted.
        too_early: how many are of a moment before all past flights of the candidate.
    """

    probability: NDArray[np.float64]
    faults: Counter[tuple[str, str]]
    too_early: int


@dataclass(frozen=True)
class Moved:
    """Logged predictions, and how those of the candidate differ.

    Attributes:
        answers: the number of answers.
        to_late, to_on_time: the number of decisions that flip in each direction.
        logged, candidate: the mean probability.
    """

    answers: int
    to_late: int
    to_on_time: int
    logged: float
    candidate: float

    @property
    def flips(self) -> int:
        return self.to_late + self.to_on_time


@dataclass(frozen=True)
class Replay:
    """Logged predictions beside those of a candidate.

    Attributes:
        period: the times of the first and the last answer, as logged.
        models: the number of answers of each model, by the start of its fingerprint.
        unanswered: the number of flights that the candidate rejects.
        faults: the number of faults by (field, type); a flight may have several.
        too_early: the number of answers of a moment before all past flights that the
            candidate has, so that the day adds nothing but by the aircraft.
        all: over all flights that the candidate knows.
        groups: by field and value, those with the most flips first.
        change: the 5th, 50th and 95th percentile of the change in probability.
        mean_change: the mean absolute change in probability.
        departed: the number of flights that left and were compared; 0 without
            departures.
        quality: of the candidate (`one`) and of the logged answers (`other`) about
            these; empty if they are not of both classes.
    """

    period: tuple[str, str]
    models: dict[str, int]
    unanswered: int
    faults: dict[tuple[str, str], int]
    too_early: int
    all: Moved
    groups: dict[str, dict[str, Moved]]
    change: tuple[float, float, float]
    mean_change: float
    departed: int
    quality: dict[str, Difference]

    @property
    def flip_share(self) -> float:
        """The share of the decisions that flip or cannot be made, 0 to 1."""
        changed = self.all.flips + self.unanswered
        return changed / (self.all.answers + self.unanswered)

    @property
    def is_worse(self) -> bool:
        """Whether the average precision or the Brier score of the candidate is worse,
        by more than chance explains."""
        if not self.quality:
            return False
        ranking = self.quality["average_precision"].difference.high
        distance = self.quality["brier"].difference.low
        assert ranking is not None and distance is not None
        return ranking < 0 or distance > 0

    def to_dict(self) -> dict[str, Any]:
        return {
            "period": self.period,
            "models": self.models,
            "unanswered": self.unanswered,
            "faults": {
                f"{field} {kind}": times for (field, kind), times in self.faults.items()
            },
            "too_early": self.too_early,
            **asdict(self.all),
            "flips": self.all.flips,
            "flip_share": self.flip_share,
            "groups": {
                field: {value: asdict(moved) for value, moved in values.items()}
                for field, values in self.groups.items()
            },
            "change": dict(zip(map(str, QUANTILES), self.change, strict=True)),
            "mean_change": self.mean_change,
            "departed": self.departed,
            "quality": {
                name: {
                    "candidate": compared.one,
                    "logged": compared.other,
                    "difference": asdict(compared.difference),
                }
                for name, compared in self.quality.items()
            },
            "is_worse": self.is_worse,
        }


def replay(
    log: str | Path,
    candidate: DelayModel,
    departures: str | Path | None = None,
    options: ReadOptions = ReadOptions(),
) -> Replay:
    """Predict logged flights with another model, and compare.

    Each is asked about at the moment that was the state's when it was answered, on the
    candidate's day; what only the table was asked about, only its table is.

    Args:
        log: a file of the prediction log, or its folder.
        candidate: the other model, on a day with the flights as they left.
        departures: a file of the flights as they left, with Fecha-I and Fecha-O; None
            if they are not known.
        options: how that file is to be read.

    Raises:
        TrainingDataError: the log or the file cannot be read, the candidate knows
            none of the flights, or none of them has left.
        MissingColumnsError: the file lacks a column.
    """
    logged = read_logged(log)
    answers, faults, too_early = _answers(logged, candidate)
    known = ~np.isnan(answers)
    if not known.any():
        raise TrainingDataError(
            f"{str(log)!r} holds no flight that the candidate can answer: "
            + ", ".join(f"{field} {kind}: {n}" for (field, kind), n in faults.items())
        )
    answered = logged[known].reset_index(drop=True)
    probability = answers[known]
    decisions = np.array(candidate.decide(probability.tolist()))
    # As the log has them, or a model would differ from itself.
    unit = 10**PROBABILITY_DECIMALS
    probability = np.floor(probability * unit + 0.5) / unit
    before = answered[PROBABILITY].to_numpy(np.float64)
    flips = decisions - answered[DELAY].to_numpy(np.int64)
    change = probability - before
    departed, quality = 0, {}
    if departures is not None:
        joined = join_departures(answered, departures, options)
        departed = len(joined.row)
        ours = Predictions(probability[joined.row], joined.delayed)
        if ours.has_both_classes:
            theirs = Predictions(joined.probability, joined.delayed)
            quality = compare_predictions(ours, theirs, COMPARED_MEASURES)
    low, middle, high = np.quantile(change, QUANTILES).tolist()
    return Replay(
        period=(logged["time"].iloc[0], logged["time"].iloc[-1]),
        models=dict(Counter(logged["model"]).most_common()),
        unanswered=int((~known).sum()),
        faults=dict(faults.most_common()),
        too_early=too_early,
        all=_moved(flips, before, probability),
        groups={
            field: _by_value(answered[field], flips, before, probability)
            for field in GROUP_FIELDS
        },
        change=(low, middle, high),
        mean_change=float(np.abs(change).mean()),
        departed=departed,
        quality=quality,
    )


def _answers(logged: pd.DataFrame, candidate: DelayModel) -> _Answers:
    """The candidate's answers to logged flights."""
    # Many flights are alike: each unique one is asked about once.
    names = [name for name in _ASKED_FIELDS if name in logged]
    flights = pd.MultiIndex.from_arrays([logged[name] for name in names])
    inverse, unique = flights.factorize(use_na_sentinel=False)
    faults: Counter[tuple[str, str]] = Counter()
    times = np.bincount(inverse, minlength=len(unique)).tolist()
    # By the moment of the state that is asked, the places of flights.
    moments: defaultdict[str | None, dict[int, _Asked]] = defaultdict(dict)
    for place, (values, count) in enumerate(zip(unique.tolist(), times, strict=True)):
        given = {
            name: None if pd.isna(value) else value
            for name, value in zip(names, values, strict=True)
        }
        clock = given.pop(CLOCK, None)
        outcome = candidate.encoder.cell(given)
        if isinstance(outcome, int):
            moments[clock][place] = _Asked(outcome, given)
        else:
            for fault in outcome:
                faults[fault.field, fault.type] += count
    found = np.full(len(unique), np.nan)
    too_early = 0
    for clock, asked in moments.items():
        then = candidate.with_day(None)
        if clock is not None and candidate.day is not None:
            day = candidate.day.asked(clock)
            then = candidate.with_day(day)
            if not day.is_kept:
                too_early += sum(map(times.__getitem__, asked))
        questions = then.questions(one.flight for one in asked.values())
        cells = [one.cell for one in asked.values()]
        found[list(asked)] = then.predict_flights(cells, questions)
    return _Answers(found[inverse], faults, too_early)


def _by_value(
    values: pd.Series[Any],
    flips: NDArray[np.int64],
    before: NDArray[np.float64],
    after: NDArray[np.float64],
) -> dict[str, Moved]:
    groups = {
        str(value): _moved(flips[rows], before[rows], after[rows])
        for value, rows in values.groupby(values).indices.items()
    }
    return dict(sorted(groups.items(), key=lambda group: -group[1].flips))


def _moved(
    flips: NDArray[np.int64],
    before: NDArray[np.float64],
    after: NDArray[np.float64],
) -> Moved:
    return Moved(
        answers=len(flips),
        to_late=int((flips > 0).sum()),
        to_on_time=int((flips < 0).sum()),
        logged=float(before.mean()),
        candidate=float(after.mean()),
    )
