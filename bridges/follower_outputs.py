"""What a hall's follower asks its shell to do: one value for each step, carried out in the order given. Pure."""

from __future__ import annotations

from typing import NewType

import msgspec

from bridges.messages import MovedReport, RelayAccess

SessionId = NewType("SessionId", int)


class Connect(msgspec.Struct, frozen=True, kw_only=True):
    """Open a WHEP session at this relay, as a standby or playing at once."""

    session: SessionId
    access: RelayAccess
    standby: bool


class Activate(msgspec.Struct, frozen=True, kw_only=True):
    """Ask the relay to send on this session."""

    session: SessionId


class Standby(msgspec.Struct, frozen=True, kw_only=True):
    """Ask the relay to stop sending on this session and to keep it."""

    session: SessionId


class Probe(msgspec.Struct, frozen=True, kw_only=True):
    """Ask the relay for the state that the session has anyway: an error means that the session is gone."""

    session: SessionId


class Close(msgspec.Struct, frozen=True, kw_only=True):
    """Delete this session and forget it."""

    session: SessionId


class FetchAssignment(msgspec.Struct, frozen=True, kw_only=True):
    """Get the assignment from the coordinator; `avoid` names relays that it could not open a standby on, twice."""

    avoid: tuple[str, ...] = ()


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """Tell the coordinator of a move."""

    report: MovedReport


class Join(msgspec.Struct, frozen=True, kw_only=True):
    """Join (again): the hall has no relay, or none that delivers; `avoid` names those of no use."""

    avoid: tuple[str, ...] = ()


Output = Connect | Activate | Standby | Probe | Close | FetchAssignment | Report | Join
