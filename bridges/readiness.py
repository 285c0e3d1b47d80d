"""Readiness of a hall before the day: how each measure of its pre-check is graded, and what that makes of the hall.

What was not measured is never taken as good, and whoever has to act on a finding is named with it. A line that is fair
everywhere still shows the programme, and leaves a hall ready. Pure; `now_ms` is milliseconds since the epoch.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

import msgspec

from bridges.prechecks import Measure, Outcome, Precheck, RelayPlace, RelayReach, SignOff

Grade = Literal["good", "fair", "bad", "unmeasured"]
Owner = Literal["hall_technician", "province_technician", "operator", "organiser"]
ReadinessState = Literal["not_checked", "failed", "doubtful", "ready", "signed_off"]

STATES: tuple[ReadinessState, ...] = ("not_checked", "failed", "doubtful", "ready", "signed_off")
"""From the worst to the best; a hall that fails is known, one that was never checked is not even that."""

OWNER_WORDS: dict[Owner, tuple[str, str]] = {
    "hall_technician": ("cán bộ kỹ thuật điểm cầu", "the hall's technician"),
    "province_technician": ("cán bộ kỹ thuật tỉnh", "the provincial technician"),
    "operator": ("trực kỹ thuật", "the operator"),
    "organiser": ("ban tổ chức", "the organiser"),
}
STATE_WORDS: dict[ReadinessState, tuple[str, str]] = {
    "not_checked": ("chưa kiểm tra", "not checked"),
    "failed": ("không đạt", "failed"),
    "doubtful": ("cần xem lại", "doubtful"),
    "ready": ("sẵn sàng", "ready"),
    "signed_off": ("đã xác nhận", "signed off"),
}
GRADE_WORDS: dict[Grade, tuple[str, str]] = {
    "good": ("tốt", "good"),
    "fair": ("tạm được", "fair"),
    "bad": ("kém", "bad"),
    "unmeasured": ("chưa đo", "not measured"),
}
_PLACES: dict[RelayPlace, tuple[str, str]] = {
    "primary": ("trạm chính", "primary"),
    "backup": ("trạm dự phòng", "backup"),
}


class Thresholds(msgspec.Struct, frozen=True, kw_only=True):
    """When a measure is good and when it is bad; between them it is fair.

    Attributes:
        good_share: of the layer's bitrate that a good line carries; below `bad_share` it is bad.
        good_loss: share of lost packets below which it is good; above `bad_loss` it is bad.
        good_rtt_ms: likewise, round trip.
        good_jitter_ms: likewise, jitter.
        stale_after_h: a pre-check that is older says nothing about the day any more.
        required: what must have been measured before a hall is ready.
    """

    good_share: float = 1.0
    bad_share: float = 0.8
    good_loss: float = 0.01
    bad_loss: float = 0.025
    good_rtt_ms: float = 50.0
    bad_rtt_ms: float = 150.0
    good_jitter_ms: float = 30.0
    bad_jitter_ms: float = 80.0
    stale_after_h: float = 72.0
    required: frozenset[Measure] = frozenset({"reach", "rtt", "loss", "jitter", "throughput", "speaker"})


class Finding(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What one measure says.

    Attributes:
        code: which, in one word: a measure, or `not_checked`, `stale`, `no_relay`, `no_backup`, `withdrawn`.
        place: of which relay, or "".
        grade: of what was measured.
        owner: who has to act where it is not good.
        vi: the same as a sentence in Vietnamese, with what to do.
        en: and in English.
    """

    code: str
    place: str = ""
    grade: Grade
    owner: Owner
    vi: str
    en: str


class Readiness(msgspec.Struct, frozen=True, kw_only=True):
    """How ready a hall is.

    Attributes:
        state: in one word.
        reasons: everything that is not good, or was not measured and has to be.
        checked_at_ms: when the newest pre-check came in; 0 where there is none.
        age_ms: how old it is; 0 where there is none.
        sign_off: what stands, None where nobody answered for the hall.
    """

    state: ReadinessState
    reasons: list[Finding] = []
    checked_at_ms: int = 0
    age_ms: int = 0
    sign_off: SignOff | None = None

    @property
    def owners(self) -> list[Owner]:
        """Who has something to do, without repetition, in order of the reasons."""
        return list(dict.fromkeys(reason.owner for reason in self.reasons))


