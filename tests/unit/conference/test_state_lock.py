from __future__ import annotations

import os
from pathlib import Path

import pytest

from conference.state_lock import StateDirError, hold


def test_a_folder_has_one_holder_at_a_time(tmp_path: Path) -> None:
    """A second holder is refused with a sentence that names the folder and the process; afterwards it is free."""
    folder = tmp_path / "new" / "state"
    with hold(folder):
        with pytest.raises(StateDirError) as caught, hold(folder):
            pass
        assert str(folder) in str(caught.value)
        assert f"process {os.getpid()}" in str(caught.value)
        with hold(tmp_path / "another"):
            pass
    with hold(folder):
        pass


def test_a_lock_file_that_was_left_behind_locks_nothing(tmp_path: Path) -> None:
    """After a crash the file is there with the number of a process that is gone; the next start takes no notice."""
    (tmp_path / "coordinator.lock").write_bytes(b"\xff999999999999 and more\n")
    with hold(tmp_path):
        assert (tmp_path / "coordinator.lock").read_text() == f"{os.getpid()}\n"


def test_what_is_no_folder_is_said(tmp_path: Path) -> None:
    """A file in the folder's place is an error of ours with its path, not a traceback."""
    (tmp_path / "file").touch()
    with pytest.raises(StateDirError, match="file"), hold(tmp_path / "file"):
        pass
