"""The trees of an XGBoost model, read without XGBoost.

The form is XGBoost's own "Introduction to Model IO": categories listed at a split go
right, codes of an ordered column go left below its condition, and what is not given
goes where `default_left` says.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

import msgspec

from challenge.compiled.log_odds import log_odds
from challenge.compiled.ubjson import read_ubjson
from challenge.flights.fields import NOT_GIVEN

_CATEGORICAL_SPLIT: Final = 1
_NO_CHILD: Final = -1


@dataclass(slots=True)
class Split:
    """A node with two children; the left one is the next node of its tree.

    Attributes:
        column: what it looks at.
        listed: the codes that go right; None where the column is ordered.
        condition: there, the codes below it go left.
        default_left: where it goes what is not given.
        right: the place of the right child in the tree.
    """

    column: int
    listed: frozenset[int] | None
    condition: float
    default_left: bool
    right: int

    def goes_left(self, code: int) -> bool:
        """Where a row with a code, or NOT_GIVEN, in the column goes."""
        if code == NOT_GIVEN:
            return self.default_left
        if self.listed is None:
            return code < self.condition
        return code not in self.listed


# The nodes of a tree, each before its children; a number is what a leaf adds.
Tree: TypeAlias = list[Split | float]


@dataclass(frozen=True)
class Booster:
    """Trees, of which each row reaches one leaf.

    Attributes:
        trees: what they add to the log-odds.
        base: the log-odds that all rows start from.
    """

    trees: list[Tree]
    base: float


def read_booster(model: bytes, columns: int) -> Booster:
    """Read a model of so many columns, as `xgboost.Booster.save_raw("ubj")` gave it.

    Raises:
        ValueError: it is not that.
    """
    try:
        learner = msgspec.convert(read_ubjson(model), _Model).learner
        trees = learner.gradient_booster.model.trees
        base = float(learner.learner_model_param.base_score.strip("[]"))
        return Booster([_tree(nodes, columns) for nodes in trees], log_odds(base))
    except (ValueError, msgspec.ValidationError) as error:
        raise ValueError(f"the trees are damaged: {error}") from error
    except IndexError:
        raise ValueError("the trees are damaged: nodes are missing") from None


class _Nodes(msgspec.Struct):
    left_children: list[int]
    right_children: list[int]
    split_indices: list[int]
    split_conditions: list[float]
    split_type: list[int]
    default_left: list[int]
    categories: list[int]
    categories_nodes: list[int]
    categories_segments: list[int]
    categories_sizes: list[int]


class _Trees(msgspec.Struct):
    trees: list[_Nodes]


class _GradientBooster(msgspec.Struct):
    # Those of others have weights.
    name: Literal["gbtree"]
    model: _Trees


class _Objective(msgspec.Struct):
    name: Literal["binary:logistic"]


class _Parameters(msgspec.Struct):
    base_score: str


class _Learner(msgspec.Struct):
    gradient_booster: _GradientBooster
    objective: _Objective
    learner_model_param: _Parameters


class _Model(msgspec.Struct):
    learner: _Learner


def _tree(nodes: _Nodes, columns: int) -> Tree:
    tree: Tree = []
    listed = _listed(nodes)
    # Nodes to come, each with the split whose right child it is.
    waiting: list[tuple[int, Split | None]] = [(0, None)]
    while waiting:
        node, parent = waiting.pop()
        # More than there are, if some lead back.
        if len(tree) == len(nodes.left_children) or node < 0:
            raise ValueError("no tree of its nodes")
        if parent is not None:
            parent.right = len(tree)
        number = nodes.split_conditions[node]
        if not math.isfinite(number):
            raise ValueError(f"a node with {number}")
        if nodes.left_children[node] == _NO_CHILD:
            tree.append(number)
            continue
        split = _split(nodes, node, listed)
        if not 0 <= split.column < columns:
            raise ValueError(f"a column {split.column}, of {columns}")
        tree.append(split)
        waiting.append((nodes.right_children[node], split))
        waiting.append((nodes.left_children[node], None))
    return tree


def _split(nodes: _Nodes, node: int, listed: dict[int, frozenset[int]]) -> Split:
    is_categorical = nodes.split_type[node] == _CATEGORICAL_SPLIT
    return Split(
        column=nodes.split_indices[node],
        listed=listed.get(node, frozenset()) if is_categorical else None,
        condition=nodes.split_conditions[node],
        default_left=bool(nodes.default_left[node]),
        right=0,
    )


def _listed(nodes: _Nodes) -> dict[int, frozenset[int]]:
    """The categories that each categorical split lists."""
    segments = list(
        zip(nodes.categories_nodes, nodes.categories_segments, nodes.categories_sizes)
    )
    # Segments that overlap would be more than the file holds.
    is_there = all(start >= 0 and size >= 0 for _, start, size in segments)
    if not is_there or sum(size for *_, size in segments) > len(nodes.categories):
        raise ValueError("categories are missing")
    return {
        node: frozenset(nodes.categories[start : start + size])
        for node, start, size in segments
    }
