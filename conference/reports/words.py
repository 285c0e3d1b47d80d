"""The words of a report in Vietnamese and English, and how numbers, times and lengths of time are written."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Literal

from bridges.attendance import HallStatus
from bridges.units import TreeName
from conference.reports.model import Durations, IncidentCode, ReportKind, Source

Language = Literal["vi", "en"]
Words = tuple[str, str]
"""Vietnamese and English."""

# Việt Nam keeps UTC+7 all year; halls read the report by the clock on their wall.
VIETNAM_TIME = timezone(timedelta(hours=7))

TITLES: dict[ReportKind, Words] = {
    "flash": ("BÁO CÁO NHANH", "FLASH REPORT"),
    "summary": ("BÁO CÁO TỔNG HỢP", "SUMMARY REPORT"),
}
SUBTITLE: Words = ("Kết quả tham dự hội nghị trực tuyến", "Attendance of the online conference")
REHEARSAL: Words = ("Tổng duyệt", "Dress rehearsal")
SOURCES: dict[Source, Words] = {
    "registration": ("đăng ký", "registration"),
    "connection": ("kết nối", "connection"),
    "headcount": ("số báo cáo", "headcount"),
    "individual": ("điểm danh từng người", "individual check-in"),
    "hall": ("điểm cầu đo", "measured by the hall"),
}
TREES: dict[TreeName, Words] = {
    "territory": ("theo địa bàn", "by territory"),
    "organisation": ("theo tổ chức", "by organisation"),
}
REAL: Words = ("thật", "real")
VIRTUAL: Words = ("ảo", "virtual")
TOTAL: Words = ("Tổng cộng", "Total")
UNASSIGNED: Words = ("Chưa xếp đơn vị", "Unassigned")
PHASES: dict[str, Words] = {
    "draft": ("soạn thảo", "draft"),
    "open": ("mở cổng", "open"),
    "rehearsal": ("chạy thử", "trial run"),
    "live": ("đang họp", "live"),
    "ended": ("đã kết thúc", "ended"),
    "closed": ("đã chốt", "closed"),
}
LEVELS: dict[str, Words] = {
    "central": ("Trung ương", "Central"),
    "province": ("Cấp tỉnh", "Provincial"),
    "district": ("Cấp huyện", "District"),
    "commune": ("Cấp xã", "Commune"),
    "base": ("Cơ sở", "Base"),
}
STATUSES: dict[HallStatus, Words] = {
    "waiting": ("chưa kết nối", "waiting"),
    "present": ("đang kết nối", "connected"),
    "lost": ("mất kết nối", "lost"),
    "left": ("đã rời", "left"),
}
# Short for the head of a column, then whole for the list of totals.
FIGURES: dict[tuple[Source, str], tuple[Words, Words]] = {
    ("registration", "halls"): (("điểm cầu", "halls"), ("điểm cầu đăng ký", "halls registered")),
    ("registration", "seats"): (("đại biểu", "seats"), ("đại biểu đăng ký", "delegates registered")),
    ("connection", "present_now"): (("đang nối", "now"), ("điểm cầu đang kết nối", "halls connected now")),
    ("connection", "present_ever"): (("từng nối", "ever"), ("điểm cầu đã từng kết nối", "halls ever connected")),
    ("connection", "lost"): (("mất", "lost"), ("điểm cầu mất kết nối", "halls lost")),
    ("connection", "waiting"): (("chưa nối", "waiting"), ("điểm cầu chưa kết nối", "halls waiting")),
    ("connection", "left"): (("đã rời", "left"), ("điểm cầu đã rời", "halls that left")),
    ("headcount", "halls_reported"): (("đã báo", "reported"), ("điểm cầu đã báo cáo", "halls that reported")),
    ("headcount", "seats_reported"): (
        ("đã đăng ký", "registered"),
        ("đại biểu đăng ký của điểm cầu đã báo cáo", "delegates registered of halls that reported"),
    ),
    ("headcount", "summoned"): (("triệu tập", "summoned"), ("đại biểu triệu tập", "delegates summoned")),
    ("headcount", "present"): (("có mặt", "present"), ("đại biểu có mặt", "delegates present")),
    ("headcount", "excused"): (("vắng CLD", "excused"), ("vắng có lý do", "excused")),
    ("headcount", "unexcused"): (("vắng KLD", "unexcused"), ("vắng không lý do", "unexcused")),
    ("headcount", "exempt"): (("miễn SH", "exempt"), ("miễn sinh hoạt", "exempt")),
    ("individual", "halls_enrolled"): (("có DS", "rosters"), ("điểm cầu có danh sách", "halls with a roster")),
    ("individual", "registered"): (("danh sách", "enrolled"), ("đại biểu trong danh sách", "delegates on rosters")),
    ("individual", "present"): (("có mặt", "present"), ("đại biểu đã điểm danh có mặt", "delegates checked in")),
    ("individual", "excused"): (("vắng CLD", "excused"), ("vắng có lý do", "excused")),
    ("individual", "unexcused"): (("vắng KLD", "unexcused"), ("vắng không lý do", "unexcused")),
    ("individual", "exempt"): (("miễn SH", "exempt"), ("miễn sinh hoạt", "exempt")),
    ("individual", "by_qr"): (("bằng QR", "by QR"), ("trong đó quét mã QR", "of these by QR code")),
    ("individual", "by_proxy"): (("điểm hộ", "by proxy"), ("trong đó kỹ thuật điểm danh hộ", "of these by proxy")),
    ("individual", "by_self"): (("tự điểm", "by self"), ("trong đó tự điểm danh", "of these by themselves")),
    ("individual", "conflicts"): (("trùng", "conflicts"), ("quét ở nhiều điểm cầu", "scanned at several halls")),
}
_SHORTENED: Words = (
    "vắng CLD: vắng có lý do; vắng KLD: vắng không lý do; miễn SH: miễn sinh hoạt; có DS: có danh sách đại biểu.",
    "rosters: halls with a roster of delegates.",
)
_APART: Words = (
    "Ba nguồn (kết nối, số báo cáo, điểm danh từng người) đứng riêng, không cộng lẫn.",
    "Three sources (connection, headcount, individual check-in) stand apart and are never merged.",
)
ABBREVIATIONS: Words = (f"{_SHORTENED[0]} {_APART[0]}", f"{_SHORTENED[1]} {_APART[1]}")
INCIDENTS: dict[IncidentCode, Words] = {
    "relay_lost": ("mất trạm chuyển tiếp", "relay lost"),
    "relay_returned": ("trạm chuyển tiếp trở lại", "relay returned"),
    "relay_suspected": ("nghi trạm không phát", "relay suspected"),
    "relay_cleared": ("trạm hết bị nghi", "relay cleared"),
    "publisher": ("nguồn phát", "publisher"),
    "order": ("lệnh vận hành", "operator's order"),
    "phase": ("chuyển giai đoạn", "phase"),
}
_DASH = "–"


def said(words: Words, language: Language) -> str:
    """The words in a language."""
    return words[0] if language == "vi" else words[1]


def level_name(level: str, language: Language) -> str:
    """A level's name; one that we do not know is shown as it is written in the data."""
    return said(LEVELS.get(level, (level, level)), language)


