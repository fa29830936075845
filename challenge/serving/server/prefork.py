"""The server's processes: one, or several that share a socket and a model.

The model is read once, before the workers are forked. Its table is never written to,
so the workers share its memory.
"""

from __future__ import annotations

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
from challenge.serving.state import Worker

GRACE_SECONDS: Final = 30
# Connections not yet accepted; the system may allow fewer.
BACKLOG: Final = 65_535
# A worker that dies younger than this died of starting; haste would not help it.
SHORTEST_LIFE_SECONDS: Final = 1.0

CGROUP: Final = Path("/sys/fs/cgroup")


def run(service: FastAPI, host: str, port: int, workers: int) -> int:
    """Serve until SIGTERM or SIGINT, finish what is in flight, return the exit code.

    Args:
        service: what `create_app` made.
        host: the address to listen at.
        port: the port, 0 for a free one.
        workers: how many processes serve.

    Raises:
        SystemExit: the address cannot be listened at.
    """
    worker: Worker = service.state.worker
    configure(worker.settings)
    _allow_many_connections()
    _give_back_large_blocks()
    trusted = list(worker.settings.trusted_proxies)
    config = uvicorn.Config(
        service,
        host=host,
        port=port,
        http=WatchedProtocol,
        log_config=None,
        access_log=False,
        proxy_headers=bool(trusted),
        forwarded_allow_ips=trusted,
        server_header=False,
        timeout_graceful_shutdown=GRACE_SECONDS,
        backlog=BACKLOG,
    )
    listener = config.bind_socket()
    # What else uvicorn tells is told by events of our own.
    logging.getLogger("uvicorn.error").setLevel(logging.WARNING)
    # What is loaded now stays. Collecting it again would take time in vain, and write
    # to pages that workers share.
    gc.freeze()
    gc.enable()
    if workers == 1:
        return _serve(config, listener, worker)
    worker.share(workers)
    return _Workers(config, listener, worker).run()


def _allow_many_connections() -> None:
    """Each takes a file descriptor, and the usual limit is low."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def _give_back_large_blocks() -> None:
    """Let glibc give the memory of a replaced model back to the system.

    By default it keeps blocks of that size once one was freed.
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
    """CPUs that the cgroup grants, version 2 or 1; infinite without a limit."""
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
    """Forks the workers, replaces those that die, and stops them together."""

    def __init__(
        self, config: uvicorn.Config, listener: socket.socket, worker: Worker
    ) -> None:
        self.config = config
        self.listener = listener
        self.worker = worker
        # Of each process that runs: which worker it is, and when it was born.
        self.started: dict[int, tuple[int, float]] = {}
        self.stopping = False

    def run(self) -> int:
        for stopping in (signal.SIGTERM, signal.SIGINT):
            signal.signal(stopping, self._stop)
        signal.signal(signal.SIGHUP, self._pass_on)
        count = self.worker.board.workers
        for number in range(count):
            self._start(number)
        failed = False
        while self.started:
            pid, status = os.wait()
            born = self.started.pop(pid, None)
            if born is None:
                continue
            number, at = born
            code = os.waitstatus_to_exitcode(status)
            if self.stopping:
                failed |= code != 0
                continue
            message = f"worker {pid} ended with {code}; another takes its place"
            event(logging.ERROR, message, worker=number)
            if time.monotonic() - at < SHORTEST_LIFE_SECONDS:
                time.sleep(SHORTEST_LIFE_SECONDS)
            if not self.stopping:
                self._start(number)
        return int(failed)

    def _start(self, number: int) -> None:
        # A signal in between must find the new worker in the list.
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
            for caught_signal in (signal.SIGTERM, signal.SIGINT):
                signal.signal(caught_signal, signal.default_int_handler)
            # Until the model is followed; it was read a moment ago.
            signal.signal(signal.SIGHUP, signal.SIG_IGN)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, caught)
            self.worker.begin(number)
            code = _serve(self.config, self.listener, self.worker)
        finally:
            os._exit(code)

    def _pass_on(self, number: int, frame: FrameType | None) -> None:
        for pid in self.started:
            os.kill(pid, number)

    def _stop(self, number: int, frame: FrameType | None) -> None:
        self.stopping = True
        for pid in self.started:
            os.kill(pid, signal.SIGTERM)


def _die_with_parent() -> None:
    """A worker whose parent was killed would hold the port, and nobody stop it."""
    if sys.platform == "linux":
        pr_set_pdeathsig = 1
        ctypes.CDLL(None).prctl(pr_set_pdeathsig, signal.SIGTERM)


def _serve(config: uvicorn.Config, listener: socket.socket, worker: Worker) -> int:
    server = WatchedServer(config, worker)
    # Once it has stopped, uvicorn raises the signal that stopped it again.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        server.run(sockets=[listener])
    except KeyboardInterrupt:
        pass
    return 0 if server.started else 1
