"""A file or a device as a source: demuxed in real time, passed through where the codecs fit, decoded where they do not.

Video passes as it is when it is H.264 without B-frames (WebRTC sends frames in the order in which they are shown), from
an Annex B stream or, by the bitstream filter `h264_mp4toannexb`, from MP4 and the like. Audio passes when it is Opus. A
source that passes cannot make a keyframe when one is asked for: its own keyframes must be close together.

PyAV blocks, so a thread of its own reads; what it has read waits in two short queues until it is due.
"""

from __future__ import annotations

import asyncio
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction
from typing import Any

import av
from av import AudioResampler, Packet, VideoFrame
from av.bitstream import BitStreamFilterContext
from av.container import InputContainer

from bridges.errors import PublishError
from bridges.source import Kind, Media

_VIDEO_CLOCK = 90_000
_AUDIO_CLOCK = 48_000
_SAMPLES_PER_FRAME = 960
# Read ahead of the slower kind; more means a file whose audio and video are far apart, and the excess is dropped.
_MAX_WAITING = 600
_LATE_S = 1.0  # after a longer interruption (the relay was gone) play on from here instead of racing to catch up
_MAX_WIDTH, _MAX_HEIGHT = 1280, 720  # the encoder is set to level 3.1
_LIVE_FORMATS = frozenset({"v4l2", "alsa", "pulse", "x11grab", "rtsp", "lavfi"})


