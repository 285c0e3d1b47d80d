"""Peer connections of a hall or a publisher: aiortc as a WebRTC endpoint, with the few habits that it needs.

One transport for all media (BUNDLE), host candidates only, complete offers (no trickle). aioice gathers no loopback
address, which is right for the Internet and wrong for a relay on the same machine: on a machine whose only interface is
`lo` nothing would be gathered at all. Therefore, and only when the relay's own address is loopback, the loopback
addresses are added to this one connection's gathering; nothing is patched for anybody else.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import logging
import time
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlsplit

import msgspec
from aioice import Candidate, stun
from aiortc import (
    RTCBundlePolicy,
    RTCConfiguration,
    RTCIceServer,
    RTCPeerConnection,
    RTCRtpReceiver,
    RTCRtpTransceiver,
    RTCSessionDescription,
)
from aiortc.exceptions import InvalidStateError

from bridges.errors import ResourceError
from bridges.messages import IceServer
from bridges.source import Kind

CONNECT_TIMEOUT_S = 5.0  # ICE and DTLS on a bad line; a relay that needs longer is no use within a failover
CLOSE_TIMEOUT_S = 2.0
_LOOPBACK = ("127.0.0.1", "::1")
MAX_SDP_BYTES = 64 * 1024
_NO_MEDIA_PATH = "không nối được cổng hình tiếng của trạm / no connection to the relay's media port"

_log = logging.getLogger(__name__)


def is_loopback(url: str) -> bool:
    """Say whether the host of a URL is this machine's loopback."""
    host = urlsplit(url).hostname or ""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def new_peer_connection(ice_servers: Sequence[IceServer] = ()) -> RTCPeerConnection:
    """Make a peer connection with one transport.

    Args:
        ice_servers: TURN servers, for a hall that reaches no relay directly. The first that is reached by TCP or TLS is
            taken: aioice uses one, and who needs it has no UDP.
    """
    servers = [
        RTCIceServer(urls=url, username=server.username, credential=server.credential)
        for server in ice_servers
        for url in server.urls
        # aiortc reads no IPv6 literals in these.
        if (url.startswith("turns:") or url.endswith("?transport=tcp")) and "[" not in url
    ]
    return RTCPeerConnection(RTCConfiguration(iceServers=servers[:1], bundlePolicy=RTCBundlePolicy.MAX_BUNDLE))


def prefer_codecs(
    transceiver: RTCRtpTransceiver, kind: Kind, names: Sequence[str], *, retransmission: bool = True
) -> None:
    """Offer only these codecs, in this order.

    Args:
        transceiver: of a connection that has made no offer yet.
        kind: its kind.
        names: MIME types, for example `video/H264`.
        retransmission: offer the format of RFC 4588 as well; without it, what is lost is sent again as it was.
    """
    capabilities = RTCRtpReceiver.getCapabilities(kind)
    offered = capabilities.codecs if capabilities is not None else []
    wanted = [codec for name in names for codec in offered if codec.mimeType.lower() == name.lower()]
    repairs = [codec for codec in offered if retransmission and codec.mimeType.lower().endswith("/rtx")]
    transceiver.setCodecPreferences(wanted + repairs)


def gather_on_loopback(peer: RTCPeerConnection) -> None:
    """Let this connection gather 127.0.0.1 and ::1 as well; call it before `setLocalDescription`."""
    connections = {
        id(connection): connection
        for transceiver in peer.getTransceivers()
        # The ICE connection below aiortc's gatherer has no public name; it is reached here and nowhere else.
        for connection in [transceiver.receiver.transport.transport.iceGatherer._connection]  # noqa: SLF001
    }
    for connection in connections.values():
        gather = connection.get_component_candidates

        async def gather_with_loopback(
            component: int, addresses: list[str], *rest: int, _gather: Any = gather
        ) -> list[Candidate]:
            candidates: list[Candidate] = await _gather(component, [*_LOOPBACK, *addresses], *rest)
            return candidates

        # Shadows the method on this object alone.
        connection.get_component_candidates = gather_with_loopback  # type: ignore[method-assign,assignment] # as said


