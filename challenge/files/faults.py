"""Everything that can be wrong with a file of flights as a whole, or with a row of it as a
whole, and what to do about it. docs/files.md has the same catalogue."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from challenge.errors import FileTooLargeError, FlightsFileError
from challenge.files.rejected_rows import RejectedRows


@dataclass(frozen=True, slots=True)
class FileFault:
    """A kind of fault.

    Attributes:
        kind: its name for programs, as the service's answers have it.
        message: the sentence for people, behind the name of the file or the number of
            the row, with what was seen in braces.
        advice: what to do.
        is_size: whether a limit on the size is passed, which is status 413.
    """

    kind: str
    message: str
    advice: str
    is_size: bool = False

    def error(self, path: str | Path, **seen: Any) -> FlightsFileError:
        """The error of a file with this fault."""
        made = FileTooLargeError if self.is_size else FlightsFileError
        ctx = {name: _told(value) for name, value in seen.items()}
        return made(path, self.message.format(**seen), self.kind, ctx)

    def of_row(self, **seen: Any) -> str:
        """The fault of a row as a plain file tells it: its kind, its message, and the
        values that the message names, in JSON."""
        told = (self.kind, self.message.format(**seen), seen)
        return msgspec.json.encode(told).decode()


def _told(value: object) -> object:
    """A value of a message as JSON can tell it."""
    if isinstance(value, RejectedRows):
        return value.to_json()
    return value if isinstance(value, str | int | float) else str(value)


# Of the file.
NO_FILE = FileFault(
    "no_file",
    "does not exist or is not a file",
    "Check the path; quote patterns like 'flights/*.csv'.",
)
NO_FILES = FileFault(
    "no_files",
    "names no {suffixes} file",
    "Look at what the folder, pattern or address names.",
)
NO_PACKAGE = FileFault(
    "no_package",
    "needs a package: {reason}",
    "Install the package for this kind of address, like s3fs for s3://.",
)
UNKNOWN_KIND = FileFault(
    "unknown_kind",
    "is not a {suffixes} file",
    "Save the table as one of these.",
)
OLD_EXCEL = FileFault(
    "old_excel",
    "is an Excel file of the old kind or with a password; save it as .xlsx",
    "In Excel: Save As, Excel Workbook (.xlsx), without a password.",
)
EMPTY = FileFault("empty_file", "is empty", "Export it again; it has no header.")
UNREADABLE = FileFault(
    "unreadable_file",
    "cannot be read: {reason}",
    "The file is damaged or cut off, or something else than its name says: copy or "
    "export it again.",
)
SEVERAL_FILES = FileFault(
    "several_files",
    "must hold one file; it holds {found}",
    "Send the files of the .zip file one by one.",
)
ZIPPED_NO_TEXT = FileFault(
    "zipped_no_text",
    "holds {name!r}, which is no text; take it out of the .zip file",
    "Excel and Parquet files are compressed already.",
)
LONG_HEADER = FileFault(
    "long_header",
    "has no end of line in its first {characters:,} characters",
    "It is not a table with a header, or its lines end otherwise.",
)
MANY_COLUMNS = FileFault(
    "many_columns",
    "has {columns:,} columns; there may be {most:,}",
    "Keep the columns that are needed.",
)
COLUMN_TWICE = FileFault(
    "column_twice", "has the column {name} twice", "Rename or remove one of them."
)
COLUMN_THERE = FileFault(
    "column_there",
    "has a column {name!r} already",
    "It would be written twice: rename or remove it, as in a file that was answered "
    "before.",
)
MANY_BLANKS = FileFault(
    "many_blanks", "has blank lines in over {most:,} places", "Remove the blank lines."
)
LONG_RECORD = FileFault(
    "long_record",
    "cannot be read: row {row:,} is too long; is a quote not closed?",
    "Look at the quotes of that row and the rows above it.",
)
AMBIGUOUS_DATES = FileFault(
    "ambiguous_dates",
    "has dates like {example!r}, of which nothing tells the day from the month; say "
    "--dates day-first or --dates month-first",
    "On the command line give --dates. In a file to upload write dates like 2017-03-06.",
)
NO_TIME_ZONE = FileFault(
    "no_time_zone",
    "has times that the clock of the airport does not tell, and its time zone is not "
    "known; name it by --timezone, like America/Santiago",
    "Train with --timezone, or with the airport's IATA or ICAO code as its name; or "
    "give local times.",
)
NO_ORIGIN = FileFault(
    "no_origin",
    "has no {column} to choose an origin by",
    "Leave --origin out: all flights of the file leave from one airport.",
)
NOT_OF_FORMAT = FileFault(
    "not_of_format",
    "cannot be read in the format {format!r}: {reason}",
    "The format's expressions do not fit these columns: see `flight-prophet formats`, "
    "or mend the file that --columns names.",
)
INVALID_ROWS = FileFault(
    "invalid_rows",
    "has {rejected}",
    "Mend the rows, which --invalid only (?invalid=only) writes alone, or keep all "
    "others: --invalid keep, ?invalid=keep, --skip-invalid.",
)
OTHER_KIND = FileFault(
    "other_kind",
    "must be a {kinds} file, as {source!r} is",
    "Name the output as the input.",
)
UNWRITABLE = FileFault(
    "unwritable_file",
    "cannot be written: {reason}",
    "Make room on the disk, or choose another folder.",
)
NOT_AS_EXCEL = FileFault(
    "not_as_excel",
    "cannot be answered as .xlsx: row {row:,} is too large",
    "Ask for CSV: Excel takes 1,048,576 rows, and 32,767 characters in a cell.",
)
# Of its size.
UNPACKS_TO_MORE = FileFault(
    "too_large",
    "unpacks to over {most:,} bytes",
    "Send it in parts, or answer it with `flight-prophet predict`.",
    is_size=True,
)
MANY_VALUES = FileFault(
    "many_values",
    "has {values:,} values in a column; for its size {most:,} are the most",
    "Send it in parts, or answer it with `flight-prophet predict`.",
    is_size=True,
)
LARGE_TEXTS = FileFault(
    "large_texts",
    "has texts of over {most:,} bytes together",
    "Save it as CSV.",
    is_size=True,
)
MANY_PAST_FLIGHTS = FileFault(
    "many_past_flights",
    "has over {most:,} flights",
    "Give those of the last weeks.",
    is_size=True,
)
# Of a row.
RAGGED_ROW = FileFault(
    "ragged_row",
    "has {values} {noun}; the header has {columns} columns",
    "A delimiter is missing or too many, or a value that holds one is not in quotes.",
)
UNDECODABLE_ROW = FileFault(
    "undecodable_row",
    "has what is no text in {encoding}: {near}",
    "Save the file in one encoding, best in UTF-8.",
)
OPEN_QUOTE = FileFault(
    "open_quote",
    "has a quote that is not closed; the file ends before",
    "Close the quote, or write it twice where it is meant as itself.",
)

CATALOGUE = tuple(value for value in globals().values() if isinstance(value, FileFault))
