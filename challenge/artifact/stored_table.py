"""The table of a model's file, or what computes it from the file's classifier."""

from __future__ import annotations

from challenge.artifact.model_file import Artifact
from challenge.compiled.computed_table import ComputedTable
from challenge.compiled.grid import Grid
from challenge.compiled.scorers import scorer_of
from challenge.compiled.table import ProbabilityTable
from challenge.features.feature_sets import FeatureSet


def stored_table(
    stored: Artifact, grid: Grid, features: FeatureSet
) -> ProbabilityTable | ComputedTable:
    """The probabilities of all cells.

    Args:
        stored: the contents of the file.
        grid, features: those of its model.

    Raises:
        ValueError: the contents do not fit together.
    """
    if not grid.cells:
        raise ValueError("its vocabulary has no airlines, or no flight types")
    if stored.table is not None:
        return ProbabilityTable(grid, stored.table)
    scorer = scorer_of(stored.card.classifier, stored.classifier, features.sizes)
    return ComputedTable(grid, features, scorer, stored.month_shares)
