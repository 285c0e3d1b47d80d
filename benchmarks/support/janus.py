"""Janus as a server under test: its process with a streaming mountpoint, and its HTTP API as a signalling of the swarm.

Janus has no WHEP. A viewer creates a session, attaches to the streaming plugin, asks to watch, is sent an offer, and
answers it: the roles of SDP are the other way round than in WHEP, those of media and DTLS are the same.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import shutil
import socket
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import msgspec

from benchmarks.support.constant_programme import AUDIO_PAYLOAD_TYPE, VIDEO_PAYLOAD_TYPE
from benchmarks.support.processes import answers, end, free_port
from relay.core.ice import IceCredentials
from relay.swarm.errors import JoinError
from relay.swarm.signalling import Opened
from relay.wire.sdp import Fingerprint, SessionDescription, parse_session, serialize_session

MOUNTPOINT = 1
REQUEST_TIMEOUT_S = 20.0
PLUGINS = ("libjanus_streaming.so",)
TRANSPORTS = ("libjanus_http.so",)


class JanusUnderTest(msgspec.Struct, frozen=True):
    """A Janus process.

    Attributes:
        pid: of the process.
        url: of its HTTP API.
        audio_port: where it takes plain RTP.
        video_port: where it takes plain RTP.
    """

    pid: int
    url: str
    audio_port: int
    video_port: int


class JanusSignalling:
    """See `relay.swarm.signalling.Signalling`; the resource of a session is its address in the API."""

    def __init__(self, client: aiohttp.ClientSession, url: str) -> None:
        self._client = client
        self._url = url

    async def open(self, local: IceCredentials, fingerprint: str) -> Opened:
        """Watch the mountpoint, and answer the offer that comes."""
        try:
            async with asyncio.timeout(REQUEST_TIMEOUT_S):
                created = await self._ask(self._url, {"janus": "create"})
                session = f"{self._url}/{created['data']['id']}"
                attached = await self._ask(session, {"janus": "attach", "plugin": "janus.plugin.streaming"})
                handle = f"{session}/{attached['data']['id']}"
                await self._ask(handle, {"janus": "message", "body": {"request": "watch", "id": MOUNTPOINT}})
                offer = parse_session((await self._offered(session))["sdp"])
                jsep = {"type": "answer", "sdp": serialize_session(_answer(offer, local, fingerprint))}
                await self._ask(handle, {"janus": "message", "body": {"request": "start"}, "jsep": jsep})
        except TimeoutError:
            raise JoinError("Janus time-out") from None
        except (aiohttp.ClientError, OSError, KeyError) as error:
            raise JoinError(f"Janus {type(error).__name__}") from error
        return Opened(offer, session)

    async def close(self, opened: Opened) -> None:
        """Destroy the session, with everything in it."""
        with contextlib.suppress(aiohttp.ClientError, OSError, TimeoutError, JoinError):
            async with asyncio.timeout(REQUEST_TIMEOUT_S):
                await self._ask(opened.resource, {"janus": "destroy"})

    async def _ask(self, url: str, body: dict[str, Any]) -> dict[str, Any]:
        async with self._client.post(url, json={**body, "transaction": secrets.token_hex(6)}) as response:
            answer: dict[str, Any] = await response.json(content_type=None)
        if answer.get("janus") not in {"success", "ack"}:
            raise JoinError(f"Janus {answer.get('error', {}).get('code', 'refused')}")
        return answer

    async def _offered(self, session: str) -> dict[str, str]:
        """Wait, by long polls, for the event that carries the offer."""
        while True:
            async with self._client.get(session, params={"maxev": "1"}) as response:
                event: dict[str, Any] = await response.json(content_type=None)
            if isinstance(jsep := event.get("jsep"), dict):
                return {str(key): str(value) for key, value in jsep.items()}


def _answer(offer: SessionDescription, local: IceCredentials, fingerprint: str) -> SessionDescription:
    """Take everything that is offered, as DTLS client; our address is learnt from our checks."""
    media = tuple(
        msgspec.structs.replace(
            section,
            direction="recvonly",
            ice_ufrag=local.ufrag,
            ice_pwd=local.pwd,
            fingerprint=Fingerprint("sha-256", fingerprint),
            setup="active",
            candidates=(),
            ssrcs={},
            ssrc_groups=(),
            msid="",
            extmap={},
        )
        for section in offer.media
    )
    return msgspec.structs.replace(offer, media=media, ice_lite=False, ice_options=())


@contextlib.asynccontextmanager
async def janus_under_test(directory: Path, *, event_loops: int) -> AsyncIterator[JanusUnderTest]:
    """Start Janus on free loopback ports with one mountpoint for the constant programme.

    Args:
        directory: exists, for its configuration; nothing of the system's is read.
        event_loops: threads that serve peers; 0, the default of the package, makes one thread for each peer.

    Raises:
        RuntimeError: Janus or a C compiler is not installed, or it does not start.
    """
    janus, compiler = shutil.which("janus"), shutil.which("cc")
    if janus is None or compiler is None:
        raise RuntimeError("this benchmark needs Debian's packages `janus` and `gcc`")
    preload = directory / "loopback_interface.so"
    source = Path(__file__).with_name("loopback_interface.c")
    compiling = await asyncio.create_subprocess_exec(
        compiler, "-shared", "-fPIC", "-O2", "-o", str(preload), str(source), "-ldl"
    )
    if await compiling.wait() != 0:
        raise RuntimeError("the preloaded library does not compile")
    http_port, audio_port, video_port = free_port(), _free_udp_port(), _free_udp_port()
    _write_configuration(directory, _library(janus), event_loops, (http_port, audio_port, video_port))
    with (directory / "janus.log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            janus, "-F", str(directory), stdout=log, stderr=log, env={"LD_PRELOAD": str(preload)}
        )
    try:
        await answers(f"http://127.0.0.1:{http_port}/janus/info", process)
        yield JanusUnderTest(process.pid, f"http://127.0.0.1:{http_port}/janus", audio_port, video_port)
    finally:
        await end(process)


def _library(janus: str) -> Path:
    """Where the package keeps its plugins."""
    roots = [Path(janus).resolve().parents[1] / "lib"]
    for root in roots:
        for found in sorted(root.glob("*/janus")) + sorted(root.glob("janus")):
            if (found / "plugins").is_dir():
                return found
    raise RuntimeError("the plugins of Janus were not found")


def _free_udp_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _others(folder: Path, wanted: tuple[str, ...]) -> str:
    """Modules that are not loaded: fewer threads beside the one thing that is measured."""
    return ",".join(sorted(found.name for found in folder.glob("*.so") if found.name not in wanted))


def _write_configuration(directory: Path, library: Path, event_loops: int, ports: tuple[int, int, int]) -> None:
    http_port, audio_port, video_port = ports
    plugins, transports = library / "plugins", library / "transports"
    # Lite as the relay is: the checks then come from the viewers, who know their addresses best.
    (directory / "janus.jcfg").write_text(
        f"""general: {{
  configs_folder = "{directory}"
  plugins_folder = "{plugins}"
  transports_folder = "{transports}"
  events_folder = "{library / "events"}"
  loggers_folder = "{library / "loggers"}"
  debug_level = 2
  session_timeout = 0
  event_loops = {event_loops}
}}
media: {{ ipv6 = false }}
nat: {{ ice_lite = true, full_trickle = false, ice_enforce_list = "127.0.0.1" }}
plugins: {{ disable = "{_others(plugins, PLUGINS)}" }}
transports: {{ disable = "{_others(transports, TRANSPORTS)}" }}
loggers: {{ disable = "{_others(library / "loggers", ())}" }}
events: {{ broadcast = false }}
""",
        encoding="utf-8",
    )
    (directory / "janus.transport.http.jcfg").write_text(
        f"""general: {{ json = "compact", base_path = "/janus", http = true, port = {http_port}, ip = "127.0.0.1" }}
admin: {{ admin_http = false }}
""",
        encoding="utf-8",
    )
    (directory / "janus.plugin.streaming.jcfg").write_text(
        f"""general: {{ }}
programme: {{
  type = "rtp"
  id = {MOUNTPOINT}
  description = "programme"
  media = (
    {{ type = "audio", mid = "a", label = "audio", iface = "lo",
       port = {audio_port}, pt = {AUDIO_PAYLOAD_TYPE}, codec = "opus" }},
    {{ type = "video", mid = "v", label = "video", iface = "lo",
       port = {video_port}, pt = {VIDEO_PAYLOAD_TYPE}, codec = "vp8" }}
  )
}}
""",
        encoding="utf-8",
    )
