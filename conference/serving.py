"""What programs of ours that serve HTTP have in common: a port that is open, and an end when a signal says so."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import signal
import sys
from collections.abc import Coroutine
from importlib import metadata
from typing import Any

from aiohttp import web

from conference.errors import ConferenceError
from configs.listening import http_site
from configs.tls import TlsFiles, is_loopback
from monitoring.log_config import get_logger

# Requests under way get so long to finish; then viewers' streams and whatever hangs are cut.
SHUTDOWN_TIMEOUT_S = 3.0


class ListenError(ConferenceError):
    """The address cannot be listened on."""

    code = "cannot_listen"


async def listen(runner: web.AppRunner, host: str, port: int, tls: TlsFiles | None) -> str:
    """Open the port; returns where it is reached.

    Raises:
        ListenError: it cannot be opened.
    """
    context = tls.server_context() if tls is not None else None
    if context is None and not is_loopback(host):
        get_logger("conference.serving").warning("plain HTTP beyond loopback: put a TLS proxy in front", host=host)
    try:
        await http_site(runner, host, port, tls=context).start()
    except OSError as error:
        raise ListenError(f"cannot listen on {host}:{port}: {error.strerror or error}") from error
    shown = f"[{host}]" if ":" in host else host
    scheme = "http" if context is None else "https"
    return f"{scheme}://{shown}:{runner.addresses[0][1]}"


def own_url(configured: str, host: str, listening: str) -> str:
    """Where other programs reach this one: as configured, or where it listens if that is an address at all."""
    return configured or ("" if host in {"0.0.0.0", "::"} else listening)  # noqa: S104 - nothing is bound here


async def until_told(serving: Coroutine[Any, Any, None]) -> None:
    """Serve until SIGTERM or SIGINT, also one that comes while the program is still starting."""
    task = asyncio.ensure_future(serving)

    def stop() -> None:
        if not task.cancelling():  # a second signal must not interrupt the stopping in order
            task.cancel()

    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop)
    with contextlib.suppress(asyncio.CancelledError):
        await task


def tell_ready(program: str, url: str) -> None:
    """Print the one line that says where it is.

    What a program has folded by then lives as long as itself: searched for cycles again and again it would stop the
    loop for a tenth of a second each time.
    """
    gc.collect()
    gc.freeze()
    sys.stdout.write(f"{program} ready at {url}\n")
    sys.stdout.flush()


def version() -> str:
    """Of the product; "" where it is not installed."""
    try:
        return metadata.version("diemcau")
    except metadata.PackageNotFoundError:
        return ""
