"""Who sees the picture, and for how long not: what the simulation knows and no coordinator can."""

from __future__ import annotations

import msgspec

from conference.planner.loads import SEAT_MILLISEATS
from conference.policy import Policy
from conference.simulation.relays import ModelRelay


class Gap(msgspec.Struct, frozen=True, kw_only=True):
    """A hall's picture was gone.

    Attributes:
        cause: what had happened last before it.
        from_relay: where it played from, "" before the first picture.
        to_relay: where its picture came back; "" if it did not.
    """

    hall_id: str
    region: str
    cause: str
    began_s: float
    lasted_s: float
    from_relay: str
    to_relay: str


class _Sight:
    __slots__ = ("cause", "gone_s", "relay_id", "sees")

    def __init__(self) -> None:
        self.sees = False
        self.relay_id = ""
        self.gone_s: float | None = None
        self.cause = ""


class Pictures:
    """The picture in every hall.

    Args:
        policy: limits of relays.

    Attributes:
        cause: what happened last; put into each gap that begins now.
        seeing: how many halls see the picture.
        gaps: those that have ended, in the order of their end.
        moved_without_need: moves of halls whose picture was there all the time, without an order of the coordinator.
        most_over_limit: most seats beyond its hard limit that a relay ever sent to.
    """

    def __init__(self, policy: Policy) -> None:
        self._policy = policy
        self._sights: dict[str, _Sight] = {}
        self._hard_milliseats: dict[str, int] = {}
        self.cause = ""
        self.seeing = 0
        self.gaps: list[Gap] = []
        self.most_over_limit = 0.0
        self.over_limit: dict[str, float] = {}

    def note(self, hall_id: str, region: str, relay_id: str, *, sees: bool, now: float) -> None:
        """How a hall stands now."""
        sight = self._sights.get(hall_id)
        if sight is None:
            sight = self._sights[hall_id] = _Sight()
        if sees == sight.sees:
            if sees:
                sight.relay_id = relay_id
            return
        sight.sees = sees
        self.seeing += 1 if sees else -1
        if not sees:
            sight.gone_s, sight.cause = now, self.cause
            return
        if sight.gone_s is not None:
            self.gaps.append(self._gap(hall_id, region, sight, now, relay_id))
        sight.gone_s, sight.relay_id = None, relay_id

    def still_gone(self, regions: dict[str, str], now: float) -> list[Gap]:
        """Gaps that have not ended; `regions` by hall."""
        return [
            self._gap(hall_id, regions[hall_id], sight, now, "")
            for hall_id, sight in self._sights.items()
            if sight.gone_s is not None
        ]

    def note_load(self, relay: ModelRelay) -> None:
        """A relay sends to more halls than before."""
        relay_id = relay.spot.relay_id
        hard = self._hard_milliseats.get(relay_id)
        if hard is None:
            hard = SEAT_MILLISEATS * self._policy.seats(relay.spot.capacity, self._policy.hard_limit)
            self._hard_milliseats[relay_id] = hard
        beyond = (relay.playing_milliseats - hard) / SEAT_MILLISEATS
        if beyond > 0:
            self.over_limit[relay_id] = max(beyond, self.over_limit.get(relay_id, 0.0))
            self.most_over_limit = max(self.most_over_limit, beyond)

    @staticmethod
    def _gap(hall_id: str, region: str, sight: _Sight, now: float, to_relay: str) -> Gap:
        began_s = sight.gone_s if sight.gone_s is not None else now
        return Gap(
            hall_id=hall_id,
            region=region,
            cause=sight.cause,
            began_s=began_s,
            lasted_s=now - began_s,
            from_relay=sight.relay_id,
            to_relay=to_relay,
        )
