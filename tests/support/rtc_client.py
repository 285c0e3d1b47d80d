"""A small WHIP publisher and WHEP player over real UDP, made of the relay's own peer: it sees every packet."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import random
import socket
import time
from collections.abc import AsyncIterator, Sequence

import aiohttp
import msgspec
from support.pure_relay import H264, OPUS, VP8, RtpSource
from support.relays import RelayProcess
from yarl import URL

from relay.core.dtls import Certificate, DtlsContext
from relay.core.ice import IceCredentials
from relay.core.peer import Closed, Peer, PeerEvent, PeerState
from relay.core.srtp import RtpProtector, protect_rtp
from relay.errors import WireError
from relay.net.negotiation import new_credentials
from relay.wire.demux import Kind, classify
from relay.wire.rtcp import GenericNack, PictureLossIndication, RtcpPacket, Unknown, parse_compound, serialize_compound
from relay.wire.rtp import RtpHeader, parse_rtp_header
from relay.wire.sdp import SessionDescription, build_play_offer, parse_session, serialize_session

VIDEO_SSRC, AUDIO_SSRC = 0x1111_1111, 0x2222_2222
CODECS = {"audio": (OPUS,), "video": (VP8, H264)}
CONNECT_TIMEOUT_S = 10.0


class RtcClient:
    """One session at a relay.

    Attributes:
        resource: URL of the WHIP or WHEP resource.
        answer: the relay's.
        packets: what came, in order: (arrival in monotonic seconds, header, packet).
        rtcp: RTCP that came, in order.
        layers: of video, that it takes side by side.
        events: of the peer.
    """

    def __init__(self, http: aiohttp.ClientSession, token: str, host: str = "127.0.0.1") -> None:
        """Bind to `host`; the client asks the relay's candidates of the same family."""
        self._http = http
        self._token = token
        self.credentials = new_credentials()
        self._certificate = Certificate.generate(time.time())
        self._context = DtlsContext(self._certificate)
        self._peer: Peer | None = None
        self._protector: RtpProtector | None = None
        self._index: dict[int, int] = {}
        self._timer: asyncio.Task[None] | None = None
        self._changed = asyncio.Event()
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self.socket = socket.socket(family, socket.SOCK_DGRAM)
        self.socket.setblocking(False)  # noqa: FBT003 (the standard library takes it so)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        self.socket.bind((host, 0))
        self.answers_checks = True
        self.layers = 1
        self.resource = ""
        self.answer: SessionDescription | None = None
        self.relay_address = ("", 0)
        self.packets: list[tuple[float, RtpHeader, bytes]] = []
        self.rtcp: list[RtcpPacket | Unknown] = []
        self.events: list[PeerEvent] = []

    def offer(self, *, publishes: bool) -> str:
        """An offer of VP8, H.264 and Opus; a publisher sends VP8."""
        made = build_play_offer(
            ice_ufrag=self.credentials.ufrag,
            ice_pwd=self.credentials.pwd,
            fingerprint=("sha-256", self._certificate.fingerprint),
            codecs=CODECS,
            layers=self.layers,
        )
        if publishes:
            ssrcs = {"audio": AUDIO_SSRC, "video": VIDEO_SSRC}
            media = tuple(
                msgspec.structs.replace(each, direction="sendonly", ssrcs={ssrcs[each.kind]: "sender"})
                for each in made.media
            )
            made = msgspec.structs.replace(made, media=media)
        return serialize_session(made)

    async def connect(self, url: str, *, publishes: bool) -> None:
        """Post the offer, and return when ICE and DTLS are up."""
        headers = {"Authorization": f"Bearer {self._token}", "Content-Type": "application/sdp"}
        body = self.offer(publishes=publishes).encode()
        async with self._http.post(url, data=body, headers=headers) as response:
            text = await response.text()
            assert response.status == 201, text
            self.resource = str(response.url.join(URL(response.headers["Location"])))
        self.answer = parse_session(text)
        first = self.answer.media[0]
        assert first.fingerprint is not None
        is_ipv6 = self.socket.family == socket.AF_INET6
        candidates = [(each.address, each.port) for each in first.candidates if (":" in each.address) == is_ipv6]
        self._peer = Peer.connect(
            local=self.credentials,
            remote=IceCredentials(first.ice_ufrag, first.ice_pwd),
            remote_candidates=candidates,
            remote_fingerprint=first.fingerprint,
            context=self._context,
            rng=random.SystemRandom(),
            now=time.monotonic(),
        )
        asyncio.get_running_loop().add_reader(self.socket.fileno(), self._readable)
        self._timer = asyncio.create_task(self._keep_time(self._peer))
        async with asyncio.timeout(CONNECT_TIMEOUT_S):
            while self._peer.state is not PeerState.CONNECTED:
                await self.change()
        assert self._peer.address is not None
        self.relay_address = self._peer.address
        self._protector = RtpProtector(self._peer.local_keys)

    @property
    def closed(self) -> Closed | None:
        """Why the session ended, None while it lives."""
        return next((event for event in self.events if isinstance(event, Closed)), None)

    def ssrc(self, kind: str) -> int:
        """SSRC under which the relay sends."""
        assert self.answer is not None
        return next(media.media_ssrcs[0] for media in self.answer.media if media.kind == kind)

    def of_kind(self, kind: str) -> list[tuple[float, RtpHeader, bytes]]:
        """Packets of one kind."""
        ssrc = self.ssrc(kind)
        return [packet for packet in self.packets if packet[1].ssrc == ssrc]

    async def change(self) -> None:
        """Return when anything came."""
        self._changed.clear()
        await self._changed.wait()

    async def received(self, count: int, *, within_s: float = 10.0) -> None:
        """Return when so many packets have come in all."""
        async with asyncio.timeout(within_s):
            while len(self.packets) < count:
                await self.change()

    def send_rtp(self, packets: Sequence[bytes]) -> None:
        """Protect and send packets."""
        assert self._protector is not None
        for packet in packets:
            header = parse_rtp_header(packet)
            before = self._index.get(header.ssrc, header.sequence_number)
            index = before + ((header.sequence_number - before + 0x8000) & 0xFFFF) - 0x8000
            self._index[header.ssrc] = max(before, index)
            self._send(protect_rtp(self._protector, packet, header.header_length, index))

    def send_rtp_unparsed(self, packet: bytes) -> None:
        """Protect and send what need not parse, under the next index of video."""
        assert self._protector is not None
        self._index[VIDEO_SSRC] += 1
        numbered = packet[:2] + (self._index[VIDEO_SSRC] & 0xFFFF).to_bytes(2, "big") + packet[4:]
        self._send(protect_rtp(self._protector, numbered, 12, self._index[VIDEO_SSRC]))

    def ask_again(self, kind: str, numbers: Sequence[int]) -> None:
        """Say that packets are missing, as any hall does."""
        self.send_rtcp([GenericNack(1, self.ssrc(kind), tuple(numbers))])

    def send_rtcp(self, packets: Sequence[RtcpPacket]) -> None:
        """Protect and send a compound packet."""
        assert self._peer is not None
        self._send(self._peer.protect_rtcp(serialize_compound(packets)))

    async def request(self, method: str, suffix: str = "", body: dict[str, str] | None = None) -> int:
        """A request to the resource; gives the status."""
        headers = {"Authorization": f"Bearer {self._token}"}
        async with self._http.request(method, self.resource + suffix, json=body, headers=headers) as response:
            return response.status

    async def close(self) -> None:
        """Stop without a word."""
        asyncio.get_running_loop().remove_reader(self.socket.fileno())
        if self._timer is not None:
            self._timer.cancel()
            await asyncio.gather(self._timer, return_exceptions=True)
        self.socket.close()

    def _send(self, data: bytes) -> None:
        with contextlib.suppress(OSError):
            self.socket.sendto(data, self.relay_address)

    def _readable(self) -> None:
        peer = self._peer
        while peer is not None:
            try:
                data, address = self.socket.recvfrom(2048)
            except OSError:
                break
            now = time.monotonic()
            with contextlib.suppress(WireError):
                kind = classify(data)
                if kind is Kind.RTP:
                    packet = peer.unprotect_rtp(data)
                    self.packets.append((now, parse_rtp_header(packet), packet))
                elif kind is Kind.RTCP:
                    self.rtcp += parse_compound(peer.unprotect_rtcp(data))
                else:
                    peer.handle_datagram(data, address[:2], now)
            self._drain(peer)
        self._changed.set()

    def _drain(self, peer: Peer) -> None:
        for data, address in peer.datagrams_to_send():
            if self.answers_checks or classify(data) is not Kind.STUN:
                with contextlib.suppress(OSError):
                    self.socket.sendto(data, address)
        while (event := peer.next_event()) is not None:
            self.events.append(event)
            self._changed.set()

    async def _keep_time(self, peer: Peer) -> None:
        while (deadline := peer.next_deadline(time.monotonic())) is not None:
            await asyncio.sleep(max(0.0, deadline - time.monotonic()))
            peer.handle_timer(time.monotonic())
            self._drain(peer)


