"""The rows of the board, as GET /flights tells them."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field

from challenge.serving.reasons import Reason

_Place = Annotated[
    int,
    Field(
        description="Which one it is of those without a number that have their time, "
        "airline and destination in common; 0 of one with a number"
    ),
]
_OfSchedule = Annotated[
    float | None,
    Field(description="The probability by the schedule alone; null if it is unknown"),
]


class InboundAircraft(BaseModel):
    """Where the aircraft of a flight is; times by the clock of the flight's origin."""

    due: Annotated[
        str | None, Field(description="When it should come in; null if not told")
    ]
    expected: Annotated[
        str | None, Field(description="When it is expected by now; null once it landed")
    ]
    arrived: Annotated[str | None, Field(description="When it landed; null before")]
    status: Annotated[
        Literal["landed", "in_air", "not_left", "unknown"],
        Field(description="`not_left`: for here; `unknown` if its leg is not known"),
    ]


class FlightToCome(BaseModel):
    """A flight that has not left."""

    flight: Annotated[dict[str, Any], Field(description="All that was told of it")]
    place: _Place
    status: Annotated[
        Literal["scheduled", "overdue", "unknown"],
        Field(
            description="`overdue` once its time has passed; `unknown` if the model does "
            "not know its airline or its origin, or not all was told"
        ),
    ]
    minutes: Annotated[
        int, Field(description="To its scheduled time, by the clock of the messages")
    ]
    probability: Annotated[
        float | None,
        Field(
            description="Of a delay of over 15 minutes; 1 once it is overdue by more, "
            "null if it is unknown"
        ),
    ] = None
    hour_ago: Annotated[
        float | None, Field(description="The same by what was known an hour ago")
    ] = None
    midnight: Annotated[
        float | None, Field(description="The same by what was known at midnight")
    ] = None
    schedule_probability: _OfSchedule = None
    delay: Annotated[
        int | None,
        Field(description="1 if `probability` is above the threshold, else 0"),
    ] = None
    reasons: Annotated[
        list[Reason],
        Field(
            description="What of the day and the schedule counts most, at most three"
        ),
    ] = []
    aircraft_before: Annotated[
        str | None,
        Field(
            description="The aircraft that it had before the present one; null if no "
            "other was told in the last 48 hours"
        ),
    ] = None
    inbound: Annotated[
        InboundAircraft | None,
        Field(description="Null if nothing was told of its arrival"),
    ] = None


class FlightOfToday(BaseModel):
    """A flight that has left, or was cancelled."""

    flight: dict[str, Any]
    place: _Place
    status: Literal["left", "cancelled"]
    minutes_late: int | None = None
    late: int | None = None
    schedule_probability: _OfSchedule = None
    called: Annotated[
        float | None, Field(description="The probability an hour before its time")
    ] = None
    called_delay: Annotated[
        int | None, Field(description="1 if that is above the threshold, else 0")
    ] = None
