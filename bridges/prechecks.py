"""What a pre-check (kiểm tra trước) of a hall measured: devices, the way to both relays, the line. Values and bounds.

The hall's page or its agent runs it; the coordinator and its gateways store it. What was not measured is None, or says
so. `bridges.readiness` judges it. Pure.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

import msgspec

Outcome = Literal["ok", "failed", "unmeasured"]
RelayPlace = Literal["primary", "backup"]
Transport = Literal["udp", "turn_udp", "turn_tcp", "turn_tls", "none"]
"""How media reached a hall: directly, through a TURN server (RFC 8656) by its transport, or not at all."""
Measure = Literal["camera", "microphone", "speaker", "screen", "reach", "rtt", "loss", "jitter", "throughput"]
Source = Literal["page", "agent"]

KEPT_PRECHECKS = 5
MAX_RELAYS = 4
MAX_TEXT = 200
MAX_MEASURED_MS = 600_000.0
MAX_BPS = 10**12
MAX_PIXELS = 100_000


class Devices(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """What stands in the hall, as the page tried it; `speaker` is what a person answered after a test tone."""

    camera: Outcome = "unmeasured"
    microphone: Outcome = "unmeasured"
    speaker: Outcome = "unmeasured"
    screen_width_px: int = 0
    screen_height_px: int = 0


class RelayReach(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """How one relay was reached; None where a measure was not taken.

    Attributes:
        relay_id: the relay.
        place: what it would be for the hall.
        transport: by which way media came; `none` where no way was found.
        turn: by which way the TURN servers were reached as well; `none` where they were not.
        connect_ms: from the offer to a connection.
        rtt_ms: round trip.
        loss: share of the packets that were lost, 0 to 1, while media flowed.
        jitter_ms: interarrival jitter (RFC 3550 section 6.4.1), while media flowed.
    """

    relay_id: str
    place: RelayPlace
    transport: Transport
    turn: Transport | None = None
    connect_ms: float | None = None
    rtt_ms: float | None = None
    loss: float | None = None
    jitter_ms: float | None = None


class Precheck(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """One pre-check of one hall.

    Attributes:
        at_ms: when it came in, by the coordinator's clock.
        source: what ran it.
        version: of that program; a browser's name and version for a page.
        devices: of a page; an agent has none.
        relays: those that the hall would have.
        layer_bps: bitrate of the layer that the hall is to see; 0 where that is not known.
        media_bps: what came of media, None where none flowed.
        download_bps: what a bounded download from the coordinator came at, None where it was not tried.
    """

    at_ms: int = 0
    source: Source
    version: str = ""
    devices: Devices = Devices()
    relays: tuple[RelayReach, ...] = ()
    layer_bps: int = 0
    media_bps: float | None = None
    download_bps: float | None = None

    @property
    def throughput_bps(self) -> float | None:
        """What the line was seen to carry at least; either way of measuring can only show too little."""
        seen = [rate for rate in (self.media_bps, self.download_bps) if rate is not None]
        return max(seen) if seen else None


class SignOff(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Somebody answers for a hall, or takes that back.

    Attributes:
        at_ms: when.
        by: who, as the journal names him.
        note: in his words.
        withdrawn: no longer.
    """

    at_ms: int
    by: str
    note: str = ""
    withdrawn: bool = False


def fault_of(precheck: Precheck) -> str:
    """What is impossible about a pre-check that came from outside, in English; "" where nothing is."""
    if len(precheck.relays) > MAX_RELAYS or len({relay.place for relay in precheck.relays}) < len(precheck.relays):
        return "a hall has one primary and one backup relay"
    if len(precheck.version) > MAX_TEXT:
        return f"version is longer than {MAX_TEXT} characters"
    for relay in precheck.relays:
        if not all(_within(value, MAX_MEASURED_MS) for value in (relay.connect_ms, relay.rtt_ms, relay.jitter_ms)):
            return f"times are between 0 and {MAX_MEASURED_MS:.0f} ms"
        if not _within(relay.loss, 1.0):
            return "loss is between 0 and 1"
    if not all(_within(value, MAX_BPS) for value in (precheck.layer_bps, precheck.media_bps, precheck.download_bps)):
        return f"bitrates are between 0 and {MAX_BPS} bit/s"
    devices = precheck.devices
    if not (0 <= devices.screen_width_px <= MAX_PIXELS and 0 <= devices.screen_height_px <= MAX_PIXELS):
        return f"a screen has at most {MAX_PIXELS} pixels a side"
    return ""


def _within(value: float | None, most: float) -> bool:
    return value is None or (math.isfinite(value) and 0 <= value <= most)


def keep_newest(known: Sequence[Precheck], found: Precheck) -> tuple[Precheck, ...]:
    """The newest pre-checks of a hall, oldest first; any order and any repetition of them gives the same."""
    every = {msgspec.msgpack.encode(each): each for each in (*known, found)}
    ordered = sorted(every.items(), key=lambda item: (item[1].at_ms, item[0]))
    return tuple(each for _, each in ordered[-KEPT_PRECHECKS:])