async def make_offer(peer: RTCPeerConnection, relay_url: str) -> str:
    """Make a complete offer (all candidates in it) for the relay at `relay_url` and return its SDP.

    Raises:
        ResourceError: this machine has no address to send from.
    """
    if is_loopback(relay_url):
        gather_on_loopback(peer)
    await peer.setLocalDescription(await peer.createOffer())
    sdp: str = peer.localDescription.sdp
    if "a=candidate:" not in sdp:
        raise ResourceError("máy này không có địa chỉ mạng / this machine has no network address", code="no_network")
    return sdp


async def take_answer(peer: RTCPeerConnection, sdp: str) -> None:
    """Take the relay's answer and wait until ICE and DTLS are up.

    Raises:
        ResourceError: the answer does not parse or does not fit, or the connection did not come up in time.
    """
    changed = asyncio.Event()
    peer.on("connectionstatechange", changed.set)
    try:
        await peer.setRemoteDescription(RTCSessionDescription(sdp=_candidates_everywhere(sdp), type="answer"))
    except (ValueError, AssertionError, IndexError, KeyError, AttributeError, InvalidStateError) as error:
        # aiortc's parser and negotiation raise any of these on an answer that is not one.
        detail = f"trạm trả lời sai / the relay's answer does not fit the offer ({type(error).__name__})"
        raise ResourceError(detail, code="malformed") from error
    try:
        async with asyncio.timeout(CONNECT_TIMEOUT_S):
            while peer.connectionState not in {"connected", "failed", "closed"}:
                changed.clear()
                await changed.wait()
    except TimeoutError as error:
        raise ResourceError(f"{_NO_MEDIA_PATH}: not in time", code="no_media_path") from error
    if peer.connectionState != "connected":
        raise ResourceError(f"{_NO_MEDIA_PATH}: ICE or DTLS failed", code="no_media_path")


def _candidates_everywhere(sdp: str) -> str:
    """Repeat the candidates of a bundle's first section in the sections that have none.

    An answer lists them in the tagged section alone (RFC 8843 section 10); with one transport from the start, aiortc
    reads them from the last section.
    """
    head, *sections = sdp.replace("\r\n", "\n").split("\nm=")
    lines = [line for line in "\n".join(sections[:1]).split("\n") if line.startswith(("a=candidate:", "a=end-of-cand"))]
    whole = [
        section if "\na=candidate:" in section else "\n".join([section.rstrip("\n"), *lines]) + "\n"
        for section in sections
    ]
    return "\nm=".join([head, *whole]).replace("\n", "\r\n")


class Path(msgspec.Struct, frozen=True, kw_only=True):
    """The way that media takes: its round trip (None where no answer came), and whether a TURN server is on it."""

    rtt_ms: float | None
    relayed: bool


async def measure_path(peer: RTCPeerConnection, *, tries: int = 5) -> Path:
    """Ask the other end some times by STUN (RFC 8445 section 7.2.4) and take the quickest answer."""
    # The ICE connection below aiortc's transport has no public name, and aiortc measures no round trip of a receiver.
    connection = peer.getTransceivers()[0].receiver.transport.transport._connection  # noqa: SLF001 - see above
    pairs = list(connection._nominated.values())  # noqa: SLF001 - the pair in use has no public name either
    password = (connection.remote_password or "").encode()
    quickest: float | None = None
    for pair in pairs[:1] * tries:
        started = time.perf_counter()
        with contextlib.suppress(stun.TransactionError):
            await pair.protocol.request(
                connection.build_request(pair, nominate=False),
                pair.remote_addr,
                integrity_key=password,
                retransmissions=0,
            )
            took_ms = (time.perf_counter() - started) * 1000
            quickest = took_ms if quickest is None else min(quickest, took_ms)
    return Path(rtt_ms=quickest, relayed=any(pair.local_candidate.type == "relay" for pair in pairs))


async def close_peer(peer: RTCPeerConnection) -> None:
    """Close a connection in bounded time, whatever state it is in, and leave no thread behind."""
    try:
        async with asyncio.timeout(CLOSE_TIMEOUT_S):
            await peer.close()
    except TimeoutError:
        _log.warning("peer connection did not close in time")
    for transceiver in peer.getTransceivers():
        # A handshake that ended during close() may have started a receiver, and its decoder thread, after close() had
        # stopped it: stop it again, which does nothing to one that is stopped.
        try:
            async with asyncio.timeout(CLOSE_TIMEOUT_S):
                await transceiver.receiver.stop()
        except TimeoutError:
            _log.warning("receiver did not stop in time")
