"""A subscriber of a feed: a hall, whose layer of video is chosen for it, or a child relay, which takes every layer."""

from __future__ import annotations

from collections.abc import Sequence

from relay.core.feed import Feed, Want
from relay.core.layer_selector import AUDIO_ONLY, LayerSelector
from relay.core.placement import Placement
from relay.fanout.interface import PeerSlot
from relay.wire.extended_report import DelaySinceLastReport, ReceiverReferenceTime
from relay.wire.rtcp import ReportBlock, serialize_compound

ROUND_TRIP_INTERVAL_S = 0.2  # one that asks for its round trip more often is not answered


class Subscriber:
    """What one subscriber takes of a feed.

    Attributes:
        feed: the feed.
        placements: its streams by SSRC.
        active: false for a standby, which is sent nothing.
    """

    __slots__ = ("_chosen", "_next_answer_s", "_selector", "active", "feed", "placements")

    def __init__(
        self,
        peer: PeerSlot,
        feed: Feed,
        wants: Sequence[Want],
        *,
        active: bool,
        keeps_numbers: bool,
        now: float,
    ) -> None:
        """Take part in a feed; see `relay.core.router.Router.add_subscriber`."""
        self.feed = feed
        self.active = active
        self.placements: dict[int, Placement] = {}
        self._selector = LayerSelector()
        self._next_answer_s = 0.0
        self._chosen: Placement | None = None  # the stream whose layer is chosen here
        for want in wants:
            layer = want.layer or 0
            is_chosen = want.kind == "video" and want.layer is None and not keeps_numbers
            if is_chosen and active:
                layer = self._selector.choose(feed.ladder, now) or 0
            placement = self.placements[want.ssrc] = Placement(
                feed.layers[want.kind], peer, want, layer=layer, wanted=active, keeps_numbers=keeps_numbers, now=now
            )
            if is_chosen:
                self._chosen = placement

    @property
    def is_receiving(self) -> bool:
        """True while at least one stream flows."""
        return any(placement.output.attached for placement in self.placements.values())

    @property
    def packets_sent(self) -> int:
        """Over all streams."""
        return sum(placement.track.delivery.totals(placement.output).packets for placement in self.placements.values())

    @property
    def is_moving(self) -> bool:
        """True while it waits for a keyframe of another layer."""
        return self._chosen is not None and self._chosen.target is not None

    @property
    def rank(self) -> int | None:
        """How many layers above the one that it is sent flow; `AUDIO_ONLY`; None where nothing is chosen or sent."""
        if self._chosen is None or not self.active:
            return None
        if self._selector.layer == AUDIO_ONLY:
            return AUDIO_ONLY
        ladder = self.feed.ladder
        layer = self.feed.layers["video"].index(self._chosen.track)
        return next((rank for rank, rung in enumerate(reversed(ladder)) if rung.layer == layer), None)

    def set_active(self, *, active: bool, now: float) -> None:
        """Turn a standby into a receiver, or back."""
        self.active = active
        if active:
            self.choose(now)
        for placement in self.placements.values():
            silent = placement is self._chosen and self._selector.layer == AUDIO_ONLY
            placement.set_wanted(wanted=active and not silent, now=now)

    def remove(self) -> None:
        """Leave the feed."""
        for placement in self.placements.values():
            placement.remove()

    # --- what it says --------------------------------------------------------------------------------------------

    def handle_nack(self, sequence_numbers: Sequence[int]) -> None:
        """It asks for packets again."""
        if self._chosen is not None:
            self._selector.handle_nack(sequence_numbers)

    def handle_reference_time(self, packet: ReceiverReferenceTime, now: float) -> None:
        """It asks for its round trip: the answer goes behind a report, since a compound packet begins with one."""
        flowing = next((each for each in self.placements.values() if each.output.attached), None)
        if flowing is None or now < self._next_answer_s:
            return
        self._next_answer_s = now + ROUND_TRIP_INTERVAL_S
        last_rr = packet.ntp_timestamp >> 16 & 0xFFFFFFFF
        answer = DelaySinceLastReport(flowing.output.ssrc, packet.ssrc, last_rr, delay=0)
        flowing.track.pass_sender_report_on(flowing.output.peer, serialize_compound([answer]))

    def handle_reports(self, reports: Sequence[ReportBlock], now: float) -> None:
        """Take the report blocks of one receiver report."""
        own = [block for block in reports if block.ssrc in self.placements]
        if own and self._chosen is not None:
            packets = sum(block.highest_sequence for block in own)
            lost = sum(block.packets_lost for block in own)
            self._selector.handle_report(packets, lost, self.packets_sent, now)

    def handle_estimate(self, bitrate_bps: int, now: float) -> None:
        """Take a REMB."""
        if self._chosen is not None:
            current = next((rung.bitrate_bps for rung in self.feed.ladder if rung.layer == self._selector.layer), 0)
            self._selector.handle_estimate(bitrate_bps, current, now)

    # --- the layer -----------------------------------------------------------------------------------------------

    def choose(self, now: float) -> int:
        """Choose the layer anew and go there. Returns 1 for a step up, -1 for one down, 0 for none."""
        placement, before = self._chosen, self._selector.layer
        if placement is None or not self.active:
            return 0
        layer = self._selector.choose(self.feed.ladder, now, has_sound=self.feed.has_sound(now))
        if layer is None or layer == before:
            return 0
        if layer != AUDIO_ONLY:
            placement.move(layer, now)
        placement.set_wanted(wanted=layer != AUDIO_ONLY, now=now)
        if before is None:
            return 0
        heights = {rung.layer: height for height, rung in enumerate(self.feed.ladder)}
        return 1 if heights.get(layer, -1) > heights.get(before, len(heights)) or before == AUDIO_ONLY else -1
