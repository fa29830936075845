"""Commands about the formats of files: `formats` and `check-data`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any

import typer

from challenge.cli.options import Json, PastFlights
from challenge.cli.output import print_json
from challenge.cli.reading import format_name, reads_flights
from challenge.files.formats import ReadOptions, built_in_formats

if TYPE_CHECKING:
    from challenge.training.data.file_check import CheckedFile


def formats(
    name: Annotated[
        str | None,
        typer.Argument(
            callback=format_name, help="Only this one, with its expressions."
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """List the formats of flight files, with their columns.

    Files are recognized by their columns; --format names a format, --columns describes
    another one.

    Examples:

        flight-prophet formats

        flight-prophet formats bts
    """
    known = built_in_formats()
    chosen = {one: known[one] for one in known if name in (None, one)}
    if as_json:
        print_json(
            {
                one.name: {"title": one.title} | dict(one.expressions)
                for one in chosen.values()
            }
        )
        return
    from challenge.cli.tables import columns, show, table

    if name is not None:
        shown = chosen[name]
        show(
            f"{name}: {shown.title}",
            table(
                ["column", "is made of"],
                shown.expressions.items(),
                left=["column", "is made of"],
            ),
            columns((n, " or ".join(map(repr, s))) for n, s in shown.names.items()),
        )
        return
    show(
        columns(
            (one.name, f"{one.title}\n{', '.join(one.file_columns)}")
            for one in chosen.values()
        )
    )


@reads_flights
def check_data(
    source: PastFlights, as_json: Json = False, *, reading: ReadOptions
) -> None:
    """Say what files of flights would be taken for, and what is wrong with them.

    Example:

        flight-prophet check-data flights.csv
    """
    from challenge.cli.tables import columns, show
    from challenge.files.sources import find_files
    from challenge.training.data.file_check import check_file

    checked = {file: check_file(file, reading) for file in find_files(source)}
    if as_json:
        print_json({file: _as_dict(one) for file, one in checked.items()})
        return
    show(*(columns([("file", file), *_lines(one)]) for file, one in checked.items()))


def _lines(checked: CheckedFile) -> Iterator[tuple[str, str]]:
    from challenge.cli.summaries.training import (
        left_out_text,
        names_text,
        zones_text,
    )
    from challenge.flights.fields import ORIGIN

    yield "format", f"{checked.format}: {checked.title}"
    for name, told_by in checked.columns.items():
        yield name, told_by
    if checked.made:
        yield "made of these", ", ".join(checked.made)
    yield "not used", ", ".join(checked.unused) or "none"
    if checked.dates is not None:
        yield "dates", checked.dates
    counted = checked.counted
    if counted is None:
        yield "departures", "none: it can be predicted, not learned from"
        return
    yield "rows", f"{counted.rows:,}"
    yield "rejected", str(counted.rejected) if counted.rejected.rows else "none"
    yield "left out", left_out_text(counted.left_out) or "none"
    if counted.period is not None:
        yield "period", " to ".join(map(str, counted.period))
    flights = counted.counts.total
    if flights:
        late = counted.counts.delayed.sum() / flights
        yield "delay rate", f"{late:.1%} of {flights:,} flights"
    if counted.vocabulary[ORIGIN]:
        yield "from", names_text(counted.vocabulary[ORIGIN])
    yield "time zone", zones_text(counted.time_zones, counted.skipped_times)


def _as_dict(checked: CheckedFile) -> dict[str, Any]:
    about: dict[str, Any] = {
        "format": checked.format,
        "columns": checked.columns,
        "made": checked.made,
        "unused": checked.unused,
        "dates": checked.dates,
    }
    if (counted := checked.counted) is not None:
        about |= {
            "rows": counted.rows,
            "rejected": counted.rejected.rows,
            "faults": [
                f"row {row}: {fault}" for row, _, fault in counted.rejected.first
            ],
            "left_out": counted.left_out,
            "period": counted.period,
            "flights": counted.counts.total,
            "delayed": int(counted.counts.delayed.sum()),
            "time_zones": counted.time_zones,
            "skipped_times": counted.skipped_times,
        }
    return about