def number(value: int, language: Language = "vi") -> str:
    """A number with the separator of thousands: 5.943 in Việt Nam, 5,943 in English."""
    shown = f"{value:,}"
    return shown.replace(",", ".") if language == "vi" else shown


def moment(at_ms: int | None, language: Language = "vi") -> str:
    """A time of day in Việt Nam, or a dash."""
    if at_ms is None:
        return _DASH
    at = local_time(at_ms)
    if at is None:  # a clock beyond the calendar: show what it said
        return f"{at_ms} ms"
    return at.strftime("%d/%m/%Y %H:%M:%S (UTC+7)" if language == "vi" else "%Y-%m-%d %H:%M:%S (UTC+7)")


def local_time(at_ms: int) -> datetime | None:
    """The same as a value; None beyond the calendar."""
    try:
        return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=at_ms)).astimezone(VIETNAM_TIME)
    except OverflowError:
        return None


def duration(length_ms: int) -> str:
    """A length of time as h:mm:ss."""
    seconds = length_ms // 1000
    return f"{seconds // 3600}:{seconds // 60 % 60:02d}:{seconds % 60:02d}"


def durations_sentence(found: Durations, language: Language = "vi") -> str:
    """Count and quantiles in one line."""
    if not found.count:
        return said(("không có", "none"), language)
    # In seconds with the decimal comma of Việt Nam: "1.091 ms" would read as one millisecond.
    quantiles = (("p50", found.p50_ms), ("p99", found.p99_ms), ("max", found.max_ms))
    listed = [f"{name} {value / 1000:.2f} s" for name, value in quantiles if value is not None]
    count, halls = number(found.count, language), number(found.halls, language)
    if language == "vi":
        return f"{count} lần ở {halls} điểm cầu: {'; '.join(listed).replace('.', ',')}"
    return f"{count} times in {halls} halls: {'; '.join(listed)}"
