"""What a publisher publishes: a source gives frames to encode, or packets that are encoded already.

A source outlives a connection: when the relay is lost and found again, new tracks are put before the same source.
"""

from __future__ import annotations

from collections import Counter
from typing import Any, Literal, Protocol, TypeAlias

from aiortc.mediastreams import MediaStreamError, MediaStreamTrack
from av import AudioFrame, Packet, VideoFrame

from bridges.errors import PublishError

Kind = Literal["audio", "video"]
Media: TypeAlias = "VideoFrame | AudioFrame | Packet[Any]"


class Source(Protocol):
    """Media in real time: `next_media` returns when the next item is due.

    Attributes:
        kinds: what the source carries.
        encoded: kinds that come as packets: H.264 in Annex B, Opus.
    """

    kinds: frozenset[Kind]
    encoded: frozenset[Kind]

    async def next_media(self, kind: Kind) -> Media | None:
        """Wait for the next frame or packet of one kind; None after the end."""
        ...

    async def close(self) -> None:
        """Release files and devices."""
        ...


class SourceTrack(MediaStreamTrack):
    """One kind of a source as a track of one peer connection. Stopping it leaves the source alone.

    Attributes:
        exhausted: the source came to its end; a track that its connection stopped is not exhausted.
        error: why the source broke off, if it did.
    """

    def __init__(self, source: Source, kind: Kind, frames: Counter[Kind] | None = None) -> None:
        """Make a track.

        Args:
            source: stays open when the track stops.
            kind: what to take of it.
            frames: counts what was handed on, if given.
        """
        super().__init__()
        self._frames = frames
        self.kind: Kind = kind
        self.exhausted = False
        self.error: PublishError | None = None
        self._source = source
        # A decoder cannot start in the middle of a group of pictures: a new connection waits for its beginning.
        self._await_keyframe = kind == "video" and kind in source.encoded

    async def recv(self) -> Media:
        """Return the next frame or packet.

        Raises:
            MediaStreamError: the source ended, or the track was stopped.
        """
        while self.readyState == "live":
            try:
                media = await self._source.next_media(self.kind)
            except PublishError as error:
                self.error = error
                media = None
            if media is None:
                self.exhausted = self.error is None
                self.stop()
                break
            if self._await_keyframe and isinstance(media, Packet):
                if not media.is_keyframe:
                    continue
                self._await_keyframe = False
            if self._frames is not None:
                self._frames[self.kind] += 1
            return media
        raise MediaStreamError
