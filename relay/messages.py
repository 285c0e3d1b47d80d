"""The control protocol between a relay and its coordinator: JSON messages over one WebSocket.

The relay speaks first with `Register`; the coordinator answers `Registered` or `Refused`. Every message is a tagged
msgspec struct (`type` names it). Presence is delivered at least once: the relay keeps each `PresenceBatch` until its
`PresenceAck`, and a session's id makes its deltas idempotent and commutative.
"""

from __future__ import annotations

from typing import Literal

import msgspec

SCHEMA = 1
MAX_MESSAGE_BYTES = 16 * 1024 * 1024  # a national relay registers with every open session after a reconnection

RelayRole = Literal["origin", "edge"]


class Capacity(msgspec.Struct, frozen=True, kw_only=True):
    """What a relay can send: `bits_per_s` on its line and `packets_per_s` on its processor."""

    bits_per_s: int
    packets_per_s: int


class SessionOpened(msgspec.Struct, frozen=True, kw_only=True, tag="session_opened"):
    """A subject (a hall) began to receive media. `at_ms` is milliseconds since the epoch at the relay."""

    session_id: str
    subject: str
    conference: str
    feed: str
    at_ms: int


class SessionClosed(msgspec.Struct, frozen=True, kw_only=True, tag="session_closed"):
    """A subject's media ended at `at_ms`: the last moment at which its consent was seen, not when we noticed."""

    session_id: str
    subject: str
    conference: str
    feed: str
    at_ms: int
    reason: str
    packets_sent: int = 0


PresenceDelta = SessionOpened | SessionClosed


class Register(msgspec.Struct, frozen=True, kw_only=True, tag="register"):
    """First message of a relay.

    Attributes:
        relay_id: stable name of the relay, from its configuration.
        instance_id: random at each start of the process, so that a restart is told from a reconnection.
        region: unit code of the province where it stands, or "" for the centre.
        role: `origin` takes publishers; `edge` has parents.
        virtual: true for a relay without media.
        base_url: where halls and children reach its HTTP, for example `http://10.0.0.5:8080`.
        metrics_url: where Prometheus reads it.
        capacity: what it can send.
        sessions: every open session, so that presence is whole after a reconnection.
    """

    schema: int = SCHEMA
    relay_id: str
    instance_id: str
    region: str
    role: RelayRole
    virtual: bool
    base_url: str
    metrics_url: str
    capacity: Capacity
    sessions: list[SessionOpened]


class FeedStatus(msgspec.Struct, frozen=True, kw_only=True):
    """One feed at a relay; `live` when media arrived within the last second."""

    conference: str
    feed: str
    live: bool
    subscribers: int


class Heartbeat(msgspec.Struct, frozen=True, kw_only=True, tag="heartbeat"):
    """Sent once a second; renews the lease. Counters are totals since the process started."""

    at_ms: int
    sessions: int
    packets_sent: int
    packets_received: int
    feeds: list[FeedStatus]
    parent: str = ""


class PresenceBatch(msgspec.Struct, frozen=True, kw_only=True, tag="presence"):
    """Presence deltas since the last batch; `sequence` grows by one per batch and instance."""

    sequence: int
    deltas: list[PresenceDelta]


class Goodbye(msgspec.Struct, frozen=True, kw_only=True, tag="goodbye"):
    """The relay shuts down in order: its halls go to their backups now."""

    reason: str


class Registered(msgspec.Struct, frozen=True, kw_only=True, tag="registered"):
    """The coordinator's answer.

    Attributes:
        epoch: fencing epoch of this registration; a later registration of the same relay has a greater one.
        lease_s: without a message for so long the relay counts as lost.
        heartbeat_s: how often to send `Heartbeat`.
        public_keys: Ed25519 public keys (PEM) that sign relay tokens.
    """

    schema: int = SCHEMA
    epoch: int
    lease_s: float
    heartbeat_s: float
    public_keys: list[str]


class Refused(msgspec.Struct, frozen=True, kw_only=True, tag="refused"):
    """The coordinator does not take this relay: `code` for machines, `detail` for people."""

    code: str
    detail: str


class PresenceAck(msgspec.Struct, frozen=True, kw_only=True, tag="presence_ack"):
    """The batch with this sequence, and all before it, are durable."""

    sequence: int


class Parent(msgspec.Struct, frozen=True, kw_only=True):
    """A relay to take feeds from: WHEP endpoint is `{base_url}/{conference}/{feed}/whep`."""

    relay_id: str
    base_url: str


class Pull(msgspec.Struct, frozen=True, kw_only=True):
    """A feed to keep subscribed at the parents; `token` plays it at any of them until a later `Topology`."""

    conference: str
    feed: str
    token: str


class Topology(msgspec.Struct, frozen=True, kw_only=True, tag="topology"):
    """The relay's place in the tree: parents best first (empty for an origin) and the feeds to pull."""

    parents: list[Parent]
    pulls: list[Pull]


class Notify(msgspec.Struct, frozen=True, kw_only=True, tag="notify"):
    """Tell these subjects (over their WHEP sessions' events) that their assignment changed; they fetch it again."""

    subjects: list[str]


class CloseConference(msgspec.Struct, frozen=True, kw_only=True, tag="close_conference"):
    """The conference ended: close its sessions and refuse new ones."""

    conference: str


RelayMessage = Register | Heartbeat | PresenceBatch | Goodbye
CoordinatorMessage = Registered | Refused | PresenceAck | Topology | Notify | CloseConference
