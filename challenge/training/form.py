"""Recent form from flights as they left: its making, its settings, and what it is worth."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import product
from pathlib import Path
from typing import Any, Final

import numpy as np
from msgspec.structs import replace
from numpy.typing import NDArray

from challenge.artifact.card import FormSettings, RecentForm
from challenge.errors import TrainingDataError
from challenge.features.counts import translate
from challenge.files.dialects import Dialect
from challenge.files.formats import ReadOptions
from challenge.flights.fields import AIRLINE, DESTINATION
from challenge.model import DelayModel
from challenge.training.data.dataset import Dataset, read_dataset
from challenge.training.data.splits import forward_split
from challenge.training.evaluate.evaluation import EvaluationResult, evaluate_split
from challenge.training.evaluate.metrics import (
    SMALLEST_PROBABILITY,
    Predictions,
    Quality,
    measure,
)
from challenge.training.nights import (
    LATER,
    NIGHTLY,
    WINDOWS_DAYS,
    Nights,
    Sums,
    daily_sums,
    offsets_of,
)
from challenge.training.recipe import Recipe
from challenge.training.threshold import Balanced, ThresholdRule

PRIORS: Final = (10.0, 25.0, 50.0, 100.0, 200.0)
HALF_LIVES_DAYS: Final = (7.0, 14.0, 28.0, 56.0)
MONTH_REPLICATES: Final = 200
# Before it nobody flew.
FIRST_DAY: Final = "1900-01-01"


@dataclass(frozen=True)
class Update:
    """What a run of `update` did.

    Attributes:
        form: what was written.
        settings: how it was made.
        flights: how many flights the file has.
        unknown: how many of those in the window the model does not know.
        fingerprint: of the file that was written.
        read_as: by the names of the files of flights, the dialects of those that are
            not plain.
    """

    form: RecentForm
    settings: FormSettings
    flights: int
    unknown: int
    fingerprint: str
    read_as: Mapping[str, Dialect]


@dataclass(frozen=True)
class Rolling:
    """Months after training played day by day, the form updated each night.

    Attributes:
        settings: those of the form, chosen before these months.
        without, with_form: the quality of all answers.
        months: both by month, "2017-09", in their order.
    """

    settings: FormSettings
    without: Quality
    with_form: Quality
    months: dict[str, tuple[Quality, Quality]]

    def to_dict(self) -> dict[str, Any]:
        return {
            "window_days": self.settings.window_days,
            "prior": self.settings.prior,
            "half_life_days": self.settings.half_life_days,
            "without": self.without.to_dict(),
            "with_form": self.with_form.to_dict(),
            "months": {
                month: {"without": before.to_dict(), "with_form": after.to_dict()}
                for month, (before, after) in self.months.items()
            },
        }


def update(
    model: str | Path,
    source: str | Path,
    output: str | Path,
    skip_invalid: bool = False,
    options: ReadOptions = ReadOptions(),
) -> Update:
    """Write a model whose answers move with the last flights that left.

    Its table stays as it is; a form that it had is replaced.

    Args:
        model: the model's file.
        source: flights as they left, as `read_dataset` takes them, the last
            `window_days` of which are used.
        output: the file to write; it may be the model's own.
        skip_invalid: leave out rows with a fault instead of stopping.
        options: how the file is to be read.

    Raises:
        ModelFileError: the model cannot be read or written.
        TrainingDataError: the model's card tells no settings, the file cannot be
            read, none of its last flights has a time and is known to the model, or one
            has not left yet.
    """
    loaded = DelayModel.load(model)
    settings = loaded.card.form_settings
    if settings is None:
        raise TrainingDataError(
            f"{str(model)!r} tells no settings of recent form: it was trained on too "
            "few flights with a time to choose them by"
        )
    dataset = read_dataset(source, skip_invalid, options)
    if np.isnat(dataset.scheduled).all():
        raise TrainingDataError(f"{str(source)!r} has no flight with a time")
    form, unknown = _form(loaded, dataset, settings)
    # One wrong year would make a form of that flight alone.
    if not FIRST_DAY < form.until <= str(date.today() + timedelta(days=1)):
        raise TrainingDataError(
            f"{str(source)!r} has a flight on {form.until}, which cannot have left"
        )
    if not form.flights:
        raise TrainingDataError(
            f"{str(source)!r} has no flight of the last {settings.window_days} days "
            f"until {form.until} that the model knows"
        )
    fingerprint = loaded.save_with_form(form, output)
    flights, read_as = len(dataset.codes), dataset.counted.read_as
    return Update(form, settings, flights, unknown, fingerprint, read_as)


def choose_settings(result: EvaluationResult, dataset: Dataset) -> FormSettings | None:
    """The settings that do best forward in time, by the log loss.

    The window and the prior are chosen as if the form was updated each night, the
    half-life as if it was also not for up to four weeks.

    Args:
        result: of a forward split of the dataset.

    Returns: None if the held-out flights are of less than four weeks.
    """
    nights = _nights(result, dataset)
    if nights.days < max(LATER):
        return None

    def loss(settings: FormSettings, days: Iterable[int]) -> float:
        return sum(_log_loss(nights.answers(settings, since)) for since in days)

    nightly = [
        FormSettings(window, prior, max(HALF_LIVES_DAYS))
        for window, prior in product(WINDOWS_DAYS, PRIORS)
    ]
    best = min(nightly, key=lambda settings: loss(settings, [NIGHTLY]))
    fading = [replace(best, half_life_days=days) for days in HALF_LIVES_DAYS]
    return min(fading, key=lambda settings: loss(settings, LATER))


def play(
    recipe: Recipe, dataset: Dataset, rule: ThresholdRule = Balanced()
) -> Rolling | None:
    """Play the last third of the flights in time, updating each night.

    The model learns from those before; the settings are chosen on the last third of
    these by a model of what came before that.

    Returns: None if there are too few flights, or too few with a time.
    """
    split = forward_split(dataset)
    earlier = None if split is None else forward_split(dataset, split.training)
    if split is None or earlier is None:
        return None
    settings = choose_settings(evaluate_split(recipe, dataset, earlier), dataset)
    if settings is None:
        return None
    result = evaluate_split(recipe, dataset, split, rule)
    return _played(_nights(result, dataset), settings, result.model.threshold)


def play_as_it_is(model: DelayModel, dataset: Dataset) -> Rolling | None:
    """Play the flights after those that a model was trained on, by its own settings.

    Returns: None if the model's card tells no settings or no period, or there are too
        few later flights that it knows.
    """
    card = model.card
    if card.period is None or card.form_settings is None:
        return None
    codes, known = translate(dataset.codes, dataset.vocabulary, model.vocabulary)
    timed = np.flatnonzero(known & ~np.isnat(dataset.scheduled))
    is_later = dataset.days[timed] > np.datetime64(card.period[1][:10])
    later, earlier = timed[is_later], timed[~is_later]
    delayed = dataset.delayed[later]
    if not 0 < delayed.sum() < len(later):
        return None
    answers = Predictions(model.predict_codes(codes[later]), delayed)
    nights = Nights(model, dataset, codes, earlier, later, answers)
    return _played(nights, card.form_settings, model.threshold)


def _nights(result: EvaluationResult, dataset: Dataset) -> Nights:
    split = result.split
    return Nights(
        result.model,
        dataset,
        dataset.codes,
        split.training,
        split.held_out,
        result.predictions,
    )


def _played(nights: Nights, settings: FormSettings, threshold: float) -> Rolling:
    with_form = nights.answers(settings)
    months = {}
    for month in np.unique(nights.months):
        chosen = nights.months == month
        months[str(month)] = (
            measure(nights.table[chosen], threshold, MONTH_REPLICATES),
            measure(with_form[chosen], threshold, MONTH_REPLICATES),
        )
    return Rolling(
        settings,
        measure(nights.table, threshold),
        measure(with_form, threshold),
        months,
    )


def _form(
    model: DelayModel, dataset: Dataset, settings: FormSettings
) -> tuple[RecentForm, int]:
    """The form of the last flights, and how many of them the model does not know."""
    days = dataset.days
    until = days[~np.isnat(days)].max()
    last = days > until - np.timedelta64(settings.window_days, "D")
    codes, known = translate(dataset.codes[last], dataset.vocabulary, model.vocabulary)
    codes, delayed = codes[known], dataset.delayed[last][known]
    by_day = daily_sums(
        model,
        codes,
        np.zeros(len(codes), dtype=np.int64),
        delayed,
        model.predict_codes(codes),
        dataset.every,
    )
    in_window = Sums(*(sums.sum(axis=0) for sums in by_day))
    airlines, destinations = offsets_of(in_window, settings.prior)
    vocabulary = model.vocabulary
    form = RecentForm(
        until=str(until),
        flights=len(codes),
        airlines=_named(vocabulary[AIRLINE], airlines),
        destinations=_named(vocabulary[DESTINATION], destinations[1:]),
    )
    return form, int((~known).sum())


def _named(names: tuple[str, ...], offsets: NDArray[np.float64]) -> dict[str, float]:
    pairs = zip(names, offsets.tolist(), strict=True)
    return {name: offset for name, offset in pairs if offset}


def _log_loss(answers: Predictions) -> float:
    certain = np.clip(
        answers.probability, SMALLEST_PROBABILITY, 1 - SMALLEST_PROBABILITY
    )
    late = answers.delayed == 1
    return float(-np.log(np.where(late, certain, 1 - certain)).mean())
