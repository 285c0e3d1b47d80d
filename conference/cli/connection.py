"""Where the server is and who asks: `--server` and `--token-file`, or DIEMCAU_SERVER and DIEMCAU_TOKEN_FILE.

`diemcau up` leaves an organiser's token in its state directory, readable by its owner only; on the same machine it
is found there, so that nobody has to copy a secret.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from conference.cli.refusal import fail

if TYPE_CHECKING:
    from conference.api_client import ApiClient

T = TypeVar("T")

DEFAULT_SERVER = "http://127.0.0.1:8080"
DEFAULT_TOKEN_FILE = Path("var/organiser.token")
MAX_TOKEN_BYTES = 4096

Server = Annotated[
    str,
    typer.Option("--server", envvar="DIEMCAU_SERVER", help="Address of the coordinator (máy chủ điều phối)."),
]
TokenFile = Annotated[
    Path,
    typer.Option(
        "--token-file",
        envvar="DIEMCAU_TOKEN_FILE",
        help="File that holds your token (mã truy cập); `diemcau up` writes one.",
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document for programs.")]


def read_token(path: Path) -> str:
    """Read a token from a file.

    Raises:
        CommandFailedError: the file is missing, empty or no token.
    """
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_TOKEN_BYTES + 1)
    except OSError as error:
        fail(
            f"cannot read the token file {path} ({error.strerror}); "
            "give one with --token-file, or make one with `diemcau token --role organiser`"
        )
    token = raw.decode("ascii", errors="replace").strip()
    if not token or len(raw) > MAX_TOKEN_BYTES or not token.isascii() or any(c.isspace() for c in token):
        fail(f"{path} does not hold a token")
    return token


def ask_openly(server: str, question: Callable[[ApiClient], Awaitable[T]]) -> T:
    """Like `ask`, for what is open to everybody: no token is read or sent."""
    return _ask(server, "", question)


def ask(server: str, token_file: Path, question: Callable[[ApiClient], Awaitable[T]]) -> T:
    """Connect to the coordinator, ask, and close the connection again.

    Args:
        server: the coordinator's address.
        token_file: file with the bearer token.
        question: what to do with the client.

    Returns:
        What `question` returned.
    """
    return _ask(server, read_token(token_file), question)


def _ask(server: str, token: str, question: Callable[[ApiClient], Awaitable[T]]) -> T:
    from conference.api_client import ApiClient  # noqa: PLC0415 - `--help` should not pay for HTTP

    if not server.startswith(("http://", "https://")):
        fail(f"--server is {server!r}; an address such as {DEFAULT_SERVER} was expected")

    async def run() -> T:
        async with ApiClient(server, token) as api:
            return await question(api)

    return asyncio.run(run())
