"""A hall (điểm cầu): where delegates sit, watch and answer."""

from __future__ import annotations

from typing import Literal

import msgspec

HallLevel = Literal["central", "province", "district", "commune", "base"]


class Hall(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One hall as registered.

    Attributes:
        hall_id: unique code, letters, digits, `-`, `_` and `.`, at most 64.
        name: name on the screen.
        unit: code of its unit by territory.
        level: central (trung ương), province (tỉnh), district (huyện, until June 2025), commune (xã) or base (cơ sở).
        seats: delegates summoned (triệu tập) at registration; a headcount may correct it on the day.
        address: where it is.
        contact_name: technician on duty (trực kỹ thuật).
        contact_phone: whom to phone when it is lost.
        virtual: true for a simulated hall; never counted into a figure about media.
        organisation: code of its unit by organisation, or "" for none.
        line: the line into the house (đường truyền), as people call it: `leased`, `FTTH`, `4G` …
        carrier: who runs the line (nhà mạng).
        bandwidth_mbps: what the contract of the line promises, Mbit/s down; 0 where that is not known.
        devices: what stands in the room: camera, microphone, projector …
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
    organisation: str = ""
    line: str = ""
    carrier: str = ""
    bandwidth_mbps: int = 0
    devices: str = ""
