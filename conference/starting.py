"""Starting programs together: the tokens that they are given, and waiting until each is ready."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

from conference.access import ApiClaims, KeyRing, Role
from conference.api_client import ApiClient
from conference.errors import ConferenceError
from conference.secret_file import write_secret

START_TIMEOUT_S = 60.0
READY_EVERY_S = 0.1


class StartFailedError(ConferenceError):
    """A program did not become ready in time."""

    code = "start_failed"
    status = 500


def write_token(keys: KeyRing, path: Path, role: Role, subject: str, lifetime_s: float) -> str:
    """Sign a token of the API, write it to a file readable by its owner only, and return it."""
    token = keys.issue_api_token(ApiClaims(sub=subject, role=role, exp=int(time.time() + lifetime_s)))
    write_secret(path, token)
    return token


async def wait_ready(address: str, name: str, *, timeout_s: float = START_TIMEOUT_S) -> None:
    """Wait until the program at `address` answers that it is ready.

    Raises:
        StartFailedError: it did not within `timeout_s`.
    """
    deadline = time.monotonic() + timeout_s
    async with ApiClient(address) as program:
        while not await program.is_ready():
            if time.monotonic() > deadline:
                raise StartFailedError(f"{name} did not become ready within {timeout_s:.0f} s")
            await asyncio.sleep(READY_EVERY_S)