def judge(precheck: Precheck, thresholds: Thresholds) -> list[Finding]:
    """Everything that a pre-check says, also what is good, in the order in which people read it."""
    return [*_devices(precheck), *_relays(precheck, thresholds), _throughput(precheck, thresholds)]


def readiness_of(
    prechecks: Iterable[Precheck],
    sign_off: SignOff | None,
    thresholds: Thresholds,
    now_ms: int,
) -> Readiness:
    """What is known of a hall's readiness.

    A sign-off stands over whatever it was given in view of; a pre-check that fails afterwards ends it.

    Args:
        prechecks: of the hall; the newest counts.
        sign_off: the latest that anybody said, None where nobody did.
        thresholds: what good means.
        now_ms: to tell what is stale.
    """
    newest = max(prechecks, key=lambda precheck: precheck.at_ms, default=None)
    reasons: list[Finding] = []
    state: ReadinessState
    if newest is None:
        reasons.append(_not_checked())
        state = "not_checked"
    else:
        reasons += [each for each in judge(newest, thresholds) if _matters(each, thresholds)]
        if now_ms - newest.at_ms > thresholds.stale_after_h * 3_600_000:
            reasons.append(_stale(now_ms - newest.at_ms))
        failed = any(each.grade == "bad" and each.place != "backup" for each in reasons)
        state = "failed" if failed else "doubtful" if any(_doubts(each) for each in reasons) else "ready"
    if sign_off is not None and sign_off.withdrawn:
        reasons.append(_withdrawn(sign_off))
        state = "doubtful" if state == "ready" else state
    elif sign_off is not None and not (state == "failed" and newest is not None and newest.at_ms > sign_off.at_ms):
        state = "signed_off"
    return Readiness(
        state=state,
        reasons=reasons,
        checked_at_ms=0 if newest is None else newest.at_ms,
        age_ms=0 if newest is None else max(0, now_ms - newest.at_ms),
        sign_off=sign_off,
    )


def _matters(finding: Finding, thresholds: Thresholds) -> bool:
    """Whether a finding keeps a hall from being ready, or is worth the attention of whoever owns it."""
    return finding.grade in {"fair", "bad"} or (finding.grade == "unmeasured" and finding.code in thresholds.required)


def _doubts(finding: Finding) -> bool:
    """Whether a finding that does not fail a hall makes it doubtful; a line that is fair shows the programme well."""
    return finding.grade != "fair" or finding.code in {"stale", "no_backup"}


def _not_checked() -> Finding:
    return Finding(
        code="not_checked",
        grade="unmeasured",
        owner="hall_technician",
        vi="Chưa kiểm tra trước: mở đường dẫn của điểm cầu và bấm “Kiểm tra trước”.",
        en="Not checked yet: open the hall's link and press “Check this hall”.",
    )


def _stale(age_ms: int) -> Finding:
    hours = age_ms // 3_600_000
    return Finding(
        code="stale",
        grade="fair",
        owner="hall_technician",
        vi=f"Lần kiểm tra đã cách đây {hours} giờ: hãy kiểm tra lại.",
        en=f"The check is {hours} hours old: check again.",
    )


def _withdrawn(sign_off: SignOff) -> Finding:
    note = f" ({sign_off.note})" if sign_off.note else ""
    return Finding(
        code="withdrawn",
        grade="fair",
        owner="organiser",
        vi=f"Xác nhận đã bị rút lại{note}.",
        en=f"The sign-off was withdrawn{note}.",
    )


