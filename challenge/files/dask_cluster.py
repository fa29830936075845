"""Apply a function to many items: one after the other, or on a Dask cluster."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final, TypeVar

from challenge.errors import ClusterError

LOCAL: Final = "local"
# How long to wait for a scheduler. Not final: tests do not wait that long.
CONNECT_SECONDS = 10

S = TypeVar("S")
T = TypeVar("T")
R = TypeVar("R")

# Called with the number of items done and the number of all.
ProgressCallback = Callable[[int, int], None]
# Called with a function of (shared, item), the shared argument, and the items.
MapFunction = Callable[[Callable[[Any, Any], Any], Any, Sequence[Any]], Iterator[Any]]


@contextlib.contextmanager
def parallel_map(
    scheduler: str | None, progress: ProgressCallback = lambda done, of: None
) -> Iterator[MapFunction]:
    """Yield a `map` that gives the results in the order of the items.

    Args:
        scheduler: the address of a Dask scheduler, like tcp://host:8786; "local" for
            one process per CPU of this machine; None for this process.
        progress: called after each item.

    Raises:
        ClusterError: Dask is not installed, the scheduler cannot be reached or has no
            workers, or an item killed every worker that tried it.
    """
    if scheduler is None:
        yield lambda function, shared, items: _counted(
            (function(shared, item) for item in items), len(items), progress
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
            yield lambda function, shared, items: _counted(
                _submitted(client, function, shared, items), len(items), progress
            )
        except KilledWorker as error:
            raise ClusterError(f"a file killed its workers: {error}") from error


def _submitted(
    client: Any, function: Callable[[S, T], R], shared: S, items: Sequence[T]
) -> Iterator[R]:
    # Sent to each worker once, not with each item.
    scattered = client.scatter([shared], broadcast=True)[0]
    # Impure: a file may have changed since the last call with its name.
    futures = client.map(
        functools.partial(_swapped, function), items, shared=scattered, pure=False
    )
    try:
        for future in futures:
            yield future.result()
            # A result that was fetched need not stay in a worker's memory.
            future.release()
    finally:
        client.cancel(futures)


def _swapped(function: Callable[[S, T], R], item: T, shared: S) -> R:
    return function(shared, item)


def _counted(
    results: Iterator[R], total: int, progress: ProgressCallback
) -> Iterator[R]:
    for done, result in enumerate(results, start=1):
        progress(done, total)
        yield result
