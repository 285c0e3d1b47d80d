"""One coordinator per state directory: a second one that is started by mistake is refused, and the first works on.

The journal's epoch protects what is written; it would let the second take over and leave the first, with all its halls,
unable to write. An advisory lock on a file says no before that. The system lets go of it when its holder ends, however
it ends, so that nothing needs to be cleaned up after a crash. The folder must be on a local disk, as for the journal.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

from conference.errors import ConferenceError

LOCK_FILE = "coordinator.lock"


class StateDirError(ConferenceError):
    """The state directory cannot be used, or is in use by another coordinator; says which and by whom."""

    code = "state_dir"
    status = 500


@contextlib.contextmanager
def hold(folder: Path) -> Iterator[None]:
    """Be the only coordinator on `folder` inside the block; the folder is made where it does not exist.

    Raises:
        StateDirError: another process holds it, or it cannot be made or written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor = os.open(folder / LOCK_FILE, os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise StateDirError(f"{folder}: {error.strerror or error}") from error
    with os.fdopen(descriptor, "r+", encoding="ascii", errors="replace") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            holder = file.read(20).strip() or "unknown"
            raise StateDirError(
                f"{folder} is in use by another coordinator (process {holder}): stop it, or give another state_dir"
            ) from error
        except OSError as error:
            raise StateDirError(f"{folder}: no lock can be taken there: {error.strerror or error}") from error
        file.truncate()
        file.write(f"{os.getpid()}\n")
        file.flush()
        yield
