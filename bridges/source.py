"""What a publisher publishes: a source gives frames to encode, or packets that are encoded already.

A source outlives connections: when a relay is lost and found again, the same source plays on.
"""

from __future__ import annotations

from typing import Any, Literal, Protocol, TypeAlias

from av import AudioFrame, Packet, VideoFrame

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