class Programme:
    """Thirty frames and fifty packets of sound a second, the same to every publisher given.

    Attributes:
        keyframe_frames: a keyframe comes every so many frames.
        answers_requests: and whenever one is asked for; a file that is passed through cannot do so.
        packets: of a frame.
        keyframe_packets: of a keyframe.
        frames: sent so far.
    """

    def __init__(self, publishers: Sequence[RtcClient]) -> None:
        self.publishers = list(publishers)
        self.video = RtpSource(VIDEO_SSRC, sequence_number=random.randrange(65_536))
        self.audio = RtpSource(AUDIO_SSRC, OPUS, sequence_number=random.randrange(65_536))
        self.is_silent = False
        self.keyframe_frames = 60
        self.answers_requests = True
        self.packets = self.keyframe_packets = 4
        self.frames = 0

    async def run(self) -> None:
        """Send until cancelled."""
        begin, sounds, asked = time.monotonic(), 0, 0
        while True:
            elapsed = time.monotonic() - begin
            wanted = sum(isinstance(packet, PictureLossIndication) for each in self.publishers for packet in each.rtcp)
            while self.frames < elapsed * 30:
                keyframe = self.frames % self.keyframe_frames == 0 or (self.answers_requests and wanted > asked)
                asked = max(asked, wanted)
                packets = self.keyframe_packets if keyframe else self.packets
                self._send(self.video.frame(keyframe=keyframe, packets=packets))
                self.frames += 1
            while sounds < elapsed * 50:
                self._send([self.audio.audio()])
                sounds += 1
            await asyncio.sleep(0.005)

    def _send(self, packets: Sequence[bytes]) -> None:
        if not self.is_silent:
            for publisher in self.publishers:
                publisher.send_rtp(packets)


