"""What one hall costs a relay and how full a relay may be; the only tunable numbers of planning."""

from __future__ import annotations

import msgspec

from relay.messages import Capacity


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
        assignments_per_decision: bound on halls that one decision gives a missing relay, so that no decision
            blocks the coordinator; the rest follow with `conference.assignment.settle`.
    """

    media: MediaCost = msgspec.field(default_factory=MediaCost)
    soft_limit: float = 0.8
    hard_limit: float = 1.0
    assignments_per_decision: int = 500

    def seats(self, capacity: Capacity, share: float) -> int:
        """Seats that `share` of a relay's capacity holds: the smaller of what line and processor carry."""
        return max(
            0,
            min(
                int(capacity.bits_per_s * share) // self.media.bits_per_s,
                int(capacity.packets_per_s * share) // self.media.packets_per_s,
            ),
        )
