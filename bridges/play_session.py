"""One WHEP session of a hall: opened at one relay, activated and put on standby as often as wanted, closed. Shell.

What its media is (a connection that decodes, one that only counts) is the business of a `Media`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Protocol

import aiohttp

from bridges.errors import ResourceError
from bridges.messages import RelayAccess
from bridges.whep_client import SessionState, put_state, standby_url
from bridges.whip_client import Resource, delete_resource, post_offer


class Media(Protocol):
    """The transport and the streams of one session; a new one for each session."""

    async def make_offer(self, whep_url: str) -> str:
        """Make a complete offer (SDP) for the relay at `whep_url`.

        Raises:
            ResourceError: there can be none.
        """
        ...

    async def take_answer(self, answer: str) -> None:
        """Take the relay's answer; returns when ICE and DTLS are up.

        Raises:
            ResourceError: the answer does not fit, or the media port was not reached in time.
        """
        ...

    def begin(self) -> None:
        """The relay is asked to send from now on: the next picture that can be shown is a first one again."""
        ...

    def last_packets_ago_s(self) -> dict[str, float]:
        """Seconds since the last RTP packet, by kind (`audio`, `video`); without a kind of which none came lately."""
        ...

    async def packets(self) -> tuple[int, int]:
        """RTP packets that came, and that never came (RFC 3550 section 6.4.1), of all streams."""
        ...

    async def close(self) -> None:
        """Let go of everything, in bounded time; nothing may be called afterwards but this."""
        ...


class PlaySession:
    """A session at one relay: `open`, then `put_state` as often as wanted, then `close`.

    Args:
        http: shared client.
        access: the relay and its token.
        media: of this session alone.
    """

    def __init__(self, http: aiohttp.ClientSession, access: RelayAccess, media: Media) -> None:
        self._http = http
        self._switching = asyncio.Lock()
        self.access = access
        self.media = media
        self.resource: Resource | None = None

    async def open(self, *, standby: bool) -> None:
        """Connect, as a standby or playing.

        Raises:
            ResourceError: the relay refused, did not answer, or its media port could not be reached.
        """
        url = standby_url(self.access.whep_url) if standby else self.access.whep_url
        offer = await self.media.make_offer(url)
        self.resource = await post_offer(self._http, url, self.access.token, offer)
        await self.media.take_answer(self.resource.answer)

    async def put_state(self, wanted: Callable[[], SessionState]) -> None:
        """Ask the relay for the state that is wanted when its turn comes; requests do not overtake each other.

        Raises:
            ResourceError: the relay does not answer or does not know the session.
        """
        async with self._switching:
            if self.resource is None:
                raise ResourceError("the session is not open", code="not_open")
            await put_state(self._http, self.resource, wanted())

    async def close(self) -> None:
        """Delete the resource and let go of the media, in bounded time."""
        resource, self.resource = self.resource, None
        if resource is not None:
            await delete_resource(self._http, resource)
        await self.media.close()


def closed_meanwhile() -> ResourceError:
    """The error of a session that was closed while it was being opened."""
    return ResourceError("the session was closed while it was being opened", code="not_open")
