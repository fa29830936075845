"""What people call the rows of a file: their lines in the program that shows it."""

from __future__ import annotations

import sys
from array import array
from bisect import bisect_right
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from challenge.files.faults import MANY_BLANKS

_MAX_BLANK_PLACES: Final = 1_000_000


class RowNumbers:
    """The numbers of the rows of a file.

    Args:
        path: the file, for errors.
        first: the number of its first row.
        blank: the positions of the rows before which there is a blank line, in their
            order; looked at as far as rows are asked for.
    """

    def __init__(self, path: Path, first: int, blank: Iterator[int] = iter(())) -> None:
        self._path = path
        self._first = first
        self._ahead = blank
        self._looked_at = -1
        # The rows before which there are blank lines, and how many are above each.
        self._positions = array("q")
        self._blank = array("q")

    def skip(self, position: int, lines: int = 1) -> None:
        """Take note of blank lines before a row, of which the last ones were noted.

        Raises:
            FlightsFileError: there are very many.
        """
        above = self._blank[-1] if self._blank else 0
        if self._positions and self._positions[-1] == position:
            self._blank[-1] = above + lines
            return
        if len(self._positions) == _MAX_BLANK_PLACES:
            raise MANY_BLANKS.error(self._path, most=_MAX_BLANK_PLACES)
        self._positions.append(position)
        self._blank.append(above + lines)

    def __getitem__(self, position: int) -> int:
        """The number of a row, by its position from 0."""
        while self._looked_at <= position:
            self._looked_at = next(self._ahead, sys.maxsize)
            if self._looked_at < sys.maxsize:
                self.skip(self._looked_at)
        place = bisect_right(self._positions, position)
        return self._first + position + (self._blank[place - 1] if place else 0)
