"""A feed: what a conference carries under one name (a track of audio and one of video), and who takes part in it."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from relay.core.inbound import Kind
from relay.core.track import Track
from relay.fanout.interface import PeerSlot
from relay.wire.sdp import Codec

FeedKey = tuple[str, str]  # (conference, name of the feed)


class Stream(msgspec.Struct, frozen=True, kw_only=True):
    """One m-line of a source: what it may send and under which SSRCs (empty when the offer names none)."""

    kind: Kind
    codecs: tuple[Codec, ...]
    ssrcs: tuple[int, ...] = ()


class Want(msgspec.Struct, frozen=True, kw_only=True):
    """One m-line of a subscriber.

    Attributes:
        kind: `audio` or `video`.
        codecs: what it takes.
        ssrc: what we gave it.
        rtx_ssrc: of the stream that repairs it.
        rtx_payload_types: of a codec to that of its RTX (RFC 4588); a codec without one is repaired on `ssrc`.
    """

    kind: Kind
    codecs: tuple[Codec, ...]
    ssrc: int
    rtx_ssrc: int = 0
    rtx_payload_types: Mapping[int, int] = {}


class Feed:
    """A named feed of a conference: an audio track, a video track, its sources and its subscribers."""

    def __init__(self, key: FeedKey, tracks: Mapping[Kind, Track]) -> None:
        self.key = key
        self.tracks = dict(tracks)
        self.sources: list[PeerSlot] = []
        self.subscribers: set[PeerSlot] = set()

    def last_packet_s(self) -> float:
        """Time of the last packet from any source, -inf before the first."""
        return max(track.last_packet_s for track in self.tracks.values())
