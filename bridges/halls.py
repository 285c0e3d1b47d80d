"""A hall (điểm cầu): where delegates sit, watch and answer."""

from __future__ import annotations

from typing import Literal

import msgspec

HallLevel = Literal["central", "province", "commune", "base"]


class Hall(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One hall as registered.

    Attributes:
        hall_id: unique code, letters, digits, `-`, `_` and `.`, at most 64.
        name: name on the screen.
        unit: code of the unit that reports it (one reporting parent).
        level: central (trung ương), province (tỉnh), commune (xã) or base (cơ sở).
        seats: delegates summoned (triệu tập) at registration; a headcount may correct it on the day.
        address: where it is.
        contact_name: technician on duty (trực kỹ thuật).
        contact_phone: whom to phone when it is lost.
        virtual: true for a simulated hall; never counted into a figure about media.
    """

    hall_id: str
    name: str
    unit: str
    level: HallLevel
    seats: int
    address: str = ""
    contact_name: str = ""
    contact_phone: str = ""
    virtual: bool = False
