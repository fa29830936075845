"""Boosted trees as sums over products of category sets.

A tree splits on one column at a time, so each of its leaves is a box: the rows whose
every column lies in a set of that column's codes. From the boxes of all trees, the
log-odds of all combinations of some left and some right columns are one matrix product,
about eighty times faster than evaluating the trees row by row.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from challenge.compiled.log_odds import log_odds

_CATEGORICAL_SPLIT = 1
_NO_CHILD = -1


@dataclass(frozen=True)
class LeafBoxes:
    """All leaves of an ensemble.

    Attributes:
        sets: for each column, bool of shape (categories + 1, leaves): whether the
            leaf takes rows with this code; entry 0 stands for not given, entry
            code + 1 for the code.
        values: the log-odds that each leaf adds, float32 of shape (leaves,).
        base: the log-odds that all rows start from.
    """

    sets: list[NDArray[np.bool_]]
    values: NDArray[np.float32]
    base: float

    @classmethod
    def of_model(cls, model: bytes, sizes: tuple[int, ...]) -> Self:
        """Read an XGBoost model, in its JSON form, whose columns have these sizes.

        The form is XGBoost's own "Introduction to Model IO": categories listed at a
        split go right, codes of an ordered column go left below its condition, and
        what is not given goes where `default_left` says.
        """
        learner = json.loads(model)["learner"]
        base = float(learner["learner_model_param"]["base_score"].strip("[]"))
        everything = [np.ones(size + 1, dtype=bool) for size in sizes]
        leaves: list[tuple[float, list[NDArray[np.bool_]]]] = []
        for tree in learner["gradient_booster"]["model"]["trees"]:
            _collect_leaves(tree, everything, leaves)
        return cls(
            sets=[np.array(column).T for column in zip(*(s for _, s in leaves))],
            values=np.array([value for value, _ in leaves], dtype=np.float32),
            base=log_odds(base),
        )

    def outer_log_odds(
        self, left: NDArray[np.int16], right: NDArray[np.int16]
    ) -> NDArray[np.float32]:
        """The log-odds of every row of `left` joined with every row of `right`.

        Together they have all columns, `left` the first; the result is of shape
        (rows of left, rows of right).
        """
        width = left.shape[1]
        left_takes = self._takes(self.sets[:width], left)
        right_takes = self._takes(self.sets[width:], right)
        log_odds = np.empty((len(left), len(right)), dtype=np.float32)
        # Rows that stand together reach the same few leaves.
        for start in range(0, len(left), 24):
            rows = slice(start, start + 24)
            reached = left_takes[rows].any(axis=0)
            values = left_takes[rows][:, reached] * self.values[reached]
            log_odds[rows] = values @ right_takes[:, reached].T.astype(np.float32)
        return log_odds + np.float32(self.base)

    def _takes(
        self, sets: list[NDArray[np.bool_]], rows: NDArray[np.int16]
    ) -> NDArray[np.bool_]:
        takes = np.ones((len(rows), len(self.values)), dtype=bool)
        for column, of_column in enumerate(sets):
            takes &= of_column[rows[:, column] + 1]
        return takes


def _collect_leaves(
    tree: dict[str, Any],
    everything: list[NDArray[np.bool_]],
    leaves: list[tuple[float, list[NDArray[np.bool_]]]],
) -> None:
    listed = {
        node: tree["categories"][start : start + size]
        for node, start, size in zip(
            tree["categories_nodes"],
            tree["categories_segments"],
            tree["categories_sizes"],
            strict=True,
        )
    }
    waiting = [(0, everything)]
    while waiting:
        node, sets = waiting.pop()
        if tree["left_children"][node] == _NO_CHILD:
            leaves.append((tree["split_conditions"][node], sets))
            continue
        column = tree["split_indices"][node]
        if tree["split_type"][node] == _CATEGORICAL_SPLIT:
            goes_left = np.ones_like(sets[column])
            goes_left[np.array(listed[node]) + 1] = False
        else:
            codes = np.arange(-1, len(sets[column]) - 1, dtype=np.float32)
            goes_left = codes < np.float32(tree["split_conditions"][node])
        goes_left[0] = bool(tree["default_left"][node])
        for child, side in (
            (tree["left_children"][node], goes_left),
            (tree["right_children"][node], ~goes_left),
        ):
            narrowed = list(sets)
            narrowed[column] = sets[column] & side
            waiting.append((child, narrowed))
