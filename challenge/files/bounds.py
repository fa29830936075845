"""How much a file of flights may take: of memory, and of what it unpacks to."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from challenge.files.faults import MANY_COLUMNS, MANY_VALUES, UNPACKS_TO_MORE

MAX_COLUMNS: Final = 2_000
MAX_HEADER_CHARACTERS: Final = 1_000_000
# DuckDB takes no longer lines.
MAX_RECORD_CHARACTERS: Final = 2_097_152


@dataclass(frozen=True)
class Bounds:
    """What the work on a file may take.

    Attributes:
        engine_memory: how much memory DuckDB gets.
        unpacked_bytes, unpacked_times: a compressed file may hold so many bytes, or so
            many times its size, whichever is more; None for any number.
        values, values_a_byte: a column of a Parquet file may have so many values, or
            so many for each byte of the file; None for any number.
        text_bytes: how large the texts of an Excel file may be together.
    """

    engine_memory: str = "256MB"
    unpacked_bytes: int | None = None
    unpacked_times: int = 0
    values: int | None = None
    values_a_byte: int = 0
    text_bytes: int = 512 * 1024 * 1024

    def check_unpacked(self, path: Path, unpacked: int) -> None:
        """Refuse a file that unpacks to more bytes than it may.

        Raises:
            FileTooLargeError: it does.
        """
        if self.unpacked_bytes is None:
            return
        limit = max(self.unpacked_bytes, self.unpacked_times * path.stat().st_size)
        if unpacked > limit:
            raise UNPACKS_TO_MORE.error(path, most=limit)

    def check_values(self, path: Path, values: int) -> None:
        """Refuse a Parquet file one of whose columns has more values than it may.

        Raises:
            FileTooLargeError: it has.
        """
        if self.values is None:
            return
        limit = max(self.values, self.values_a_byte * path.stat().st_size)
        if values > limit:
            raise MANY_VALUES.error(path, values=values, most=limit)


OWN_FILES: Final = Bounds()
# Flights compress to a tenth or a twentieth.
UPLOADS: Final = Bounds(
    engine_memory="128MB",
    unpacked_bytes=16 * 1024 * 1024,
    unpacked_times=50,
    values=1_000_000,
    values_a_byte=1,
    text_bytes=32 * 1024 * 1024,
)


def check_columns(path: Path, columns: int) -> None:
    """Refuse a file of too many columns.

    Raises:
        FlightsFileError: it has.
    """
    if columns > MAX_COLUMNS:
        raise MANY_COLUMNS.error(path, columns=columns, most=MAX_COLUMNS)
