"""JSON on stdout and progress on stderr."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from challenge.files.dialects import Dialect

_DIALECTS_SHOWN: Final = 5


def print_json(value: object) -> None:
    """Print a value as JSON; what JSON does not know, like a time, as text."""
    print(json.dumps(value, ensure_ascii=False, indent=2, default=str))


def print_model_json(path: Path) -> None:
    """Print the card and the vocabulary of a model file as JSON."""
    import msgspec

    from challenge.model import DelayModel

    loaded = DelayModel.load(path)
    print_json(
        {
            "fingerprint": loaded.fingerprint,
            "card": msgspec.to_builtins(loaded.card),
            "vocabulary": msgspec.to_builtins(loaded.vocabulary),
        }
    )


def print_dialects(read_as: Mapping[str, Dialect]) -> None:
    """Say on stderr how files were read that are not plain, by their names."""
    from rich.console import Console

    console = Console(stderr=True)
    told = {name: str(dialect) for name, dialect in read_as.items() if str(dialect)}
    for name, dialect in islice(told.items(), _DIALECTS_SHOWN):
        console.out(f"{name!r} was read as {dialect}", highlight=False)
    if len(told) > _DIALECTS_SHOWN:
        console.out(f"and {len(told) - _DIALECTS_SHOWN:,} more files not as plain CSV")


@contextlib.contextmanager
def spinner(title: str) -> Iterator[Callable[[str], None]]:
    """Show a spinner while the block runs, and yield a function that sets its text.

    Nothing is shown unless stderr is a terminal.
    """
    from rich.console import Console

    console = Console(stderr=True)
    if not console.is_terminal:
        yield lambda text: None
        return
    with console.status(f"{title} …") as status:
        yield lambda text: status.update(f"{title} … {text}")