def _devices(precheck: Precheck) -> list[Finding]:
    devices = precheck.devices
    found = [
        _device("camera", devices.camera, ("Máy quay (camera)", "Camera"), "hãy cắm lại, chọn đúng thiết bị"),
        _device("microphone", devices.microphone, ("Micro", "Microphone"), "hãy cắm lại, chọn đúng thiết bị"),
        _device("speaker", devices.speaker, ("Loa", "Sound"), "hãy bật loa, tăng âm lượng, chọn đúng đầu ra"),
    ]
    if devices.screen_width_px > 0:
        size = f"{devices.screen_width_px} × {devices.screen_height_px}"
        small = devices.screen_width_px < 1024 or devices.screen_height_px < 600
        found.append(
            Finding(
                code="screen",
                grade="fair" if small else "good",
                owner="hall_technician",
                vi=f"Màn hình {size}" + (": quá nhỏ để chiếu cho hội trường." if small else "."),
                en=f"Screen {size}" + (": too small for a hall." if small else "."),
            )
        )
    return found


def _device(code: Measure, outcome: Outcome, name: tuple[str, str], todo_vi: str) -> Finding:
    vi, en = {
        "ok": (f"{name[0]}: tốt.", f"{name[1]}: works."),
        "failed": (
            f"{name[0]}: không hoạt động; {todo_vi}.",
            f"{name[1]}: does not work; plug it in, choose the device.",
        ),
        "unmeasured": (f"{name[0]}: chưa kiểm tra.", f"{name[1]}: not tried."),
    }[outcome]
    grade: Grade = "good" if outcome == "ok" else "bad" if outcome == "failed" else "unmeasured"
    # Without camera or microphone a hall sees and hears all the same; it only cannot be called to speak.
    if grade == "bad" and code != "speaker":
        grade = "fair"
    return Finding(code=code, grade=grade, owner="hall_technician", vi=vi, en=en)


def _relays(precheck: Precheck, thresholds: Thresholds) -> list[Finding]:
    found: list[Finding] = []
    by_place = {relay.place: relay for relay in precheck.relays}
    if "primary" not in by_place:
        found.append(
            Finding(
                code="no_relay",
                grade="unmeasured",
                owner="operator",
                vi="Chưa có trạm chuyển tiếp để kiểm tra đường truyền.",
                en="There was no relay to check the line with.",
            )
        )
        found.append(_unmeasured("reach", "", "operator"))
        return found
    alone = not any(relay.transport != "none" for relay in precheck.relays)
    for place in ("primary", "backup"):
        relay = by_place.get(place)
        if relay is None:
            found.append(
                Finding(
                    code="no_backup",
                    place=place,
                    grade="fair",
                    owner="operator",
                    vi="Không có trạm dự phòng cho điểm cầu này.",
                    en="There is no backup relay for this hall.",
                )
            )
            continue
        found.append(_reach(relay, alone=alone))
        if relay.transport != "none":
            found += _line(relay, thresholds)
    return found


def _reach(relay: RelayReach, *, alone: bool) -> Finding:
    vi, en = _PLACES[relay.place]
    name_vi, name_en = f"{vi.capitalize()} {relay.relay_id}", f"The {en} relay {relay.relay_id}"
    if relay.transport == "none":
        # Where no relay at all is reached the hall's own network is at fault; where one is, the other relay.
        owner: Owner = "province_technician" if alone else "operator"
        todo_vi = "xem lại tường lửa (UDP) và đường truyền" if alone else "báo trực kỹ thuật xem lại trạm"
        todo_en = "look after the firewall (UDP) and the line" if alone else "the operator is to look after the relay"
        return Finding(
            code="reach",
            place=relay.place,
            grade="bad",
            owner=owner,
            vi=f"{name_vi}: không kết nối được; {todo_vi}.",
            en=f"{name_en}: not reached; {todo_en}.",
        )
    took = "" if relay.connect_ms is None else f" ({relay.connect_ms:.0f} ms)"
    if relay.transport == "udp":
        return Finding(
            code="reach",
            place=relay.place,
            grade="good",
            owner="province_technician",
            vi=f"{name_vi}: kết nối trực tiếp qua UDP{took}.",
            en=f"{name_en}: reached directly by UDP{took}.",
        )
    way = relay.transport.removeprefix("turn_").upper()
    return Finding(
        code="reach",
        place=relay.place,
        grade="fair",
        owner="province_technician",
        vi=f"{name_vi}: UDP bị chặn, phải qua máy chủ TURN ({way}){took}; nên mở UDP trên tường lửa.",
        en=f"{name_en}: UDP is blocked, reached through TURN ({way}){took}; UDP should be opened in the firewall.",
    )