@contextlib.asynccontextmanager
async def rtc_client(
    url: str, token: str, *, publishes: bool, host: str = "127.0.0.1", layers: int = 1
) -> AsyncIterator[RtcClient]:
    """A connected client, closed afterwards."""
    async with aiohttp.ClientSession() as http:
        client = RtcClient(http, token, host)
        client.layers = layers
        try:
            await client.connect(url, publishes=publishes)
            yield client
        finally:
            await client.close()


@contextlib.asynccontextmanager
async def programme(*publishers: RtcClient) -> AsyncIterator[Programme]:
    """A programme that runs."""
    made = Programme(publishers)
    task = asyncio.create_task(made.run())
    try:
        yield made
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def missing(player: RtcClient, kind: str) -> list[int]:
    """Numbers between the first and the last that never came."""
    numbers = [header.sequence_number for _, header, _ in player.of_kind(kind)]
    last = max((number - numbers[0]) % 65_536 for number in numbers)
    came = set(numbers)
    return [number for step in range(last) if (number := (numbers[0] + step) % 65_536) not in came]


def missing_and_doubled(player: RtcClient, kind: str) -> tuple[int, int]:
    """How many numbers between the first and the last never came, and how many came more than once."""
    numbers = [header.sequence_number for _, header, _ in player.of_kind(kind)]
    return len(missing(player, kind)), len(numbers) - len(set(numbers))


async def both_parents_deliver(edge: RelayProcess, player: RtcClient, *, within_s: float = 10.0) -> None:
    """Return when an edge that merges receives everything twice that a player of it receives."""
    deadline = time.monotonic() + within_s
    while True:
        before = await edge.metrics()
        seen = len(player.packets)
        await player.received(seen + 300)
        after = await edge.metrics()
        name = "diemcau_relay_packets_received_total"
        if after[name] - before[name] > 1.7 * (len(player.packets) - seen):
            return
        assert time.monotonic() < deadline, "the second parent does not deliver"


def longest_gap_s(arrivals: Sequence[float]) -> float:
    """The longest time without a packet."""
    return max((later - earlier for earlier, later in itertools.pairwise(arrivals)), default=0.0)
