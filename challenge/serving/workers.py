"""The server's processes: one, or several that share a socket and a model.

The model is read once, before the workers are forked. Its table is never written to,
so the workers share its memory.
"""

from __future__ import annotations

import ctypes
import gc
import logging
import os
import signal
import socket
import sys
import time
from pathlib import Path
from types import FrameType
from typing import Final

import uvicorn
from starlette.types import ASGIApp

GRACE_SECONDS: Final = 30
# A worker that dies younger than this died of starting; haste would not help it.
SHORTEST_LIFE_SECONDS: Final = 1.0

CGROUP: Final = Path("/sys/fs/cgroup")

log = logging.getLogger("uvicorn.error")


def run(service: ASGIApp, host: str, port: int, workers: int) -> int:
    """Serve until SIGTERM or SIGINT, finish what is in flight, return the exit code.

    Args:
        service: the application.
        host: the address to listen at.
        port: the port, 0 for a free one.
        workers: how many processes serve.

    Raises:
        SystemExit: the address cannot be listened at.
    """
    config = uvicorn.Config(
        service,
        host=host,
        port=port,
        access_log=False,
        # Whom to believe is for settings to say; nobody is asked to yet.
        proxy_headers=False,
        server_header=False,
        timeout_graceful_shutdown=GRACE_SECONDS,
    )
    listener = config.bind_socket()
    # What is loaded now stays. Collecting it again would take time in vain, and write
    # to pages that workers share.
    gc.freeze()
    gc.enable()
    if workers == 1:
        return _serve(config, listener)
    return _Workers(config, listener, workers).run()


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
        self, config: uvicorn.Config, listener: socket.socket, count: int
    ) -> None:
        self.config = config
        self.listener = listener
        self.count = count
        self.started: dict[int, float] = {}
        self.stopping = False

    def run(self) -> int:
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._stop)
        for _ in range(self.count):
            self._start()
        log.info("%d workers serve on port %d", self.count, self._port())
        failed = False
        while self.started:
            pid, status = os.wait()
            born = self.started.pop(pid, None)
            if born is None:
                continue
            code = os.waitstatus_to_exitcode(status)
            if self.stopping:
                failed |= code != 0
                continue
            log.error("worker %d ended with %d; another takes its place", pid, code)
            if time.monotonic() - born < SHORTEST_LIFE_SECONDS:
                time.sleep(SHORTEST_LIFE_SECONDS)
            if not self.stopping:
                self._start()
        return int(failed)

    def _start(self) -> None:
        # A signal in between must find the new worker in the list.
        caught = {signal.SIGTERM, signal.SIGINT}
        signal.pthread_sigmask(signal.SIG_BLOCK, caught)
        pid = os.fork()
        if pid:
            self.started[pid] = time.monotonic()
            signal.pthread_sigmask(signal.SIG_UNBLOCK, caught)
            return
        code = 1
        try:
            _die_with_parent()
            for number in caught:
                signal.signal(number, signal.default_int_handler)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, caught)
            code = _serve(self.config, self.listener)
        finally:
            os._exit(code)

    def _stop(self, number: int, frame: FrameType | None) -> None:
        self.stopping = True
        for pid in self.started:
            os.kill(pid, signal.SIGTERM)

    def _port(self) -> int:
        return int(self.listener.getsockname()[1])


def _die_with_parent() -> None:
    """A worker whose parent was killed would hold the port, and nobody stop it."""
    if sys.platform == "linux":
        pr_set_pdeathsig = 1
        ctypes.CDLL(None).prctl(pr_set_pdeathsig, signal.SIGTERM)


def _serve(config: uvicorn.Config, listener: socket.socket) -> int:
    server = uvicorn.Server(config)
    # Once it has stopped, uvicorn raises the signal that stopped it again.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        server.run(sockets=[listener])
    except KeyboardInterrupt:
        pass
    return 0 if server.started else 1
