"""Files that hold one JSON object of ids: the links of halls, their seats."""

from __future__ import annotations

from pathlib import Path
from typing import TypeVar

import msgspec

from conference.errors import ConferenceError

T = TypeVar("T")

# A country's links are some 20 MB; a file beyond this is not one.
MAX_FILE_BYTES = 64 * 1024 * 1024


class ObjectFileError(ConferenceError):
    """A file is not what it should be; the sentence says why."""

    code = "object_file"
    status = 422


def read_object(path: Path, kind: type[T]) -> dict[str, T]:
    """Read an object of hall ids to values of one kind.

    Raises:
        ObjectFileError: there is no such file, or it holds something else.
    """
    try:
        with path.open("rb") as file:
            data = file.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        raise ObjectFileError(f"cannot read {path}: {error.strerror}") from error
    if len(data) > MAX_FILE_BYTES:
        raise ObjectFileError(f"{path} is larger than 64 MiB")
    try:
        return msgspec.json.decode(data, type=dict[str, kind])  # type: ignore[valid-type] # a type of run time
    except msgspec.DecodeError as error:
        raise ObjectFileError(f"{path} is not an object of hall ids: {error}") from error
