"""From a file of past flights to the file of a model."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from challenge.classifier import CLASSIFIERS
from challenge.errors import FlightProphetError
from challenge.features import FEATURE_SETS
from challenge.model import DelayModel
from challenge.training.dataset import Dataset, describe_faults, read_dataset
from challenge.training.evaluation import Quality, held_out_quality


@dataclass(frozen=True)
class Training:
    """What a run of `train` did.

    `quality` is None when there were too few flights to hold some out.
    """

    dataset: Dataset
    quality: Quality | None
    fingerprint: str


def train(
    source: str,
    output: str,
    classifier: str = "xgboost",
    features: str = "schedule",
    skip_invalid: bool = False,
) -> Training:
    """Measure a model on a held-out third, fit it to all flights and write it.

    Raises:
        TrainingDataError, MissingColumnsError: the file is no data to learn from.
        ModelFileError: the model cannot be written; the old file is as it was.
    """
    dataset = read_dataset(source, skip_invalid)

    def unfitted() -> DelayModel:
        return DelayModel(CLASSIFIERS[classifier](), features, dataset.vocabulary)

    quality = held_out_quality(unfitted(), dataset)
    fingerprint = (
        unfitted()
        .fit_counts(dataset.counts())
        .save(
            output,
            rows_refused=dataset.refused,
            data=dataset.name,
            data_sha256=dataset.sha256,
            metrics={} if quality is None else {"held_out": asdict(quality)},
        )
    )
    return Training(dataset, quality, fingerprint)


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line of train.py; returns the exit code, 0 or 1."""
    options = _parser().parse_args(arguments)
    try:
        training = train(**vars(options))
    except FlightProphetError as error:
        print(f"train.py: {error}", file=sys.stderr)
        return 1
    print(_summary(training, options.output))
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="train.py",
        description="Train a model of flight delays and write it to a file.",
    )
    parser.add_argument("source", help="past flights: .csv, .csv.gz or .parquet")
    parser.add_argument("output", help="the model's file")
    parser.add_argument(
        "--classifier",
        choices=sorted(CLASSIFIERS),
        default="xgboost",
        help="default: %(default)s",
    )
    parser.add_argument(
        "--features",
        choices=sorted(FEATURE_SETS),
        default="schedule",
        help="schedule: every category; top10: the notebook's columns "
        "(default: %(default)s)",
    )
    parser.add_argument(
        "--skip-invalid",
        action="store_true",
        help="train on the valid rows instead of stopping at invalid ones",
    )
    return parser


def _summary(training: Training, output: str) -> str:
    dataset, quality = training.dataset, training.quality
    lines = [f"read      {dataset.rows:,} rows of {dataset.name}"]
    refused = "none"
    if dataset.faults:
        refused = describe_faults(dataset.faults, dataset.first_row)
    lines.append(f"refused   {refused}")
    if quality is None:
        lines.append("held out  none: too few flights to measure the model on")
    else:
        lines.append(
            f"held out  {quality.flights:,} flights, {quality.delay_rate:.1%} delayed: "
            f"ROC AUC {quality.roc_auc:.3f}, "
            f"average precision {quality.average_precision:.3f}, "
            f"Brier score {quality.brier:.4f}; "
            f"of delays: recall {quality.recall:.2f}, "
            f"precision {quality.precision:.2f}, F1 {quality.f1:.2f}"
        )
    lines.append(f"model     {output} ({training.fingerprint[:12]})")
    return "\n".join(lines)
