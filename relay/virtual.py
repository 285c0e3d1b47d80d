"""Virtual relays (ảo): they register, heartbeat and report presence as real ones do, and carry no media.

They let a whole country's control traffic run on one machine. Everything about them is labelled virtual.
"""

from __future__ import annotations

import asyncio
import random
import secrets
import time
from collections.abc import Callable

import aiohttp

from relay.core.presence_outbox import PresenceOutbox
from relay.messages import (
    Capacity,
    CloseConference,
    CoordinatorMessage,
    Heartbeat,
    Notify,
    Register,
    RelayRole,
    SessionClosed,
    SessionOpened,
)
from relay.net.control import ControlLink, websocket_to

OnNotified = Callable[[list[str]], None]
OnEnded = Callable[[str], None]


def wall_clock_ms() -> int:
    """Milliseconds since the epoch."""
    return time.time_ns() // 1_000_000


class VirtualRelay:
    """One virtual relay. It has no HTTP: its addresses are names that nobody resolves."""

    def __init__(
        self,
        relay_id: str,
        *,
        region: str,
        role: RelayRole,
        capacity: Capacity,
        on_notified: OnNotified,
        on_ended: OnEnded,
        instance_id: str = "",
        clock_ms: Callable[[], int] = wall_clock_ms,
    ) -> None:
        """Make a relay without sessions.

        Args:
            relay_id: stable name.
            region: unit code of its province, "" for the centre.
            role: `origin` or `edge`.
            capacity: what it claims to be able to send.
            on_notified: called with the subjects whose assignment changed.
            on_ended: called with a conference that ended.
            instance_id: of this start; drawn by lot unless given.
            clock_ms: milliseconds since the epoch.
        """
        self.relay_id = relay_id
        self.outbox = PresenceOutbox()
        self._region = region
        self._role: RelayRole = role
        self._capacity = capacity
        self._on_notified = on_notified
        self._on_ended = on_ended
        self._instance_id = instance_id or secrets.token_hex(8)
        self._clock_ms = clock_ms
        self._open: dict[str, SessionOpened] = {}
        self._opened = 0
        self.link: ControlLink | None = None

    @property
    def base_url(self) -> str:
        """The address that halls are told; `.invalid` never resolves (RFC 6761)."""
        return f"http://{self.relay_id}.virtual.invalid"

    def open_session(self, subject: str, conference: str, feed: str) -> None:
        """A virtual hall begins to receive nothing."""
        if subject in self._open:
            return
        self._opened += 1
        opened = SessionOpened(
            session_id=f"{self._instance_id}.{self._opened}",
            subject=subject,
            conference=conference,
            feed=feed,
            at_ms=self._clock_ms(),
        )
        self._open[subject] = opened
        self.outbox.opened(opened)

    def close_session(self, subject: str, reason: str) -> None:
        """A virtual hall goes."""
        opened = self._open.pop(subject, None)
        if opened is not None:
            self.outbox.closed(
                SessionClosed(
                    session_id=opened.session_id,
                    subject=subject,
                    conference=opened.conference,
                    feed=opened.feed,
                    at_ms=self._clock_ms(),
                    reason=reason,
                )
            )

    def register_message(self) -> Register:
        """See `relay.net.control.Controlled`."""
        return Register(
            relay_id=self.relay_id,
            instance_id=self._instance_id,
            region=self._region,
            role=self._role,
            virtual=True,
            base_url=self.base_url,
            metrics_url="",
            capacity=self._capacity,
            sessions=self.outbox.open_sessions(),
        )

    def heartbeat_message(self) -> Heartbeat:
        """See `relay.net.control.Controlled`."""
        return Heartbeat(at_ms=self._clock_ms(), sessions=len(self._open), packets_sent=0, packets_received=0, feeds=[])

    def handle_message(self, message: CoordinatorMessage) -> None:
        """See `relay.net.control.Controlled`."""
        match message:
            case Notify(subjects=subjects):
                self._on_notified([subject for subject in subjects if subject in self._open])
            case CloseConference(conference=conference):
                for subject in [s for s, opened in self._open.items() if opened.conference == conference]:
                    self.close_session(subject, "ended")
                self._on_ended(conference)
            case _:  # keys, topology and pulls concern media
                pass


class VirtualRelays:
    """Many virtual relays in one process, each with its own control connection.

    Implements what `bridges.virtual` asks of its relays.
    """

    def __init__(self, client: aiohttp.ClientSession, url: str, *, rng: random.Random) -> None:
        """Make none yet.

        Args:
            client: HTTP client of the program; its connector must allow a connection per relay.
            url: base URL of the coordinator.
            rng: jitter.
        """
        self._client = client
        self._url = url
        self._rng = rng
        self._relays: dict[str, VirtualRelay] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self.on_notified: OnNotified = lambda _subjects: None
        self.on_ended: OnEnded = lambda _conference: None

    def add(self, relay_id: str, *, token: str, region: str, role: RelayRole, capacity: Capacity) -> None:
        """Start a relay; `token` is its own bearer token of role `relay`, good for no other relay."""
        relay = VirtualRelay(
            relay_id,
            region=region,
            role=role,
            capacity=capacity,
            on_notified=self._tell_notified,
            on_ended=self._tell_ended,
        )
        relay.link = ControlLink(websocket_to(self._client, self._url, token), relay, relay.outbox, rng=self._rng)
        self._relays[relay_id] = relay
        self._tasks[relay_id] = asyncio.create_task(relay.link.run())

    def _tell_notified(self, subjects: list[str]) -> None:
        self.on_notified(subjects)

    def _tell_ended(self, conference: str) -> None:
        self.on_ended(conference)

    @property
    def connected(self) -> int:
        """How many are registered now."""
        return sum(relay.link is not None and relay.link.connected for relay in self._relays.values())

    def __len__(self) -> int:
        return len(self._relays)

    def open_session(self, relay_id: str, hall_id: str, conference: str, feed: str) -> bool:
        """A virtual hall begins at a relay; false when the relay is not here (it was killed)."""
        relay = self._relays.get(relay_id)
        if relay is None:
            return False
        relay.open_session(hall_id, conference, feed)
        return True

    def close_session(self, relay_id: str, hall_id: str) -> None:
        """A virtual hall leaves a relay."""
        relay = self._relays.get(relay_id)
        if relay is not None:
            relay.close_session(hall_id, "left")

    def kill(self, relay_id: str) -> None:
        """A relay dies without a word, as by kill -9."""
        self._relays.pop(relay_id, None)
        task = self._tasks.pop(relay_id, None)
        if task is not None:
            task.cancel()

    async def close(self) -> None:
        """Say goodbye and end."""
        relays = list(self._relays.values())
        await asyncio.gather(*(relay.link.say_goodbye("shutdown") for relay in relays if relay.link is not None))
        for task in self._tasks.values():
            task.cancel()
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)
        self._relays.clear()
        self._tasks.clear()
