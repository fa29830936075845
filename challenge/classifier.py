"""Classifiers: from categorical features to the probability of a delay.

All learn from weighted rows, so counts serve as well as the rows that they count. Their
fitted state is plain values and bytes, never objects of a library, so that a model's
file survives an upgrade of the library.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Final, Self, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from challenge.artifact.card import ClassifierName
from challenge.compiled.scorers import indicated, prior_corrected
from challenge.compiled.trees import LeafBoxes
from challenge.errors import FeatureNamesError, NotFittedError, TrainingDataError
from challenge.flights.fields import NOT_GIVEN

if TYPE_CHECKING:
    import xgboost

Codes: TypeAlias = NDArray[np.int16]
Labels: TypeAlias = NDArray[np.int8]
Floats: TypeAlias = NDArray[np.floating]
Float64s: TypeAlias = NDArray[np.float64]

DEFAULT_SETTINGS: Final[dict[str, Any]] = {
    "learning_rate": 0.1,
    "max_depth": 6,
    "min_child_weight": 30,
    "reg_lambda": 3,
    "colsample_bynode": 0.67,
    "seed": 0,
}
# In weights: the schedule's features weigh a flight six times, for the ways to
# know of it. So the most trees are learned of 36,000 flights or more.
WEIGHT_PER_TREE: Final = 1_800
MIN_ROUNDS: Final = 20


class Classifier(ABC):
    """A binary classifier over categorical features.

    Features are arrays or frames of shape (rows, columns) that hold category codes
    from 0, and -1 where a feature is not given. A category that `fit` has not seen
    counts as not given.

    Attributes:
        base_rate_: the weighted share of delays that `fit` has seen, 0 to 1.
        categories_: for each column the codes that `fit` has seen, in order.
        ordered_: the positions of the ordered columns, as given to `fit`.
        feature_names_in_: the column names of the frame that `fit` has seen; empty
            if it was an array, or the classifier was restored from its state.
    """

    name: ClassVar[ClassifierName]
    base_rate_: float
    categories_: tuple[tuple[int, ...], ...]
    ordered_: tuple[int, ...]
    feature_names_in_: tuple[str, ...] = ()

    @property
    @abstractmethod
    def parameters(self) -> dict[str, Any]:
        """The arguments of the constructor that give an equal classifier."""

    @abstractmethod
    def _fit(self, features: Codes, target: Labels, weight: Float64s) -> None: ...

    @abstractmethod
    def _predict_proba(self, features: Codes) -> Float64s: ...

    @abstractmethod
    def _outer_log_odds(self, left: Codes, right: Codes) -> Floats: ...

    @abstractmethod
    def _state(self) -> dict[str, Any]: ...

    @abstractmethod
    def _restore(self, state: Mapping[str, Any]) -> None: ...

    def fit(
        self,
        features: ArrayLike,
        target: ArrayLike,
        sample_weight: ArrayLike | None = None,
        ordered: Collection[int] = (),
    ) -> Self:
        """Learn from rows, each as often as its weight says (once by default).

        Args:
            features: shape (rows, columns).
            target: 0 or 1, shape (rows,) or (rows, 1).
            sample_weight: at least 0, shape (rows,).
            ordered: the positions of columns whose codes are ordered. A classifier
                may ignore it and treat them as categories like the others.

        Raises:
            TrainingDataError: there are no rows, or only one class.
        """
        matrix = np.asarray(features, dtype=np.int16)
        labels = np.asarray(target, dtype=np.int8).reshape(-1)
        weight = np.ones(len(labels)) if sample_weight is None else sample_weight
        weights = np.asarray(weight, dtype=np.float64)
        present = weights > 0
        matrix, labels, weights = matrix[present], labels[present], weights[present]
        self.base_rate_ = _base_rate(labels, weights)
        self.categories_ = tuple(tuple(np.unique(c).tolist()) for c in matrix.T)
        self.ordered_ = tuple(ordered)
        self.feature_names_in_ = _column_names(features)
        self._fit(matrix, labels, weights)
        return self

    def predict_proba(self, features: ArrayLike) -> Float64s:
        """The probability of a delay, calibrated, shape (rows,).

        Raises:
            NotFittedError: `fit` has not been called.
            FeatureNamesError: `features` is a frame whose columns have other names
                than those of the frame that `fit` has seen, or another order.
        """
        self._check_fitted()
        names = _column_names(features)
        if names and self.feature_names_in_ and names != self.feature_names_in_:
            raise FeatureNamesError(self.feature_names_in_, names)
        matrix = np.asarray(features, dtype=np.int16)
        return self._predict_proba(self._known(matrix, self.categories_))

    def predict_proba_outer(
        self, left: ArrayLike, right: ArrayLike
    ) -> NDArray[np.float32]:
        """The probability for every row of `left` joined with every row of `right`.

        Together they have all columns, `left` the first. It agrees with
        `predict_proba` on the joined rows to single precision, and costs far less.

        Returns: shape (rows of left, rows of right).

        Raises:
            NotFittedError: `fit` has not been called.
        """
        self._check_fitted()
        matrix = np.asarray(left, dtype=np.int16)
        width = matrix.shape[1]
        outer = self._outer_log_odds(
            self._known(matrix, self.categories_[:width]),
            self._known(np.asarray(right, dtype=np.int16), self.categories_[width:]),
        )
        return _sigmoid(outer).astype(np.float32)

    def predict(self, features: ArrayLike) -> NDArray[np.int64]:
        """1 where a delay is more probable than on average, shape (rows,).

        This is the balanced decision: what class weights do at 0.5.
        """
        return (self.predict_proba(features) > self.base_rate_).astype(np.int64)

    @staticmethod
    def _known(matrix: Codes, categories: Sequence[Sequence[int]]) -> Codes:
        """The matrix with the codes that `fit` has not seen as not given."""
        known = matrix.copy()
        for column, codes in enumerate(categories):
            codes_or_none = _lookup(codes, codes, otherwise=NOT_GIVEN)
            entries = np.minimum(matrix[:, column] + 1, len(codes_or_none) - 1)
            known[:, column] = codes_or_none[entries]
        return known

    @property
    def is_fitted(self) -> bool:
        return hasattr(self, "base_rate_")

    def _check_fitted(self) -> None:
        if not self.is_fitted:
            raise NotFittedError(f"{type(self).__name__} is not fitted; call fit first")

    def state(self) -> dict[str, Any]:
        """The fitted state as numbers, strings, bytes, and lists of them.

        Raises:
            NotFittedError: `fit` has not been called.
        """
        self._check_fitted()
        return {
            "base_rate": self.base_rate_,
            "categories": [list(categories) for categories in self.categories_],
            "ordered": list(self.ordered_),
        } | self._state()

    @classmethod
    def from_state(
        cls, state: Mapping[str, Any], parameters: Mapping[str, Any]
    ) -> Self:
        """The classifier with this state; it predicts the same, to the bit."""
        classifier = cls(**parameters)
        classifier.base_rate_ = state["base_rate"]
        classifier.categories_ = tuple(map(tuple, state["categories"]))
        classifier.ordered_ = tuple(state["ordered"])
        classifier._restore(state)
        return classifier


class LogisticRegressionClassifier(Classifier):
    """Logistic regression over one-hot categories, with balanced class weights.

    Balancing weighs the classes alike, which moves every log-odds by the same amount:
    the log of on-time flights over delays. `predict_proba` subtracts it again (King
    and Zeng, "Logistic Regression in Rare Events Data", 2001, prior correction), so that
    probabilities are calibrated and the coefficients are those of scikit-learn's
    `LogisticRegression(class_weight="balanced")`.

    Args:
        C: the inverse strength of the L2 penalty, which spares the intercept.

    Attributes:
        effects_: for each column the log-odds that its codes add; a yes/no column has
            one, of code 1, others have one for each code in `categories_`.
        intercept_: of the balanced fit.
    """

    name = "logistic-regression"
    effects_: tuple[tuple[float, ...], ...]
    intercept_: float

    def __init__(self, C: float = 1.0) -> None:
        self.C = C

    @property
    def parameters(self) -> dict[str, Any]:
        return {"C": self.C}

    def _fit(self, features: Codes, target: Labels, weight: Float64s) -> None:
        # Imported here: a model that only predicts does not need it.
        from sklearn.linear_model import LogisticRegression

        one_hot = np.column_stack(
            [
                features[:, column] == code
                for column, codes in enumerate(self._indicated())
                for code in codes
            ]
        ).astype(np.float64)
        class_share = np.where(target == 1, self.base_rate_, 1 - self.base_rate_)
        regression = LogisticRegression(C=self.C, solver="newton-cholesky", tol=1e-10)
        regression.fit(one_hot, target, sample_weight=weight / (2 * class_share))
        coefficients = iter(regression.coef_[0].tolist())
        self.effects_ = tuple(
            tuple(next(coefficients) for _ in codes) for codes in self._indicated()
        )
        self.intercept_ = float(regression.intercept_[0])

    def _predict_proba(self, features: Codes) -> Float64s:
        return _sigmoid(
            self._prior_corrected() + self._effect(features, first_column=0)
        )

    def _outer_log_odds(self, left: Codes, right: Codes) -> Floats:
        of_left = self._prior_corrected() + self._effect(left, first_column=0)
        of_right = self._effect(right, first_column=left.shape[1])
        return of_left[:, np.newaxis] + of_right

    def _prior_corrected(self) -> float:
        return prior_corrected(self.intercept_, self.base_rate_)

    def _effect(self, features: Codes, first_column: int) -> Float64s:
        """The log-odds that some of the columns add, shape (rows,)."""
        effect = np.zeros(len(features))
        indicators = self._indicated()
        for column, codes in enumerate(features.T, start=first_column):
            known = _lookup(indicators[column], self.effects_[column], otherwise=0.0)
            effect += known[codes + 1]
        return effect

    def _indicated(self) -> list[Sequence[int]]:
        """For each column the codes that have an indicator of their own."""
        return list(map(indicated, self.categories_))

    def _state(self) -> dict[str, Any]:
        return {
            "effects": [list(effects) for effects in self.effects_],
            "intercept": self.intercept_,
        }

    def _restore(self, state: Mapping[str, Any]) -> None:
        self.effects_ = tuple(map(tuple, state["effects"]))
        self.intercept_ = state["intercept"]


class XGBoostClassifier(Classifier):
    """Gradient-boosted trees over native categories (Chen and Guestrin, 2016).

    It minimises the log loss of the flights as they are, without class weights, so
    its probabilities need no correction. Ordered columns are split at a code, others
    into two sets of categories.

    Args:
        rounds: the most trees; of few flights more than MIN_ROUNDS learn their noise.
        settings: parameters of XGBoost, which replace those in DEFAULT_SETTINGS.
    """

    name = "xgboost"
    booster_: xgboost.Booster

    def __init__(self, rounds: int = 120, **settings: Any) -> None:
        self.rounds = rounds
        self.settings = DEFAULT_SETTINGS | settings

    @property
    def parameters(self) -> dict[str, Any]:
        return {"rounds": self.rounds} | self.settings

    def _fit(self, features: Codes, target: Labels, weight: Float64s) -> None:
        import xgboost

        of_weight = max(MIN_ROUNDS, round(weight.sum() / WEIGHT_PER_TREE))
        self.booster_ = xgboost.train(
            {
                "objective": "binary:logistic",
                "tree_method": "hist",
                "base_score": self.base_rate_,
                # Counts are few, and threads that wait for each other lose more on
                # a busy machine than they gain on an idle one.
                "nthread": 1,
            }
            | self.settings,
            self._matrix(features, label=target, weight=weight),
            num_boost_round=min(self.rounds, of_weight),
        )

    def _predict_proba(self, features: Codes) -> Float64s:
        probability = self.booster_.predict(self._matrix(features))
        return np.asarray(probability, dtype=np.float64)

    def _outer_log_odds(self, left: Codes, right: Codes) -> Floats:
        sizes = tuple(max(codes) + 1 for codes in self.categories_)
        model = bytes(self.booster_.save_raw("ubj"))
        return LeafBoxes.of_model(model, sizes).outer_log_odds(left, right)

    def _matrix(self, features: Codes, **columns: Any) -> xgboost.DMatrix:
        import xgboost

        return xgboost.DMatrix(
            np.where(features == NOT_GIVEN, np.nan, features.astype(np.float32)),
            feature_types=[
                "q" if column in self.ordered_ else "c"
                for column in range(features.shape[1])
            ],
            enable_categorical=True,
            **columns,
        )

    def _state(self) -> dict[str, Any]:
        return {"booster": bytes(self.booster_.save_raw("ubj"))}

    def _restore(self, state: Mapping[str, Any]) -> None:
        import xgboost

        self.booster_ = xgboost.Booster()
        self.booster_.load_model(bytearray(state["booster"]))


CLASSIFIERS: Final[dict[str, type[Classifier]]] = {
    classifier.name: classifier
    for classifier in (LogisticRegressionClassifier, XGBoostClassifier)
}


def _column_names(features: ArrayLike) -> tuple[str, ...]:
    """The names of a frame's columns; empty for an array."""
    return tuple(map(str, getattr(features, "columns", ())))


def _sigmoid(values: NDArray[Any]) -> NDArray[Any]:
    """The probabilities that have these log-odds, of the same precision."""
    return np.asarray(1 / (1 + np.exp(-values)))


def _base_rate(target: Labels, weight: Float64s) -> float:
    total = float(weight.sum())
    if total == 0:
        raise TrainingDataError("there are no flights to learn from")
    rate = float(weight[target == 1].sum()) / total
    if rate in (0, 1):
        which = "were delayed" if rate else "were on time"
        raise TrainingDataError(f"all flights {which}: both classes are needed")
    return rate


def _lookup(
    codes: Sequence[int], values: Sequence[float], otherwise: float
) -> NDArray[Any]:
    """An array whose entry code + 1 is the value of the code, or `otherwise`.

    Entry 0 stands for NOT_GIVEN; the last entry is always `otherwise`.
    """
    array = np.full(max(codes) + 3, otherwise)
    array[np.array(codes) + 1] = values
    return array
