"""Stops the work on a file from another thread."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import duckdb


class WorkStopped(Exception):
    """The work on a file was stopped."""


class Cancellation:
    """Stops work that checks it from time to time, and the queries it waits for."""

    def __init__(self) -> None:
        self._is_stopped = False
        self._connections: list[duckdb.DuckDBPyConnection] = []

    def watch(self, connection: duckdb.DuckDBPyConnection) -> None:
        """Interrupt a connection's queries when the work is stopped.

        Raises:
            WorkStopped: it was stopped.
        """
        self._connections.append(connection)
        self.check()

    def check(self) -> None:
        """Raise WorkStopped if the work was stopped."""
        if self._is_stopped:
            raise WorkStopped

    def stop(self) -> None:
        """Stop the work, as soon as it can be; again is no harm."""
        self._is_stopped = True
        for connection in self._connections:
            connection.interrupt()
