"""Boosted trees as sums over products of category sets.

A tree splits on one column at a time, so each of its leaves is a box: the rows whose
every column lies in a set of that column's codes. From the boxes of all trees, the
log-odds of all combinations of some left and some right columns are one matrix product,
about eighty times faster than evaluating the trees row by row.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from challenge.compiled.booster import Tree, read_booster


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
        """Read an XGBoost model, as `read_booster` does, whose columns have these sizes."""
        booster = read_booster(model, len(sizes))
        everything = [np.ones(size + 1, dtype=bool) for size in sizes]
        leaves: list[tuple[float, list[NDArray[np.bool_]]]] = []
        for tree in booster.trees:
            _collect_leaves(tree, everything, leaves)
        return cls(
            sets=[np.array(column).T for column in zip(*(s for _, s in leaves))],
            values=np.array([value for value, _ in leaves], dtype=np.float32),
            base=booster.base,
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
        # By leaf, as those that are reached are picked below: four times as fast.
        right_takes = np.ascontiguousarray(self._takes(self.sets[width:], right).T)
        log_odds = np.empty((len(left), len(right)), dtype=np.float32)
        # Rows that stand together reach the same few leaves.
        for start in range(0, len(left), 24):
            rows = slice(start, start + 24)
            reached = left_takes[rows].any(axis=0)
            values = left_takes[rows][:, reached] * self.values[reached]
            log_odds[rows] = values @ right_takes[reached].astype(np.float32)
        return log_odds + np.float32(self.base)

    def _takes(
        self, sets: list[NDArray[np.bool_]], rows: NDArray[np.int16]
    ) -> NDArray[np.bool_]:
        takes = np.ones((len(rows), len(self.values)), dtype=bool)
        for column, of_column in enumerate(sets):
            takes &= of_column[rows[:, column] + 1]
        return takes


def _collect_leaves(
    tree: Tree,
    everything: list[NDArray[np.bool_]],
    leaves: list[tuple[float, list[NDArray[np.bool_]]]],
) -> None:
    # The sets of the nodes to come; each is met before its children.
    taken = {0: everything}
    for place, node in enumerate(tree):
        sets = taken.pop(place)
        if isinstance(node, float):
            leaves.append((node, sets))
            continue
        codes = range(-1, len(sets[node.column]) - 1)
        goes_left = np.array(list(map(node.goes_left, codes)))
        for child, side in ((place + 1, goes_left), (node.right, ~goes_left)):
            narrowed = list(sets)
            narrowed[node.column] = sets[node.column] & side
            taken[child] = narrowed
