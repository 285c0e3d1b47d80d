"""Errors of the swarm."""

from __future__ import annotations

from relay.errors import RelayError


class SwarmError(RelayError):
    """The swarm as a whole cannot run: wrong sizes, or too few file descriptors."""

    code = "swarm_refused"


class JoinError(RelayError):
    """One receiver was refused, or got an answer that it cannot use.

    Attributes:
        reason: short and without ids, so that equal ones can be counted together.
    """

    code = "join_refused"

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason
