"""A feed: what a conference carries under one name (audio, and video in one layer or several), and who takes part."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from relay.core.bitrate import BitrateMeter
from relay.core.inbound import Kind
from relay.core.layer_selector import Rung
from relay.core.track import Track
from relay.fanout.interface import PeerSlot
from relay.wire.sdp import Codec

FeedKey = tuple[str, str]  # (conference, name of the feed)

MAX_LAYERS = 4  # encoders make three; each may cost the cache of a track

# A layer that is silent for so long has been paused by its encoder. Longer than two frames of a slide at 5 a second.
LAYER_SILENT_S = 0.5

SOUND_SILENT_S = 5.0


class Stream(msgspec.Struct, frozen=True, kw_only=True):
    """An RTP stream that a source may send.

    Attributes:
        kind: of its m-line.
        codecs: under which it may come.
        ssrcs: where the offer names them.
        layer: which simulcast layer it is, in the order of the session description.
        rid: by which its packets say so (RFC 8851), "" without.
        rid_extension: id of the header extension that carries the rid (RFC 8852), 0 without.
    """

    kind: Kind
    codecs: tuple[Codec, ...]
    ssrcs: tuple[int, ...] = ()
    layer: int = 0
    rid: str = ""
    rid_extension: int = 0


class Want(msgspec.Struct, frozen=True, kw_only=True):
    """A stream that a subscriber takes.

    Attributes:
        kind: of its m-line.
        codecs: that it offered.
        ssrc: that we gave it.
        layer: the one that it takes under this SSRC; None where we choose.
        rtx_ssrc: of the stream that repairs it.
        rtx_payload_types: of a codec to that of its RTX (RFC 4588); a codec without one is repaired on `ssrc`.
    """

    kind: Kind
    codecs: tuple[Codec, ...]
    ssrc: int
    layer: int | None = None
    rtx_ssrc: int = 0
    rtx_payload_types: Mapping[int, int] = {}


class Feed:
    """A named feed of a conference: its tracks, its sources and its subscribers.

    Attributes:
        layers: the tracks of each kind; audio has one, video one per simulcast layer.
        tracks: all of them.
        ladder: the layers of video that flow, the least bitrate first.
    """

    def __init__(self, key: FeedKey, layers: Mapping[Kind, Sequence[Track]]) -> None:
        self.key = key
        self.layers = dict(layers)
        self.tracks = tuple(track for tracks in layers.values() for track in tracks)
        self.ladder: tuple[Rung, ...] = ()
        self.sources: list[PeerSlot] = []
        self.subscribers: set[PeerSlot] = set()
        self._meters = [BitrateMeter() for _ in self.layers["video"]]

    def last_packet_s(self) -> float:
        """Time of the last packet from any source, -inf before the first."""
        return max(track.last_packet_s for track in self.tracks)

    def measure(self, now: float) -> bool:
        """Bring the ladder up to date. Returns true when other layers flow than before, or in another order."""
        for track, meter in zip(self.layers["video"], self._meters, strict=True):
            if now - track.last_packet_s < LAYER_SILENT_S:
                meter.measure(track.octets_received, now)
            else:
                meter.forget()
        before = [rung.layer for rung in self.ladder]
        self.ladder = tuple(
            sorted(
                (Rung(layer, meter.bitrate_bps) for layer, meter in enumerate(self._meters) if meter.bitrate_bps),
                key=lambda rung: rung.bitrate_bps,
            )
        )
        return [rung.layer for rung in self.ladder] != before

    def has_sound(self, now: float) -> bool:
        """True while audio comes; an encoder that hears nothing may pause it for a while."""
        return now - self.layers["audio"][0].last_packet_s < SOUND_SILENT_S

    @property
    def is_simulcast(self) -> bool:
        """True once anything came on another layer than the first."""
        return any(track.octets_received for track in self.layers["video"][1:])
