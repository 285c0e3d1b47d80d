"""The demo's story, from empty to the flash report: who is started when, what is waited for, what is measured.

Owns: the order of steps, the one kill, the verdict. Whatever happens, also Ctrl-C, every child is ended and the
temporary directory is gone afterwards.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import tempfile
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

import msgspec
import typer

from bridges.attendance import AttendanceRow
from bridges.halls import Hall
from bridges.importing import serialize_halls_csv
from bridges.unit_tables import serialize_units_csv
from bridges.units import Unit
from bridges.vietnam import load_vietnam_units
from conference.api_client import ApiClient, ApiUnreachableError, Document, whip_urls_of
from conference.demo.country import RelaySpot, real_halls, real_relays, virtual_halls, virtual_relays
from conference.demo.figures import DemoFigures, HallFigures, add_hall_figures, choose_victim, depth_of, describe
from conference.demo.measuring import cpu_s, metric_total, peak_rss_mb
from conference.demo.options import DemoOptions
from conference.demo.stage import PUBLISHER, VIRTUAL, Stage, open_stage
from conference.demo.view import DemoView
from conference.errors import ConferenceError
from conference.starting import wait_ready
from conference.supervision import Program, ProgramDiedError

CONFERENCE = "demo"
FEED = "program"
POLL_S = 0.5
# Media and joins on a small machine that is starting a dozen programs at once.
FIRST_PICTURE_TIMEOUT_S = 60.0
RETURN_TIMEOUT_S = 20.0
SUMMARY_GRACE_S = 20.0
STOP_GRACE_S = 5.0
LINKS_PER_REQUEST = 1_000  # ids of 64 letters at most, within the API's 64 KiB

Verdict = tuple[DemoFigures | None, list[str]]


class DemoFailedError(ConferenceError):
    """The demo did not come so far; the sentence says what was waited for."""

    code = "demo_failed"
    status = 500


def run_demo(options: DemoOptions, *, quiet: bool) -> Verdict:
    """Run a demo to its end.

    Args:
        options: its sizes.
        quiet: true when a program reads stdout: the report is left out there.

    Returns:
        The figures (None when it did not come so far) and why the demo counts as failed, if it does.

    Raises:
        DemoOptionsError: the sizes make no sense.
        OSError: no room for files or processes.
    """
    options.check()
    return asyncio.run(_run(options, quiet=quiet))


async def _run(options: DemoOptions, *, quiet: bool) -> Verdict:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    view = DemoView(quiet=quiet)
    with tempfile.TemporaryDirectory(prefix="diemcau-demo-") as folder:
        stage = await open_stage(Path(folder))
        try:
            async with ApiClient(stage.coordinator_url, stage.organiser_token) as api:
                demo = Demo(options, stage, api, view, stop, quiet=quiet)
                return await _until(stop, options, stage.supervisor.guard(demo.play()))
        except ProgramDiedError as error:
            return None, [str(error), *([error.last_words] if error.last_words else [])]
        except ConferenceError as error:
            return None, [str(error)]
        finally:
            view.close()
            await stage.supervisor.stop_all(grace_s=STOP_GRACE_S)


async def _until(stop: asyncio.Event, options: DemoOptions, play: Awaitable[Verdict]) -> Verdict:
    """Play to the end; Ctrl-C breaks off a demo that has an end, and ends in order one that has none."""
    playing = asyncio.ensure_future(play)
    stopping = asyncio.create_task(stop.wait())
    try:
        await asyncio.wait({playing, stopping}, return_when=asyncio.FIRST_COMPLETED)
        if playing.done() or options.seconds == 0:
            return await playing
        return None, ["bị ngắt (interrupted)"]
    finally:
        for task in (playing, stopping):
            task.cancel()
        await asyncio.gather(playing, stopping, return_exceptions=True)


class Demo:
    """One demo, step by step.

    Args:
        options: sizes.
        stage: the programs.
        api: client of an organiser.
        view: where progress is shown.
        stop: set by Ctrl-C.
        quiet: leave the report out.
    """

    def __init__(
        self,
        options: DemoOptions,
        stage: Stage,
        api: ApiClient,
        view: DemoView,
        stop: asyncio.Event,
        *,
        quiet: bool,
    ) -> None:
        self._options = options
        self._stage = stage
        self._api = api
        self._view = view
        self._stop = stop
        self._quiet = quiet
        self._figures = DemoFigures()
        self._failures: list[str] = []
        self._real: list[Hall] = []
        self._virtual: list[Hall] = []
        self._virtual_spots: list[RelaySpot] = []
        self._served: set[str] = set()

    async def play(self) -> Verdict:
        """Play the whole story.

        Returns:
            The figures, and why it counts as failed.

        Raises:
            ConferenceError: a step could not be done.
        """
        units = load_vietnam_units()
        spots = real_relays(units, self._options.relays)
        self._real = real_halls(units, spots, self._options.halls)
        self._virtual = virtual_halls(units, self._options.virtual, self._options.seed) if self._options.virtual else []
        self._virtual_spots = virtual_relays(units) if self._virtual else []
        await self._prepare(units, spots)
        await self._open()
        started = time.monotonic()
        await self._live(started)
        self._figures.seconds = round(time.monotonic() - started, 1)
        await self._measure_api()
        await self._end()
        return self._figures, self._failures

    async def _prepare(self, units: Sequence[Unit], spots: Sequence[RelaySpot]) -> None:
        """Start the coordinator and the real relays, import the country."""
        self._view.step("Khởi động máy chủ điều phối", "starting the coordinator")
        await wait_ready(self._stage.coordinator_url, "coordinator")
        self._view.step(
            f"Nhập 34 tỉnh, thành và {len(self._real)} điểm cầu thật, {len(self._virtual)} điểm cầu ảo",
            "importing units, real halls and virtual halls",
        )
        await self._api.import_units(serialize_units_csv(units, language="en"))
        await self._api.import_halls(serialize_halls_csv([*self._real, *self._virtual], language="en"))
        await self._api.create_conference(CONFERENCE, "Hội nghị thử toàn quốc", [FEED])
        self._view.step(f"Khởi động {len(spots)} trạm chuyển tiếp thật", "starting real relays")
        await self._stage.start_relays(spots)
        await self._wait("all real relays to register", self._relays_registered)

    async def _relays_registered(self) -> bool:
        live = [r for r in await self._api.relays() if r.get("status") == "live" and not r.get("virtual")]
        return len(live) >= len(self._stage.relays)

    async def _virtual_relays_registered(self) -> bool:
        live = [r for r in await self._api.relays() if r.get("connected") and r.get("virtual")]
        return len(live) >= len(self._virtual_spots)

    async def _open(self) -> None:
        """Open the conference, publish, join the real halls and wait until each is present and each relay there."""
        await self._api.change_phase(CONFERENCE, "open")
        links: dict[str, str] = {}
        hall_ids = [hall.hall_id for hall in [*self._real, *self._virtual]]
        for first in range(0, len(hall_ids), LINKS_PER_REQUEST):
            links.update(await self._api.hall_links(hall_ids[first : first + LINKS_PER_REQUEST], CONFERENCE))
        self._view.step("Phát chương trình thử và kết nối các điểm cầu thật", "publishing, joining real halls")
        publisher = await self._api.authorise_publisher(CONFERENCE, FEED)
        await self._stage.start_publisher(whip_urls_of(publisher), str(publisher["token"]))
        await self._stage.start_halls(self._real, links, self._options.seed)
        try:
            await self._wait("all real halls to receive the picture", self._real_halls_present)
        except DemoFailedError as error:
            raise DemoFailedError(f"{error}{await self._missing()}") from error
        if self._virtual:
            self._view.step(f"Khởi động {len(self._virtual_spots)} trạm ảo", "starting virtual relays")
            await self._stage.start_virtual(
                self._virtual_spots, self._virtual, links, arrival_s=self._options.arrival_s, seed=self._options.seed
            )
            await self._wait("all virtual relays to register", self._virtual_relays_registered)

    async def _missing(self) -> str:
        """Which real halls have no picture, where they were sent, and their last words."""
        halls = await self._api.halls(conference=CONFERENCE)
        lines = [
            f"  {hall['hall_id']}: {hall.get('status')}, {hall.get('primary')} | {hall.get('backup')}"
            f"{_because(self._stage.halls[str(hall['hall_id'])])}"
            for hall in halls
            if str(hall["hall_id"]) in self._stage.halls and hall.get("status") != "present"
        ]
        others = [self._stage.coordinator, self._stage.supervisor.programs[PUBLISHER], *self._stage.relays.values()]
        return "\n" + "\n".join([*lines, *(f"  {program.name}{_because(program)}" for program in others)])

    async def _real_halls_present(self) -> bool:
        present = await self._api.halls(conference=CONFERENCE, status="present")
        return len([hall for hall in present if not hall.get("virtual")]) >= len(self._real)

    async def _live(self, started: float) -> None:
        """The live time: virtual halls arrive, one relay is killed, its halls return."""
        await self._api.change_phase(CONFERENCE, "live")
        self._view.step("Khai mạc", "live")
        if self._virtual:
            self._stage.let_virtual_halls_come()
        if not self._quiet or self._options.seconds == 0:
            page = f"{self._stage.coordinator_url}/live#token={self._stage.operator_token}"
            typer.echo(f"Bảng trực tiếp (live page): {page}", err=self._quiet)
        await self._watch(started + self._options.kill_at_s)
        await self._read_tree()
        await self._kill()
        await self._watch(started + self._options.seconds if self._options.seconds else None)

    async def _watch(self, until: float | None) -> None:
        """Follow the totals until a moment of the monotonic clock, or until Ctrl-C; keep the peak."""
        while not self._stop.is_set() and (until is None or time.monotonic() < until):
            totals = dict((await self._api.conference(CONFERENCE)).get("totals") or {})
            present = int(totals.get("present", 0))
            self._figures.halls_present_peak = max(self._figures.halls_present_peak, present)
            self._view.show(
                có_mặt_present=str(present),
                chờ_waiting=str(totals.get("waiting", "")),
                mất_kết_nối_lost=str(totals.get("lost", "")),
                điểm_cầu_thật_real=str(len(self._real)),
                điểm_cầu_ảo_virtual=str(totals.get("virtual_halls", "")),
            )
            pause_s = POLL_S if until is None else min(POLL_S, max(0.0, until - time.monotonic()))
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stop.wait(), pause_s)

    async def _read_tree(self) -> None:
        relays = await self._api.relays()
        live = [relay for relay in relays if relay.get("status") == "live"]
        self._figures.relays = sum(1 for relay in live if not relay.get("virtual"))
        self._figures.relays_virtual = sum(1 for relay in live if relay.get("virtual"))
        self._figures.tree_depth = depth_of(relays)

    async def _kill(self) -> None:
        """Kill the edge that serves most real halls, and wait until each of them plays from another relay."""
        halls = await self._api.halls(conference=CONFERENCE)
        victim = choose_victim(await self._api.relays(), halls)
        if self._stop.is_set():
            return
        if not victim:
            self._view.step(
                "Không có trạm nào để ngắt mà điểm cầu còn dự phòng", "no relay to kill: no hall has a backup"
            )
            return
        served = {str(h["hall_id"]) for h in halls if h.get("primary") == victim and not h.get("virtual")}
        self._figures.killed_relay, self._served = victim, served
        self._view.step(
            f"Ngắt đột ngột {victim}, đang phục vụ {len(served)} điểm cầu thật", "killing a relay (SIGKILL)"
        )
        self._stage.relays[victim].signal(signal.SIGKILL)
        killed = time.monotonic()

        async def returned() -> bool:
            now = {str(h["hall_id"]): h for h in await self._api.halls(conference=CONFERENCE)}
            return all(
                now[hall_id].get("status") == "present" and now[hall_id].get("primary") != victim for hall_id in served
            )

        try:
            await self._wait(f"the halls of {victim} to return", returned, timeout_s=RETURN_TIMEOUT_S)
        except DemoFailedError as error:
            self._failures.append(str(error))
            return
        took_s = time.monotonic() - killed
        self._view.step(
            f"{len(served)} điểm cầu đã có hình trở lại", f"all are back and known to be, after {took_s:.1f} s"
        )

    async def _measure_api(self) -> None:
        """Read the figures that exist only while everything runs."""
        figures, stage = self._figures, self._stage
        registered = await self._api.halls(conference=CONFERENCE)
        figures.halls_registered = len(registered)
        figures.halls_virtual = sum(1 for hall in registered if hall.get("virtual"))
        figures.halls_real = figures.halls_registered - figures.halls_virtual
        lost = [h for h in registered if not h.get("virtual") and h.get("status") != "present"]
        self._failures += [f"điểm cầu thật (real hall) {h['hall_id']} is {h.get('status')} at the end" for h in lost]
        attendance = msgspec.convert((await self._api.attendance(CONFERENCE))["total"], AttendanceRow)
        real, made_up = attendance.real.headcount, attendance.virtual.headcount
        figures.delegates_summoned, figures.delegates_summoned_real = real.summoned + made_up.summoned, real.summoned
        figures.delegates_present, figures.delegates_present_real = real.present + made_up.present, real.present
        figures.journal_events = int(
            metric_total(await self._api.metrics(), "diemcau_coordinator_journal_events_total")
        )
        figures.coordinator_rss_mb = peak_rss_mb(stage.coordinator.pid)
        figures.coordinator_cpu_s = cpu_s(stage.coordinator.pid)

    async def _end(self) -> None:
        """End the conference, print its flash report, and collect what the halls saw."""
        programs = self._stage.supervisor.programs
        leaving = [*self._stage.halls.values(), *([programs[VIRTUAL]] if VIRTUAL in programs else [])]
        # The end reaches halls and publisher as well: from here on they may end by themselves.
        for program in [*leaving, programs[PUBLISHER]]:
            program.is_expected_to_end = True
        self._view.close()
        self._view.step("Kết thúc hội nghị, lập báo cáo nhanh", "ending, flash report")
        await self._api.change_phase(CONFERENCE, "ended")
        if not self._quiet:
            typer.echo((await self._api.report(CONFERENCE, "text")).decode())
        stubborn = await self._stage.supervisor.stop(leaving, grace_s=SUMMARY_GRACE_S)
        self._failures += [f"{program.name} did not end when asked to" for program in stubborn]
        self._read_summaries()
        if not self._quiet:
            typer.echo(describe(self._figures))

    def _read_summaries(self) -> None:
        summaries: list[HallFigures] = []
        for hall_id, program in self._stage.halls.items():
            try:
                summary = msgspec.json.decode(program.last_line(), type=HallFigures)
            except msgspec.DecodeError:
                self._failures.append(f"{hall_id} left no summary{_because(program)}")
                continue
            summaries.append(summary)
            if summary.frames_decoded == 0:
                self._failures.append(f"điểm cầu thật (real hall) {hall_id} decoded no picture")
        add_hall_figures(self._figures, summaries, self._served)
        virtual = self._stage.supervisor.programs.get(VIRTUAL)
        if virtual is not None:
            try:
                answer = msgspec.json.decode(virtual.last_line(), type=Document)
            except msgspec.DecodeError:
                self._failures.append(f"the virtual halls left no summary{_because(virtual)}")
                return
            p99 = answer.get("reply_ms_p99")
            self._figures.joins_reply_ms_p99 = round(float(p99), 1) if isinstance(p99, int | float) else None

    async def _wait(
        self, what: str, is_so: Callable[[], Awaitable[bool]], *, timeout_s: float = FIRST_PICTURE_TIMEOUT_S
    ) -> None:
        """Wait until the API says that something is so.

        Raises:
            DemoFailedError: it did not become so in time, or Ctrl-C was pressed.
        """
        deadline = time.monotonic() + timeout_s
        while True:
            with contextlib.suppress(ApiUnreachableError):
                if await is_so():
                    return
            if self._stop.is_set():
                raise DemoFailedError("bị ngắt (interrupted)")
            if time.monotonic() > deadline:
                raise DemoFailedError(f"waited {timeout_s:.0f} s in vain for {what}")
            await asyncio.sleep(0.2)


def _because(program: Program) -> str:
    words = program.last_words()
    return f": {words.splitlines()[-1]}" if words else ""
