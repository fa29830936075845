"""Boosted trees as sets of leaves, to answer single flights without XGBoost or numpy.

What a row holds in one column rules out some leaves of each tree. Of all columns
together, one leaf of each is left (QuickScorer, Lucchese et al., 2015).
"""

from __future__ import annotations

import operator
import struct
from array import array
from collections.abc import Callable, Iterable, Sequence
from itertools import compress
from typing import Final

from challenge.compiled.booster import Split, Tree, read_booster
from challenge.flights.fields import DAYS_A_WEEK, HOURS, NOT_GIVEN

# Those of the default recipe have 0.1 MB for Santiago, and 0.5 for all of the US.
MAX_BYTES: Final = 16_000_000
# As many as depth 12 has: setting bits takes longer in a larger tree.
MAX_LEAVES: Final = 4_096
_SLOT_BITS: Final = 64
_SLOT_BYTES: Final = 8
_OF_DIGITS: Final = bytes.maketrans(b"01", bytes([0, 1]))


class LeafMasks:
    """The leaves that rows can reach, as bits of an integer.

    Args:
        model: as `read_booster` takes it.
        categories: for each column the codes that the model has learned from; others
            are taken as not given.
        sizes: how many codes each column has.

    Attributes:
        said: for each column the leaves that a row can reach by it, with code c at
            c + 1, and what is not given at 0.
        nothing_said: all leaves.

    Raises:
        ValueError: the model is damaged, or has too many leaves.
    """

    combine = staticmethod(operator.and_)

    def __init__(
        self, model: bytes, categories: Sequence[Sequence[int]], sizes: Sequence[int]
    ) -> None:
        booster = read_booster(model, len(sizes))
        self._base = booster.base
        # What leaves add by their bits, for each slot of 64. A tree of more leaves has
        # several slots, all but one of which are empty in the end.
        self._slots: list[dict[int, float]] = []
        masks = [[bytearray() for _ in range(size + 1)] for size in sizes]
        codes = sum(sizes) + HOURS * DAYS_A_WEEK
        for tree in booster.trees:
            slots = _slots(tree)
            self._slots += slots
            if len(self._slots) * _SLOT_BYTES * codes > MAX_BYTES:
                raise ValueError(
                    f"the trees have too many leaves for {codes} codes: "
                    "fewer or smaller trees are needed"
                )
            reachable = _reachable(tree, categories, sizes)
            for column, of_codes in enumerate(reachable):
                for mask, leaves in zip(masks[column], of_codes, strict=True):
                    mask += leaves.to_bytes(len(slots) * _SLOT_BYTES, "little")
        self._format = f"<{len(self._slots)}Q"
        self._bytes = len(self._slots) * _SLOT_BYTES
        self.nothing_said = (1 << self._bytes * 8) - 1
        self._values = array(
            "d",
            (
                slot.get(1 << bit, 0.0)
                for slot in self._slots
                for bit in range(_SLOT_BITS)
            ),
        )
        self.said = [
            [int.from_bytes(mask, "little") for mask in of_column]
            for of_column in masks
        ]

    def log_odds(self, reached: int) -> float:
        """Those of a row, by the leaves that all of its columns leave over."""
        numbers = struct.unpack(self._format, reached.to_bytes(self._bytes, "little"))
        return self._base + sum(map(operator.getitem, self._slots, numbers))

    def mean_log_odds(self, rows: Iterable[tuple[int, int]]) -> Callable[[int], float]:
        """As `Scorer` has it: each leaf adds what it does to the share of the rows that
        reach it."""
        # How many rows reach each leaf, as binary numbers: the first has their last bits.
        digits: list[int] = []
        total = 0
        for reached, count in rows:
            total += count
            digits += [0] * (total.bit_length() - len(digits))
            for place in range(count.bit_length()):
                carried = reached if count >> place & 1 else 0
                while carried:
                    digit = digits[place]
                    digits[place], carried = digit ^ carried, digit & carried
                    place += 1
        eights = [
            self._stacked(digits[start : start + 8])
            for start in range(0, len(digits), 8)
        ]
        shares = (int.from_bytes(count, "little") / total for count in zip(*eights))
        adds = array("d", map(operator.mul, self._values, shares))
        return lambda reached: self._base + sum(compress(adds, self._bits(reached)))

    def _stacked(self, digits: Sequence[int]) -> bytes:
        """For each leaf a byte of what it has in up to eight digits."""
        stacked = 0
        for place, digit in enumerate(digits):
            stacked |= int.from_bytes(self._bits(digit), "little") << place
        return stacked.to_bytes(len(self._values), "little")

    def _bits(self, leaves: int) -> bytes:
        """0 or 1 for each leaf."""
        text = f"{leaves:0{self._bytes * 8}b}"
        return text.encode().translate(_OF_DIGITS)[::-1]


def _slots(tree: Tree) -> list[dict[int, float]]:
    leaves = [node for node in tree if not isinstance(node, Split)]
    if len(leaves) > MAX_LEAVES:
        raise ValueError(f"a tree has {len(leaves)} leaves, more than {MAX_LEAVES}")
    return [
        {0: 0.0}
        | {
            1 << bit: leaf
            for bit, leaf in enumerate(leaves[start : start + _SLOT_BITS])
        }
        for start in range(0, len(leaves), _SLOT_BITS)
    ]


def _reachable(
    tree: Tree, categories: Sequence[Sequence[int]], sizes: Sequence[int]
) -> list[list[int]]:
    """For each column and code the leaves of a tree that it does not rule out."""
    below = [0] * len(tree)
    leaf = 1
    for place, node in enumerate(tree):
        if not isinstance(node, Split):
            below[place] = leaf
            leaf <<= 1
    reachable = [[leaf - 1] * (size + 1) for size in sizes]
    known = [sorted({NOT_GIVEN, *codes}) for codes in categories]
    for place in reversed(range(len(tree))):
        node = tree[place]
        if isinstance(node, Split):
            left, right = below[place + 1], below[node.right]
            below[place] = left | right
            leaves = reachable[node.column]
            for code in known[node.column]:
                leaves[code + 1] &= ~(right if node.goes_left(code) else left)
    for leaves, codes in zip(reachable, known, strict=True):
        for code in set(range(len(leaves) - 1)).difference(codes):
            leaves[code + 1] = leaves[0]
    return reachable
