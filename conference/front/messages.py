"""The protocol between a gateway and the coordinator that leads: JSON messages over one WebSocket.

The gateway speaks first with `Hello`; the leader answers `Welcome`. Then the gateway sends one `Batch` at a time, and
the leader answers each once everything in it is durable: with the position of `control` that contains it, or with why
nothing is known of it (`BatchFailed`). A batch may be sent again, also to another leader: every command in it is
idempotent. What a hall is answered, with its tokens, the gateway makes itself from the state at that position.
"""

from __future__ import annotations

import msgspec

from bridges.messages import MovedReport

SCHEMA = 1
MAX_BATCH = 200  # decided in one go; some 10 ms of the leader's loop
MAX_MESSAGE_BYTES = 1024 * 1024  # a batch of reports, each bounded by what HTTP takes of a hall
PATH = "/api/v1/gateways/control"


class ForwardedJoin(msgspec.Struct, frozen=True, kw_only=True, tag="join"):
    """A hall joins; `avoid` are relays that it found to be of no use."""

    actor: str
    conference_id: str
    hall_id: str
    virtual: bool
    avoid: list[str] = []


class ForwardedMove(msgspec.Struct, frozen=True, kw_only=True, tag="moved"):
    """A hall went to another of its relays."""

    actor: str
    conference_id: str
    hall_id: str
    report: MovedReport


class ForwardedLeave(msgspec.Struct, frozen=True, kw_only=True, tag="leave"):
    """A hall leaves."""

    actor: str
    conference_id: str
    hall_id: str


Forwarded = ForwardedJoin | ForwardedMove | ForwardedLeave


class Hello(msgspec.Struct, frozen=True, kw_only=True, tag="hello"):
    """First message of a gateway; `metrics_url` is where Prometheus reads it, "" where it does not."""

    schema: int = SCHEMA
    gateway_id: str
    metrics_url: str = ""


class Batch(msgspec.Struct, frozen=True, kw_only=True, tag="batch"):
    """What halls want, in the order in which they asked; `number` grows by one per batch and connection."""

    number: int
    requests: list[Forwarded]


class Welcome(msgspec.Struct, frozen=True, kw_only=True, tag="welcome"):
    """The leader takes batches; `epoch` is its fencing epoch."""

    schema: int = SCHEMA
    epoch: int


class Refusal(msgspec.Struct, frozen=True, kw_only=True):
    """Why one request was refused, as a hall is told (`errors.RejectedError`)."""

    code: str
    detail: str
    status: int
    retry_after_s: float = 0.0


class BatchAnswer(msgspec.Struct, frozen=True, kw_only=True, tag="answer"):
    """Everything in the batch is decided and durable.

    Attributes:
        number: of the batch.
        position: of `control`; a state that was folded so far contains the whole batch.
        refusals: by the request's place in the batch; the others came about.
    """

    number: int
    position: int
    refusals: dict[int, Refusal] = {}


class BatchFailed(msgspec.Struct, frozen=True, kw_only=True, tag="failed"):
    """The journal could not make the batch durable; any of it may have come about. To be sent again."""

    number: int
    code: str
    detail: str


GatewayMessage = Hello | Batch
LeaderMessage = Welcome | BatchAnswer | BatchFailed
