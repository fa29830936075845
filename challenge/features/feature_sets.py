"""Feature sets: what a classifier sees of a flight.

Every feature is a category, given as its code: 0, 1, 2 … and -1 for not given. So a
feature matrix is int16 of shape (flights, columns), whichever the set.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from itertools import combinations
from typing import TYPE_CHECKING, Any, ClassVar, Final

from challenge.errors import FeatureNamesError
from challenge.flights.fields import (
    AIRLINE,
    AIRLINE_CODE,
    FIELDS,
    FLIGHT_TYPE,
    FLIGHT_TYPE_CODE,
    MONTH,
    MONTH_CODE,
    MONTHS,
    NOT_GIVEN,
    Kind,
)
from challenge.flights.vocabulary import Vocabulary

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

HINT: Final = "make them with preprocess(flights), or call forecast(flights)"
# The code of a value that the vocabulary lacks.
_NO_FLIGHT: Final = -2
# The notebook's ten, by the importance that its XGBoost gave them.
TOP10_COLUMNS: Final = (
    "OPERA_Latin American Wings",
    "MES_7",
    "MES_10",
    "OPERA_Grupo LATAM",
    "MES_12",
    "TIPOVUELO_I",
    "MES_4",
    "MES_11",
    "OPERA_Sky Airline",
    "OPERA_Copa Air",
)


class FeatureSet(ABC):
    """The columns that flights become, under one vocabulary.

    Attributes:
        name: how commands and model cards call the set.
        fields: the fields of a `Flight` that the set looks at.
        columns: the names of the columns.
        sizes: the number of categories of each column.
        made_of: the position in a `Flight` of the code that each column is made of.
        base_columns: how many of the columns, the first, depend on nothing but
            airline, flight type and month; the others depend on none of these.
        ordered: the columns whose codes stand in an order that means something.
        learns_missing_month: whether the knowledge levels leave the month out; if
            not, a month without training flights is averaged over by the model.
    """

    name: ClassVar[str]
    fields: tuple[str, ...]
    columns: tuple[str, ...]
    sizes: tuple[int, ...]
    made_of: tuple[int, ...]
    base_columns: ClassVar[int]
    ordered: ClassVar[tuple[str, ...]] = ()
    learns_missing_month: ClassVar[bool] = False

    def __init__(self, vocabulary: Vocabulary) -> None:
        self.vocabulary = vocabulary

    @abstractmethod
    def matrix(self, codes: NDArray[np.int16]) -> NDArray[np.int16]:
        """The features of flights: codes of shape (flights, CODES) to (flights, columns)."""

    @abstractmethod
    def category(self, column: int, code: int) -> int:
        """What a column holds of a flight with a code where it is `made_of`."""

    def checked(self, features: Any) -> NDArray[np.int16]:
        """A table of features as a matrix, by the names of its columns if it has names.

        Raises:
            FeatureNamesError: they are not those of this set.
        """
        import numpy as np

        if hasattr(features, "columns"):
            if not set(self.columns) <= set(features.columns):
                raise FeatureNamesError(self.columns, features.columns, HINT)
            features = features[list(self.columns)]
        try:
            matrix = np.asarray(features, dtype=np.int16)
        except (TypeError, ValueError) as error:
            found = getattr(features, "columns", ())
            raise FeatureNamesError(self.columns, found, HINT) from error
        if matrix.ndim != 2 or matrix.shape[1] != len(self.columns):
            raise FeatureNamesError(self.columns, range(matrix.shape[-1]), HINT)
        return matrix

    def knowledge_levels(
        self, matrix: NDArray[np.int16]
    ) -> list[tuple[NDArray[np.int16], float]]:
        """The matrix as it is and with fields left out in every way, with weights."""
        return [(matrix, 1.0)]


class Top10(FeatureSet):
    """The notebook's ten yes/no columns."""

    name = "top10"
    fields = ("airline", "flight_type", "month")
    columns = TOP10_COLUMNS
    base_columns = len(TOP10_COLUMNS)
    sizes = (2,) * len(TOP10_COLUMNS)

    def __init__(self, vocabulary: Vocabulary) -> None:
        super().__init__(vocabulary)
        values: dict[str, tuple[int, tuple[object, ...]]] = {
            AIRLINE: (AIRLINE_CODE, vocabulary[AIRLINE]),
            FLIGHT_TYPE: (FLIGHT_TYPE_CODE, vocabulary[FLIGHT_TYPE]),
            MONTH: (MONTH_CODE, tuple(map(str, MONTHS))),
        }
        made_of, yes = [], []
        for name in self.columns:
            field, value = name.split("_", maxsplit=1)
            position, known = values[field]
            made_of.append(position)
            yes.append(known.index(value) if value in known else _NO_FLIGHT)
        self.made_of = tuple(made_of)
        self._yes = tuple(yes)

    def matrix(self, codes: NDArray[np.int16]) -> NDArray[np.int16]:
        import numpy as np

        is_yes: NDArray[np.bool_] = codes[:, self.made_of] == np.array(self._yes)
        return is_yes.astype(np.int16)

    def category(self, column: int, code: int) -> int:
        return int(code == self._yes[column])


