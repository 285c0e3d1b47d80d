"""What stands before several coordinators, as a proxy of an operator does: each connection goes to whoever leads."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from urllib.parse import urlsplit

from support.coordinator_fleet import Fleet
from support.tcp_line import Address, tcp_line

NO_LEADER_S = 1.0


@contextlib.asynccontextmanager
async def leader_front(port: int, coordinators: Fleet) -> AsyncIterator[None]:
    """Pass connections to a port of 127.0.0.1 on to the leader; close those that come while nobody leads."""

    async def leader_address() -> Address:
        async with asyncio.timeout(NO_LEADER_S):
            leader = await coordinators.leader()
        address = urlsplit(leader.api.url)
        return address.hostname or "", address.port or 0

    async with tcp_line(port, leader_address):
        yield
