"""What a hall's agent counts, and the summary that it gives of it.

Counters are plain integers that metrics read when they are asked; errors are counted by their code, so that a
coordinator that is away for an hour is one line and not a thousand.
"""

from __future__ import annotations

import logging
from collections import Counter
from dataclasses import dataclass, field

import msgspec

from bridges.errors import BridgesError, HallApiError, ResourceError

# Codes come from the network: so many different ones are told apart, all further ones are `other`.
_MAX_CODES = 20

_log = logging.getLogger(__name__)


class HallMove(msgspec.Struct, frozen=True, kw_only=True, rename={"from_relay": "from", "to_relay": "to"}):
    """One move; `interruption_ms` runs from the last packet of the old relay to the first picture of the new one."""

    from_relay: str
    to_relay: str
    reason: str
    interruption_ms: float


class HallSummary(msgspec.Struct, frozen=True, kw_only=True):
    """What a hall saw.

    Attributes:
        hall_id: the hall.
        relay: where it plays from, "" if nowhere.
        frames_decoded: pictures.
        audio_frames_decoded: pieces of sound.
        decode_errors: frames that this process could not decode.
        packets_lost: RTP packets that never came.
        glass_to_glass_ms_p50: median age of a picture when it was decoded; None without timecodes.
        glass_to_glass_ms_p95: 95 of 100 pictures were at most so old.
        glass_to_glass_ms_max: the oldest.
        timecodes: pictures whose timecode was read.
        moves: from relay to relay.
        present: media arrived and was decoded.
        ended: the conference ended.
        errors: how often something went wrong, by the error's code (`unreachable`, `no_relay`, `relay_unreachable` …).
    """

    hall_id: str
    relay: str
    frames_decoded: int
    audio_frames_decoded: int
    decode_errors: int
    packets_lost: int
    glass_to_glass_ms_p50: float | None
    glass_to_glass_ms_p95: float | None
    glass_to_glass_ms_max: float | None
    timecodes: int
    moves: list[HallMove]
    present: bool
    ended: bool
    errors: dict[str, int]


@dataclass(slots=True)
class HallCounts:
    """The counters of one agent.

    Attributes:
        pictures: decoded.
        sounds: pieces of sound decoded.
        packets_received: RTP packets of all sessions, brought up to date about once a second.
        packets_lost: likewise, those that never came.
        joins: answers to joins: `ok`, or the refusal's code.
        malformed: answers that did not parse, by who gave them: `coordinator` or `relay`.
        errors: by code.
    """

    pictures: int = 0
    sounds: int = 0
    packets_received: int = 0
    packets_lost: int = 0
    joins: Counter[str] = field(default_factory=Counter)
    malformed: Counter[str] = field(default_factory=Counter)
    errors: Counter[str] = field(default_factory=Counter)

    def note(self, error: BaseException) -> str:
        """Count an error, and log it when it is the first of its code.

        Returns:
            The word under which it was counted.
        """
        code = error.code if isinstance(error, BridgesError) else type(error).__name__
        if code not in self.errors and len(self.errors) >= _MAX_CODES:
            code = "other"
        if code == "malformed" and isinstance(error, HallApiError | ResourceError):
            self.malformed["coordinator" if isinstance(error, HallApiError) else "relay"] += 1
        if code not in self.errors:
            # What is none of ours is a bug, and its traceback is wanted.
            bug = None if isinstance(error, BridgesError) else error
            _log.warning("%s: %s (counted from here on)", code, error, exc_info=bug)
        self.errors[code] += 1
        return code

    def handle_join(self, error: HallApiError | None) -> None:
        """A join was answered (None), refused or not answered."""
        self.joins["ok" if error is None else self.note(error)] += 1


class DecodeErrors(logging.Handler):
    """Counts the decoders' complaints: aiortc writes them to its log and nowhere else."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.count = 0

    def emit(self, record: logging.LogRecord) -> None:
        """Count the record if it is such a complaint."""
        if "failed to decode" in str(record.msg):
            self.count += 1
