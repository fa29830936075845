"""The innermost layers of SQL: a file's columns, and what a format makes of them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from challenge.files.faults import NOT_OF_FORMAT
from challenge.files.field_sql import name_sql, sql_text
from challenge.files.formats import CONDITIONS, MINUTES_LATE, FoundColumns
from challenge.files.sql import Source
from challenge.flights.fields import DEPARTED, SCHEDULED

if TYPE_CHECKING:
    import duckdb


class Expressions:
    """The expressions of a format over the columns of a file.

    Names of the file are inside of `rows` alone: no column of a caller can take the place
    of one of ours in a query.

    Args:
        connection: the one that reads the file.
        path: the file, for messages.
        file: its rows.
        found: its format, and where the columns are.

    Attributes:
        kinds: the type of each expression, by what it is.

    Raises:
        FlightsFileError: an expression is not SQL over these columns.
    """

    def __init__(
        self,
        connection: duckdb.DuckDBPyConnection,
        path: Path,
        file: Source,
        found: FoundColumns,
    ) -> None:
        import duckdb

        self.file = file
        self.found = found
        self._names = list(found.expressions)
        self._places = {n.lower(): (n, place) for n, place in found.places.items()}
        query = f"SELECT COLUMNS('^m\\d+$') FROM {self.rows(file.sql)}"
        try:
            kinds = connection.sql(query).types
        except (
            duckdb.BinderException,
            duckdb.CatalogException,
            duckdb.ParserException,
        ) as error:
            reason = str(error).splitlines()[0]
            raise NOT_OF_FORMAT.error(
                path, format=found.format.name, reason=reason
            ) from error
        self.kinds = dict(zip(self._names, map(str, kinds), strict=True))

    def value(self, key: str) -> str:
        """What the value of an expression is called in `rows`."""
        return f"m{self._names.index(key)}"

    @property
    def departure(self) -> str:
        """What tells the departure."""
        return DEPARTED if DEPARTED in self._names else MINUTES_LATE

    @property
    def conditions(self) -> list[str]:
        """Those that the file tells."""
        return [name for name in CONDITIONS if name in self.kinds]

    def is_true(self, condition: str) -> str:
        """SQL for whether a condition is certainly true."""
        return f"coalesce(TRY_CAST({self.value(condition)} AS BOOLEAN), false)"

    def rows(
        self, source: str, kept: Sequence[str] = (), is_numbered: bool = False
    ) -> str:
        """The rows of a source with the value of each expression, and for messages about
        times `raw_scheduled` and `raw_departed`, of what they are made.

        Args:
            source: the file, or the file with the number of each row.
            kept: columns of the file to keep as they are: `kept0`, `kept1` …, beside
                the `fault` of a row, if it may have one.
            is_numbered: whether the source has numbers, which are kept as `row_`.
        """
        inner = [
            f"{self._cell(at)} AS {name_sql(name)}"
            for name, at in self._places.values()
        ]
        outer = [f"{self._sql(key)} AS {self.value(key)}" for key in self._names]
        for key, alias in ((SCHEDULED, "scheduled"), (self.departure, "departed")):
            if key in self._names:
                used = map(name_sql, self.found.used_by(key))
                texts = ", ".join([f"{name}::VARCHAR" for name in used] or ["NULL"])
                outer.append(f"concat_ws(' ', {texts}) AS raw_{alias}")
        places = list(self.file.types)
        more = {f"kept{n}": f"c{places.index(name)}" for n, name in enumerate(kept)}
        if self.file.fault is not None:
            more["fault"] = self.file.fault
        if is_numbered:
            more["row_"] = "row_"
        for name, column in more.items():
            free = name
            while free in self._places:
                free += "_"
            inner.append(f"{column} AS {free}")
            outer.append(f"{free} AS {name}")
        chosen = ", ".join(inner) or "NULL AS nothing"
        return f"(SELECT {', '.join(outer)} FROM (SELECT {chosen} FROM {source}))"

    def _cell(self, place: int) -> str:
        """A value of a column, NULL where it stands for none."""
        missing = self.found.format.missing
        if missing is None or list(self.file.types.values())[place] != "VARCHAR":
            return f"c{place}"
        return f"nullif(c{place}, {sql_text(missing)})"

    def _sql(self, key: str) -> str:
        expression = self.found.expressions[key]
        return name_sql(expression) if self.found.is_column(key) else f"({expression})"
