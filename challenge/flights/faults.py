"""What is wrong with a flight or a request, and how messages show a value."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
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
        ctx: the other values that the sentence names, by what they are, so that it can be
            said in another language.
    """

    loc: tuple[str | int, ...]
    type: str
    msg: str
    input: Any = None
    ctx: Mapping[str, Any] = field(default_factory=dict, compare=False)

    def to_json(self) -> dict[str, Any]:
        """As answers tell it: with `ctx` only where there is something in it."""
        told = {
            "loc": self.loc,
            "type": self.type,
            "msg": self.msg,
            "input": self.input,
        }
        return told | {"ctx": self.ctx} if self.ctx else told

    @property
    def field(self) -> str:
        """The last name of the way to it."""
        return str(self.loc[-1]) if self.loc else ""

    def __str__(self) -> str:
        return f"{self.field}: {self.msg}" if self.loc else self.msg


def told_input(value: object) -> str | int | float | None:
    """A value as JSON tells it, whatever a table holds: a text cut as in messages, and
    what is neither a text nor a number as messages show it."""
    if isinstance(value, str):
        return value[:INPUT_SHOWN]
    if value is None or (
        isinstance(value, int | float) and len(shown(value)) < INPUT_SHOWN
    ):
        return value
    return shown(value)


def shown(value: object) -> str:
    """A value as messages show it, cut at 100 characters."""
    try:
        text = repr(value[:INPUT_SHOWN] if isinstance(value, str) else value)
    except (RecursionError, ValueError):  # nested too deeply, or too long a number
        text = f"a {type(value).__name__}"
    return text if len(text) <= INPUT_SHOWN else text[:INPUT_SHOWN] + "…"
