"""Files and folders that appear complete or not at all."""

from __future__ import annotations

import contextlib
import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def replacing(target: Path) -> Iterator[Path]:
    """Yield a temporary path, which is renamed to `target` if the block succeeds.

    The block creates a file or a folder there. If it fails, that is removed and what
    `target` was before stays.
    """
    # In the same folder, so that the last step is a rename, and with the same suffix,
    # which tells how to write it.
    temporary = target.absolute().with_name(f".{os.getpid()}.tmp.{target.name}")
    try:
        yield temporary
        temporary.replace(target)
    finally:
        _remove(temporary)


def replace(target: Path, content: bytes) -> None:
    """Write a file in one step, safe from a power loss; create its folder if missing.

    Raises:
        OSError: it cannot be written; an old file stays as it was.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    with replacing(target) as temporary, temporary.open("xb") as stream:
        stream.write(content)
        stream.flush()
        os.fsync(stream.fileno())


def _remove(path: Path) -> None:
    if not path.is_dir():
        with contextlib.suppress(OSError):
            path.unlink()
        return
    # Workers that were just stopped may add a file while the folder is emptied.
    for _ in range(20):
        shutil.rmtree(path, ignore_errors=True)
        if not path.exists():
            return
        time.sleep(0.05)
