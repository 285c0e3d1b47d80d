"""Fuzz JSON messages and bodies: any bytes are taken or refused as typed, by every program that reads them.

A relay's message goes through the gateway into a decision, and a decision into a journal and a snapshot that must be
readable again. A body goes through each route of the API. The coordinator's answers go to a hall and to a relay.

Run `PYTHONPATH=. python tests/fuzz/fuzz_json.py tests/fuzz/corpus/json -atheris_runs=20000`; new inputs land in the
corpus folder. `test_fuzz_messages.py` runs the committed corpus.
"""

from __future__ import annotations

import random
from typing import Any, cast

import msgspec
from aiohttp import ClientSession, WSMessage, WSMsgType, web
from instrumenting import fuzz, instrumented

with instrumented(__name__, "bridges", "conference", "relay"):
    from bridges.errors import HallApiError
    from bridges.hall_api import HallApi
    from bridges.halls import Hall
    from bridges.messages import Assignment, HeadcountReport, JoinRequest, MovedReport
    from conference.api.bodies import decode_body
    from conference.api.conferences import ConferenceDraft, PhaseRequest, PublisherRequest
    from conference.api.problems import RequestError, problem_of
    from conference.api.routing import JSON
    from conference.api.server import api_routes
    from conference.commands import (
        AuthorisePublisher,
        ChangePhase,
        Command,
        CreateConference,
        JoinHall,
        ObservePresence,
        RegisterRelay,
        ReportHeadcount,
        ReportMove,
    )
    from conference.decide import decide
    from conference.errors import RejectedError
    from conference.events import ConferenceCreated, Event, HallsImported, PhaseChanged
    from conference.gateway import WebSocketChannel
    from conference.policy import Policy
    from conference.snapshot import decode_state, encode_state, fingerprint
    from conference.state import State, apply
    from relay.core.presence_outbox import PresenceOutbox
    from relay.messages import Capacity, PresenceBatch, Register, RelayMessage
    from relay.net.control import ControlError, Controlled, ControlLink, OpenControl

AT_MS = 1_700_000_000_000
CONFERENCE, HALL, RELAY = "hn", "A-1", "tram-1"
EVENTS = msgspec.json.Decoder(Event)


def image() -> bytes:
    """A live conference with one hall, seated at one of two relays."""
    state = State(Policy())
    events: list[Event] = [
        HallsImported(halls=[Hall(hall_id=HALL, name="A", unit="01", level="commune", seats=60)]),
        ConferenceCreated(conference_id=CONFERENCE, title="Hội nghị", feeds=["program"]),
        PhaseChanged(conference_id=CONFERENCE, phase="live"),
    ]
    for event in events:
        apply(state, event, AT_MS)
    for relay_id in (RELAY, "tram-2"):
        register = Register(
            relay_id=relay_id,
            instance_id="one",
            region="",
            role="edge",
            virtual=False,
            base_url="http://relay.test",
            metrics_url="http://relay.test/metrics",
            capacity=Capacity(bits_per_s=10**9, packets_per_s=10**5),
            sessions=[],
        )
        for event in decide(state, RegisterRelay(register=register), AT_MS):
            apply(state, event, AT_MS)
    for event in decide(state, JoinHall(conference_id=CONFERENCE, hall_id=HALL, virtual=False), AT_MS):
        apply(state, event, AT_MS)
    return encode_state(state)


class Socket:
    """Notes with what the gateway closes it."""

    def __init__(self) -> None:
        self.closed_with = 0

    async def close(self, *, code: int, message: bytes) -> None:
        """The reason must fit into a close frame (RFC 6455 section 5.5)."""
        assert len(message) <= 123
        self.closed_with = code


IMAGE = image()
RELAY_MESSAGES = msgspec.json.Decoder(RelayMessage)
ROUTES = [route for route in api_routes() if route.takes_body and route.request_media == JSON]
DECODERS = [msgspec.json.Decoder(route.request) for route in ROUTES]
HALL_API = HallApi(cast("ClientSession", None), "http://coordinator.test", "token")
LINK = ControlLink(
    cast("OpenControl", None),
    cast("Controlled", None),
    PresenceOutbox(),
    rng=random.Random(1),
)


def read_as_gateway(data: bytes) -> RelayMessage | None:
    """What the gateway makes of a relay's frame; its coroutine has nothing to wait for."""
    socket = Socket()
    channel = WebSocketChannel(cast("web.WebSocketResponse", socket), RELAY_MESSAGES, lambda: None)
    coroutine = channel.parse(WSMessage(WSMsgType.BINARY, data, None))
    try:
        coroutine.send(None)
    except StopIteration as stop:
        message = cast("RelayMessage | None", stop.value)
    else:
        raise AssertionError("the gateway waits for something")
    assert (message is None) == (socket.closed_with == 1007)
    return message


def check_problem(error: Exception, statuses: set[int]) -> None:
    """A refusal becomes a problem document with one of these statuses."""
    problem = problem_of(error)
    assert problem.status in statuses
    assert msgspec.json.encode(problem)


def check_malformed(error: HallApiError) -> None:
    """What is no assignment is said to be malformed."""
    assert error.code == "malformed"


def run_command(command: Command) -> None:
    """Decide a command; what it does must survive the journal and a snapshot, and fold to the same state."""
    state = decode_state(IMAGE, Policy())
    try:
        events = decide(state, command, AT_MS)
    except RejectedError as error:
        check_problem(error, {404, 409, 422, 503})
        return
    again = decode_state(IMAGE, Policy())
    for event in events:
        apply(state, event, AT_MS)
        apply(again, EVENTS.decode(msgspec.json.encode(event)), AT_MS)
    assert fingerprint(state) == fingerprint(again)
    assert fingerprint(decode_state(encode_state(state), Policy())) == fingerprint(state)


def command_of(body: Any) -> Command | None:
    """The command that a route makes of its body, where it makes one."""
    command: Command | None = None
    match body:
        case JoinRequest():
            command = JoinHall(conference_id=CONFERENCE, hall_id=HALL, virtual=body.virtual)
        case MovedReport():
            command = ReportMove(conference_id=CONFERENCE, hall_id=HALL, report=body)
        case HeadcountReport():
            command = ReportHeadcount(conference_id=CONFERENCE, hall_id=HALL, report=body)
        case ConferenceDraft():
            command = CreateConference(conference_id=body.conference_id, title=body.title, feeds=body.feeds)
        case PhaseRequest():
            command = ChangePhase(conference_id=CONFERENCE, phase=body.phase)
        case PublisherRequest():
            command = AuthorisePublisher(conference_id=CONFERENCE, feed=body.feed)
    return command


def fuzz_one(data: bytes) -> None:
    """Give the bytes to everybody who reads JSON."""
    match read_as_gateway(data):
        case Register() as register:
            run_command(RegisterRelay(register=register))
        case PresenceBatch() as batch:
            run_command(ObservePresence(relay_id=RELAY, deltas=batch.deltas))
    for decoder in DECODERS:
        try:
            command = command_of(decode_body(decoder, data))
        except RequestError as error:
            check_problem(error, {400, 422})
            continue
        if command is not None:
            run_command(command)
    try:
        HALL_API._decoded(data, Assignment)
    except HallApiError as error:
        check_malformed(error)
    try:
        LINK._decode(WSMessage(WSMsgType.BINARY, data, None))
    except ControlError:
        return


if __name__ == "__main__":
    from monitoring.log_config import configure_logging

    configure_logging("fuzz", json=True, level="critical")
    fuzz(fuzz_one)
