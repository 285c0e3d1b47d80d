"""How a receiver asks for a session: WHEP, or whatever else gives a session description in return. Shell.

Of WHEP (draft-ietf-wish-whep) the client's offer is spoken; a server that answers with an offer of its own (406), that
wants trickling, or that wants to be the DTLS client is refused with a reason. Redirects are not followed, so that a
token stays with the server that it was given for.
"""

from __future__ import annotations

import contextlib
from typing import Protocol

import aiohttp
import msgspec
from yarl import URL

from relay.core.ice import IceCredentials
from relay.swarm.errors import JoinError
from relay.wire.sdp import SessionDescription, build_play_offer, parse_session, serialize_session

SDP_TYPE = "application/sdp"
REQUEST_TIMEOUT_S = 10.0  # of a storm, the last request waits for all before it
LEAVE_TIMEOUT_S = 2.0
MAX_ANSWER_BYTES = 65_536


class Opened(msgspec.Struct, frozen=True):
    """A session that a server opened for us.

    Attributes:
        description: the server's.
        resource: what ends the session, in the signalling's own words; "" for nothing.
    """

    description: SessionDescription
    resource: str


class Signalling(Protocol):
    """Opens and closes sessions at a server."""

    async def open(self, local: IceCredentials, fingerprint: str) -> Opened:
        """Open a session for a receiver with these ICE credentials and this SHA-256 certificate fingerprint.

        Raises:
            JoinError: refused, unreachable, or an answer of no use.
            WireError: the description is malformed.
        """
        ...

    async def close(self, opened: Opened) -> None:
        """End a session; never raises for a server that is gone."""
        ...


class WhepSignalling:
    """Sessions of one WHEP endpoint."""

    def __init__(self, client: aiohttp.ClientSession, url: str, token: str = "") -> None:
        """Speak to `url`; with a token, as its bearer (RFC 6750)."""
        self._client = client
        self._url = url
        self._headers = {"Authorization": f"Bearer {token}"} if token else {}

    async def open(self, local: IceCredentials, fingerprint: str) -> Opened:
        """See `Signalling`."""
        offer = build_play_offer(ice_ufrag=local.ufrag, ice_pwd=local.pwd, fingerprint=("sha-256", fingerprint))
        try:
            async with self._client.post(
                self._url,
                data=serialize_session(offer).encode(),
                headers={**self._headers, "Content-Type": SDP_TYPE, "Accept": SDP_TYPE},
                timeout=aiohttp.ClientTimeout(total=REQUEST_TIMEOUT_S),
                allow_redirects=False,
            ) as response:
                if response.status != 201:
                    raise JoinError(f"HTTP {response.status}")
                resource = response.url.join(URL(response.headers.get("Location", "")))
                body = bytearray()
                async for chunk in response.content.iter_chunked(4096):
                    body += chunk
                    if len(body) > MAX_ANSWER_BYTES:
                        raise JoinError(f"answer of more than {MAX_ANSWER_BYTES} octets")
        except TimeoutError:
            raise JoinError("HTTP time-out") from None
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise JoinError(_reason(error)) from error
        is_ours = resource.origin() == URL(self._url).origin() and resource != response.url
        return Opened(parse_session(body.decode(errors="replace")), str(resource) if is_ours else "")

    async def close(self, opened: Opened) -> None:
        """See `Signalling`."""
        if not opened.resource:
            return
        timeout = aiohttp.ClientTimeout(total=LEAVE_TIMEOUT_S)
        with contextlib.suppress(aiohttp.ClientError, OSError, TimeoutError):
            async with self._client.delete(
                opened.resource, headers=self._headers, timeout=timeout, allow_redirects=False
            ):
                pass


def _reason(error: Exception) -> str:
    """Why there was no answer, in words that are the same for all receivers of a swarm."""
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        return "TLS certificate not trusted"
    if isinstance(error, aiohttp.ClientSSLError):
        return "no TLS"
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return "name not found"
    if isinstance(error, aiohttp.ClientConnectorError):
        return "connection refused" if isinstance(error.os_error, ConnectionRefusedError) else "no connection"
    if isinstance(error, aiohttp.ServerDisconnectedError | ConnectionError):
        return "connection lost"
    return f"HTTP {type(error).__name__}"
