"""A hall's requests to the coordinator within the simulation: what `bridges.hall_api` sends, without HTTP.

A request crosses the hall's line, is carried out by the coordinator's own code in the coordinator's program, and the
answer crosses back. What a hall would see as a refusal or as no answer is the same `HallApiError`.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

from bridges.errors import HallApiError
from bridges.hall_api import REQUEST_TIMEOUT_S
from bridges.messages import Assignment, MovedReport, RelayAccess
from conference.commands import Command, JoinHall, ReportMove
from conference.coordinator import Coordinator
from conference.errors import ConferenceError, RejectedError
from conference.lookup import joinable_conference_of, seat_of
from conference.relay_desk import RelayDesk
from conference.simulation.lines import Lines, UnreachableError
from conference.simulation.programs import Program

T = TypeVar("T")

_CENTRE = ""


class Serving:
    """A coordinator that runs: its parts and its program."""

    def __init__(self, coordinator: Coordinator, desk: RelayDesk, program: Program) -> None:
        self.coordinator = coordinator
        self.desk = desk
        self.program = program


class HallDoor:
    """Where all halls ask.

    Args:
        conference_id: the one conference.
        lines: what requests cross.
        serving: the coordinator of the moment, None while none runs.
        decision_s: what each request costs the coordinator's one processor.
    """

    def __init__(
        self, conference_id: str, lines: Lines, serving: Callable[[], Serving | None], *, decision_s: float = 0.0
    ) -> None:
        self._conference_id = conference_id
        self._lines = lines
        self._serving = serving
        self._decision_s = decision_s
        self._busy_until_s = 0.0

    async def join(self, hall_id: str, region: str, avoid: Sequence[str]) -> Assignment:
        """`POST /halls/join`. All calls raise HallApiError when refused or not answered."""

        def command(serving: Serving) -> Command:
            return JoinHall(
                conference_id=self._conference_id, hall_id=hall_id, virtual=True, avoid=serving.desk.avoid.union(avoid)
            )

        return await self._ask(hall_id, region, command)

    async def assignment(self, hall_id: str, region: str) -> Assignment:
        """`GET /halls/assignment`."""
        return await self._ask(hall_id, region, None)

    async def moved(self, hall_id: str, region: str, report: MovedReport) -> Assignment:
        """`POST /halls/moved`."""

        def command(serving: Serving) -> Command:
            return ReportMove(
                conference_id=self._conference_id, hall_id=hall_id, report=report, avoid=serving.desk.avoid
            )

        return await self._ask(hall_id, region, command)

    async def _ask(self, hall_id: str, region: str, command: Callable[[Serving], Command] | None) -> Assignment:
        async def carry_out(serving: Serving) -> Assignment:
            if command is None:
                await serving.coordinator.settled()
            else:
                await serving.coordinator.execute(command(serving), f"hall:{hall_id}")
            return self._assignment(serving, hall_id)

        try:
            async with asyncio.timeout(REQUEST_TIMEOUT_S):
                await self._lines.cross(region, _CENTRE, REQUEST_TIMEOUT_S)
                answer = await self._serve(carry_out)
                await self._lines.cross(_CENTRE, region, REQUEST_TIMEOUT_S)
                return answer
        except ConferenceError as error:
            # Retry-After counts in whole seconds (RFC 9110, 10.2.3).
            retry_after_s = math.ceil(error.retry_after_s) if isinstance(error, RejectedError) else 0
            raise HallApiError(error.code, str(error), status=error.status, retry_after_s=retry_after_s) from error
        except (UnreachableError, TimeoutError) as error:
            raise HallApiError("unreachable", "no answer from the coordinator") from error

    async def _serve(self, carry_out: Callable[[Serving], Awaitable[T]]) -> T:
        serving = self._serving()
        if serving is None:
            raise UnreachableError("connection refused")

        async def work() -> T:
            if self._decision_s:
                now_s = asyncio.get_running_loop().time()
                self._busy_until_s = max(now_s, self._busy_until_s) + self._decision_s
                await asyncio.sleep(self._busy_until_s - now_s)
            return await carry_out(serving)

        task = serving.program.start(work())
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            if serving.program.is_alive:
                raise  # the hall does not wait any longer; the coordinator goes on
            raise UnreachableError("the coordinator died") from None

    def _assignment(self, serving: Serving, hall_id: str) -> Assignment:
        """As `conference.api.hall_session` answers, without tokens: nobody would look at them here."""
        state = serving.coordinator.state
        conference, hall = joinable_conference_of(state, self._conference_id), state.halls[hall_id]
        seat = seat_of(conference, hall_id)
        return Assignment(
            hall_id=hall_id,
            hall_name=hall.name,
            conference_id=self._conference_id,
            conference_title=conference.title,
            phase=conference.phase,
            feed=conference.feeds[0],
            epoch=seat.epoch,
            primary=_access(seat.primary),
            backup=_access(seat.backup) if seat.backup else None,
        )


def _access(relay_id: str) -> RelayAccess:
    return RelayAccess(relay_id=relay_id, whep_url="", token="", expires_at_ms=0)
