"""What one hall costs a relay, how full a relay may be, and who belongs where; all that is tunable about planning."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from conference.planner.loads import SEAT_MILLISEATS, HallWish
from relay.messages import Capacity

_NONE: frozenset[str] = frozenset()


class MediaCost(msgspec.Struct, frozen=True, kw_only=True):
    """What one subscriber (a hall or a child relay) takes from a relay.

    Attributes:
        bits_per_s: 2 Mbit/s of video, 64 kbit/s of audio, and RTP, UDP and IP headers.
        packets_per_s: 240 packets of video and 50 of audio, and some control packets.
    """

    bits_per_s: int = 2_200_000
    packets_per_s: int = 300


class Policy(msgspec.Struct, frozen=True, kw_only=True):
    """Limits of planning.

    Attributes:
        media: cost of a seat.
        soft_limit: share of a relay's capacity that is filled before the next relay is taken.
        hard_limit: share that is never passed.
        regions: cost of a hall in regions where it is less than `media` (a lower layer on poor lines), by unit code.
        overflow: by region, the regions that take its halls when its own relays are full, nearest first; then come the
            centre and all others.
        pins: by hall, the relays that it shall have, the primary first.
        exclusions: by hall or by region, relays that shall not have its halls.
        assignments_per_decision: bound on halls that one decision gives a missing relay, so that no decision
            blocks the coordinator; the rest follow with `conference.assignment.settle`.
        moves_per_s: halls that are moved by operators' orders; faster where a deadline needs it.
        moves_at_once: of these, halls on their way to one relay: each costs it a handshake and a group of pictures.
        move_patience_ms: a hall that was moved and did not say so for so long holds no seat at its former relay.
    """

    media: MediaCost = msgspec.field(default_factory=MediaCost)
    soft_limit: float = 0.8
    hard_limit: float = 1.0
    regions: Mapping[str, MediaCost] = {}
    overflow: Mapping[str, tuple[str, ...]] = {}
    pins: Mapping[str, tuple[str, ...]] = {}
    exclusions: Mapping[str, frozenset[str]] = {}
    assignments_per_decision: int = 500
    moves_per_s: float = 200.0
    moves_at_once: int = 50
    move_patience_ms: int = 15_000

    def seats(self, capacity: Capacity, share: float) -> int:
        """Seats that `share` of a relay's capacity holds: the smaller of what line and processor carry."""
        return max(
            0,
            min(
                int(capacity.bits_per_s * share) // self.media.bits_per_s,
                int(capacity.packets_per_s * share) // self.media.packets_per_s,
            ),
        )

    def milliseats(self, region: str) -> int:
        """What a hall of this region takes of a relay: the greater of its shares of line and processor, rounded up."""
        cost = self.regions.get(region)
        if cost is None:
            return SEAT_MILLISEATS
        return max(
            -(-SEAT_MILLISEATS * cost.bits_per_s // self.media.bits_per_s),
            -(-SEAT_MILLISEATS * cost.packets_per_s // self.media.packets_per_s),
        )

    def wish(self, hall_id: str, region: str) -> HallWish:
        """What is known of a hall when relays are chosen for it."""
        return HallWish(
            hall_id=hall_id,
            region=region,
            milliseats=self.milliseats(region),
            pins=self.pins.get(hall_id, ()),
            exclude=self.excluded(hall_id, region),
        )

    def excluded(self, hall_id: str, region: str) -> frozenset[str]:
        """Relays that a hall shall not have."""
        if not self.exclusions:
            return _NONE
        return self.exclusions.get(hall_id, _NONE) | self.exclusions.get(region, _NONE)
