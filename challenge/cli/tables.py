"""Tables and figures for a terminal or a pipe."""

from __future__ import annotations

import sys
from collections.abc import Collection, Iterable, Sequence
from typing import TYPE_CHECKING, Final

from rich import box
from rich.console import Console, RenderableType
from rich.table import Table

if TYPE_CHECKING:
    from challenge.training.evaluate.metrics import Estimate, Quality

# Wide enough for any line: what reads a pipe takes a line as a record.
_PIPE_WIDTH: Final = 100_000


def show(*items: RenderableType) -> None:
    """Print texts and tables with a blank line between them.

    A terminal gets lines of its width; a pipe gets whole lines without colours.
    """
    is_terminal = sys.stdout.isatty()
    console = Console(
        force_terminal=is_terminal,
        width=None if is_terminal else _PIPE_WIDTH,
        markup=False,
        emoji=False,
        highlight=False,
    )
    with console.capture() as capture:
        for number, item in enumerate(items):
            if number:
                console.print()
            console.print(item)
    for line in capture.get().splitlines():
        print(line.rstrip())


def table(
    headers: Sequence[str], rows: Iterable[Sequence[str]], left: Collection[str] = ()
) -> Table:
    """A table whose columns `left`, by default the first, are aligned left."""
    made = Table(
        box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 1, 0, 0)
    )
    for header in headers:
        is_left = header in (left or headers[:1])
        made.add_column(header, justify="left" if is_left else "right", overflow="fold")
    for row in rows:
        made.add_row(*row)
    return made


def columns(rows: Iterable[Sequence[str]]) -> Table:
    """A table without a header, like one of names and values."""
    made = Table.grid(padding=(0, 2, 0, 0))
    for row in rows:
        made.add_row(*row)
    for column in made.columns:
        column.overflow = "fold"
    return made


def number(estimate: Estimate, decimals: int = 3) -> str:
    """An estimate without its interval, or "-" if there is none."""
    return "-" if estimate.value is None else f"{estimate.value:.{decimals}f}"


def interval(estimate: Estimate, decimals: int = 3, sign: str = "") -> str:
    """An estimate with its interval, or "-" if there is none; `sign` "+" shows signs."""
    if estimate.value is None or estimate.low is None or estimate.high is None:
        return "-"
    ends = f"{estimate.low:{sign}.{decimals}f} to {estimate.high:{sign}.{decimals}f}"
    return f"{estimate.value:{sign}.{decimals}f} ({ends})"


def rates(quality: Quality) -> list[str]:
    """The number of flights, their delay rate, and their mean probability."""
    return [
        f"{quality.flights:,}",
        f"{quality.delay_rate:.1%}",
        f"{quality.mean_probability:.1%}",
    ]
