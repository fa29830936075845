"""The file of a model: atomic write, safe read, model card, fingerprint.

The file is a pickle of plain values (numbers, texts, bytes, lists, dicts) in two layers:
a header with the format's number and a checksum, and inside it, as bytes, the contents.
No class, function or library object is in it, and reading refuses any: a pickle is a
program, this one may only build data.

To change what the file holds, raise SCHEMA_VERSION, describe the change in
docs/challenge.md, and train the models again: a file of another version is refused.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path


def replace(target: Path, content: bytes) -> None:
    """Write a file in one step; its folder is made when it is missing.

    Raises:
        OSError: it cannot be written; an old one is as it was.
    """
    # In the same folder, so that the last step is a rename.
    temporary = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with temporary.open("xb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        temporary.replace(target)
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink()
