"""The call list and the comparison as tables for people: headings and words in Vietnamese or English. Pure."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from typing import Literal

from bridges.readiness import OWNER_WORDS, STATE_WORDS, ReadinessState
from conference.readiness.board import Change, HallChange, HallReadiness

Language = Literal["vi", "en"]
# Việt Nam has one time zone and no summer time.
_ZONE = dt.timezone(dt.timedelta(hours=7))

CALL_HEADINGS: dict[Language, tuple[str, ...]] = {
    "vi": (
        "tỉnh",
        "đơn vị",
        "mã điểm cầu",
        "tên điểm cầu",
        "tình trạng",
        "còn thiếu",
        "ai xử lý",
        "người phụ trách",
        "điện thoại",
        "kiểm tra lúc",
    ),
    "en": ("province", "unit", "hall_id", "hall", "state", "missing", "owner", "contact", "phone", "checked at"),
}
CALL_WIDTHS = (20, 24, 20, 32, 14, 60, 26, 24, 18, 18)
CHANGE_HEADINGS: dict[Language, tuple[str, ...]] = {
    "vi": ("tỉnh", "mã điểm cầu", "tên điểm cầu", "thay đổi", "lần trước", "lần này"),
    "en": ("province", "hall_id", "hall", "change", "before", "now"),
}
CHANGE_WORDS: dict[Change, tuple[str, str]] = {
    "better": ("tốt hơn", "better"),
    "worse": ("kém hơn", "worse"),
    "same": ("như trước", "same"),
    "new": ("mới", "new"),
    "missing": ("vắng lần này", "missing"),
}


def call_rows(halls: Iterable[HallReadiness], language: Language) -> list[tuple[str, ...]]:
    """A row for each hall of the call list, as `CALL_HEADINGS` name its cells."""
    word = 0 if language == "vi" else 1
    rows: list[tuple[str, ...]] = []
    for hall in halls:
        readiness = hall.readiness
        rows.append(
            (
                hall.province,
                hall.unit_name,
                hall.hall_id,
                hall.name,
                STATE_WORDS[readiness.state][word],
                " ".join(reason.vi if language == "vi" else reason.en for reason in readiness.reasons),
                ", ".join(OWNER_WORDS[owner][word] for owner in readiness.owners),
                hall.contact_name,
                hall.contact_phone or (("chưa có số", "no number")[word]),
                moment(readiness.checked_at_ms),
            )
        )
    return rows


def change_rows(changes: Iterable[HallChange], language: Language) -> list[tuple[str, ...]]:
    """A row for each hall of a comparison, as `CHANGE_HEADINGS` name its cells."""
    word = 0 if language == "vi" else 1
    return [
        (
            each.province,
            each.hall_id,
            each.name,
            CHANGE_WORDS[each.change][word],
            _state_word(each.before, word),
            _state_word(each.now, word),
        )
        for each in changes
    ]


def moment(at_ms: int) -> str:
    """A moment as Việt Nam writes it; "" for none."""
    return dt.datetime.fromtimestamp(at_ms / 1000, tz=_ZONE).strftime("%H:%M %d/%m/%Y") if at_ms else ""


def _state_word(state: ReadinessState | Literal[""], word: int) -> str:
    return STATE_WORDS[state][word] if state else "–"
