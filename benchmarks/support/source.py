"""A source as a process: sends the constant programme by WHIP (SRTP), or as plain RTP to two UDP ports.

What goes by WHIP carries its time of sending, see `benchmarks.support.stamp`.

`python -m benchmarks.support.source --whip URL --token-file F` or `--rtp-audio PORT --rtp-video PORT`. Runs until
SIGTERM, and prints one JSON object: packets sent, keyframe requests that reached it, keyframes that it sent.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import signal
import socket
import time
from pathlib import Path

import aiohttp
import msgspec
from yarl import URL

from benchmarks.support.constant_programme import ConstantProgramme
from benchmarks.support.stamp import stamped
from relay.core.dtls import Certificate, DtlsContext
from relay.core.ice import IceCredentials
from relay.core.peer import Connected, Peer
from relay.core.srtp import RtpProtector
from relay.errors import WireError
from relay.net.negotiation import new_credentials
from relay.net.udp import UdpSocket
from relay.wire.demux import Kind, classify
from relay.wire.rtcp import (
    FullIntraRequest,
    PictureLossIndication,
    SenderReport,
    SourceDescription,
    parse_compound,
    serialize_compound,
)
from relay.wire.sdp import SessionDescription, build_play_offer, parse_session, play_codecs, serialize_session

RTP_HEADER_BYTES = 12
REPORT_S = 1.0
TICK_S = 0.05
NTP_EPOCH_S = 2_208_988_800


class WhipSource:
    """Publishes the programme at a relay."""

    def __init__(self, programme: ConstantProgramme) -> None:
        self._programme = programme
        self._peer: Peer | None = None
        self._protector: RtpProtector | None = None
        self._socket = UdpSocket("127.0.0.1", 0, self._handle_datagrams)
        self.keyframe_requests = 0
        self.packets_sent = 0

    async def run(self, url: str, token: str, stop: asyncio.Event) -> None:
        """Publish until told to stop."""
        certificate = Certificate.generate(time.time())
        local = new_credentials()
        headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/sdp"}
        async with aiohttp.ClientSession(headers=headers) as client:
            offer = self._offer(local, certificate.fingerprint)
            async with client.post(url, data=serialize_session(offer).encode()) as response:
                response.raise_for_status()
                answer = parse_session(await response.text())
                resource = response.url.join(URL(response.headers["Location"]))
            transport = answer.media[0]
            if transport.fingerprint is None:
                raise RuntimeError("the answer has no fingerprint")
            self._peer = Peer.connect(
                local=local,
                remote=IceCredentials(transport.ice_ufrag, transport.ice_pwd),
                remote_candidates=[(found.address, found.port) for found in transport.candidates],
                remote_fingerprint=transport.fingerprint,
                context=DtlsContext(certificate),
                rng=random.SystemRandom(),
                now=time.monotonic(),
            )
            self._socket.start(asyncio.get_running_loop())
            ticking = asyncio.create_task(self._tick(self._peer))
            try:
                await self._send(self._peer, stop)
            finally:
                ticking.cancel()
                self._peer.close(time.monotonic())
                self._drain(self._peer)
                async with client.delete(resource):
                    pass
                self._socket.close()

    def _offer(self, local: IceCredentials, fingerprint: str) -> SessionDescription:
        codecs = {kind: found[:1] for kind, found in play_codecs().items()}  # opus, VP8
        offer = build_play_offer(
            ice_ufrag=local.ufrag, ice_pwd=local.pwd, fingerprint=("sha-256", fingerprint), codecs=codecs
        )
        ssrcs = {"audio": self._programme.audio_ssrc, "video": self._programme.video_ssrc}
        media = tuple(
            msgspec.structs.replace(section, direction="sendonly", ssrcs={ssrcs[section.kind]: "source"})
            for section in offer.media
        )
        return msgspec.structs.replace(offer, media=media)

    async def _send(self, peer: Peer, stop: asyncio.Event) -> None:
        begin_s, report_s = 0.0, 0.0
        while not stop.is_set():
            protector, address = self._protector, peer.address
            now = time.monotonic()
            if protector is None or address is None:
                await asyncio.sleep(0.01)
                continue
            begin_s = begin_s or now
            for _, index, packet in self._programme.packets(now - begin_s):
                payload = stamped(packet[RTP_HEADER_BYTES:], time.time_ns())
                protected = protector.protect(packet[:RTP_HEADER_BYTES], payload, index)
                self._socket.send(protected, address)
                self.packets_sent += 1
            if now >= report_s:
                report_s = now + REPORT_S
                self._report(peer, now - begin_s)
            await asyncio.sleep(max(0.0, begin_s + self._programme.next_due_s() - time.monotonic()))

    def _report(self, peer: Peer, since_begin_s: float) -> None:
        ntp = int((time.time() + NTP_EPOCH_S) * (1 << 32))
        address = peer.address
        if address is None:
            return
        for ssrc, rate in ((self._programme.video_ssrc, 90_000), (self._programme.audio_ssrc, 48_000)):
            report = SenderReport(ssrc, ntp, int(since_begin_s * rate) & 0xFFFFFFFF, self.packets_sent, 0)
            packet = serialize_compound([report, SourceDescription(((ssrc, "source"),))])
            self._socket.send(peer.protect_rtcp(packet), address)

    async def _tick(self, peer: Peer) -> None:
        while True:
            peer.handle_timer(time.monotonic())
            self._drain(peer)
            await asyncio.sleep(TICK_S)

    def _drain(self, peer: Peer) -> None:
        for data, address in peer.datagrams_to_send():
            self._socket.send(data, address)
        while (event := peer.next_event()) is not None:
            if isinstance(event, Connected):
                self._protector = RtpProtector(peer.local_keys)

    def _handle_datagrams(self, _socket: UdpSocket, datagrams: list[bytes], address: tuple[str, int]) -> None:
        peer = self._peer
        if peer is None:
            return
        for datagram in datagrams:
            try:
                if classify(datagram) is Kind.RTCP:
                    self._handle_rtcp(peer.unprotect_rtcp(datagram))
                else:
                    peer.handle_datagram(datagram, address, time.monotonic())
            except WireError:
                continue
        self._drain(peer)

    def _handle_rtcp(self, compound: bytes) -> None:
        for packet in parse_compound(compound):
            if isinstance(packet, PictureLossIndication | FullIntraRequest):
                self.keyframe_requests += 1
                self._programme.want_keyframe()


async def send_plain(
    programme: ConstantProgramme, audio: tuple[str, int], video: tuple[str, int], stop: asyncio.Event
) -> int:
    """Send the programme as plain RTP until told to stop; returns how many packets."""
    sent = 0
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        begin_s = time.monotonic()
        while not stop.is_set():
            for kind, _, packet in programme.packets(time.monotonic() - begin_s):
                sock.sendto(packet, audio if kind == "audio" else video)
                sent += 1
            await asyncio.sleep(max(0.0, begin_s + programme.next_due_s() - time.monotonic()))
    return sent


async def _run(options: argparse.Namespace, token: str) -> dict[str, int]:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    programme = ConstantProgramme(options.seed, options.keyframe_interval)
    if options.whip:
        source = WhipSource(programme)
        await source.run(options.whip, token, stop)
        sent, requests = source.packets_sent, source.keyframe_requests
    else:
        sent = await send_plain(programme, ("127.0.0.1", options.rtp_audio), ("127.0.0.1", options.rtp_video), stop)
        requests = 0
    return {"packets_sent": sent, "keyframe_requests": requests, "keyframes": programme.keyframes}


def main() -> None:
    """Run the source; see the module."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--whip", default="")
    parser.add_argument("--token-file", default="")
    parser.add_argument("--rtp-audio", type=int, default=0)
    parser.add_argument("--rtp-video", type=int, default=0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--keyframe-interval", type=float, default=10.0)
    options = parser.parse_args()
    token = Path(options.token_file).read_text(encoding="ascii").strip() if options.token_file else ""
    print(json.dumps(asyncio.run(_run(options, token))), flush=True)


if __name__ == "__main__":
    main()
