"""The pre-check of a hall that has an agent: tries both relays with the agent's own media stack, and reports. Shell.

Sound and camera are a person's to judge, and are taken from whoever runs it. TURN servers are tried where a relay is
not reached without them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from importlib.metadata import PackageNotFoundError, version

import aiohttp
import msgspec

from bridges.decoding import DecodingMedia
from bridges.errors import ResourceError
from bridges.hall_api import HallApi, parse_link
from bridges.messages import IceServer, RelayAccess
from bridges.play_session import PlaySession
from bridges.precheck_messages import PrecheckPlan, PrecheckReport, PrecheckVerdict
from bridges.prechecks import Devices, Precheck, RelayPlace, RelayReach, Transport
from bridges.timecode import Luma

SETTLE_S = 1.0  # a relay greets with its cached group of pictures, which would count as throughput
LISTEN_S = 5.0  # some 1,500 packets: a loss of one in a hundred shows
DOWNLOAD_S = 6.0  # then what came by then tells the rate


class _Blind:
    """A sink that looks at nothing: what counts here are packets."""

    def handle_video(self, luma: Luma) -> None:
        """Nothing."""

    def handle_audio(self) -> None:
        """Nothing."""


class Listened(msgspec.Struct, frozen=True, kw_only=True):
    """What a relay was like, and what came of media; None where none flowed."""

    relay: RelayReach
    media_bps: float | None = None


async def run_precheck(
    link: str, *, devices: Devices | None = None, tell: Callable[[str], None] = lambda _: None
) -> PrecheckVerdict:
    """Check a hall and report it.

    Args:
        link: `<public_url>/hall#token=<jwt>`.
        devices: what a person answered, where one did.
        tell: called with the id of each relay that is tried.

    Raises:
        LinkError: the link is not a hall's.
        HallApiError: the coordinator refuses, or does not answer.
    """
    parsed = parse_link(link)
    async with aiohttp.ClientSession() as http:
        api = HallApi(http, parsed.base_url, parsed.token)
        plan = await api.precheck_plan()
        found = []
        for place, access in _places(plan):
            tell(access.relay_id)
            found.append(await try_relay(http, access, place, plan.ice_servers))
        rates = [each.media_bps for each in found if each.media_bps is not None]
        media_bps = max(rates, default=None)
        enough = media_bps is not None and media_bps >= plan.layer_bps
        precheck = Precheck(
            source="agent",
            version=_version(),
            devices=devices or Devices(),
            relays=tuple(each.relay for each in found),
            layer_bps=plan.layer_bps,
            media_bps=media_bps,
            download_bps=None if enough else await api.try_download(DOWNLOAD_S),
        )
        return await api.precheck(PrecheckReport(precheck=precheck))


def _places(plan: PrecheckPlan) -> list[tuple[RelayPlace, RelayAccess]]:
    named: tuple[tuple[RelayPlace, RelayAccess | None], ...] = (("primary", plan.primary), ("backup", plan.backup))
    return [(place, access) for place, access in named if access is not None]


async def try_relay(
    http: aiohttp.ClientSession, access: RelayAccess, place: RelayPlace, ice_servers: Sequence[IceServer]
) -> Listened:
    """Reach one relay, without TURN servers first, and listen for some seconds."""
    found = await _listen(http, access, place, ())
    if found is None and ice_servers:
        found = await _listen(http, access, place, ice_servers)
        turn: Transport = "none" if found is None else found.relay.transport
        if found is not None:
            return msgspec.structs.replace(found, relay=msgspec.structs.replace(found.relay, turn=turn))
    nothing = RelayReach(relay_id=access.relay_id, place=place, transport="none", turn="none" if ice_servers else None)
    return found or Listened(relay=nothing)


async def _listen(
    http: aiohttp.ClientSession, access: RelayAccess, place: RelayPlace, ice_servers: Sequence[IceServer]
) -> Listened | None:
    """What a relay's line is like; None where it was not reached."""
    media = DecodingMedia(_Blind(), ice_servers)
    session = PlaySession(http, access, media)
    loop = asyncio.get_running_loop()
    started = loop.time()
    try:
        await session.open(standby=False)
        connect_ms = (loop.time() - started) * 1000
        await asyncio.sleep(SETTLE_S)
        packets, lost = await media.packets()
        received, since = await media.received_bytes(), loop.time()
        await asyncio.sleep(LISTEN_S)
        packets_after, lost_after = await media.packets()
        byte_count, seconds = await media.received_bytes() - received, loop.time() - since
        path = await media.path()
        jitter_ms = await media.jitter_ms()
    except ResourceError:
        return None
    finally:
        await session.close()
    came, gone = packets_after - packets, max(0, lost_after - lost)
    return Listened(
        relay=RelayReach(
            relay_id=access.relay_id,
            place=place,
            transport=_transport(ice_servers) if path.relayed else "udp",
            connect_ms=connect_ms,
            rtt_ms=path.rtt_ms,
            loss=gone / (came + gone) if came > 0 else None,
            jitter_ms=jitter_ms if came > 0 else None,
        ),
        media_bps=byte_count * 8 / seconds if came > 0 else None,
    )


def _transport(ice_servers: Sequence[IceServer]) -> Transport:
    """By which way the agent goes through TURN: it takes the first server that is reached by TCP or TLS."""
    urls = [url for server in ice_servers for url in server.urls]
    first = next((url for url in urls if url.startswith("turns:") or url.endswith("?transport=tcp")), "")
    return "turn_tls" if first.startswith("turns:") else "turn_tcp"


def _version() -> str:
    try:
        return f"diemcau {version('diemcau')}"
    except PackageNotFoundError:  # run from a checkout that is not installed
        return "diemcau"
