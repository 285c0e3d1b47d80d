"""How packets of one track come to its outputs: the track's three numbers at the fan-out, and what each is for.

Live packets go to all outputs at once; one that catches up is sent its packets alone, under another number, so that
live ones pass it by; streams that repair are a third kind. Hot path: a late or repaired packet at the most.
"""

from __future__ import annotations

from collections.abc import Sequence

from relay.core.output import Output
from relay.core.packet_cache import PacketCache
from relay.fanout.interface import FanOut, OutputTotals, PeerSlot, Tail, TrackSlot

CNAME = "diemcau"


class Delivery:
    """Hands packets of a track's cache to the fan-out.

    Attributes:
        slot: the track's number there, under which it has the outputs that are sent live packets.
        catch_up_slot: under which it has those that are sent the cached group of pictures.
        rtx_slot: under which it has the streams that repair.
    """

    __slots__ = ("_cache", "_fanout", "catch_up_slot", "rtx_slot", "slot")

    def __init__(
        self, fanout: FanOut, cache: PacketCache, *, slot: TrackSlot, catch_up_slot: TrackSlot, rtx_slot: TrackSlot
    ) -> None:
        self.slot = slot
        self.catch_up_slot = catch_up_slot
        self.rtx_slot = rtx_slot
        self._fanout = fanout
        self._cache = cache

    def add(self, output: Output) -> None:
        """Send to an output from now on, with its present numbering."""
        self._fanout.add_output(
            self._slot_of(output),
            output.peer,
            ssrc=output.ssrc,
            payload_type=output.payload_type,
            index_offset=output.index_offset,
            sent_before=OutputTotals(packets=output.packets_before, octets=output.octets_before),
            timestamp_offset=output.timestamp_offset,
        )

    def remove(self, output: Output) -> None:
        """Send nothing more to an output."""
        self._fanout.remove_output(self._slot_of(output), output.peer)
        if output.rtx is not None:
            output.rtx.withdraw(self._fanout, self.rtx_slot, output.peer)

    def make_live(self, output: Output) -> None:
        """An output that has caught up joins those of the live packets."""
        self._fanout.remove_output(self.catch_up_slot, output.peer)
        output.catch_up = None
        self.add(output)

    def send(self, indexes: Sequence[int], tail: Tail | None = None) -> None:
        """Send packets to all live outputs, and the tail behind them."""
        self._fanout.send_burst(self.slot, self._cache, indexes, tail)

    def send_to(self, output: Output, indexes: Sequence[int]) -> int:
        """Send packets to one output alone. Returns how many the cache still had."""
        if output.catch_up is not None:
            # Counted here: what the fan-out has counted is gone when the output moves to the other slot.
            octets = [self._cache.payload_octets(index) for index in indexes if self._cache.get(index) is not None]
            output.packets_before += len(octets)
            output.octets_before += sum(octets)
        return self._fanout.resend(self._slot_of(output), output.peer, self._cache, indexes)

    def repair(self, output: Output, indexes: Sequence[int]) -> int:
        """Send packets again, by RTX where that was negotiated. Returns how many the cache still had."""
        if output.rtx is not None and output.rtx.repairs(output.payload_type):
            return output.rtx.resend(self._fanout, self.rtx_slot, output, self._cache, indexes)
        return self.send_to(output, indexes)

    def send_report(self, ntp_timestamp: int, rtp_timestamp: int, peer: PeerSlot | None, appended: bytes) -> None:
        """Send a sender report to all outputs, each with its own SSRC and counts; or to one."""
        for slot in (self.slot, self.catch_up_slot):
            self._fanout.send_report(
                slot,
                ntp_timestamp=ntp_timestamp,
                rtp_timestamp=rtp_timestamp,
                cname=CNAME,
                peer=peer,
                appended=appended,
            )

    def totals(self, output: Output) -> OutputTotals:
        """What was sent to an output since it was added to the track, over all its runs."""
        is_live = output.attached and output.catch_up is None
        present = self._fanout.output_totals(self.slot, output.peer) if is_live else OutputTotals()
        return OutputTotals(
            packets=output.packets_before + present.packets, octets=output.octets_before + present.octets
        )

    def _slot_of(self, output: Output) -> TrackSlot:
        return self.slot if output.catch_up is None else self.catch_up_slot
