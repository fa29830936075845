"""The rules of a flight's fields in SQL, for the rows that are certainly valid.

DuckDB codes such rows by itself; what an expression here makes NULL is for
`challenge.flights.rules` to decide.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from challenge.compiled.grid import Axis
from challenge.flights.fields import CATEGORIES, MONTH, SCHEDULED, Field, Kind
from challenge.flights.rules import MAX_NAME_LENGTH
from challenge.flights.times import TIME_PATTERN
from challenge.flights.vocabulary import Vocabulary

_WHOLE_TYPES: Final = ("TINYINT", "SMALLINT", "INTEGER", "BIGINT")


class FieldColumns:
    """The columns of a file that hold fields, as `challenge.files.sql.Source` calls them.

    Args:
        types: the type of each of the file's columns by its name, in their order.
        is_parquet: in a CSV file every column is text.
    """

    def __init__(self, types: dict[str, str], is_parquet: bool) -> None:
        self.types = types
        self.is_parquet = is_parquet

    def __contains__(self, name: str) -> bool:
        return name in self.types

    def select(self, names: Iterable[str], source: str, *others: str) -> str:
        """SQL for just these columns of a source, and others that it has."""
        chosen = [*map(self.column, names), *others]
        return f"SELECT {', '.join(chosen)} FROM {source}"

    def column(self, name: str) -> str:
        """What a column is called in a source."""
        return f"c{list(self.types).index(name)}"

    def value(self, name: str) -> str:
        """SQL for the values of a column as Python gets them."""
        # A time with a zone is not a local time; its text says so in a message.
        text = "::VARCHAR" if "ZONE" in self.types[name] else ""
        return self.column(name) + text

    def is_text(self, name: str) -> bool:
        return self.types.get(name) == "VARCHAR"

    def is_not_given(self, name: str) -> str:
        """SQL that is true where a field is left out."""
        if name not in self.types:
            return "true"
        column = self.column(name)
        return f"({column} IS NULL OR {column}::VARCHAR = '')"

    def judged_value(self, name: str) -> str:
        """The same for the rules, which look at no more of a text than its start."""
        if self.is_text(name):
            return f"left({self.column(name)}, {MAX_NAME_LENGTH + 1})"
        return self.value(name)

    def month(self) -> str:
        """SQL for the month, 1 to 12, NULL where it is not certainly one."""
        if MONTH not in self.types:
            return f"month({self.time(SCHEDULED)})"
        column = self.column(MONTH)
        if self.types[MONTH] in _WHOLE_TYPES:
            month = f"TRY_CAST({column} AS INTEGER)"
            return f"CASE WHEN {month} BETWEEN 1 AND 12 THEN {month} END"
        # In Parquet a text is no month.
        if self.is_parquet or not self.is_text(MONTH):
            return "NULL::INTEGER"
        # A list of the twelve texts would become a join, which mixes up the rows.
        form = f"regexp_full_match({column}, '(0?[1-9]|1[0-2])(\\.0)?')"
        return f"CASE WHEN {form} THEN TRY_CAST({column} AS INTEGER) END"

    def time(self, name: str) -> str:
        """SQL for a local time, NULL where it is not certainly one."""
        kind = self.types.get(name)
        if kind == "VARCHAR":
            column = self.column(name)
            form = f"regexp_full_match({column}, {sql_text(TIME_PATTERN)})"
            # There is no year 0 but to DuckDB.
            form += f" AND {column} >= '0001'"
            return f"CASE WHEN {form} THEN TRY_CAST({column} AS TIMESTAMP) END"
        if kind is not None and kind.startswith("TIMESTAMP") and "ZONE" not in kind:
            return self.column(name)
        return "NULL::TIMESTAMP"

    def step(self, axis: Axis, vocabulary: Vocabulary) -> str:
        """SQL for what a field adds to the number of a cell, its values being `month_`
        and `time_` where it is one of these; NULL where it is not certainly valid."""
        field = axis.field
        if field.kind is Kind.MONTH:
            return f"(month_ - 1)::BIGINT * {axis.stride}"
        if field.kind is Kind.TIME:
            entry = f"(isodow(time_) - 1) * 24 + hour(time_) + {axis.first}"
            given = f"WHEN month(time_) = month_ THEN {axis.stride} * ({entry})"
        else:
            given = (
                f"ELSE ({self._code(field, vocabulary)} + {axis.first}) * {axis.stride}"
            )
        if vocabulary.implies(field) and field.name not in self.types:
            return "0"
        if field.required:
            return given.removeprefix("ELSE ")
        # Of a field without names the model has learned nothing.
        if field.name not in self.types or (
            field.kind is Kind.CATEGORY
            and self.is_text(field.name)
            and not vocabulary[field.name]
        ):
            return "0"
        return f"CASE WHEN {self.is_not_given(field.name)} THEN 0 {given} END"

    def _code(self, field: Field, vocabulary: Vocabulary) -> str:
        if not self.is_text(field.name):
            return "NULL::BIGINT"
        column = self.column(field.name)
        exact = f'enum_code(TRY_CAST({column} AS "{field.name}"))::BIGINT'
        # Only names that are written otherwise pay for this.
        folded = f"TRY_CAST(strip_accents(lower(trim({column}))) AS {_folded(field)})"
        codes = list(vocabulary.folded_codes(field.name).values())
        return f"coalesce({exact}, {codes}[enum_code({folded}) + 1])"


def name_types(vocabulary: Vocabulary) -> Iterator[str]:
    """SQL that lets DuckDB know the names of a vocabulary."""
    for field in CATEGORIES:
        folded = vocabulary.folded_codes(field.name)
        yield _enum(f'"{field.name}"', vocabulary[field.name])
        yield _enum(_folded(field), tuple(folded))


def name_sql(name: str) -> str:
    """A name as SQL writes it."""
    return '"' + name.replace('"', '""') + '"'


def sql_text(text: str) -> str:
    """A text as SQL writes it."""
    return "'" + text.replace("'", "''") + "'"


def _enum(name: str, values: tuple[str, ...]) -> str:
    texts = ", ".join(map(sql_text, values)) or "''"
    return f"CREATE TYPE {name} AS ENUM ({texts})"


def _folded(field: Field) -> str:
    return f'"{field.name} folded"'
