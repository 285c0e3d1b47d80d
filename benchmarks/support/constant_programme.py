"""A programme of constant rate: 240 video and 50 audio packets a second, with keyframes where they are asked for.

Pure. The picture is 30 frames a second of 8 packets each, about 2 Mbit/s; packets of a frame differ by one octet, as
most senders split them. Content is noise behind true VP8 headers (RFC 7741): a server reads where keyframes begin, and
nobody decodes.
"""

from __future__ import annotations

import random
import struct
from collections.abc import Iterator

VIDEO_PAYLOAD_TYPE = 96
AUDIO_PAYLOAD_TYPE = 111
FRAMES_PER_S = 30
PACKETS_PER_FRAME = 8
PACKETS_PER_S = FRAMES_PER_S * PACKETS_PER_FRAME + 50
AUDIO_INTERVAL_S = 0.02
_VIDEO_PACKET_BYTES = 1050
_AUDIO_PACKET_BYTES = 120
_HEADER = struct.Struct("!BBHII")
_KEYFRAME_START = b"\x9d\x01\x2a"  # RFC 6386 section 9.1


class ConstantProgramme:
    """Packets of one audio and one video stream, by time.

    Attributes:
        keyframes: how many were begun.
        video_ssrc: of the video stream.
        audio_ssrc: of the audio stream.
    """

    def __init__(self, seed: int, keyframe_interval_s: float = 10.0) -> None:
        rng = random.Random(seed)
        # Below 2^15, so that the roll-over counter starts at 0 for everybody who joins early.
        self._video_number, self._audio_number = rng.randrange(1 << 15), rng.randrange(1 << 15)
        self._noise = rng.randbytes(4096)
        self._keyframe_interval_s = keyframe_interval_s
        self._frame = 0
        self._sound = 0
        self._keyframe_wanted = True
        self._last_keyframe_s = 0.0
        self.keyframes = 0
        self.video_ssrc, self.audio_ssrc = rng.randrange(1, 1 << 32), rng.randrange(1, 1 << 32)

    def want_keyframe(self) -> None:
        """The next frame is to be a keyframe."""
        self._keyframe_wanted = True

    def next_due_s(self) -> float:
        """When the next packet is due, in seconds since the beginning."""
        return min(self._frame / FRAMES_PER_S, self._sound * AUDIO_INTERVAL_S)

    def packets(self, now_s: float) -> Iterator[tuple[str, int, bytes]]:
        """Give all packets that are due, each as kind, 48-bit index and RTP packet.

        Args:
            now_s: seconds since the beginning.
        """
        while self._frame / FRAMES_PER_S <= now_s:
            yield from self._next_frame()
        while self._sound * AUDIO_INTERVAL_S <= now_s:
            timestamp = self._sound * 960
            header = self._header(AUDIO_PAYLOAD_TYPE, self._audio_number, timestamp, self.audio_ssrc)
            yield "audio", self._audio_number, header + self._noise[: _AUDIO_PACKET_BYTES - len(header)]
            self._audio_number += 1
            self._sound += 1

    def _next_frame(self) -> Iterator[tuple[str, int, bytes]]:
        at_s = self._frame / FRAMES_PER_S
        is_keyframe = self._keyframe_wanted or at_s - self._last_keyframe_s >= self._keyframe_interval_s
        if is_keyframe:
            self._keyframe_wanted = False
            self._last_keyframe_s = at_s
            self.keyframes += 1
        for number in range(PACKETS_PER_FRAME):
            marker = 0x80 if number == PACKETS_PER_FRAME - 1 else 0
            header = self._header(VIDEO_PAYLOAD_TYPE | marker, self._video_number, self._frame * 3000, self.video_ssrc)
            # Descriptor: S only in the first packet of a frame; then the frame tag, whose lowest bit says no keyframe.
            start = b""
            if number == 0:
                start = b"\x10" + (b"\x10\x00\x00" + _KEYFRAME_START if is_keyframe else b"\x11\x00\x00")
            body = start or b"\x00"
            size = _VIDEO_PACKET_BYTES - len(header) - len(body) + number % 2
            yield "video", self._video_number, header + body + self._noise[number : number + size]
            self._video_number += 1
        self._frame += 1

    @staticmethod
    def _header(second: int, number: int, timestamp: int, ssrc: int) -> bytes:
        return _HEADER.pack(0x80, second, number & 0xFFFF, timestamp & 0xFFFFFFFF, ssrc)
