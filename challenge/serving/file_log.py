"""Adds the flights of an answered file to the prediction log."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from challenge.errors import FlightsFileError
from challenge.files.answering import answered_rows
from challenge.files.bounds import UPLOADS, Bounds
from challenge.files.opening import plain_file
from challenge.files.rejected_rows import Invalid
from challenge.files.sql import engine
from challenge.flights.fields import FIELDS
from challenge.live.known import Question
from challenge.live.questions import Places
from challenge.model import DelayModel
from challenge.serving.body.structs import (
    AskedFlight,
    question_of,
    spell_as_known,
    tell_as_known,
)
from challenge.serving.observability.prediction_log_writer import PredictionLogWriter

_OWN_ANSWERS: Final = Bounds(engine_memory=UPLOADS.engine_memory)


def log_file(
    prediction_log: PredictionLogWriter,
    request_id: bytes,
    model: DelayModel,
    answers: Path,
    invalid: Invalid,
    flights: int,
    rewrite: bool,
) -> None:
    """Add the flights of an answered file, so many of them, to the prediction log, as
    fast as they can be written; `rewrite` as for `plain_file`."""
    left = flights
    problem = "the disk is too slow"
    # The names of a file are few.
    rules, places = model.encoder.rules, Places()
    try:
        with (
            plain_file(answers, answers.parent, _OWN_ANSWERS, rewrite=rewrite) as file,
            engine(model, file) as connection,
        ):
            for rows in answered_rows(connection, model, file, invalid):
                if not prediction_log.wait_for_room():
                    break
                for *asked, probability, decision in rows:
                    flight = AskedFlight(*asked)
                    question, of_schedule = _by_day(model, flight, places)
                    spell_as_known(flight, rules)
                    prediction_log.add(
                        request_id,
                        model.name,
                        flight,
                        probability,
                        decision,
                        question,
                        of_schedule,
                    )
                left -= len(rows)
    except FlightsFileError as error:
        problem = str(error)
    if left:
        prediction_log.lose(left, problem)


def _by_day(
    model: DelayModel, flight: Any, places: Places
) -> tuple[Question | None, float | None]:
    """What was asked about a flight that was answered, which is completed by what was
    known of it, and the probability of its schedule; None if the day added nothing."""
    if model.day is None or not flight.scheduled:
        return None, None
    fields = {one.name: getattr(flight, one.attribute) for one in FIELDS}
    cell, _ = model.encoder.cell_averaged(fields, hints=False)
    if not isinstance(cell, int):
        return None, None
    question = question_of(model.day, flight, cell, places)
    if question is None:
        return None, None
    tell_as_known(flight, question, model.day)
    [of_schedule] = model.predict_cells([cell])
    return question, of_schedule
