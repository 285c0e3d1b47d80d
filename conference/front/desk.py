"""What a gateway does with a hall's command: the leader decides who sits where, and figures are written here."""

from __future__ import annotations

from collections.abc import Sequence

from conference.commands import (
    Command,
    JoinHall,
    LeaveHall,
    NoteReading,
    RecordCheckins,
    RecordMarks,
    ReportHeadcount,
    ReportMove,
    ReportPrecheck,
    SignOffReadiness,
)
from conference.coordinator import Clock, wall_clock_ms
from conference.decide import decide
from conference.errors import RejectedError
from conference.events import Event
from conference.front.attendance import AttendanceWriter
from conference.front.following import Following
from conference.front.leader_link import LeaderLink
from conference.front.messages import Forwarded, ForwardedJoin, ForwardedLeave, ForwardedMove
from conference.journal.contract import Entry
from conference.state import State

_Written = RecordCheckins | RecordMarks | ReportHeadcount | ReportPrecheck | SignOffReadiness | NoteReading
"""What commutes, and is written here."""


class FrontDesk:
    """A `conference.decider.Decider` for a gateway.

    Args:
        following: has the state.
        leader: decides.
        attendance: this gateway's partition.
        clock: milliseconds since the epoch.
    """

    def __init__(
        self,
        following: Following,
        leader: LeaderLink,
        attendance: AttendanceWriter,
        clock: Clock = wall_clock_ms,
    ) -> None:
        self._following = following
        self._leader = leader
        self._attendance = attendance
        self._clock = clock

    @property
    def state(self) -> State:
        """See `Decider`."""
        return self._following.state

    def now_ms(self) -> int:
        """See `Decider`."""
        return self._clock()

    async def settled(self) -> None:
        """See `Decider`."""
        await self._following.caught_up()

    async def execute(self, command: Command, actor: str) -> Sequence[Event]:
        """See `Decider`; what the leader decided is in the state, and its events are not repeated here."""
        if isinstance(command, _Written):
            return await self._write(command, actor)
        await self._following.reached(await self._leader.ask(_forwarded(command, actor)))
        return []

    async def _write(self, command: _Written, actor: str) -> list[Event]:
        """Write into this gateway's partition; in `state` it is once that was read."""
        if not isinstance(command, RecordCheckins):  # scans need not know what was before
            # What the hall reported before, here or elsewhere, is what this corrects.
            await self._following.caught_up()
        now_ms = max(self._clock(), self.state.newest_ms)
        events = decide(self.state, command, now_ms)
        if events:
            await self._attendance.append([Entry(at_ms=now_ms, actor=actor, event=event) for event in events])
        return events


def _forwarded(command: Command, actor: str) -> Forwarded:
    match command:
        case JoinHall(conference_id=conference_id, hall_id=hall_id, virtual=virtual):
            return ForwardedJoin(
                actor=actor, conference_id=conference_id, hall_id=hall_id, virtual=virtual, avoid=sorted(command.avoid)
            )
        case ReportMove(conference_id=conference_id, hall_id=hall_id, report=report):
            return ForwardedMove(actor=actor, conference_id=conference_id, hall_id=hall_id, report=report)
        case LeaveHall(conference_id=conference_id, hall_id=hall_id):
            return ForwardedLeave(actor=actor, conference_id=conference_id, hall_id=hall_id)
        case _:
            raise RejectedError("not_here", "a gateway takes what halls want; ask the coordinator", status=404)
