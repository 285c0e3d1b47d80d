"""Snapshots of the state: bytes and back, so that a start need not fold the whole journal.

Only what cannot be computed from the rest is written. A snapshot's bytes are in no order; a fingerprint is taken of all
in a fixed one.
"""

from __future__ import annotations

import hashlib
from collections.abc import Generator
from typing import Any

import msgspec

from bridges.halls import Hall
from bridges.prechecks import Precheck, SignOff
from bridges.presence import HallPresence
from bridges.units import Unit
from conference.checkin.checkins import Checkins
from conference.checkin.delegates import CheckinsImage
from conference.doubts import Suspicion
from conference.errors import CorruptJournalError
from conference.orders import Orders
from conference.people.access_log import AccessLog
from conference.planner.loads import RelayLoad
from conference.policy import Policy
from conference.readiness.prechecking import Prechecks
from conference.registry.register import Register
from conference.roster import Closing, ConferenceState, Headcount, RelayState
from conference.state import State, derive

SNAPSHOT_SCHEMA = 1
# Fields of the image whose records are frozen: `apply` replaces them, so that references to them keep the moment.
_REPLACED = ("units", "halls", "headcounts", "checkin_authors", "closings", "prechecks", "sign_offs")
# Of these, tables of so many records that one step for all of them would hold everybody up.
_LONG = ("prechecks",)
_RECORDS_AT_ONCE = 1_000  # some 3 ms
# Fields that are an image already, of which nothing changes any more.
_TAKEN = ("checkins",)


class _Image(msgspec.Struct, frozen=True, kw_only=True):
    """What a snapshot holds."""

    schema: int
    units: dict[str, Unit]
    halls: dict[str, Hall]
    conferences: dict[str, ConferenceState]
    relays: dict[str, RelayState]
    presence: dict[str, dict[str, HallPresence]]
    headcounts: dict[str, dict[str, Headcount]]
    checkins: dict[str, CheckinsImage] = {}
    checkin_authors: dict[str, dict[str, tuple[int, str]]] = {}
    closings: dict[str, Closing] = {}
    access_log: AccessLog = msgspec.field(default_factory=AccessLog)
    prechecks: dict[str, dict[str, tuple[Precheck, ...]]] = {}
    sign_offs: dict[str, dict[str, SignOff]] = {}
    orders: Orders = msgspec.field(default_factory=Orders)
    suspicions: dict[str, Suspicion] = {}
    newest_ms: int = 0
    register: Register = msgspec.field(default_factory=Register)


def encode_state(state: State) -> bytes:
    """The state as msgpack, for a snapshot; `decode_state` is its inverse."""
    return msgspec.msgpack.encode(_image(state))


def encode_in_steps(state: State) -> Generator[None, None, bytes]:
    """The same bytes, made in steps between which others may have their turn and the state may change.

    What is encoded is the state at the first step: what changes in place (seats, presence, relays) is encoded there,
    some 25 ms for 40,000 halls, and of the rest only the references are taken, also of the rows of delegates, which are
    copied before they change.
    """
    fields = msgspec.structs.asdict(_image(state))
    for name in _REPLACED:
        fields[name] = _referred(fields[name])
    for name in fields:
        if name not in (*_REPLACED, *_TAKEN):
            fields[name] = _encoded(fields[name])
    for name in _REPLACED:
        yield
        if name in _LONG:
            fields[name] = msgspec.Raw((yield from _encoded_in_steps(fields[name])))
        else:
            fields[name] = _encoded(fields[name])
    yield
    return msgspec.msgpack.encode(fields)


def _referred(table: dict[str, Any]) -> dict[str, Any]:
    """A table that does not change with the state: its records never do, its tables (of headcounts) are copied."""
    return {key: dict(value) if isinstance(value, dict) else value for key, value in table.items()}


def _encoded_in_steps(table: dict[str, dict[str, Any]]) -> Generator[None, None, bytes]:
    """A table of tables as msgpack, some records at a time."""
    parts = [_map_header(len(table))]
    for key, records in table.items():
        parts += [msgspec.msgpack.encode(key), _map_header(len(records))]
        items = list(records.items())
        for start in range(0, len(items), _RECORDS_AT_ONCE):
            some = dict(items[start : start + _RECORDS_AT_ONCE])
            parts.append(msgspec.msgpack.encode(some)[len(_map_header(len(some))) :])
            yield
    return b"".join(parts)


def _map_header(length: int) -> bytes:
    """What a map of so many pairs begins with (MessagePack specification, map format family)."""
    if length < 16:
        return bytes([0x80 | length])
    return b"\xde" + length.to_bytes(2, "big") if length < 1 << 16 else b"\xdf" + length.to_bytes(4, "big")


def _encoded(value: object) -> msgspec.Raw:
    return msgspec.Raw(msgspec.msgpack.encode(value))


def fingerprint(state: State) -> str:
    """SHA-256 (hex) of the state; equal for equal states, whatever the order in which they came about, and when."""
    image = msgspec.structs.replace(_image(state), newest_ms=0, checkins={})
    checkins = {conference_id: each.digest() for conference_id, each in state.checkins.items()}
    return hashlib.sha256(msgspec.msgpack.encode([image, checkins], order="sorted")).hexdigest()


def decode_state(data: bytes, policy: Policy | None = None) -> State:
    """The state of a snapshot, with everything derived built anew.

    Raises:
        CorruptJournalError: the bytes are no snapshot of this schema.
    """
    try:
        image = msgspec.msgpack.decode(data, type=_Image)
    except msgspec.MsgspecError as error:
        raise CorruptJournalError(f"snapshot does not decode: {error}") from error
    if image.schema != SNAPSHOT_SCHEMA:
        raise CorruptJournalError(f"snapshot has schema {image.schema}; this program reads {SNAPSHOT_SCHEMA}")
    state = State(policy)
    state.units = image.units
    state.halls = image.halls
    state.conferences = image.conferences
    state.relays.update(image.relays)
    state.presence = image.presence
    state.headcounts = image.headcounts
    try:
        state.checkins = {conference_id: Checkins.of(each) for conference_id, each in image.checkins.items()}
    except ValueError as error:
        raise CorruptJournalError(f"snapshot does not decode: {error}") from error
    state.checkin_authors = image.checkin_authors
    state.closings = image.closings
    state.access_log = image.access_log
    state.prechecks = Prechecks(image.prechecks, image.sign_offs)
    state.orders = image.orders
    state.suspicions = image.suspicions
    state.newest_ms = image.newest_ms
    state.register = image.register
    derive(state)
    return state


def _image(state: State) -> _Image:
    return _Image(
        schema=SNAPSHOT_SCHEMA,
        units=state.units,
        halls=state.halls,
        conferences=state.conferences,
        relays={
            # Of a load only the parents are history: who was kept where. The rest is counted anew.
            relay_id: msgspec.structs.replace(
                relay,
                load=RelayLoad(
                    relay_id=relay_id,
                    region=relay.region,
                    role=relay.role,
                    soft_seats=0,
                    hard_seats=0,
                    parents=relay.load.parents,
                ),
            )
            for relay_id, relay in state.relays.items()
        },
        presence=state.presence,
        headcounts=state.headcounts,
        checkins={conference_id: each.image() for conference_id, each in state.checkins.items()},
        checkin_authors=state.checkin_authors,
        closings=state.closings,
        access_log=state.access_log,
        prechecks=state.prechecks.by_hall,
        sign_offs=state.prechecks.sign_offs,
        orders=state.orders,
        suspicions=state.suspicions,
        newest_ms=state.newest_ms,
        register=state.register,
    )
