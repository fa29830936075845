"""The fields of a flight, each declared once.

JSON bodies, files, data frames, tensors, OpenAPI and the documents are derived from
FIELDS. A new field is one entry there and, if a model may look at it, its code in
`Flight`.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Final, Literal, NamedTuple, TypeAlias

AIRLINE: Final = "OPERA"
FLIGHT_TYPE: Final = "TIPOVUELO"
MONTH: Final = "MES"
ORIGIN: Final = "SIGLAORI"
DESTINATION: Final = "SIGLADES"
SCHEDULED: Final = "Fecha-I"
FLIGHT_NUMBER: Final = "Vlo-I"
AIRCRAFT: Final = "MATRICULA"
# Of flights that have left.
DEPARTED: Final = "Fecha-O"
DELAY: Final = "delay"
# When its aircraft should come in for a flight, is expected to by now, and came.
DUE: Final = "Llegada-I"
EXPECTED: Final = "Llegada-E"
ARRIVED: Final = "Llegada-O"
# Of a flight that will not leave; only messages of the day tell it.
CANCELLED: Final = "CANCELADO"

DELAY_THRESHOLD_MINUTES: Final = 15
FLIGHT_TYPES: Final = ("I", "N")
# What others write for these, folded.
FLIGHT_TYPE_WORDS: Final = {
    "internacional": "I",
    "international": "I",
    "int": "I",
    "d": "N",
    "dom": "N",
    "domestic": "N",
    "domestico": "N",
    "nac": "N",
    "nacional": "N",
    "national": "N",
}
MONTHS: Final = range(1, 13)
HOURS: Final = 24
DAYS_A_WEEK: Final = 7
NOT_GIVEN: Final = -1


# Of texts for people.
Language: TypeAlias = Literal["en", "es"]


class Kind(Enum):
    """What the values of a field are.

    A CATEGORY is one of the names in a model's vocabulary, a MONTH a whole number from
    1 to 12, a TIME a local date and time, of which a model looks at the hour and the
    weekday. No table looks at a TEXT or at a MOMENT, another local date and time.
    """

    CATEGORY = "category"
    MONTH = "month"
    TIME = "time"
    MOMENT = "moment"
    TEXT = "text"


@dataclass(frozen=True, slots=True)
class Field:
    """A field of a flight.

    Attributes:
        name: in JSON, files and data frames.
        kind: what its values are.
        attribute: its name in Python: of its code in `Flight`, and of the field in
            decoded requests.
        noun: what a value is called in messages, with its article.
        description: for OpenAPI and the documents.
        example: a value of the public SCL 2017 dataset.
        required: whether every flight has it.
        choices: for a CATEGORY, the only names that there may be; any if empty.
        code_column: for a CATEGORY, the column of the public dataset that holds a code
            beside the name.
        max_length: for a TEXT, in characters.
    """

    name: str
    kind: Kind
    attribute: str
    noun: str
    description: str
    example: str | int
    required: bool = False
    choices: tuple[str, ...] = ()
    code_column: str | None = None
    max_length: int | None = None

    @property
    def may_be_left_out(self) -> bool:
        """Whether the values of other fields, or of the vocabulary, can stand in for it."""
        return not self.required or self.kind is Kind.MONTH or bool(self.choices)

    @property
    def is_in_table(self) -> bool:
        """Whether a model's table may look at it."""
        return self.kind not in (Kind.TEXT, Kind.MOMENT)


