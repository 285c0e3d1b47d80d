"""Assignments of a hall to relays, as a coordinator gives them."""

from __future__ import annotations

from collections.abc import Sequence

from bridges.messages import Assignment, IceServer, RelayAccess


def access(relay_id: str, whep_url: str = "") -> RelayAccess:
    """Access to a relay; without a URL to one that nobody can reach."""
    return RelayAccess(relay_id=relay_id, whep_url=whep_url or f"http://{relay_id}.invalid", token="t", expires_at_ms=0)


def assignment(
    primary: RelayAccess,
    backup: RelayAccess | None,
    *,
    epoch: int = 1,
    hall_id: str = "h1",
    ice_servers: Sequence[IceServer] = (),
) -> Assignment:
    """What a hall of the conference `c` is to follow."""
    return Assignment(
        hall_id=hall_id,
        hall_name=f"Điểm cầu {hall_id}",
        conference_id="c",
        conference_title="Hội nghị",
        phase="live",
        feed="program",
        epoch=epoch,
        primary=primary,
        backup=backup,
        ice_servers=list(ice_servers),
    )
