"""A model as it is, asked about past flights at moments before they left."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from challenge.files.formats import ReadOptions
from challenge.files.history import read_history
from challenge.live.known import NOT_LEFT, lateness
from challenge.model import DelayModel
from challenge.training.evaluate.metrics import Predictions, Quality, measure


def evaluate_asked(
    model: DelayModel,
    source: str | Path,
    skip_invalid: bool = False,
    options: ReadOptions = ReadOptions(),
) -> Quality | None:
    """The quality of a model on its day, about the flights that were still to leave.

    Flights out of the reach of what is known are answered by the table; those that had
    left when they were asked about, or have not left since, take no part.

    Args:
        model: the model, from `on_day`.
        source, skip_invalid, options: the flights, as for `read_history`.

    Returns: None if there are no such flights.
    """
    read = read_history(model, source, options, skip_invalid, ask=True)
    day = model.known_day
    asked = [
        (flight, question)
        for flight, question in zip(read.flights, read.questions, strict=True)
        if flight.departed != NOT_LEFT
        and ((at := day.at(flight.scheduled)) is None or flight.departed > at)
    ]
    if not asked:
        return None
    flights = [flight for flight, _ in asked]
    probability = model.predict_flights(
        [flight.cell for flight in flights],
        {n: question for n, (_, question) in enumerate(asked) if question is not None},
    )
    late = [lateness(one.scheduled, one.departed).is_late for one in flights]
    scheduled = np.array([one.scheduled for one in flights]).astype("datetime64[s]")
    predictions = Predictions(
        np.array(probability),
        np.array(late, dtype=np.int8),
        scheduled.astype("datetime64[D]"),
    )
    return measure(predictions, model.threshold)
