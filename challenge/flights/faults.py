"""What is wrong with a flight, and how a value is shown in messages."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

INPUT_SHOWN: Final = 100


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that is wrong with a flight: where, what, and what would be right."""

    field: str
    type: str
    message: str
    input: object = None

    def __str__(self) -> str:
        return f"{self.field}: {self.message}"


def shown(value: object) -> str:
    """A value as messages show it, cut at 100 characters."""
    text = repr(value[:INPUT_SHOWN] if isinstance(value, str) else value)
    return text if len(text) <= INPUT_SHOWN else text[:INPUT_SHOWN] + "…"
