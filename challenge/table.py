"""The model compiled over every flight that can be asked about.

A grid numbers the flights, a table holds a probability for each number. Serving needs
no more than this module, so it stays free of numpy.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import TYPE_CHECKING, Final

from challenge.flights import HOURS, MONTHS, NOT_GIVEN, WEEKDAYS, Flight, Vocabulary

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

MAX_CELLS: Final = 16_000_000


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
        self._uses_destination = "destination" in fields
        self._uses_time = "hour" in fields
        airlines, flight_types, months, destinations, times = self.sizes
        self.cells = airlines * flight_types * months * destinations * times

    def cell(self, flight: Flight) -> int:
        """The number of a flight."""
        _, flight_types, months, destinations, times = self.sizes
        cell = (flight.airline * flight_types + flight.flight_type) * months
        cell = (cell + flight.month) * destinations
        if self._uses_destination:
            cell += flight.destination + 1
        cell *= times
        if self._uses_time and flight.hour != NOT_GIVEN:
            cell += flight.weekday * HOURS + flight.hour + 1
        return cell

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


class ProbabilityTable:
    """The probability of a delay for every cell of a grid, in single precision.

    Args:
        grid: numbers the flights.
        probabilities: the bytes of `grid.cells` native floats of four bytes.
    """

    CELL_BYTES: Final = 4

    def __init__(self, grid: Grid, probabilities: bytes) -> None:
        self.grid = grid
        self.probabilities = memoryview(probabilities).cast("f")
        if len(self.probabilities) != grid.cells:
            raise ValueError(
                f"a table of {len(self.probabilities)} probabilities for "
                f"{grid.cells} cells"
            )

    def to_bytes(self) -> bytes:
        return self.probabilities.tobytes()

    def lookup(self, flights: Iterable[Flight]) -> list[float]:
        """The probability of a delay of each flight."""
        cell = self.grid.cell
        probabilities = self.probabilities
        return [probabilities[cell(flight)] for flight in flights]
