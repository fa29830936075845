"""The model compiled over every flight that can be asked about.

A grid numbers the flights, a table holds a probability for each number. Serving needs
no more than this module, so it stays free of numpy.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

from challenge.flights.fields import HOURS, MONTHS, NOT_GIVEN, WEEKDAYS, Flight
from challenge.flights.vocabulary import Vocabulary

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class Grid:
    """Numbers every flight that differs to a model: cell 0 to `cells` - 1.

    The axes are airline, flight type, month, destination and time (hour and weekday
    together), the last two with a first entry for a flight that does not tell. An axis
    of which the model's feature set uses no field has one entry.
    """

    def __init__(self, vocabulary: Vocabulary, fields: Collection[str]) -> None:
        self.sizes = (
            len(vocabulary.airlines),
            len(vocabulary.flight_types),
            len(MONTHS),
            len(vocabulary.destinations) + 1 if "destination" in fields else 1,
            HOURS * WEEKDAYS + 1 if "hour" in fields else 1,
        )
        airlines, flight_types, months, destinations, times = self.sizes
        self.cells = airlines * flight_types * months * destinations * times
        # What one step along an axis is worth; 0 along one that has no second entry.
        self.month_stride = destinations * times
        self.flight_type_stride = months * self.month_stride
        self.airline_stride = flight_types * self.flight_type_stride
        self.destination_stride = times if destinations > 1 else 0
        self.time_stride = 1 if times > 1 else 0

    def cell(self, flight: Flight) -> int:
        """The number of a flight."""
        return sum(self.parts(flight))

    def parts(self, flight: Flight) -> tuple[int, int, int, int, int]:
        """What each of the five axes adds to the number of a flight."""
        time = 0
        if flight.hour != NOT_GIVEN:
            time = flight.weekday * HOURS + flight.hour + 1
        return (
            flight.airline * self.airline_stride,
            flight.flight_type * self.flight_type_stride,
            flight.month * self.month_stride,
            (flight.destination + 1) * self.destination_stride,
            time * self.time_stride,
        )

    def flight(self, cell: int) -> Flight:
        """The flight with a number, as far as the model looks at it; the day that a
        number beyond the cells tells (see `challenge.live.recent`) is left out."""
        airlines, flight_types, months, destinations, times = self.sizes
        cell, time = divmod(cell % self.cells, times)
        cell, destination = divmod(cell, destinations)
        cell, month = divmod(cell, months)
        airline, flight_type = divmod(cell, flight_types)
        weekday, hour = divmod(time - 1, HOURS) if time else (NOT_GIVEN, NOT_GIVEN)
        return Flight(airline, flight_type, month, destination - 1, hour, weekday)

    def codes(self, cells: NDArray[np.int64]) -> NDArray[np.int16]:
        """The flights with these numbers, as codes of shape (cells, 6)."""
        import numpy as np

        airline, flight_type, month, destination, time = np.unravel_index(
            cells, self.sizes
        )
        weekday, hour = np.divmod(time - 1, HOURS)
        not_given = time == 0
        hour[not_given] = weekday[not_given] = NOT_GIVEN
        return np.column_stack(
            (airline, flight_type, month, destination - 1, hour, weekday)
        ).astype(np.int16)

    def factors(self) -> tuple[NDArray[np.int16], NDArray[np.int16]]:
        """The grid as a product: cell i * len(second) + j is i of first, j of second.

        The first holds the airlines, flight types and months, the second the
        destinations and times, both as codes of shape (rows, 6).
        """
        import numpy as np

        width = self.sizes[3] * self.sizes[4]
        return self.codes(np.arange(0, self.cells, width)), self.codes(np.arange(width))
