"""How much of all bodies a process holds while they arrive."""

from __future__ import annotations

from challenge.serving.problems import overloaded


class BodyBudget:
    """Bytes that requests take and give back.

    Args:
        limit: how many there are.
    """

    def __init__(self, limit: int) -> None:
        self.free = limit

    def take(self, size: int) -> None:
        """Take bytes, or give them back if the size is negative.

        Raises:
            RejectedRequest: there are not so many left.
        """
        if size > self.free:
            raise overloaded()
        self.free -= size


class Held:
    """What one request holds of a budget; use it as a context manager."""

    def __init__(self, budget: BodyBudget) -> None:
        self._budget = budget
        self._size = 0

    def __enter__(self) -> Held:
        return self

    def __exit__(self, *error: object) -> None:
        self.hold(0)

    def hold(self, size: int) -> None:
        """Hold so many bytes from now on.

        Raises:
            RejectedRequest: there are not so many left.
        """
        self._budget.take(size - self._size)
        self._size = size
