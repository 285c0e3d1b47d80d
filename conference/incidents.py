"""What happened to relays and publishers, kept for reports: the part of `conference.state.apply` about that.

The journal has it all, but a report must not read a day of it: what a report lists stands in the state, bounded, beside
what operators ordered (`conference.orders`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from conference.events import Event, PublishingAuthorised, RelayCleared, RelayLost, RelayRegistered, RelaySuspected
from conference.reports.model import Incident

if TYPE_CHECKING:
    from conference.state import State


def note_incident(state: State, event: Event, at_ms: int, actor: str) -> None:
    """Keep what an event means for a report, before it is folded; most mean nothing."""
    found = None
    match event:
        case RelayLost():
            relay = state.relays.get(event.relay_id)
            found = Incident(
                at_ms=event.last_seen_ms,
                code="relay_lost",
                subject=event.relay_id,
                reason=event.reason,
                virtual=relay is not None and relay.virtual,
            )
        case RelayRegistered():
            found = _returned(state, event, at_ms)
        case RelaySuspected():
            found = Incident(
                at_ms=at_ms,
                code="relay_suspected",
                subject=event.relay_id,
                detail=f"{event.left}/{event.halls}",
                virtual=_is_virtual(state, event.relay_id),
            )
        case RelayCleared():
            found = Incident(
                at_ms=at_ms,
                code="relay_cleared",
                subject=event.relay_id,
                reason=event.reason,
                virtual=_is_virtual(state, event.relay_id),
            )
        case PublishingAuthorised():
            found = _publisher(state, event, at_ms, actor)
        case _:
            return
    if found is not None:
        state.orders.note_incident(found)


def _returned(state: State, event: RelayRegistered, at_ms: int) -> Incident | None:
    """A relay that was lost, or whose process is another one, is back; one that connects again is no news."""
    before = state.relays.get(event.relay_id)
    if before is None or (before.live and before.instance_id == event.instance_id):
        return None
    reason = "" if before.instance_id == event.instance_id else "restarted"
    return Incident(at_ms=at_ms, code="relay_returned", subject=event.relay_id, reason=reason, virtual=event.virtual)


def _publisher(state: State, event: PublishingAuthorised, at_ms: int, actor: str) -> Incident | None:
    """A feed has its first publisher, or one at other origins; a new token for the same is no news."""
    conference = state.conferences.get(event.conference_id)
    if conference is None:
        return None
    before = (conference.publishers.get(event.feed), conference.backup_origins.get(event.feed))
    if before == (event.relay_id, list(event.backup_relay_ids)):
        return None
    return Incident(
        at_ms=at_ms,
        code="publisher",
        subject=event.feed,
        detail=" ".join([event.relay_id, *event.backup_relay_ids]),
        actor=actor,
        conference_id=event.conference_id,
    )


def _is_virtual(state: State, relay_id: str) -> bool:
    relay = state.relays.get(relay_id)
    return relay is not None and relay.virtual