class AllCategories(FeatureSet):
    """Every airline, flight type and month: the notebook's fields, none thrown away."""

    name = "all"
    fields: tuple[str, ...] = ("airline", "flight_type", "month")
    columns: tuple[str, ...] = (AIRLINE, FLIGHT_TYPE, MONTH)
    base_columns = 3

    def __init__(self, vocabulary: Vocabulary) -> None:
        super().__init__(vocabulary)
        self.sizes = vocabulary.sizes[: len(self.columns)]
        self.made_of = tuple(range(len(self.columns)))

    def matrix(self, codes: NDArray[np.int16]) -> NDArray[np.int16]:
        return codes[:, : len(self.columns)]

    def category(self, column: int, code: int) -> int:
        return code


class Schedule(AllCategories):
    """All that a schedule tells of a flight: also its destination, hour and weekday, and
    its origin where the vocabulary has several.

    Each flight is learned with and without each of these, and all of this again without
    its month, which counts half: a month is left out only of flights in months without
    a past.
    """

    name = "schedule"
    ordered = ("hour",)
    learns_missing_month = True
    missing_month_weight: ClassVar = 0.5

    def __init__(self, vocabulary: Vocabulary) -> None:
        self.fields = vocabulary.told_apart
        names = {field.attribute: field.name for field in FIELDS}
        self.columns = tuple(names.get(one, one) for one in self.fields)
        groups = (
            ("hour", "weekday") if field.kind is Kind.TIME else (field.name,)
            for field in FIELDS
            if not field.required
        )
        self.optional_groups = [one for one in groups if one[0] in self.columns]
        super().__init__(vocabulary)

    def knowledge_levels(
        self, matrix: NDArray[np.int16]
    ) -> list[tuple[NDArray[np.int16], float]]:
        levels = []
        # Together as much as those of a destination and a time, whatever there is more.
        weight = 4 / 2 ** len(self.optional_groups)
        for left_out in range(len(self.optional_groups) + 1):
            for groups in combinations(self.optional_groups, left_out):
                names = [name for group in groups for name in group]
                without = self._without(matrix, names)
                levels.append((without, weight))
                without_month = self._without(without, (MONTH,))
                levels.append((without_month, weight * self.missing_month_weight))
        return levels

    def _without(
        self, matrix: NDArray[np.int16], names: Sequence[str]
    ) -> NDArray[np.int16]:
        left = matrix.copy()
        left[:, [self.columns.index(name) for name in names]] = NOT_GIVEN
        return left


FEATURE_SETS: Final[dict[str, type[FeatureSet]]] = {
    features.name: features for features in (Top10, AllCategories, Schedule)
}


def feature_set(name: str, vocabulary: Vocabulary) -> FeatureSet:
    """The feature set with a name, under a vocabulary.

    Raises:
        ValueError: there is none.
    """
    if name not in FEATURE_SETS:
        known = ", ".join(FEATURE_SETS)
        raise ValueError(f"{name!r} is not a feature set; there are: {known}")
    return FEATURE_SETS[name](vocabulary)
