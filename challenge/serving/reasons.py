"""Why a flight has its probability, in a few words: what of the day and of its schedule
counts most."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from heapq import nlargest
from typing import Annotated, Final

from pydantic import BaseModel, Field

from challenge.errors import UnknownPastError
from challenge.explain.narrative import MENTIONED, field_names
from challenge.files.prediction_log import PROBABILITY_DECIMALS
from challenge.flights.fields import Language
from challenge.live.known import Question
from challenge.live.terms import Group, Term, group_text, sums_of_groups, term_text
from challenge.model import DelayModel

REASONS: Final = 3


class Reason(BaseModel):
    """What raises or lowers the probability of a flight."""

    name: Annotated[str, Field(description="What people call it")]
    log_odds: Annotated[
        float,
        Field(
            description="What it adds to the log-odds: a group of terms of the day as "
            "`/explain` has them, a field of the schedule against past flights, all else "
            "equal"
        ),
    ]


def reasons(
    model: DelayModel, cell: int, question: Question | None, language: Language
) -> list[Reason]:
    """What counts most, the largest first: at most REASONS, some tenths of a millisecond
    once `evidence_of` the model is at hand.

    Args:
        model: the one that answers; of one without past flights the day alone counts.
        cell: the flight, as the number that its `encoder` gives it.
        question: what is asked about it; None if the day adds nothing.
        language: of the names.
    """
    added: list[tuple[str, float]] = []
    if model.day is not None and question is not None:
        added += _of_day(model.day.terms(cell, question), language)
    with contextlib.suppress(UnknownPastError):
        of_fields = model.each_alone(cell)
        flight = model.grid.flight(cell)
        names = field_names(flight, model.vocabulary, language, is_short=True)
        added += [(names[field], value) for field, value in of_fields.items()]
    largest = nlargest(REASONS, added, key=lambda one: abs(one[1]))
    return [
        Reason(name=name, log_odds=round(value, PROBABILITY_DECIMALS))
        for name, value in largest
        if abs(value) >= MENTIONED
    ]


def _of_day(terms: Mapping[Term, float], language: Language) -> list[tuple[str, float]]:
    """What the groups of terms add together. That of the aircraft is called by what counts
    most in it; of the windows none alone says much."""
    added = []
    for group, value in sums_of_groups(terms).items():
        name = group_text(group, language)
        if group is Group.AIRCRAFT:
            of_aircraft = [term for term in terms if term.group is group]
            name = term_text(
                max(of_aircraft, key=lambda one: abs(terms[one])), language
            )
        added.append((name, value))
    return added
