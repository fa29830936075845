"""What is wrong with a flight or a request, and how messages show a value."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

INPUT_SHOWN: Final = 100


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that is wrong: where, what, and what would be right.

    Attributes:
        loc: the way to it: the name of a field, in a request after "flights" and the
            position of the flight; empty for the whole.
        type: its kind, for programs.
        msg: the sentence for people.
        input: what was given.
    """

    loc: tuple[str | int, ...]
    type: str
    msg: str
    input: Any = None

    @property
    def field(self) -> str:
        """The last name of the way to it."""
        return str(self.loc[-1]) if self.loc else ""

    def __str__(self) -> str:
        return f"{self.field}: {self.msg}" if self.loc else self.msg


def shown(value: object) -> str:
    """A value as messages show it, cut at 100 characters."""
    try:
        text = repr(value[:INPUT_SHOWN] if isinstance(value, str) else value)
    except (RecursionError, ValueError):  # nested too deeply, or too long a number
        text = f"a {type(value).__name__}"
    return text if len(text) <= INPUT_SHOWN else text[:INPUT_SHOWN] + "…"
