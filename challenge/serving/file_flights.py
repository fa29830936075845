"""The flights of an uploaded file as JSON: the answer to a page that shows them, and how
OpenAPI describes it."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

import msgspec
from pydantic import BaseModel, ConfigDict, Field

from challenge.files.listing import ListedFlights
from challenge.serving.reasons import Reason

DEFAULT_LIMIT: Final = 5_000
MAX_LIMIT: Final = 10_000


class FlightOfFile(BaseModel):
    """A flight of a file."""

    row: Annotated[int, Field(description="The number of its row, as people count")]
    flight: Annotated[
        dict[str, Any],
        Field(
            description="The fields that are given, by the names of POST /predict "
            "whatever the file's format is, and `Fecha-O`, `CANCELADO`; times are local "
            "ones. `MES` is there where there is no `Fecha-I`"
        ),
    ]
    status: Annotated[
        Literal["scheduled", "left", "cancelled"],
        Field(description="As the file tells it"),
    ]
    minutes_late: Annotated[
        int | None,
        Field(description="How late it left; null if it has not, or no schedule tells"),
    ]
    late: Annotated[
        int | None, Field(description="1 if that is over 15 minutes, else 0")
    ]
    probability: Annotated[
        float, Field(description="Of a delay of over 15 minutes, as in the file")
    ]
    schedule_probability: Annotated[
        float, Field(description="The same by the schedule alone")
    ]
    delay: Annotated[
        int, Field(description="1 if `probability` is above the threshold, else 0")
    ]
    past_flights: Annotated[
        int | None,
        Field(
            description="How many past flights had the same values; null if the model's "
            "file does not count them"
        ),
    ]
    reasons: Annotated[
        list[Reason],
        Field(description="What counts most; none unless the flight is `scheduled`"),
    ]

    model_config = ConfigDict(extra="forbid")


class RowFault(BaseModel):
    """What is wrong with a row of a file."""

    row: Annotated[int, Field(description="The number of the row, as people count")]
    loc: Annotated[
        list[str], Field(description="The field; empty if it is the row as a whole")
    ]
    type: str
    msg: str
    input: Any
    ctx: Annotated[
        dict[str, Any] | None, Field(description="The values that `msg` names")
    ] = None

    model_config = ConfigDict(extra="forbid")


class FlightsOfFile(BaseModel):
    """The flights of a file with their predictions."""

    rows: Annotated[int, Field(description="How many rows the file has")]
    expected_late: Annotated[
        float,
        Field(
            description="How many of all flights that have neither left nor been "
            "cancelled will be late, expected"
        ),
    ]
    read_as: Annotated[
        dict[str, str | int],
        Field(description="How the file was read, as Content-Dialect tells it"),
    ]
    averaged: Annotated[
        dict[str, int],
        Field(
            description="How many unknown names were taken as not given, by their fields"
        ),
    ]
    flights: Annotated[
        list[FlightOfFile],
        Field(description="The first of the valid ones, in the order of the file"),
    ]
    more: Annotated[int, Field(description="How many valid ones are not listed")]
    faults: Annotated[
        list[RowFault], Field(description="The first hundred faults of rows")
    ]
    invalid: Annotated[
        int, Field(description="How many rows have a fault, and no prediction")
    ]

    model_config = ConfigDict(extra="forbid")


def encoded(listed: ListedFlights) -> bytes:
    """The flights of a file as the JSON of `FlightsOfFile`."""
    scored = listed.scored
    dialect = next(iter(scored.read_as.values()), None)
    answer = {
        "rows": scored.rows,
        "expected_late": round(listed.expected_late, 3),
        "read_as": {} if dialect is None else dialect.properties(),
        "averaged": scored.averaged,
        "flights": listed.flights,
        "more": scored.rows - scored.invalid - len(listed.flights),
        "faults": scored.rejected.first_as_json(),
        "invalid": scored.invalid,
    }
    return msgspec.json.encode(answer)
