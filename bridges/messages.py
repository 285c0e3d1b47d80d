"""The messages between a hall (agent or page) and the coordinator: JSON over HTTPS under `/api/v1/halls`."""

from __future__ import annotations

from typing import Literal

import msgspec

SCHEMA = 1

MoveReason = Literal["silence", "assignment", "refused"]


class RelayAccess(msgspec.Struct, frozen=True, kw_only=True):
    """A relay that a hall may play from; `token` is a short-lived bearer token for `whep_url`."""

    relay_id: str
    whep_url: str
    token: str
    expires_at_ms: int


class IceServer(msgspec.Struct, frozen=True, kw_only=True):
    """TURN servers for a hall whose network lets no UDP out, as a browser takes them (`RTCIceServer`)."""

    urls: list[str]
    username: str
    credential: str


class JoinRequest(msgspec.Struct, frozen=True, kw_only=True):
    """Body of `POST /api/v1/halls/join`; the hall and the conference are in its bearer token.

    Attributes:
        agent: what program asks.
        virtual: no people sit here.
        avoid: relays that are of no use to this hall now (silent, or they do not answer), whatever others say of them.
    """

    schema: int = SCHEMA
    agent: str = ""
    virtual: bool = False
    avoid: list[str] = []


class Assignment(msgspec.Struct, frozen=True, kw_only=True):
    """What a hall follows; a greater `epoch` replaces a smaller one.

    `ice_servers` are for a hall that does not reach its relay directly: each use costs the server the hall's media.
    """

    schema: int = SCHEMA
    hall_id: str
    hall_name: str
    conference_id: str
    conference_title: str
    phase: str
    feed: str
    epoch: int
    primary: RelayAccess
    backup: RelayAccess | None
    ice_servers: list[IceServer] = []


class MovedReport(msgspec.Struct, frozen=True, kw_only=True):
    """Body of `POST /api/v1/halls/moved`: the hall went to another of its relays by itself.

    Attributes:
        epoch: epoch of the assignment that it followed.
        from_relay: relay that it left.
        to_relay: relay that it plays from now.
        reason: why.
        interruption_ms: from the last packet of the old relay to the first decoded frame of the new one.
    """

    schema: int = SCHEMA
    epoch: int
    from_relay: str
    to_relay: str
    reason: MoveReason
    interruption_ms: float


class HeadcountReport(msgspec.Struct, frozen=True, kw_only=True):
    """Body of `POST /api/v1/halls/headcount`: the technician's figures for one hall (DOMAIN: second source).

    summoned (triệu tập), present (có mặt), excused (vắng có lý do), unexcused (vắng không lý do),
    exempt (miễn sinh hoạt).
    """

    schema: int = SCHEMA
    summoned: int
    present: int
    excused: int = 0
    unexcused: int = 0
    exempt: int = 0
    note: str = ""
