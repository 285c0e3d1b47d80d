"""Writing a secret to a file that only its owner can read, at once or not at all."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path


def write_secret(path: Path, text: str) -> None:
    """Write `text` and a newline to `path` with mode 0600, replacing an older file atomically.

    Args:
        path: the file; its folder must exist.
        text: the secret.

    Raises:
        OSError: the folder is missing, full or not writable.
    """
    # mkstemp creates with 0600, so that the secret is never readable by others, not even for a moment.
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text + "\n")
            file.flush()
            os.fsync(file.fileno())
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