def _line(relay: RelayReach, thresholds: Thresholds) -> list[Finding]:
    rows: tuple[tuple[Measure, float | None, float, float, str, str, str], ...] = (
        ("rtt", relay.rtt_ms, thresholds.good_rtt_ms, thresholds.bad_rtt_ms, "độ trễ khứ hồi", "round trip", "ms"),
        ("loss", relay.loss, thresholds.good_loss, thresholds.bad_loss, "mất gói", "loss", "%"),
        (
            "jitter",
            relay.jitter_ms,
            thresholds.good_jitter_ms,
            thresholds.bad_jitter_ms,
            "dao động trễ",
            "jitter",
            "ms",
        ),
    )
    found: list[Finding] = []
    for code, value, good, bad, vi, en, unit in rows:
        if value is None:
            found.append(_unmeasured(code, relay.place, "operator"))
            continue
        grade: Grade = "bad" if value > bad else "good" if value < good else "fair"
        shown = f"{value * 100:.1f} %" if unit == "%" else f"{value:.0f} ms"
        place_vi, place_en = _PLACES[relay.place]
        todo_vi = "" if grade == "good" else "; dùng cáp thay Wi-Fi, báo nhà mạng nếu còn"
        todo_en = "" if grade == "good" else "; use a cable instead of Wi-Fi, tell the carrier if it stays"
        found.append(
            Finding(
                code=code,
                place=relay.place,
                grade=grade,
                owner="province_technician",
                vi=f"{vi.capitalize()} ({place_vi}): {shown}, {GRADE_WORDS[grade][0]}{todo_vi}.",
                en=f"{en.capitalize()} ({place_en}): {shown}, {GRADE_WORDS[grade][1]}{todo_en}.",
            )
        )
    return found


def _throughput(precheck: Precheck, thresholds: Thresholds) -> Finding:
    rate = precheck.throughput_bps
    if rate is None or precheck.layer_bps <= 0:
        return _unmeasured("throughput", "", "hall_technician")
    share = rate / precheck.layer_bps
    grade: Grade = "bad" if share < thresholds.bad_share else "good" if share >= thresholds.good_share else "fair"
    need = precheck.layer_bps / 1e6
    todo_vi = "" if grade == "good" else "; ngắt các máy khác đang dùng chung đường truyền, báo nhà mạng"
    todo_en = "" if grade == "good" else "; take other computers off the line, tell the carrier"
    return Finding(
        code="throughput",
        grade=grade,
        owner="province_technician",
        vi=f"Băng thông {rate / 1e6:.1f} Mbit/s (cần {need:.1f}), {GRADE_WORDS[grade][0]}{todo_vi}.",
        en=f"Throughput {rate / 1e6:.1f} Mbit/s ({need:.1f} needed), {GRADE_WORDS[grade][1]}{todo_en}.",
    )


_MEASURE_WORDS: dict[Measure, tuple[str, str]] = {
    "camera": ("máy quay", "camera"),
    "microphone": ("micro", "microphone"),
    "speaker": ("loa", "sound"),
    "screen": ("màn hình", "screen"),
    "reach": ("kết nối tới trạm", "reach of the relays"),
    "rtt": ("độ trễ khứ hồi", "round trip"),
    "loss": ("mất gói", "loss"),
    "jitter": ("dao động trễ", "jitter"),
    "throughput": ("băng thông", "throughput"),
}


def _unmeasured(code: Measure, place: RelayPlace | Literal[""], owner: Owner) -> Finding:
    vi, en = _MEASURE_WORDS[code]
    where_vi, where_en = (f" ({_PLACES[place][0]})", f" ({_PLACES[place][1]})") if place else ("", "")
    why_vi = ": cần có chương trình thử đang phát" if code in {"loss", "jitter"} else ""
    why_en = ": a test programme must be on" if code in {"loss", "jitter"} else ""
    return Finding(
        code=code,
        place=place,
        grade="unmeasured",
        owner=owner,
        vi=f"Chưa đo được {vi}{where_vi}{why_vi}.",
        en=f"Not measured: {en}{where_en}{why_en}.",
    )
