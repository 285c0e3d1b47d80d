"""A modelled hall and its sessions: what `conference.simulation.halls` keeps of each."""

from __future__ import annotations

import asyncio
import random
from typing import Literal

from bridges.follower import Follower
from bridges.follower_outputs import SessionId
from conference.simulation.relays import ModelRelay

Request = Literal["join", "fetch", "report"]


class ModelSession:
    """One WHEP session of a hall.

    Attributes:
        relay: where.
        instance: the relay's start that knows it; 0 before it is connected.
        sends: the relay was asked to send, and does if it has something.
        flows: packets arrive.
        is_gone: the relay has forgotten it.
    """

    __slots__ = ("deadline_s", "flows", "instance", "is_gone", "relay", "sends")

    def __init__(self, relay: ModelRelay, deadline_s: float) -> None:
        self.relay = relay
        self.instance = 0
        self.sends = False
        self.flows = False
        self.is_gone = False
        self.deadline_s = deadline_s


class ModelHall:
    """One hall; made and driven by `ModelHalls`."""

    __slots__ = (
        "changed_s",
        "dark_since_s",
        "failed",
        "follower",
        "hall_id",
        "has_line",
        "milliseats",
        "region",
        "sessions",
        "timer",
    )

    def __init__(self, hall_id: str, region: str, milliseats: int, rng: random.Random) -> None:
        self.hall_id = hall_id
        self.region = region
        self.milliseats = milliseats
        self.has_line = True
        self.follower = Follower(rng)
        self.sessions: dict[SessionId, ModelSession] = {}
        self.failed: set[Request] = set()
        self.changed_s = 0.0
        self.dark_since_s: float | None = None
        self.timer: asyncio.TimerHandle | None = None

    @property
    def relay_id(self) -> str:
        """Where it plays from; "" where it has no session."""
        current = self.follower.current
        session = None if current is None else self.sessions.get(current)
        return "" if session is None else session.relay.spot.relay_id

    @property
    def sees(self) -> bool:
        """Whether its picture is there."""
        current = self.follower.current
        session = None if current is None else self.sessions.get(current)
        return session is not None and session.flows
