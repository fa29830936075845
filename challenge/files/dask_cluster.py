"""The same work for many parts: one after the other, or on a Dask cluster."""

from __future__ import annotations

import contextlib
import functools
import itertools
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final, TypeVar

from challenge.errors import ClusterError

LOCAL: Final = "local"
# How long a scheduler is waited for.
CONNECT_SECONDS = 10

S = TypeVar("S")
T = TypeVar("T")
R = TypeVar("R")

# Called with how many parts are done, of how many.
Progress = Callable[[int, int], None]
# Of a function of what all parts share and of a part, what they share, and the parts.
Map = Callable[[Callable[[Any, Any], Any], Any, Sequence[Any]], Iterator[Any]]


@contextlib.contextmanager
def mapping(
    scheduler: str | None, progress: Progress = lambda done, of: None
) -> Iterator[Map]:
    """Gives a `map` whose results come in the order of the parts.

    Args:
        scheduler: the address of a Dask scheduler, like tcp://host:8786; "local" for a
            cluster of processes on this machine, one a CPU; None for this process.
        progress: called after each part.

    Raises:
        ClusterError: Dask is not installed, or there is no scheduler, or it has no
            workers, or a part killed every worker that took it.
    """
    if scheduler is None:
        yield lambda function, shared, parts: _counted(
            (function(shared, part) for part in parts), len(parts), progress
        )
        return
    try:
        from distributed import Client, KilledWorker, LocalCluster
    except ImportError as error:
        message = "--scheduler needs the extra: pip install 'flight-prophet[dask]'"
        raise ClusterError(message) from error
    with contextlib.ExitStack() as stack:
        try:
            if scheduler == LOCAL:
                # One thread each: DuckDB has threads of its own.
                local = LocalCluster(threads_per_worker=1, dashboard_address=None)
                scheduler = stack.enter_context(local).scheduler_address
            client = stack.enter_context(Client(scheduler, timeout=CONNECT_SECONDS))
            client.wait_for_workers(1, timeout=30)
        except (OSError, TimeoutError, ValueError) as error:
            reason = f"the scheduler {scheduler!r} cannot be used: {error}"
            raise ClusterError(reason) from error
        try:
            yield lambda function, shared, parts: _counted(
                _submitted(client, function, shared, parts), len(parts), progress
            )
        except KilledWorker as error:
            raise ClusterError(f"workers died of a part: {error}") from error


def _submitted(
    client: Any, function: Callable[[S, T], R], shared: S, parts: Sequence[T]
) -> Iterator[R]:
    # Sent once to each worker, not with each part.
    scattered = client.scatter([shared], broadcast=True)[0]
    # Impure: a part may have changed since it was last asked about.
    futures = client.map(
        functools.partial(_swapped, function), parts, shared=scattered, pure=False
    )
    try:
        for future in futures:
            yield future.result()
            # What has been fetched need not stay in a worker's memory.
            future.release()
    finally:
        client.cancel(futures)


def _swapped(function: Callable[[S, T], R], part: T, shared: S) -> R:
    return function(shared, part)


def _counted(results: Iterator[R], parts: int, progress: Progress) -> Iterator[R]:
    for done, result in zip(itertools.count(1), results):
        progress(done, parts)
        yield result