class FileSource:
    """Media of a file, a URL that PyAV reads, or a device.

    Args:
        path: what PyAV opens.
        input_format: PyAV's input format, for example `v4l2`; None to detect it.
        loop: start again after the end (needs a file that can be sought).

    Raises:
        PublishError: `bad_source` (missing, unreadable), `no_media`, `cannot_loop`.
    """

    def __init__(self, path: str, *, input_format: str | None = None, loop: bool = False) -> None:
        try:
            self._container: InputContainer = av.open(path, format=input_format)
        except (av.FFmpegError, OSError, ValueError) as error:
            raise PublishError("bad_source", f"không mở được nguồn / cannot open {path!r}: {error}") from error
        self._loop = loop
        self._live = bool(set(self._container.format.name.split(",")) & _LIVE_FORMATS)
        streams = self._container.streams
        self._video = streams.video[0] if streams.video else None
        self._audio = streams.audio[0] if streams.audio else None
        kinds: set[Kind] = set()
        encoded: set[Kind] = set()
        if self._video is not None:
            kinds.add("video")
            if self._video.codec_context.name == "h264" and not self._video.codec_context.has_b_frames:
                encoded.add("video")
        if self._audio is not None:
            kinds.add("audio")
            if self._audio.codec_context.name == "opus":
                encoded.add("audio")
        self.kinds: frozenset[Kind] = frozenset(kinds)
        self.encoded: frozenset[Kind] = frozenset(encoded)
        if not kinds or (loop and (self._live or self._container.duration is None)):
            self._container.close()
            if kinds:
                raise PublishError("cannot_loop", f"không phát lặp được / {path!r} cannot be played in a loop")
            raise PublishError("no_media", f"không có hình, không có tiếng / no video and no audio in {path!r}")
        self._filter = BitStreamFilterContext("h264_mp4toannexb", self._video) if "video" in encoded else None
        self._resampler = self._new_resampler()
        self._waiting: dict[Kind, deque[tuple[float, Media]]] = {"audio": deque(), "video": deque()}
        self._reader = ThreadPoolExecutor(max_workers=1, thread_name_prefix="file-source")
        self._reading = asyncio.Lock()
        self._ended = False
        self._offset_s = 0.0  # of this round of a loop
        self._round_end_s = 0.0
        self._first_s: float | None = None
        self._zero_at: float | None = None  # loop clock at which media time 0 is due

    async def next_media(self, kind: Kind) -> Media | None:
        """Wait for the next item of a kind; None after the end of a source that does not loop.

        Raises:
            PublishError: `bad_source` when the source breaks off.
        """
        waiting = self._waiting[kind]
        while not waiting:
            async with self._reading:
                if waiting:
                    break
                if self._ended:
                    return None
                await asyncio.get_running_loop().run_in_executor(self._reader, self._read, kind)
        due_s, media = waiting.popleft()
        if not self._live:
            await self._wait_until_due(due_s)
        return media

    async def close(self) -> None:
        """Close the file after the read that is under way."""
        self._ended = True
        await asyncio.get_running_loop().run_in_executor(self._reader, self._container.close)
        self._reader.shutdown(wait=False)

    async def _wait_until_due(self, due_s: float) -> None:
        now = asyncio.get_running_loop().time()
        if self._zero_at is None or now - (self._zero_at + due_s) > _LATE_S:
            self._zero_at = now - due_s
        wait_s = self._zero_at + due_s - now
        if wait_s > 0:
            await asyncio.sleep(wait_s)

    # ---- in the reader's thread ----

    def _read(self, kind: Kind) -> None:
        """Read until there is something of `kind`, or the end."""
        streams = [stream for stream in (self._video, self._audio) if stream is not None]
        rounds = 0
        while not self._waiting[kind] and not self._ended:
            try:
                for packet in self._container.demux(*streams):
                    self._take(packet)
                    if self._waiting[kind] or self._ended:
                        return
            except av.EOFError:
                pass
            except (av.FFmpegError, OSError) as error:
                self._ended = True
                raise PublishError("bad_source", f"nguồn bị ngắt / the source broke off: {error}") from error
            rounds += 1
            if not self._loop or rounds > 1:  # a whole round without one item of this kind: there will be none
                self._ended = True
                return
            self._rewind()

    def _rewind(self) -> None:
        self._offset_s = self._round_end_s
        self._container.seek(0)
        if self._filter is not None:
            self._filter.flush()
        for kind, stream in (("video", self._video), ("audio", self._audio)):
            if stream is not None and kind not in self.encoded:
                stream.codec_context.flush_buffers()
        self._resampler = self._new_resampler()
        self._first_s = None

    def _take(self, packet: Packet[Any]) -> None:
        if packet.stream is self._video:
            if self._filter is None:
                self._decode_video(packet)
            elif packet.size:
                for filtered in self._filter.filter(packet):
                    self._pass("video", filtered, _VIDEO_CLOCK)
        elif "audio" in self.encoded:
            if packet.size:
                self._pass("audio", packet, _AUDIO_CLOCK)
        else:
            self._decode_audio(packet)

    def _decode_video(self, packet: Packet[Any]) -> None:
        if self._video is None:
            return
        try:
            frames = self._video.decode(packet)
        except av.InvalidDataError:
            return  # a damaged picture; the next keyframe heals it
        for frame in frames:
            picture = _fitted(frame)
            due_s = self._media_time(frame.pts, frame.time_base)
            picture.pts = round(due_s * _VIDEO_CLOCK)
            picture.time_base = Fraction(1, _VIDEO_CLOCK)
            self._queue("video", due_s, picture)

    def _decode_audio(self, packet: Packet[Any]) -> None:
        if self._audio is None:
            return
        try:
            frames = self._audio.decode(packet)
        except av.InvalidDataError:
            return
        for frame in frames:
            for piece in self._resampler.resample(frame):
                due_s = self._media_time(piece.pts, piece.time_base)
                piece.pts = round(due_s * _AUDIO_CLOCK)
                piece.time_base = Fraction(1, _AUDIO_CLOCK)
                self._queue("audio", due_s, piece)

    def _pass(self, kind: Kind, packet: Packet[Any], clock: int) -> None:
        due_s = self._media_time(packet.pts, packet.time_base)
        duration_s = float((packet.duration or 0) * packet.time_base)
        packet.pts = round(due_s * clock)
        packet.time_base = Fraction(1, clock)
        self._queue(kind, due_s, packet, duration_s)

    def _media_time(self, pts: int | None, time_base: Fraction | None) -> float:
        """Seconds since the start of the first round, the same for both kinds; what has no time goes after the last."""
        at_s = self._round_end_s if pts is None or time_base is None else float(pts * time_base)
        if self._first_s is None:
            start = self._container.start_time
            self._first_s = at_s if self._live or start is None else start / 1_000_000
        return at_s - self._first_s + self._offset_s

    def _queue(self, kind: Kind, due_s: float, media: Media, duration_s: float = 0.0) -> None:
        self._round_end_s = max(self._round_end_s, due_s + (duration_s or 0.033))
        waiting = self._waiting[kind]
        waiting.append((due_s, media))
        if len(waiting) > _MAX_WAITING:
            waiting.popleft()

    @staticmethod
    def _new_resampler() -> AudioResampler:
        return AudioResampler(format="s16", layout="stereo", rate=_AUDIO_CLOCK, frame_size=_SAMPLES_PER_FRAME)


def _fitted(frame: VideoFrame) -> VideoFrame:
    """Return the picture as the encoder takes it: yuv420p, at most 1280x720, even sides."""
    scale = min(1.0, _MAX_WIDTH / frame.width, _MAX_HEIGHT / frame.height)
    width, height = int(frame.width * scale) // 2 * 2, int(frame.height * scale) // 2 * 2
    if (width, height) == (frame.width, frame.height) and frame.format.name == "yuv420p":
        return frame
    return frame.reformat(width=width, height=height, format="yuv420p")


def open_device(name: str) -> FileSource:
    """Open a device named as `format:name`, for example `v4l2:/dev/video0`.

    Raises:
        PublishError: as `FileSource`.
    """
    input_format, _, path = name.partition(":")
    return FileSource(path, input_format=input_format)
