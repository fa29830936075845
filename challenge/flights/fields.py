"""The domain: a flight's fields, their vocabularies, the delay label, and the rules.

A flight is coded field by field against the vocabulary of a model. The rules stand
here once: JSON requests, data frames and files all ask this module, so that each of
them refuses the same values in the same words.
"""

from __future__ import annotations

from typing import Final, NamedTuple

AIRLINE: Final = "OPERA"
FLIGHT_TYPE: Final = "TIPOVUELO"
MONTH: Final = "MES"
DESTINATION: Final = "SIGLADES"
SCHEDULED: Final = "Fecha-I"
DEPARTED: Final = "Fecha-O"
DELAY: Final = "delay"
FLIGHT_NUMBER: Final = "Vlo-I"
REQUIRED_FIELDS: Final = (AIRLINE, FLIGHT_TYPE, MONTH)
OPTIONAL_FIELDS: Final = (DESTINATION, SCHEDULED)
FLIGHT_FIELDS: Final = (*REQUIRED_FIELDS, *OPTIONAL_FIELDS)
# All that a flight asked about may have.
REQUEST_FIELDS: Final = (*FLIGHT_FIELDS, FLIGHT_NUMBER)
DELAY_THRESHOLD_MINUTES: Final = 15
FLIGHT_TYPES: Final = ("I", "N")
MONTHS: Final = range(1, 13)
HOURS: Final = 24
WEEKDAYS: Final = 7
NOT_GIVEN: Final = -1
FLIGHT_NUMBER_LENGTH: Final = 20


class Flight(NamedTuple):
    """A flight as codes: positions in a vocabulary, NOT_GIVEN for what is left out.

    `month` counts from 0 (January), `weekday` from 0 (Monday). `hour` and `weekday`
    are those of the scheduled local time; both are given or neither is.
    """

    airline: int
    flight_type: int
    month: int
    destination: int = NOT_GIVEN
    hour: int = NOT_GIVEN
    weekday: int = NOT_GIVEN
