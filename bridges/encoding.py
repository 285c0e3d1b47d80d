"""One kind of a source, encoded once, for as many connections as there are. Shell.

The encoder runs while anybody listens. Which codec it is the first connection's answer decides; later ones are offered
nothing else. Keyframe requests of all are merged, and the bitrate is what the narrowest of them takes.
"""

from __future__ import annotations

import asyncio
import secrets
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from aiortc import RTCRtpCodecParameters
from aiortc.clock import current_ntp_time
from aiortc.codecs.base import Encoder
from av import Packet

from bridges.keyframe_gate import KeyframeGate
from bridges.rtp_stream import RtpStream
from bridges.source import Kind, Media, Source
from bridges.thin_encoders import new_encoder

FIRST_BITRATE_BPS = 1_000_000  # before a listener says what it takes

Listener = Callable[[bytes], Awaitable[None]]
"""Is given every packet (of `bridges.rtp_stream.RtpStream`), in order; raises nothing."""


class Encoding:
    """Takes one kind of a source and gives packets to listeners.

    Attributes:
        kind: of the source.
        stream: its numbers.
        lower: smaller layers that go to the same listeners.
    """

    def __init__(
        self,
        source: Source,
        kind: Kind,
        frames: Counter[Kind],
        *,
        bitrate_share: float = 1.0,
        lower: Sequence[Encoding] = (),
    ) -> None:
        """Make an encoding that `run` begins.

        Args:
            source: of the media.
            kind: of its media.
            frames: counts what is handed to the encoder, or passed on.
            bitrate_share: of what a listener takes, with simulcast.
            lower: the same picture in smaller layers, whose `run` is the caller's to call as well.
        """
        self.kind: Kind = kind
        self.lower = list(lower)
        self._bitrate_share = bitrate_share
        self.stream = RtpStream(
            secrets.randbits(32) or 1, first_sequence_number=secrets.randbits(15), timestamp_offset=secrets.randbits(32)
        )
        self._frames = frames
        self._source = source
        self._encoder: Encoder | None = None
        self._codec_name = ""
        self._keyframes = KeyframeGate()
        self._bitrates_bps: dict[Listener, int | None] = {}
        self._heard = asyncio.Event()

    def codecs(self) -> Sequence[str]:
        """MIME types to offer, best first."""
        if self._codec_name:
            return [self._codec_name]
        if self.kind == "audio":
            return ["audio/opus"]
        # What passes through can be nothing but H.264; what is encoded here may be VP8 for a peer that knows no H.264.
        return ["video/H264"] if "video" in self._source.encoded else ["video/H264", "video/VP8"]

    def attach(self, listener: Listener, codec: RTCRtpCodecParameters) -> bool:
        """Send to a listener from the next packet on; false when the encoder runs with another codec already."""
        if self._encoder is None:
            self._encoder = new_encoder(codec)
            self._codec_name = codec.mimeType
            if self._bitrate_share < 1:
                self._set_bitrate(FIRST_BITRATE_BPS)
        if codec.mimeType != self._codec_name:
            return False
        self._bitrates_bps[listener] = None
        self._keyframes.request()
        self._heard.set()
        return True

    def detach(self, listener: Listener) -> None:
        """Send to it no more."""
        self._bitrates_bps.pop(listener, None)
        self._limit_bitrate()
        if not self._bitrates_bps:
            self._heard.clear()

    def request_keyframe(self) -> None:
        """A listener needs one."""
        self._keyframes.request()

    def limit_bitrate(self, listener: Listener, bitrate_bps: int) -> None:
        """A listener takes so much and no more."""
        if listener in self._bitrates_bps:
            self._bitrates_bps[listener] = bitrate_bps
            self._limit_bitrate()

    async def run(self) -> None:
        """Encode until the source ends.

        Raises:
            PublishError: the source broke off.
        """
        while True:
            await self._heard.wait()
            media = await self._source.next_media(self.kind)
            if media is None:
                return
            if self._encoder is None:
                continue
            self._frames[self.kind] += 1
            payloads, timestamp = await self._encode(self._encoder, media)
            for packet in self.stream.packetize(payloads, timestamp or 0, current_ntp_time()):
                for listener in list(self._bitrates_bps):
                    await listener(packet)

    async def _encode(self, encoder: Encoder, media: Media) -> tuple[list[bytes], int]:
        if isinstance(media, Packet):
            return encoder.pack(media)
        loop = asyncio.get_running_loop()
        keyframe = self._keyframes.take(loop.time())
        return await loop.run_in_executor(None, encoder.encode, media, keyframe)

    def _limit_bitrate(self) -> None:
        known = [bitrate_bps for bitrate_bps in self._bitrates_bps.values() if bitrate_bps is not None]
        if known:
            self._set_bitrate(min(known))

    def _set_bitrate(self, bitrate_bps: int) -> None:
        encoder: Any = self._encoder  # of aiortc's encoders those of video have it
        if hasattr(encoder, "target_bitrate"):
            encoder.target_bitrate = int(bitrate_bps * self._bitrate_share)
