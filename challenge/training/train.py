"""From a file of past flights to the file of a model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from challenge.errors import WorseModelError
from challenge.files.dask_cluster import ProgressCallback
from challenge.files.formats import ReadOptions
from challenge.model import DelayModel
from challenge.training.data.dataset import Dataset, read_dataset
from challenge.training.data.past import read_past
from challenge.training.data.splits import random_split
from challenge.training.evaluate.evaluation import (
    EvaluationResult,
    evaluate_split,
    splits,
)
from challenge.training.evaluate.model_comparison import Comparison, compare
from challenge.training.live.learning import Earlier, learn_day
from challenge.training.recipe import Recipe
from challenge.training.threshold import Balanced, ThresholdRule


@dataclass(frozen=True)
class Training:
    """What a run of `train` did.

    Attributes:
        dataset: the flights.
        results: of the recipe by split, "random" and "forward"; without a split
            for which there were too few flights, or too few with a time.
        comparison: with the baseline; None without one, or without flights to compare.
        threshold: above which the model predicts a delay.
        fingerprint: the SHA-256 of the model's file.
    """

    dataset: Dataset
    results: Mapping[str, EvaluationResult]
    comparison: Comparison | None
    threshold: float
    fingerprint: str


def train(
    source: str | Path,
    output: str | Path,
    recipe: Recipe = Recipe(),
    rule: ThresholdRule = Balanced(),
    baseline: str | Path | None = None,
    skip_invalid: bool = False,
    options: ReadOptions = ReadOptions(),
    scheduler: str | None = None,
    progress: ProgressCallback = lambda done, of: None,
) -> Training:
    """Evaluate a recipe on held-out flights, fit it to all flights, write the model.

    Args:
        source: the flights, as `read_dataset` takes them.
        output: the model's file.
        recipe: how the model is made.
        rule: how its threshold is chosen.
        baseline: the file of a model that the new one must not be worse than.
        skip_invalid: leave out rows with a fault instead of stopping.
        options: how the files are to be read.
        scheduler, progress: as `read_dataset` takes them.

    Raises:
        TrainingDataError, MissingColumnsError: the file cannot be learned from.
        ModelFileError: the baseline cannot be read, or the model cannot be written.
        WorseModelError: the baseline is better. Whatever is raised, `output` stays as
            it was.
    """
    in_use = None if baseline is None else DelayModel.load(baseline)
    dataset = read_dataset(source, skip_invalid, options, scheduler, progress)
    results = {
        name: evaluate_split(recipe, dataset, split, rule)
        for name, split in splits(dataset)
    }
    comparison = None
    if in_use is not None and "random" in results:
        comparison = compare(results["random"], in_use, dataset)
        if baseline is not None and comparison is not None and comparison.is_worse:
            raise WorseModelError(baseline, comparison)
    model = recipe.fit(
        dataset.counted.counts,
        dataset.vocabulary,
        _threshold(recipe, dataset, rule),
    )
    if dataset.every == 1 and not np.isnat(dataset.scheduled).all():
        past = read_past(source, dataset, skip_invalid, options)
        earlier = None
        if (forward := results.get("forward")) is not None:
            until = dataset.scheduled[forward.split.training].max()
            earlier = Earlier(forward.model, until)
        learn_day(model, recipe, past, dataset.counted.time_zones, earlier)
    fingerprint = model.save(
        output,
        rows_rejected=dataset.rejected,
        data=dataset.name,
        data_sha256=dataset.sha256,
        sample=dataset.is_sample,
        period=dataset.period,
        time_zones=dataset.counted.time_zones,
        threshold_rule=str(rule),
        metrics={name: result.to_dict() for name, result in results.items()},
    )
    return Training(dataset, results, comparison, model.threshold, fingerprint)


def _threshold(recipe: Recipe, dataset: Dataset, rule: ThresholdRule) -> float | None:
    """The threshold, chosen without the held-out flights of the random split."""
    split = random_split(dataset)
    training = split.training if split else np.arange(len(dataset.codes))
    return rule.choose(recipe, dataset, training)
