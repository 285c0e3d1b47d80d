"""Which fan-out a relay uses: the compiled kernel where it runs, else the reference, with one line in the log."""

from __future__ import annotations

import socket

import structlog

from relay.config import FanOutKind
from relay.fanout.interface import FanOut
from relay.fanout.libcrypto import KernelUnavailableError
from relay.fanout.reference import ReferenceFanOut

log = structlog.get_logger(__name__)


def choose_fan_out(sock: socket.socket, *, kind: FanOutKind, threads: int) -> FanOut:
    """Make the fan-out that the configuration asks for.

    Args:
        sock: the UDP socket that it sends on.
        kind: `auto` takes the kernel and, where it cannot run, the reference; the others insist.
        threads: threads of the kernel; the reference has none.

    Raises:
        KernelUnavailableError: `kernel` was asked for and cannot run here.
    """
    if kind == "reference":
        return ReferenceFanOut(sock)
    try:
        return _kernel(sock, threads)
    except KernelUnavailableError as error:
        if kind == "kernel":
            raise
        log.warning("fan-out without its compiled kernel", reason=error.reason)
        return ReferenceFanOut(sock)


def _kernel(sock: socket.socket, threads: int) -> FanOut:
    try:
        # Numba takes half a second to import, and may be missing.
        from relay.fanout.shards import KernelFanOut  # noqa: PLC0415
    except ImportError as error:
        raise KernelUnavailableError(f"numba is missing: {error}") from error
    return KernelFanOut(sock, threads=threads)
