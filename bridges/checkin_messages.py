"""The messages of individual check-in between a hall's devices, a delegate's own, and who serves them: JSON over HTTPS.

A delegate is a number within a conference; names never pass here. See docs/protocol.md.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from bridges.messages import SCHEMA

MAX_CHECKINS = 1_000  # of one request: what a phone scans in half an hour

CheckinMethod = Literal["qr", "typed", "self"]
"""How a delegate was checked in: code scanned, number and PIN typed, or by the delegate's own device."""

MarkKind = Literal["present", "excused", "unexcused", "exempt", "none", "void"]
"""What a technician says: có mặt, vắng có lý do, vắng không lý do, miễn sinh hoạt, chưa điểm danh, or that the scan of
this delegate is not to count (quét nhầm)."""

CheckinResult = Literal[
    "counted", "again", "elsewhere", "unknown", "forged", "withdrawn", "other_conference", "replaced", "void", "limited"
]
"""What became of a check-in.

counted: it is the one that counts, also when it is said again. again: another one counts, at this hall. elsewhere:
another one counts, at another hall. void: a technician's mark says that this delegate's scans do not count.
Not recorded: unknown (no such delegate), forged (the code or the PIN is wrong), withdrawn (on no roster any more),
other_conference, replaced (a newer code was issued), limited (too many wrong PINs: to be tried again later).
"""

MarkResult = Literal["recorded", "unknown", "withdrawn", "other_hall"]
"""What became of a mark: recorded, or left out because the hall's roster does not have this delegate."""


class Checkin(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One check-in, as a device saw it: either `code`, or `number` and `pin`.

    Attributes:
        code: the digits of a delegate's QR code; "" where number and PIN were typed.
        number: the delegate's, as it was typed.
        pin: six digits, as they were typed.
        at_ms: when, by the device.
        nonce: drawn by the device for this check-in, less than 2^63 (a browser draws less than 2^53). The same one
            says that it is the same check-in, sent again.
        method: how.
    """

    code: str = ""
    number: int = 0
    pin: str = ""
    at_ms: int
    nonce: int
    method: CheckinMethod = "qr"


class SingleCheckin(Checkin, frozen=True, kw_only=True, gc=False):
    """Body of `POST /api/v1/halls/checkin` and of `POST /api/v1/checkin`."""

    schema: int = SCHEMA


class CheckinBatch(msgspec.Struct, frozen=True, kw_only=True):
    """Body of `POST /api/v1/halls/checkins`: at most 1,000, in any order, however old."""

    schema: int = SCHEMA
    checkins: list[Checkin]


class CheckinOutcome(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """What became of one check-in.

    Attributes:
        result: see `CheckinResult`.
        number: the delegate's; absent where the code could not be read.
        hall_id: for a hall's own devices: where this delegate is counted, where that is elsewhere.
    """

    result: CheckinResult
    number: int = 0
    hall_id: str = ""


class CheckinAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """What became of each check-in of a batch, in its order."""

    results: list[CheckinOutcome]


class DelegateMark(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What a technician says of one delegate; the latest counts."""

    number: int
    mark: MarkKind
    at_ms: int
    nonce: int


class MarkBatch(msgspec.Struct, frozen=True, kw_only=True):
    """Body of `POST /api/v1/halls/marks`: at most 1,000."""

    schema: int = SCHEMA
    marks: list[DelegateMark]


class MarkOutcome(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What became of one mark."""

    result: MarkResult
    number: int


class MarkAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """What became of each mark, in their order."""

    results: list[MarkOutcome]
