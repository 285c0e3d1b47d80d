"""A WHIP and WHEP peer for tests, made of real aiortc connections, and a coordinator of five calls."""

import asyncio
import base64
import contextlib
import json
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field

import msgspec
from aiohttp import web
from aiortc import RTCPeerConnection, RTCSessionDescription
from aiortc.mediastreams import MediaStreamError, MediaStreamTrack
from av import VideoFrame
from support.assignments import access, assignment

from bridges.decoding import luma_of
from bridges.messages import HeadcountReport, IceServer, JoinRequest, MovedReport, RelayAccess
from bridges.peer import close_peer, gather_on_loopback, new_peer_connection
from bridges.programme import Programme
from bridges.source import Kind
from bridges.timecode import Timecode, read_timecode


def link_of(base_url: str) -> str:
    """A hall's link; nobody verifies this token."""
    payload = base64.urlsafe_b64encode(b'{"sub":"h1","role":"hall","hall":"h1","conference":"c","exp":1}').decode()
    return f"{base_url}/hall#token=e30.{payload.rstrip('=')}.c2ln"


async def until(state: Callable[[], bool], *, seconds: float = 40, say: Callable[[], object] = lambda: "") -> None:
    """Wait for a state of the other side, which sends no event of its own; on failure `say` tells how things stand."""
    deadline = asyncio.get_running_loop().time() + seconds
    while not state():
        assert asyncio.get_running_loop().time() < deadline, f"it did not become so in {seconds} s: {say()}"
        await asyncio.sleep(0.02)


@dataclass
class Switch:
    """Whether media flow: `live` of the whole relay, `active` of one session."""

    live: bool = True


class Gated(MediaStreamTrack):
    """The test programme as a track that drops its media while its session is on standby or its relay is silent."""

    def __init__(self, kind: Kind, relay: Switch, session: Switch) -> None:
        super().__init__()
        self.kind: Kind = kind
        self._source = Programme(fps=15)
        self._relay = relay
        self._session = session

    async def recv(self) -> object:  # type: ignore[override] # the same frames
        """Return the next frame that may pass."""
        while self.readyState == "live":
            media = await self._source.next_media(self.kind)
            if self._relay.live and self._session.live:
                return media
        raise MediaStreamError


@dataclass
class Played:
    """One WHEP session of the test relay."""

    peer: RTCPeerConnection
    switch: Switch
    events: asyncio.Queue[str] = field(default_factory=asyncio.Queue)


