"""The names that training flights hold, and counts by the names of several files."""

from __future__ import annotations

import sys
from collections.abc import Iterable

import numpy as np
import pandas as pd

from challenge.features.counts import Counts, translate, unique_rows
from challenge.flights.fields import CATEGORIES
from challenge.flights.vocabulary import Vocabulary, distinct_names, fold

# In the place of a name, of a code that stands beside several names.
AMBIGUOUS = ""


def vocabulary_of(data: pd.DataFrame) -> Vocabulary:
    """The names in a frame; of a field with choices, those of these that it has."""

    def texts(name: str) -> set[str]:
        distinct = data[name].dropna().unique() if name in data.columns else ()
        return {one for one in distinct if isinstance(one, str) and one.strip()}

    names = {field.name: distinct_names(texts(field.name)) for field in CATEGORIES}
    for field in CATEGORIES:
        if field.choices:
            found = set(map(fold, names[field.name]))
            names[field.name] = tuple(c for c in field.choices if fold(c) in found)
    return Vocabulary(names)


def aliases_of(groups: pd.DataFrame) -> dict[str, dict[str, str]]:
    """The codes beside the names of each field, of groups of flights that have `min`
    and `max` of the codes in them."""
    aliases: dict[str, dict[str, str]] = {}
    for field in CATEGORIES:
        found: dict[str, str] = {}
        for end in ("min", "max") if field.code_column is not None else ():
            pairs = groups[[f"{field.attribute}_code_{end}", field.attribute]]
            distinct = pairs.drop_duplicates().dropna()
            for code, name in distinct.itertuples(index=False, name=None):
                _add_alias(found, code, name)
        if found:
            aliases[field.name] = found
    return aliases


def merged(counted: Iterable[tuple[Vocabulary, Counts]]) -> tuple[Vocabulary, Counts]:
    """Counts by different vocabularies as counts by all of their names.

    Names that differ in nothing but case, accents and blanks become one.
    """
    pairs = list(counted)
    names = {
        field.name: distinct_names(
            name for vocabulary, _ in pairs for name in vocabulary[field.name]
        )
        for field in CATEGORIES
    }
    aliases: dict[str, dict[str, str]] = {}
    for vocabulary, _ in pairs:
        for name, known in vocabulary.aliases.items():
            for code, meant in known.items():
                _add_alias(aliases.setdefault(name, {}), code, meant)
    for name, known in aliases.items():
        spelled = {fold(one): one for one in names[name]}
        for code, meant in known.items():
            known[code] = spelled.get(fold(meant), AMBIGUOUS)
    vocabulary = Vocabulary(names, aliases)
    codes = np.concatenate(
        [translate(counts.codes, own, vocabulary)[0] for own, counts in pairs]
    )
    unique, place = unique_rows(codes, vocabulary.sizes)
    flights, delayed = (
        np.bincount(
            place,
            np.concatenate([getattr(counts, name) for _, counts in pairs]),
            minlength=len(unique),
        ).astype(np.int64)
        for name in ("flights", "delayed")
    )
    return vocabulary, Counts(unique, flights, delayed)


def unambiguous(vocabulary: Vocabulary) -> Vocabulary:
    """A vocabulary without the codes that stand beside several names, in order.

    Equal texts are one object in it, whoever counted them: a pickle shows the difference.
    """
    names = {
        field: tuple(map(sys.intern, known))
        for field, known in vocabulary.names.items()
    }
    aliases = {
        sys.intern(field): {
            sys.intern(code): sys.intern(name)
            for code, name in sorted(known.items())
            if name != AMBIGUOUS
        }
        for field, known in vocabulary.aliases.items()
    }
    return Vocabulary(names, aliases)


def _add_alias(aliases: dict[str, str], code: str, name: str) -> None:
    if code.strip():
        is_other = fold(aliases.get(code, name)) != fold(name)
        aliases[code] = AMBIGUOUS if is_other else name
