"""The server's processes: one, or several workers that share a socket and a model.

The model is read once, before the workers are forked. Its table is never written to,
so they share its memory.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import logging
import os
import resource
import signal
import socket
import sys
import time
from pathlib import Path
from types import FrameType
from typing import Final

import uvicorn
from fastapi import FastAPI

from challenge.serving.observability.log import configure, event
from challenge.serving.server.protocol import WatchedProtocol, WatchedServer
from challenge.serving.state import ServiceState

GRACE_SECONDS: Final = 30
# Connections not yet accepted; the system may allow fewer.
BACKLOG: Final = 65_535
# A worker that dies sooner failed to start; it is replaced after this delay.
SHORTEST_LIFE_SECONDS: Final = 1.0

CGROUP: Final = Path("/sys/fs/cgroup")


def run(app: FastAPI, host: str, port: int, workers: int) -> int:
    """Serve until SIGTERM or SIGINT, finish all requests, return the exit code.

    Args:
        app: made by `create_app`.
        host: the address to listen on.
        port: the port, 0 for a free one.
        workers: the number of processes.

    Raises:
        SystemExit: the address is in use or not available.
    """
    state: ServiceState = app.state.service
    configure(state.settings)
    _allow_many_connections()
    _give_back_large_blocks()
    trusted = list(state.settings.trusted_proxies)
    config = uvicorn.Config(
        app,
        host=host,
        port=port,
        http=WatchedProtocol,
        ws="none",
        log_config=None,
        access_log=False,
        proxy_headers=bool(trusted),
        forwarded_allow_ips=trusted,
        server_header=False,
        timeout_graceful_shutdown=GRACE_SECONDS,
        timeout_keep_alive=state.settings.keep_alive_seconds,
        backlog=BACKLOG,
    )
    listener = config.bind_socket()
    # Events of our own replace the rest of uvicorn's messages.
    logging.getLogger("uvicorn.error").setLevel(logging.WARNING)
    # All objects so far live until the end. Collecting them would take time, and write
    # to pages that the workers share.
    gc.freeze()
    gc.enable()
    if workers == 1:
        # After it has stopped, uvicorn raises the signal that stopped it once more.
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        return _serve(config, listener, state)
    state.share(workers)
    try:
        return _Workers(config, listener, state).run()
    finally:
        state.end()


def _allow_many_connections() -> None:
    """Raise the limit on file descriptors, of which each connection takes one."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def _give_back_large_blocks() -> None:
    """Let glibc return the memory of a replaced model to the system.

    By default it keeps blocks of that size after one was freed.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        m_mmap_threshold = -3
        mallopt(m_mmap_threshold, 1 << 20)


def available_cpus() -> int:
    """How many CPUs this process may use: its affinity, within a container's quota."""
    affinity = getattr(os, "sched_getaffinity", None)
    cpus = len(affinity(0)) if affinity else os.cpu_count() or 1
    return max(1, min(cpus, int(_quota())))


def _quota() -> float:
    """The CPU quota of the cgroup, version 2 or 1; all CPUs without one."""
    try:
        quota, period = (CGROUP / "cpu.max").read_text().split()
    except (OSError, ValueError):
        try:
            quota = (CGROUP / "cpu/cpu.cfs_quota_us").read_text().strip()
            period = (CGROUP / "cpu/cpu.cfs_period_us").read_text().strip()
        except OSError:
            return float(os.cpu_count() or 1)
    if quota in ("max", "-1"):
        return float(os.cpu_count() or 1)
    return int(quota) / int(period)


class _Workers:
    """Forks the workers, replaces those that die, and stops all of them."""

    def __init__(
        self, config: uvicorn.Config, listener: socket.socket, state: ServiceState
    ) -> None:
        self.config = config
        self.listener = listener
        self.state = state
        # The worker's number and the start time of each process.
        self.started: dict[int, tuple[int, float]] = {}
        self.stopping = False

    def run(self) -> int:
        for stopping in (signal.SIGTERM, signal.SIGINT):
            signal.signal(stopping, self._stop)
        signal.signal(signal.SIGHUP, self._pass_on)
        count = self.state.shared_memory.workers
        for number in range(count):
            if not self.stopping:
                self._start(number)
        failed = False
        while self.started:
            pid, status = os.wait()
            worker = self.started.pop(pid, None)
            if worker is None:
                continue
            number, started_at = worker
            code = os.waitstatus_to_exitcode(status)
            if self.stopping:
                failed |= code != 0
                continue
            message = f"worker {pid} ended with {code}; another takes its place"
            event(logging.ERROR, message, worker=number)
            if time.monotonic() - started_at < SHORTEST_LIFE_SECONDS:
                time.sleep(SHORTEST_LIFE_SECONDS)
            if not self.stopping:
                self._start(number)
        return int(failed)

    def _start(self, number: int) -> None:
        # A signal must find the new process in `started`.
        caught = {signal.SIGTERM, signal.SIGINT, signal.SIGHUP}
        signal.pthread_sigmask(signal.SIG_BLOCK, caught)
        pid = os.fork()
        if pid:
            self.started[pid] = (number, time.monotonic())
            signal.pthread_sigmask(signal.SIG_UNBLOCK, caught)
            return
        code = 1
        try:
            _die_with_parent()
            # Before it serves and after, there is nothing to finish.
            for caught_signal in (signal.SIGTERM, signal.SIGINT):
                signal.signal(caught_signal, lambda number, frame: os._exit(0))
            # Until the model is watched; it was read a moment ago.
            signal.signal(signal.SIGHUP, signal.SIG_IGN)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, caught)
            self.state.begin(number)
            code = _serve(self.config, self.listener, self.state)
        finally:
            os._exit(code)

    def _pass_on(self, number: int, frame: FrameType | None) -> None:
        for pid in self.started:
            # One that ended a moment ago.
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)

    def _stop(self, number: int, frame: FrameType | None) -> None:
        self.stopping = True
        self._pass_on(signal.SIGTERM, frame)


def _die_with_parent() -> None:
    """Otherwise a worker would keep the port when its parent is killed."""
    if sys.platform == "linux":
        pr_set_pdeathsig = 1
        ctypes.CDLL(None).prctl(pr_set_pdeathsig, signal.SIGTERM)


def _serve(config: uvicorn.Config, listener: socket.socket, state: ServiceState) -> int:
    server = WatchedServer(config, state)
    try:
        server.run(sockets=[listener])
    except KeyboardInterrupt:
        pass
    return 0 if server.started else 1
