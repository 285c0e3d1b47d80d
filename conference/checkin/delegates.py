"""What can be told of delegates and their check-ins, and what a snapshot holds of them. Pure records."""

from __future__ import annotations

from typing import Literal, NamedTuple

import msgspec

from bridges.checkin_messages import CheckinMethod, MarkKind

PresentBy = Literal["", "qr", "self", "proxy"]
"""How somebody is counted present, as in `bridges.attendance.IndividualTotals`; "" for who is not."""


class Counted(NamedTuple):
    """The scan of a delegate that counts."""

    at_ms: int
    hall_id: str
    nonce: int
    method: CheckinMethod


class Delegate(NamedTuple):
    """What is known of one delegate.

    Attributes:
        hall_id: whose roster.
        issue: which code is good.
        withdrawn: on no roster any more.
        scan: the least, also where a mark voids it.
        mark: the latest, "none" where there is none.
        mark_at_ms: when; 0 where there is none.
        by: how they are counted present, as in `IndividualTotals`; "" for somebody who is not.
    """

    hall_id: str
    issue: int
    withdrawn: bool
    scan: Counted | None
    mark: MarkKind
    mark_at_ms: int
    by: PresentBy


class Conflict(NamedTuple):
    """A delegate who was scanned where they are not on the roster; `halls` are all halls of scans, ascending."""

    number: int
    hall_id: str
    halls: tuple[str, ...]


class CheckinsImage(msgspec.Struct, frozen=True, kw_only=True):
    """What a snapshot holds of a conference's check-ins.

    Attributes:
        halls: the hall of each place, from 1.
        blocks: of rows, by number of the block; see `conference.checkin.rows`.
        scanned: of delegates who were scanned in several halls, the places of all of these.
    """

    halls: list[str]
    blocks: dict[int, bytearray]
    scanned: dict[int, list[int]]
