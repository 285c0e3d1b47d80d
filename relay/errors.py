"""Typed errors of the relay; one base class, a stable `code` on each."""

from __future__ import annotations


class RelayError(Exception):
    """Base of all errors that a relay raises for input from outside.

    Attributes:
        code: stable snake_case word; used as a metric label and in problem details.
    """

    code = "relay_error"


class WireError(RelayError):
    """Bytes or text from the network did not parse.

    Attributes:
        protocol: `stun`, `dtls`, `rtp`, `rtcp`, `sdp` or `demux`.
        reason: one short clause that says what was wrong and where.
    """

    code = "malformed"

    def __init__(self, protocol: str, reason: str) -> None:
        super().__init__(f"{protocol}: {reason}")
        self.protocol = protocol
        self.reason = reason


class AccessError(RelayError):
    """A token was missing, malformed, expired, or does not cover the resource.

    Attributes:
        status: HTTP status to answer with, 401 (who are you) or 403 (not for you).
    """

    code = "access_denied"

    def __init__(self, reason: str, *, status: int = 401) -> None:
        super().__init__(reason)
        self.reason = reason
        self.status = status