# In the order of a grid's axes: of past flights like one that is asked about, the first
# fields are the last to differ.
FIELDS: Final = (
    Field(
        AIRLINE,
        Kind.CATEGORY,
        attribute="airline",
        noun="an airline",
        description="The airline, as the model knows it",
        example="Grupo LATAM",
        required=True,
        code_column="Emp-I",
    ),
    Field(
        FLIGHT_TYPE,
        Kind.CATEGORY,
        attribute="flight_type",
        noun="a flight type",
        description="I for an international flight, N for a national one; may be left "
        "out where the model knows only one of them",
        example="I",
        required=True,
        choices=FLIGHT_TYPES,
    ),
    Field(
        MONTH,
        Kind.MONTH,
        attribute="month",
        noun="a month",
        description="The month, 1 to 12; may be left out where Fecha-I is given",
        example=3,
        required=True,
    ),
    Field(
        ORIGIN,
        Kind.CATEGORY,
        attribute="origin",
        noun="an origin",
        description="The city of departure, as the model knows it",
        example="Santiago",
        code_column="Ori-I",
    ),
    Field(
        DESTINATION,
        Kind.CATEGORY,
        attribute="destination",
        noun="a destination",
        description="The city of arrival, as the model knows it",
        example="Lima",
        code_column="Des-I",
    ),
    Field(
        SCHEDULED,
        Kind.TIME,
        attribute="scheduled",
        noun="a local time",
        description="The scheduled local time of departure, in the month that MES says; "
        "one with an offset, or Z, is turned into the airport's time",
        example="2017-03-06 08:15:00",
    ),
    Field(
        FLIGHT_NUMBER,
        Kind.TEXT,
        attribute="flight_number",
        noun="a flight number",
        description="The flight number; returned and logged, not used to predict",
        example="LA530",
        max_length=20,
    ),
    Field(
        AIRCRAFT,
        Kind.TEXT,
        attribute="aircraft",
        noun="a registration",
        description="The registration of the aircraft; tells how it last left, where the "
        "model knows that",
        example="CC-BFO",
        max_length=20,
    ),
    Field(
        DUE,
        Kind.MOMENT,
        attribute="due",
        noun="a local time",
        description="When the aircraft should come in for the flight, by the clock of "
        "the airport",
        example="2017-03-06 07:20:00",
    ),
    Field(
        EXPECTED,
        Kind.MOMENT,
        attribute="expected",
        noun="a local time",
        description="When it is expected to come in by now",
        example="2017-03-06 07:55:00",
    ),
    Field(
        ARRIVED,
        Kind.MOMENT,
        attribute="arrived",
        noun="a local time",
        description="When it came in",
        example="2017-03-06 07:52:00",
    ),
)


class Flight(NamedTuple):
    """A flight as codes: positions in a vocabulary, NOT_GIVEN for what is left out.

    `month` counts from 0 (January), `weekday` from 0 (Monday). `hour` and `weekday`
    are those of the scheduled local time; both are given or neither is. Arrays of coded
    flights have these columns in this order.
    """

    airline: int
    flight_type: int
    month: int
    destination: int = NOT_GIVEN
    hour: int = NOT_GIVEN
    weekday: int = NOT_GIVEN
    origin: int = NOT_GIVEN


CODES: Final = len(Flight._fields)
(
    AIRLINE_CODE,
    FLIGHT_TYPE_CODE,
    MONTH_CODE,
    DESTINATION_CODE,
    HOUR_CODE,
    WEEKDAY_CODE,
    ORIGIN_CODE,
) = range(CODES)

FIELD_OF: Final = {field.name: field for field in FIELDS}
# Of these the label is computed.
LABEL_COLUMNS: Final = (SCHEDULED, DEPARTED)
CATEGORIES: Final = tuple(field for field in FIELDS if field.kind is Kind.CATEGORY)
REQUIRED_FIELDS: Final = tuple(field.name for field in FIELDS if field.required)
# Those that a table may look at.
FLIGHT_FIELDS: Final = tuple(field.name for field in FIELDS if field.is_in_table)
# What a file may tell of a flight.
OUR_COLUMNS: Final = (
    *(one.name for one in FIELDS),
    *(one.code_column for one in CATEGORIES if one.code_column is not None),
    DEPARTED,
    DELAY,
)


def code_of(field: Field) -> int:
    """The position of a CATEGORY's or a MONTH's code in a `Flight`."""
    return Flight._fields.index(field.attribute)