class TestRelay:
    """One relay at 127.0.0.1."""

    __test__ = False

    def __init__(self) -> None:
        self.switch = Switch()
        self.played: dict[str, Played] = {}
        self.deleted = 0
        self.published: list[RTCPeerConnection] = []
        self.timecodes: asyncio.Queue[Timecode] = asyncio.Queue()
        self.sounds = 0
        self.keyframes = 0
        self.sdp: list[str] = []
        self.refuse_with = 0
        self.refuse_code = ""
        self.base_url = ""
        self._runner: web.AppRunner | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._number = 0

    async def start(self, port: int = 0) -> None:
        """Listen."""
        app = web.Application()
        app.add_routes(
            [
                web.post("/c/program/whip", self._whip),
                web.options("/c/program/whip", self._options),
                web.delete("/c/program/whip/{id}", self._delete),
                web.post("/c/program/whep", self._whep),
                web.delete("/c/program/whep/{id}", self._delete),
                web.put("/c/program/whep/{id}/state", self._state),
                web.get("/c/program/whep/{id}/events", self._events),
            ]
        )
        self._runner = web.AppRunner(app, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", port)
        await site.start()
        self.base_url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"

    def access(self, relay_id: str) -> RelayAccess:
        """What the coordinator hands out."""
        return access(relay_id, f"{self.base_url}/c/program/whep")

    async def kill(self) -> None:
        """Die: no HTTP, no media. Peers are told nothing by HTTP; their UDP port goes silent."""
        runner, self._runner = self._runner, None
        self.switch.live = False
        for played in self.played.values():
            played.events.put_nowait("")
        if runner is not None:
            await runner.cleanup()
        await asyncio.gather(*(close_peer(peer) for peer in self.published))
        self.published.clear()

    async def close(self) -> None:
        """Clean up."""
        await self.kill()
        await asyncio.gather(*(close_peer(played.peer) for played in self.played.values()))
        self.played.clear()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _answer(self, request: web.Request, peer: RTCPeerConnection, sdp: str) -> str:
        assert request.headers["Authorization"].startswith("Bearer ")
        assert request.content_type == "application/sdp"
        gather_on_loopback(peer)
        await peer.setLocalDescription(await peer.createAnswer())
        self.sdp.append(sdp)
        return str(peer.localDescription.sdp)

    async def _options(self, _request: web.Request) -> web.Response:
        return web.Response(status=204)

    async def _whip(self, request: web.Request) -> web.Response:
        if self.refuse_with and self.refuse_code:
            problem = {"code": self.refuse_code, "detail": "no"}
            return web.json_response(problem, status=self.refuse_with, content_type="application/problem+json")
        if self.refuse_with:
            return web.Response(status=self.refuse_with)
        sdp = await request.text()
        peer = new_peer_connection()
        self.published.append(peer)
        peer.on("track", self._watch)
        await peer.setRemoteDescription(RTCSessionDescription(sdp=sdp, type="offer"))
        answer = await self._answer(request, peer, sdp)
        self._number += 1
        headers = {"Location": f"/c/program/whip/p{self._number}", "Content-Type": "application/sdp"}
        return web.Response(status=201, body=answer.encode(), headers=headers)

    def _watch(self, track: MediaStreamTrack) -> None:
        task = asyncio.create_task(self._read(track))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _read(self, track: MediaStreamTrack) -> None:
        while True:
            try:
                frame = await track.recv()
            except MediaStreamError:
                return
            if not isinstance(frame, VideoFrame):
                self.sounds += 1
                continue
            self.keyframes += frame.key_frame
            if (timecode := read_timecode(luma_of(frame))) is not None:
                self.timecodes.put_nowait(timecode)

    async def _whep(self, request: web.Request) -> web.Response:
        if self.refuse_with:
            return web.Response(status=self.refuse_with, headers={"Retry-After": "1"})
        sdp = await request.text()
        peer = new_peer_connection()
        played = Played(peer, Switch(live="standby" not in request.query))
        self._number += 1
        session_id = f"s{self._number}"
        self.played[session_id] = played
        await peer.setRemoteDescription(RTCSessionDescription(sdp=sdp, type="offer"))
        for transceiver in peer.getTransceivers():
            kind: Kind = "video" if transceiver.kind == "video" else "audio"
            transceiver.sender.replaceTrack(Gated(kind, self.switch, played.switch))
            transceiver.direction = "sendonly"
        answer = await self._answer(request, peer, sdp)
        location = f"/c/program/whep/{session_id}"
        response = web.Response(status=201, body=answer.encode(), content_type="application/sdp")
        response.headers["Location"] = location
        response.headers.add("Link", f'<{location}/state>; rel="urn:diemcau:whep:ext:state"')
        response.headers.add(
            "Link", f'<{location}/events>; rel="urn:ietf:params:whep:ext:core:server-sent-events"; events="assignment"'
        )
        return response

    async def _state(self, request: web.Request) -> web.Response:
        played = self.played.get(request.match_info["id"])
        if played is None:
            return web.Response(status=404)
        played.switch.live = json.loads(await request.text())["state"] == "active"
        return web.Response(status=204)

    async def _events(self, request: web.Request) -> web.StreamResponse:
        played = self.played[request.match_info["id"]]
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        while name := await played.events.get():
            await response.write(f"event: {name}\ndata: {{}}\n\n".encode())
        return response

    async def _delete(self, request: web.Request) -> web.Response:
        self.deleted += 1
        played = self.played.pop(request.match_info["id"], None)
        if played is not None:
            await close_peer(played.peer)
        return web.Response(status=200)


@contextlib.asynccontextmanager
async def running_relays(count: int) -> AsyncIterator[list[TestRelay]]:
    """So many relays with one programme each."""
    relays = [TestRelay() for _ in range(count)]
    for relay in relays:
        await relay.start()
    try:
        yield relays
    finally:
        for relay in relays:
            await relay.close()


class TestCoordinator:
    """The five calls of a hall, answered from a settable assignment."""

    __test__ = False

    def __init__(self, primary: RelayAccess, backup: RelayAccess | None) -> None:
        self.primary = primary
        self.backup = backup
        self.ice_servers: list[IceServer] = []
        self.epoch = 1
        self.spare: RelayAccess | None = None
        self.joins: list[JoinRequest] = []
        self.moves: asyncio.Queue[MovedReport] = asyncio.Queue()
        self.headcounts: asyncio.Queue[HeadcountReport] = asyncio.Queue()
        self.leaves = 0
        self.refuse_with: tuple[int, str] | None = None
        self.base_url = ""
        self._runner: web.AppRunner | None = None

    async def start(self) -> None:
        """Listen."""
        app = web.Application()
        app.add_routes(
            [
                web.post("/api/v1/halls/join", self._join),
                web.get("/api/v1/halls/assignment", self._assignment),
                web.post("/api/v1/halls/moved", self._moved),
                web.post("/api/v1/halls/headcount", self._headcount),
                web.post("/api/v1/halls/leave", self._leave),
            ]
        )
        self._runner = web.AppRunner(app, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.base_url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"

    async def close(self) -> None:
        """Clean up."""
        if self._runner is not None:
            await self._runner.cleanup()

    def _reply(self) -> web.Response:
        now = assignment(self.primary, self.backup, epoch=self.epoch, ice_servers=self.ice_servers)
        return web.Response(body=msgspec.json.encode(now), content_type="application/json")

    async def _join(self, request: web.Request) -> web.Response:
        if self.refuse_with is not None:
            status, code = self.refuse_with
            return web.json_response({"code": code, "detail": "no"}, status=status)
        self.joins.append(msgspec.json.decode(await request.read(), type=JoinRequest))
        return self._reply()

    async def _assignment(self, _request: web.Request) -> web.Response:
        return self._reply()

    async def _moved(self, request: web.Request) -> web.Response:
        report = msgspec.json.decode(await request.read(), type=MovedReport)
        self.moves.put_nowait(report)
        known = [known for known in (self.primary, self.backup, self.spare) if known is not None]
        here = next(access for access in known if access.relay_id == report.to_relay)
        others = [access for access in known if access.relay_id not in {report.to_relay, report.from_relay}]
        self.primary, self.backup, self.epoch = here, others[0] if others else None, self.epoch + 1
        return self._reply()

    async def _headcount(self, request: web.Request) -> web.Response:
        self.headcounts.put_nowait(msgspec.json.decode(await request.read(), type=HeadcountReport))
        return web.Response(status=204)

    async def _leave(self, _request: web.Request) -> web.Response:
        self.leaves += 1
        return web.Response(status=204)
