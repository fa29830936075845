"""Promote models and roll back, with the last few kept next to the one in use.

The folder MODEL.history holds complete model files, numbered in the order of their
promotion. Every step is one rename, so that an interruption at any moment leaves a model
in use and a history that the next command can continue.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

import msgspec

from challenge.artifact import atomic, model_file
from challenge.errors import HistoryError, ModelFileError
from challenge.model import DelayModel

KEPT: Final = 5
_NAME: Final = re.compile(r"(\d{6})-([0-9a-f]{12})\.pkl")


class Promotion(NamedTuple):
    """A model that was, or is, in use.

    Attributes:
        path: its file in the history.
        number: a higher one was promoted later.
        fingerprint: the first 12 hexadecimal digits of the SHA-256 of its file.
        is_used: whether it is the one in use.
    """

    path: Path
    number: int
    fingerprint: str
    is_used: bool


def promotions(path: str | Path) -> list[Promotion]:
    """The models in the history, oldest first.

    Args:
        path: the file of the model in use.
    """
    used = _fingerprint(Path(path))
    found = []
    for one in sorted(_folder(Path(path)).glob("*.pkl")):
        if match := _NAME.fullmatch(one.name):
            number, fingerprint = int(match[1]), match[2]
            found.append(Promotion(one, number, fingerprint, fingerprint == used))
    # The same model may have been promoted twice; its last time counts.
    last = max((one.number for one in found if one.is_used), default=0)
    return [one._replace(is_used=one.is_used and one.number == last) for one in found]


def promote(candidate: str | Path, path: str | Path) -> str:
    """Replace the model in use, and return the new one's fingerprint.

    The candidate is validated first. The model that was in use stays in the history,
    unless the candidate differs from it in its past flights only.

    Raises:
        ModelFileError: the candidate is invalid; nothing has changed.
        HistoryError: a file cannot be written.
    """
    source, path = Path(candidate), Path(path)
    DelayModel.load(source).verify()
    new = _fingerprint(source)
    with _writing(path):
        past = promotions(path)
        _remove_later(past)
        kept = [one for one in past if one.path.exists()]
        if path.exists() and not any(one.is_used for one in kept):
            kept.append(_keep(path, path, kept))
        if not kept or kept[-1].fingerprint != new:
            kept.append(_keep(source, path, kept))
        atomic.replace(path, source.read_bytes())
        dropped = kept[:-KEPT]
        if len(kept) > 1 and _is_update(kept[-1].path, kept[-2].path):
            # A rollback restores the model before, not the flights of last night.
            dropped = [*kept[: -KEPT - 1], kept[-2]]
        for old in dropped:
            old.path.unlink()
    return new


def rollback(path: str | Path) -> str:
    """Restore the model that was in use before, and return its fingerprint.

    The model that was in use is removed from the history.

    Raises:
        HistoryError: there is none before, or a file cannot be written.
        ModelFileError: the one before is invalid; nothing has changed.
    """
    path = Path(path)
    past = promotions(path)
    place = next((i for i, one in enumerate(past) if one.is_used), 0)
    if place == 0:
        raise HistoryError(path, "has no model before it to go back to")
    before = past[place - 1]
    DelayModel.load(before.path).verify()
    with _writing(path):
        atomic.replace(path, before.path.read_bytes())
        _remove_later(promotions(path))
    return before.fingerprint


def _remove_later(past: list[Promotion]) -> None:
    """Remove what was promoted after the model in use: it was rolled back."""
    used = [one.number for one in past if one.is_used]
    for one in past:
        if used and one.number > used[0]:
            one.path.unlink()


def _is_update(new: Path, old: Path) -> bool:
    """Whether two models differ in the flights that they keep only."""
    try:
        cards = [DelayModel.load(path).card for path in (new, old)]
    except ModelFileError:
        return False
    bare = [
        card and msgspec.structs.replace(card, live=None, known=[]) for card in cards
    ]
    return bare[0] == bare[1] and cards[0] != cards[1]


def _keep(source: Path, path: Path, past: list[Promotion]) -> Promotion:
    number = past[-1].number + 1 if past else 1
    fingerprint = _fingerprint(source)
    target = _folder(path) / f"{number:06}-{fingerprint}.pkl"
    atomic.replace(target, source.read_bytes())
    return Promotion(target, number, fingerprint, False)


def _folder(path: Path) -> Path:
    return path.with_name(path.name + ".history")


def _fingerprint(path: Path) -> str:
    try:
        return model_file.fingerprint(path.read_bytes())[:12]
    except FileNotFoundError:
        return ""


@contextlib.contextmanager
def _writing(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        reason = error.strerror or error
        raise HistoryError(path, f"cannot be changed: {reason}") from error
