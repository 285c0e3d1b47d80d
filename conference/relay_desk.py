"""What the coordinator does for its relays, whatever carries their messages: a `RelayChannel` for each.

Owns the registrations, the leases and what is pushed to relays: their place in the tree, the ends of conferences, and
which halls should fetch their assignment again. Refuses relays that are not what their token says, and messages of a
registration that was replaced. It opens no socket and reads no clock of its own: `conference.gateway` brings it
WebSockets, a simulation brings modelled relays and virtual time.

A closed channel is not a lost relay: the relay keeps serving its halls and comes back. Only a lease that ends, or a
goodbye, loses it. Until then such a relay is in `avoid` and no hall is newly sent there. Liveness does not wait for
the journal either: presence is written by a task of its own, so that heartbeats are heard while the disk is slow.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Mapping, Sequence

from conference.access import ApiClaims, KeyRing
from conference.assignment import settle
from conference.commands import LoseRelay, NoteRelays, ObservePresence, RegisterRelay
from conference.config import CoordinatorConfig
from conference.control_connection import POLICY_VIOLATION, TRY_AGAIN_LATER, ControlConnection, RelayChannel
from conference.coordinator import Coordinator
from conference.errors import JournalError, RejectedError
from conference.events import (
    Event,
    HallsExcluded,
    HallsOrdered,
    LimitsChanged,
    PhaseChanged,
    RelayLost,
    RelayModeChanged,
    RelayRegistered,
)
from conference.journal.contract import Entry
from conference.leases import LeaseTable
from conference.moving import Mover
from conference.notices import REMIND_AFTER_MS, notices_of, reminders_of, strayed_of
from conference.topology import topology_of
from monitoring.log_config import get_logger
from relay.messages import (
    SCHEMA,
    CloseConference,
    Goodbye,
    Heartbeat,
    Notify,
    PresenceAck,
    PresenceBatch,
    Refused,
    Register,
    Registered,
)

REGISTER_TIMEOUT_S = 10.0  # who opens a channel and says nothing holds it no longer than this
JOURNAL_RETRY_S = 0.5
LEASE_CHECKS_PER_LEASE = 8
# How wrong the end of presence may be after an outage of relays and coordinator together.
NOTE_EVERY_S = 30.0
MOVE_EVERY_S = 0.1  # halls that are moved come in groups of what the pace gives in so long


class RelayDesk:
    """All control connections.

    Args:
        coordinator: where commands go; started.
        keys: signs the tokens with which relays play from their parents.
        config: leases and lifetimes.
        monotonic_s: the clock of the leases.
        count_malformed: called for each message that has no business here.
    """

    def __init__(
        self,
        coordinator: Coordinator,
        keys: KeyRing,
        config: CoordinatorConfig,
        *,
        monotonic_s: Callable[[], float],
        count_malformed: Callable[[], None] = lambda: None,
    ) -> None:
        self._coordinator = coordinator
        self._keys = keys
        self._config = config
        self._monotonic_s = monotonic_s
        self._count_malformed = count_malformed
        self._log = get_logger("conference.relay_desk")
        self._connections: dict[str, ControlConnection] = {}
        self._avoid: set[str] = set()
        self._leases = LeaseTable(config.lease_s)
        self._topology_wanted = asyncio.Event()
        self._settle_wanted = asyncio.Event()
        self._registering = asyncio.Lock()
        self._mover = Mover()
        self._move_wanted = asyncio.Event()
        self._reminded_at_s = 0.0
        self._tasks: list[asyncio.Task[None]] = []

    @property
    def avoid(self) -> frozenset[str]:
        """Relays whose connection is gone although their lease still runs."""
        return frozenset(self._avoid)

    def sessions(self) -> Mapping[str, int]:
        """Open sessions of each connected relay as it said last; 0 before its first heartbeat."""
        return {
            relay_id: 0 if each.heartbeat is None else each.heartbeat.sessions
            for relay_id, each in self._connections.items()
        }

    def start(self) -> None:
        """Give the journal's relays a lease to come back within, and begin to watch."""
        self._coordinator.subscribe(self._handle_entries)
        self._coordinator.subscribe_recovery(self._grant_grace)
        self._grant_grace(self._config.return_grace_s)
        self._tasks = [
            asyncio.create_task(self._repeat(self._check_leases), name="desk-leases"),
            asyncio.create_task(self._repeat(self._push_topologies), name="desk-topologies"),
            asyncio.create_task(self._repeat(self._settle_halls), name="desk-settle"),
            asyncio.create_task(self._repeat(self._move_halls), name="desk-move"),
            asyncio.create_task(self._repeat(self._note_relays), name="desk-note"),
        ]

    async def stop(self) -> None:
        """Watch no longer; the channels are closed by whoever brought them."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _grant_grace(self, grace_s: float = 0.0) -> None:
        """Give the journal's relays a lease, and `grace_s` at least, to be heard within."""
        now_s = self._monotonic_s()
        for relay in self._coordinator.state.relays.values():
            if relay.live:
                self._leases.grant_grace(
                    relay.relay_id, relay.epoch, now_s=now_s, seen_ms=relay.last_seen_ms, grace_s=grace_s
                )
        self._topology_wanted.set()

    async def serve(self, channel: RelayChannel, claims: ApiClaims) -> None:
        """Serve one relay's channel until it ends; `claims` are verified and have the role `relay`."""
        register = await self._receive_register(channel)
        if register is not None:
            await self._serve_registered(channel, register, claims)

    async def _receive_register(self, channel: RelayChannel) -> Register | None:
        try:
            message = await asyncio.wait_for(channel.receive(), REGISTER_TIMEOUT_S)
        except TimeoutError:
            await channel.close(POLICY_VIOLATION, "no register")
            return None
        if message is None:
            return None
        if not isinstance(message, Register):
            await self._violate(channel, "the first message is register")
            return None
        return message

    async def _violate(self, channel: RelayChannel, reason: str) -> None:
        self._count_malformed()
        await channel.close(POLICY_VIOLATION, reason)

    async def _refuse(self, channel: RelayChannel, code: str, detail: str) -> None:
        await channel.send(Refused(code=code, detail=detail))
        await channel.close(POLICY_VIOLATION, code)

    async def _register(self, channel: RelayChannel, register: Register, claims: ApiClaims) -> RelayRegistered | None:
        """Write the registration, or tell the relay why not."""
        if register.schema != SCHEMA:
            await self._refuse(channel, "schema", f"this coordinator speaks schema {SCHEMA}, not {register.schema}")
            return None
        if claims.sub != register.relay_id:
            await self._refuse(channel, "wrong_relay", f"the token is for relay {claims.sub}")
            return None
        try:
            last_seen_ms = self._leases.last_seen_ms(register.relay_id) or 0
            command = RegisterRelay(register=register, last_seen_ms=last_seen_ms)
            # One at each turn of the loop: the tree is planned anew for each, and if hundreds that come together were
            # planned for in one turn, all would have given up before the first was answered.
            async with self._registering:
                await asyncio.sleep(0)
            events = await self._coordinator.execute(command, claims.actor)
        except RejectedError as error:
            await self._refuse(channel, error.code, error.detail)
            return None
        except JournalError as error:
            await channel.send(Refused(code=error.code, detail=str(error)))
            await channel.close(TRY_AGAIN_LATER, "journal unavailable")
            return None
        return next(event for event in events if isinstance(event, RelayRegistered))

    async def _serve_registered(self, channel: RelayChannel, register: Register, claims: ApiClaims) -> None:
        registered = await self._register(channel, register, claims)
        if registered is None:
            return
        relay_id, epoch = registered.relay_id, registered.epoch
        older = self._connections.get(relay_id)
        if older is not None and older.epoch > epoch:
            await self._refuse(channel, "superseded", "a later registration of this relay is connected")
            return
        connection = ControlConnection(relay_id=relay_id, epoch=epoch, channel=channel)
        self._connections[relay_id] = connection
        self._avoid.discard(relay_id)
        self._renew(connection)
        if older is not None:
            older.close_soon(POLICY_VIOLATION, "superseded")
        connection.send(
            Registered(
                epoch=epoch,
                lease_s=self._config.lease_s,
                heartbeat_s=self._config.heartbeat_s,
                public_keys=self._keys.public_keys,
            )
        )
        self._close_ended(connection, register)
        self._notify(strayed_of(self._coordinator.state, register))
        self._topology_wanted.set()
        tasks = [
            asyncio.create_task(connection.send_forever(), name=f"relay-send-{relay_id}"),
            asyncio.create_task(self._write_presence(connection), name=f"relay-presence-{relay_id}"),
        ]
        self._log.info("relay registered", relay_id=relay_id, epoch=epoch, sessions=len(register.sessions))
        self._settle_wanted.set()
        try:
            await self._read(connection)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            if self._connections.get(relay_id) is connection:
                del self._connections[relay_id]
                if not connection.said_goodbye:
                    self._avoid.add(relay_id)
            self._log.info("relay disconnected", relay_id=relay_id, epoch=epoch, close_code=channel.close_code)

    async def _read(self, connection: ControlConnection) -> None:
        channel = connection.channel
        while (message := await channel.receive()) is not None:
            if self._connections.get(connection.relay_id) is not connection:
                return  # a later registration took its place while this waited in the channel
            self._renew(connection)
            match message:
                case Heartbeat():
                    connection.heartbeat = message
                case PresenceBatch():
                    if connection.presence.full():
                        # The relay keeps what was not acknowledged, and its sessions, until it registers again.
                        await channel.close(TRY_AGAIN_LATER, "presence backlog")
                        return
                    connection.presence.put_nowait((message.sequence, message.deltas))
                case Goodbye():
                    await self._handle_goodbye(connection, message)
                    return
                case Register():
                    await self._violate(channel, "registered already")
                    return

    def _renew(self, connection: ControlConnection) -> None:
        self._leases.renew(
            connection.relay_id, connection.epoch, now_s=self._monotonic_s(), seen_ms=self._coordinator.now_ms()
        )

    async def _handle_goodbye(self, connection: ControlConnection, message: Goodbye) -> None:
        self._log.info("relay says goodbye", relay_id=connection.relay_id, reason=message.reason[:200])
        # What it saw before the goodbye comes first; a journal that is away must not hold the goodbye for ever.
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(connection.presence.join(), self._config.lease_s)
        connection.said_goodbye = True
        command = LoseRelay(
            relay_id=connection.relay_id,
            epoch=connection.epoch,
            goodbye=True,
            last_seen_ms=self._coordinator.now_ms(),
        )
        try:
            await self._coordinator.execute(command, f"relay:{connection.relay_id}")
        except JournalError as error:
            self._log.warning("goodbye not written; the lease will end instead", error=str(error))
            connection.said_goodbye = False

    async def _write_presence(self, connection: ControlConnection) -> None:
        """Make the batches durable in order, and acknowledge each then; a journal that fails is tried again."""
        while True:
            sequence, deltas = await connection.presence.get()
            command = ObservePresence(relay_id=connection.relay_id, deltas=list(deltas))
            while True:
                try:
                    await self._coordinator.execute(command, f"relay:{connection.relay_id}")
                    break
                except RejectedError as error:
                    # Acknowledged all the same: the relay would send it for ever and nothing behind it would come.
                    self._count_malformed()
                    self._log.warning("presence refused", relay_id=connection.relay_id, error=str(error))
                    break
                except JournalError:
                    await asyncio.sleep(JOURNAL_RETRY_S)
            connection.presence.task_done()
            connection.send(PresenceAck(sequence=sequence))

    async def _repeat(self, step: Callable[[], Awaitable[None]]) -> None:
        """Do a step for ever; without a journal there is nothing to do, and a bug of ours must not end the watch."""
        while True:
            try:
                await step()
            except JournalError as error:
                self._log.warning("waiting for the journal", step=step.__name__, error=str(error))
                await asyncio.sleep(JOURNAL_RETRY_S)
            except Exception:  # noqa: BLE001 - whatever it is: logged, and relays are still watched
                self._log.exception("a step of the desk failed", step=step.__name__)
                await asyncio.sleep(JOURNAL_RETRY_S)

    async def _check_leases(self) -> None:
        await asyncio.sleep(self._config.lease_s / LEASE_CHECKS_PER_LEASE)
        for lease in self._leases.expired(self._monotonic_s()):
            command = LoseRelay(
                relay_id=lease.holder, epoch=lease.epoch, goodbye=False, last_seen_ms=lease.last_seen_ms
            )
            try:
                await self._coordinator.execute(command, "coordinator")
            except RejectedError as error:
                self._log.error("a lost relay is unknown", relay_id=lease.holder, error=str(error))
            self._leases.forget(lease.holder, lease.epoch)

    async def _settle_halls(self) -> None:
        """Give halls without a backup one: when a relay came, and now and then, for halls that left make room."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._settle_wanted.wait(), self._config.lease_s)
        self._settle_wanted.clear()
        while await self._coordinator.carry_out(lambda state, _now_ms: settle(state)):
            pass  # a bounded number of halls at a time, so that others have their turn between

    async def _move_halls(self) -> None:
        """Carry out what operators ordered, a little at a time, as long as there is something to do."""
        ledger = self._coordinator.state.ledger
        if ledger.misplaced or ledger.leaving:
            await asyncio.sleep(MOVE_EVERY_S)
            await self._coordinator.carry_out(self._mover.next_events)
            if self._monotonic_s() - self._reminded_at_s >= REMIND_AFTER_MS / 1000:
                self._reminded_at_s = self._monotonic_s()
                self._notify(reminders_of(self._coordinator.state, self._coordinator.now_ms()))
        else:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._move_wanted.wait(), self._config.lease_s)
            self._move_wanted.clear()

    async def _note_relays(self) -> None:
        """Have the journal know who is heard, for the day on which everything goes at once."""
        await asyncio.sleep(NOTE_EVERY_S)
        heard = sorted(self._connections)
        if heard:
            await self._coordinator.execute(NoteRelays(relay_ids=heard), "coordinator")

    def _handle_entries(self, entries: Sequence[Entry]) -> None:
        """Durable events: tell the relays what follows from them."""
        for entry in entries:
            self._handle_event(entry.event)
        state = self._coordinator.state if self._coordinator.is_ready else None
        self._notify(notices_of(state, (entry.event for entry in entries)))

    def _notify(self, told: Mapping[str, Sequence[str]]) -> None:
        for relay_id, hall_ids in told.items():
            connection = self._connections.get(relay_id)
            if connection is not None:
                connection.send(Notify(subjects=list(hall_ids)))

    def _handle_event(self, event: Event) -> None:
        match event:
            case RelayLost():
                self._handle_lost(event)
            case PhaseChanged():
                self._handle_phase(event)
            case RelayRegistered():
                self._topology_wanted.set()
            case RelayModeChanged() | LimitsChanged():
                self._topology_wanted.set()
                self._move_wanted.set()
            case HallsOrdered() | HallsExcluded():
                self._move_wanted.set()

    def _handle_phase(self, event: PhaseChanged) -> None:
        self._topology_wanted.set()
        if event.phase == "ended":
            for connection in self._connections.values():
                connection.send(CloseConference(conference=event.conference_id))

    def _handle_lost(self, event: RelayLost) -> None:
        self._log.warning("relay lost", relay_id=event.relay_id, epoch=event.epoch, reason=event.reason)
        self._topology_wanted.set()
        self._leases.forget(event.relay_id, event.epoch)
        self._avoid.discard(event.relay_id)
        connection = self._connections.get(event.relay_id)
        if connection is not None and connection.epoch <= event.epoch and not connection.said_goodbye:
            # Its socket stands but it was silent for a lease: it must register again to be given halls.
            connection.close_soon(POLICY_VIOLATION, "lease expired")

    def _close_ended(self, connection: ControlConnection, register: Register) -> None:
        """Tell a relay of the ends that it missed: of its open sessions, and of those whose tokens are still good."""
        conferences, tokens = self._coordinator.state.conferences, self._config.tokens
        token_ms = max(tokens.relay_s, tokens.link_s, tokens.publisher_s) * 1000
        good_since_ms = self._coordinator.now_ms() - token_ms
        ended = {
            conference.conference_id
            for conference in conferences.values()
            if conference.phase == "ended" and conference.phases[-1][1] >= good_since_ms
        }
        for conference_id in sorted(ended | {session.conference for session in register.sessions}):
            conference = conferences.get(conference_id)
            if conference is None or conference.phase == "ended":
                connection.send(CloseConference(conference=conference_id))

    async def _push_topologies(self) -> None:
        """Send each relay its place once that may have changed, and fresh tokens at half of their life."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._topology_wanted.wait(), self._config.tokens.link_s / 8)
        self._topology_wanted.clear()
        for connection in list(self._connections.values()):
            self._push_topology(connection)

    def _push_topology(self, connection: ControlConnection) -> None:
        now_ms, link_s = self._coordinator.now_ms(), self._config.tokens.link_s
        place = topology_of(self._coordinator.state, connection.relay_id)
        fresh = now_ms < connection.topology_sent_ms + link_s * 500
        if place == connection.place and fresh:
            return
        connection.place, connection.topology_sent_ms = place, now_ms
        connection.send(place.sign(self._keys, exp=now_ms // 1000 + link_s))
