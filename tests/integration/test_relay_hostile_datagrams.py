"""Hostile datagrams at a real relay's port: counted, unanswered, and no harm to those who are there."""

from __future__ import annotations

import asyncio
import random
import socket
import time
from pathlib import Path

import pytest
from support.relays import RelayProcess, Signer, relay_process
from support.rtc_client import RtcClient, programme, rtc_client

from relay.core.dtls import Certificate, DtlsContext, DtlsSession
from relay.wire.stun import serialize_binding_request

pytestmark = pytest.mark.integration


async def counted(relay: RelayProcess, name: str, at_least: float) -> None:
    """Return when a counter has come so far."""
    deadline = time.monotonic() + 5
    while (value := (await relay.metrics()).get(name, 0)) < at_least:
        assert time.monotonic() < deadline, f"{name} stands at {value}"
        await asyncio.sleep(0.02)


def malformed(protocol: str) -> str:
    """Name of a sample."""
    return f'diemcau_relay_malformed_total{{protocol="{protocol}"}}'


def binding_request(username: str, password: str) -> bytes:
    """A check as a browser sends it."""
    return serialize_binding_request(
        bytes(range(12)), username, priority=1, use_candidate=True, ice_controlling=7, password=password
    )


async def test_strangers_are_heard_by_nobody(tmp_path: Path) -> None:
    """Noise, checks without our credentials, a forged ClientHello: no answer, and media go on."""
    signer = Signer()
    async with (
        relay_process(tmp_path, signer, relay_id="o", role="origin") as relay,
        rtc_client(relay.endpoint("whip"), signer.token("p", "publish"), publishes=True) as publisher,
        rtc_client(relay.endpoint("whep"), signer.token("h", "play"), publishes=False) as player,
        programme(publisher),
    ):
        await player.received(50)
        rng = random.Random(1)
        stranger = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        stranger.setblocking(False)  # noqa: FBT003 (the standard library takes it so)
        try:
            stranger.bind(("127.0.0.1", 0))
            assert player.answer is not None
            ufrag = player.answer.media[0].ice_ufrag
            client = DtlsSession(
                DtlsContext(Certificate.generate(time.time())),
                is_server=False,
                remote_fingerprint=("sha-256", player.answer.media[0].fingerprint[1]),  # type: ignore[index] # it has one
            )
            client.start()
            forged = [
                binding_request("nobody:none", "x" * 24),
                binding_request(f"{ufrag}:none", "x" * 24),
                *client.datagrams_to_send(),
            ]
            for datagram in forged * 20:
                stranger.sendto(datagram, player.relay_address)
            for _ in range(2_000):
                first = rng.choice((0, 1, 20, 22, 63, 128, 144, 200, 255, rng.randrange(256)))
                stranger.sendto(bytes([first]) + rng.randbytes(rng.randrange(1_400)), player.relay_address)
            await counted(relay, malformed("stun"), 1)
            await counted(relay, 'diemcau_relay_stun_requests_total{result="refused"}', 20)
            await counted(relay, 'diemcau_relay_stun_requests_total{result="unknown"}', 20)
            await player.received(len(player.packets) + 200)
            with pytest.raises(BlockingIOError):
                stranger.recv(2048)
        finally:
            stranger.close()
        assert player.closed is None
        assert publisher.closed is None


async def test_a_subscriber_that_sends_rubbish_harms_itself_alone(tmp_path: Path) -> None:
    """Bad SRTP, SRTCP, STUN and DTLS from a validated address are counted by protocol; both halls play on."""
    signer = Signer()
    async with (
        relay_process(tmp_path, signer, relay_id="o", role="origin") as relay,
        rtc_client(relay.endpoint("whip"), signer.token("p", "publish"), publishes=True) as publisher,
        rtc_client(relay.endpoint("whep"), signer.token("h1", "play"), publishes=False) as good,
        rtc_client(relay.endpoint("whep"), signer.token("h2", "play"), publishes=False) as bad,
        programme(publisher),
    ):
        await good.received(50)
        rng = random.Random(2)
        for _ in range(300):
            size = rng.randrange(1, 1_400)
            for first in (b"\x80\x60", b"\x80\xc8", b"\x00\x01", b"\x16\xfe"):
                bad.socket.sendto(first + rng.randbytes(size), bad.relay_address)
        for protocol in ("rtp", "rtcp", "stun"):
            await counted(relay, malformed(protocol), 1)
        await both_play_on(good, bad)


async def both_play_on(*players: RtcClient) -> None:
    """Return when everybody has got another hundred packets."""
    await asyncio.gather(*(player.received(len(player.packets) + 100) for player in players))


async def test_a_publisher_that_sends_malformed_rtp_is_counted(tmp_path: Path) -> None:
    """Authentic packets that do not parse, and RTCP of wrong lengths, are dropped one by one."""
    signer = Signer()
    async with (
        relay_process(tmp_path, signer, relay_id="o", role="origin") as relay,
        rtc_client(relay.endpoint("whip"), signer.token("p", "publish"), publishes=True) as publisher,
        rtc_client(relay.endpoint("whep"), signer.token("h", "play"), publishes=False) as player,
        programme(publisher) as made,
    ):
        await player.received(50)
        frame = made.video.frame()
        broken = bytes([frame[0][0] | 0x20]) + frame[0][1:-1] + b"\xff"  # more padding than packet
        publisher.send_rtp_unparsed(broken)
        await counted(relay, malformed("rtp"), 1)
        await player.received(len(player.packets) + 100)
