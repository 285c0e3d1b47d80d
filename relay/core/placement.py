"""One stream to one receiver, among the layers of its kind: where it is, and how it moves.

A decoder changes at a keyframe only. A move therefore adds a second output on the target layer, which waits for its
next live keyframe while the first one goes on; at that keyframe the first ends and hands its numbers over, so that the
receiver sees one SSRC whose sequence numbers and timestamps go on.
"""

from __future__ import annotations

from collections.abc import Sequence

from relay.core.feed import Want
from relay.core.layer_clock import LayerTime, offset_after
from relay.core.output import Output
from relay.core.retransmission import Retransmission
from relay.core.timeline import TIMESTAMP_MODULUS, nearest
from relay.core.track import Track
from relay.fanout.interface import PeerSlot


class Placement:
    """A receiver's stream.

    Attributes:
        track: the layer that it is sent, or waits for.
        output: its output there.
        target: the layer that it moves to with the next keyframe, or None.
        wanted: false while it is sent nothing.
    """

    __slots__ = ("_keeps_numbers", "_layers", "_next", "_peer", "_rtx", "_want", "output", "target", "track", "wanted")

    def __init__(
        self,
        layers: Sequence[Track],
        peer: PeerSlot,
        want: Want,
        *,
        layer: int,
        wanted: bool,
        keeps_numbers: bool,
        now: float,
    ) -> None:
        """Place a stream.

        Args:
            layers: tracks of its kind.
            peer: the receiver.
            want: its SSRC and codecs.
            layer: to begin with.
            wanted: false for a standby.
            keeps_numbers: true for a child relay, see `relay.core.output.Output`; it never moves.
            now: seconds.
        """
        self._layers = layers
        self._peer = peer
        self._want = want
        self._keeps_numbers = keeps_numbers
        # One for all layers: it is one stream, whose numbers must never be used twice.
        self._rtx = Retransmission(want.rtx_ssrc, want.rtx_payload_types) if want.rtx_payload_types else None
        self._next: Output | None = None
        self.wanted = wanted
        self.target: Track | None = None
        self.track = layers[layer]
        self.output = self._new_output()
        self.track.add_output(self.output, now)

    @property
    def going_to(self) -> Track:
        """The layer that it is on, or will be."""
        return self.target or self.track

    def set_wanted(self, *, wanted: bool, now: float) -> None:
        """Begin or cease to be sent anything."""
        self.wanted = wanted
        for track in (self.track, self.target):
            if track is not None:
                track.set_wanted(self._peer, wanted=wanted, now=now)

    def move(self, layer: int, now: float) -> None:
        """Go to another layer: with its next keyframe, or at once when nothing was sent yet."""
        track = self._layers[layer]
        if track is self.going_to:
            return
        self._stay()
        if track is self.track:
            return
        output = self._new_output()
        if self.output.has_begun:
            output.on_begin = self._take_over
            self.target, self._next = track, output
        else:
            self.track.remove_output(self._peer)
            self.track, self.output = track, output
        track.add_output(output, now)

    def remove(self) -> None:
        """Leave every layer."""
        self._stay()
        self.track.remove_output(self._peer)

    def _new_output(self) -> Output:
        return Output(
            self._peer,
            self._want.ssrc,
            self._want.codecs,
            wanted=self.wanted,
            keeps_numbers=self._keeps_numbers,
            rtx=self._rtx,
        )

    def _stay(self) -> None:
        if self.target is not None:
            self.target.remove_output(self._peer)
            self.target = self._next = None

    def _take_over(self, index: int) -> None:
        """The keyframe has come: end the output before, and number on from there."""
        target, output = self.target, self._next
        if target is None or output is None:
            raise RuntimeError("an output begins that does not wait")
        before, old = self.track, self.output
        before.remove_output(self._peer)
        last_sent = _time_of(before, old.last_index)
        output.continue_from(old)
        output.timestamp_offset = offset_after(
            last_sent, old.timestamp_offset, _time_of(target, index), target.clock_rate
        )
        self.track, self.output = target, output
        self.target = self._next = None


def _time_of(track: Track, index: int) -> LayerTime:
    """The time of a packet in the cache of a track; of the newest one where it has gone."""
    newest = track.time
    packet = track.cache.get(index)
    if packet is None:
        return newest
    timestamp = int.from_bytes(packet[4:8])
    behind = newest.timestamp - nearest(timestamp, newest.timestamp, TIMESTAMP_MODULUS)
    return newest._replace(timestamp=timestamp, at_s=newest.at_s - behind / track.clock_rate)
