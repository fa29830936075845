"""The state of a classifier as log-odds of single flights, without its library.

What is said by the code of one column can be combined with what is said by the others,
in any order: a caller combines only once what it asks about often.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Protocol, TypeVar

import msgspec

from challenge.compiled.leaf_masks import LeafMasks
from challenge.compiled.log_odds import log_odds
from challenge.flights.fields import NOT_GIVEN

T = TypeVar("T")


class Scorer(Protocol):
    """A classifier, asked column by column.

    Attributes:
        said: for each column what its codes say, code c at c + 1, and at 0 what is said
            where none is given.
        combine: makes one of what two columns say.
        nothing_said: what combines with what is said without a change.
    """

    @property
    def said(self) -> Sequence[Sequence[Any]]: ...

    @property
    def combine(self) -> Callable[[Any, Any], Any]: ...

    @property
    def nothing_said(self) -> Any: ...

    def log_odds(self, combined: Any, /) -> float:
        """Those of a row, by what is combined of all its columns."""

    def mean_log_odds(
        self, rows: Iterable[tuple[Any, int]], /
    ) -> Callable[[Any], float]:
        """The mean log-odds of rows that differ in some columns: a function of what is
        combined of the others.

        Args:
            rows: what is combined of these, and for how many rows; at least one.
        """


class Effects:
    """Logistic regression: each code adds to the log-odds.

    Args:
        intercept: what is added to all.
        effects: for each column what the codes in `indicated(codes)` add.
        categories: for each column the codes that were learned from; others are taken as
            not given.
        sizes: how many codes each column has.

    Attributes:
        said: as for a `Scorer`.

    Raises:
        ValueError: effects are missing, or not finite.
    """

    combine = staticmethod(operator.add)
    nothing_said = 0.0

    def __init__(
        self,
        intercept: float,
        effects: Sequence[Sequence[float]],
        categories: Sequence[Sequence[int]],
        sizes: Sequence[int],
    ) -> None:
        codes_with_effect = list(map(indicated, categories))
        if list(map(len, codes_with_effect)) != list(map(len, effects)):
            raise ValueError("the classifier's effects are not those of its codes")
        self._intercept = intercept
        self.said = []
        for column, size in enumerate(sizes):
            if not all(map(math.isfinite, (intercept, *effects[column]))):
                raise ValueError("an effect is not finite")
            added = dict(zip(codes_with_effect[column], effects[column]))
            not_given = added.get(NOT_GIVEN, 0.0)
            known = {code: added.get(code, 0.0) for code in categories[column]}
            said = [known.get(code, not_given) for code in range(size)]
            self.said.append([not_given, *said])

    def log_odds(self, combined: float) -> float:
        """Those of a row, by the sum over its columns."""
        return self._intercept + combined

    def mean_log_odds(
        self, rows: Iterable[tuple[float, int]]
    ) -> Callable[[float], float]:
        """As `Scorer` has it."""
        said, counts = zip(*rows)
        mean = math.fsum(map(operator.mul, said, counts)) / sum(counts)
        return lambda combined: self.log_odds(mean + combined)


def scorer_of(name: str, state: Mapping[str, Any], sizes: Sequence[int]) -> Scorer:
    """The scorer of a classifier, by its name and its state.

    Args:
        name: that of the classifier.
        state: as its `state` gave it.
        sizes: how many codes each column of its features has.

    Raises:
        ValueError: the state is damaged, or there is no scorer for such a classifier.
    """
    if name == "xgboost":
        trees = _converted(state, _TreesState)
        return LeafMasks(trees.booster, _checked(trees.categories, sizes), sizes)
    if name == "logistic-regression":
        regression = _converted(state, _RegressionState)
        return Effects(
            prior_corrected(regression.intercept, regression.base_rate),
            regression.effects,
            _checked(regression.categories, sizes),
            sizes,
        )
    raise ValueError(f"there is no scorer for the classifier {name!r}")


def indicated(codes: Sequence[int]) -> Sequence[int]:
    """Of the codes that a column had, those with an indicator of their own in a
    regression: a yes/no column has one."""
    return (1,) if set(codes) <= {0, 1} else codes


def prior_corrected(intercept: float, base_rate: float) -> float:
    """The intercept without the log-odds that balancing the classes added to it."""
    return intercept + log_odds(base_rate)


class _TreesState(msgspec.Struct):
    categories: list[list[int]]
    booster: bytes


class _RegressionState(msgspec.Struct):
    base_rate: float
    categories: list[list[int]]
    effects: list[list[float]]
    intercept: float


def _converted(state: Mapping[str, Any], kind: type[T]) -> T:
    try:
        return msgspec.convert(state, kind)
    except msgspec.ValidationError as error:
        raise ValueError(f"the classifier's state is damaged: {error}") from None


def _checked(
    categories: Sequence[Sequence[int]], sizes: Sequence[int]
) -> Sequence[Sequence[int]]:
    if len(categories) != len(sizes):
        raise ValueError(
            f"the classifier has {len(categories)} columns, its features {len(sizes)}"
        )
    for codes, size in zip(categories, sizes):
        if not all(NOT_GIVEN <= code < size for code in codes):
            raise ValueError(f"the classifier has other codes than {size}")
    return categories
