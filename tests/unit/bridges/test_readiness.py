"""How a pre-check is graded, what that makes of a hall, and who has to act."""

from __future__ import annotations

import math

import msgspec
import pytest

from bridges.prechecks import Devices, Precheck, RelayPlace, RelayReach, SignOff, Transport, fault_of
from bridges.readiness import Finding, Readiness, Thresholds, judge, readiness_of

THRESHOLDS = Thresholds()
HOUR_MS = 3_600_000


def reach(
    place: RelayPlace = "primary",
    transport: Transport = "udp",
    *,
    rtt_ms: float | None = 12.0,
    loss: float | None = 0.001,
    jitter_ms: float | None = 4.0,
) -> RelayReach:
    """A relay that was reached well, unless said otherwise."""
    relay_id = "tram-1" if place == "primary" else "tram-2"
    if transport == "none":
        return RelayReach(relay_id=relay_id, place=place, transport=transport)
    return RelayReach(
        relay_id=relay_id,
        place=place,
        transport=transport,
        connect_ms=80.0,
        rtt_ms=rtt_ms,
        loss=loss,
        jitter_ms=jitter_ms,
    )


def precheck(*relays: RelayReach, at_ms: int = HOUR_MS, devices: Devices | None = None, bps: float = 4e6) -> Precheck:
    """A pre-check in which all is well, unless said otherwise."""
    return Precheck(
        at_ms=at_ms,
        source="page",
        version="Chromium 140",
        devices=devices
        or Devices(camera="ok", microphone="ok", speaker="ok", screen_width_px=1920, screen_height_px=1080),
        relays=relays or (reach(), reach("backup")),
        layer_bps=2_200_000,
        download_bps=bps,
    )


def ready(*prechecks: Precheck, sign_off: SignOff | None = None, now_ms: int = 2 * HOUR_MS) -> Readiness:
    """What the defaults make of it."""
    return readiness_of(prechecks, sign_off, THRESHOLDS, now_ms)


def found(readiness: Readiness, code: str) -> Finding:
    """The one reason of a kind."""
    (reason,) = [reason for reason in readiness.reasons if reason.code == code]
    return reason


def test_a_hall_without_a_precheck_is_not_checked() -> None:
    """It says so, with who has to act; it is not taken for ready or for failed."""
    readiness = ready()
    assert readiness.state == "not_checked"
    assert readiness.owners == ["hall_technician"]
    assert readiness.checked_at_ms == readiness.age_ms == 0


def test_a_good_hall_is_ready() -> None:
    """Everything measured and good: no reason, and how old it is."""
    readiness = ready(precheck())
    assert (readiness.state, readiness.reasons, readiness.age_ms) == ("ready", [], HOUR_MS)
    assert {each.grade for each in judge(precheck(), THRESHOLDS)} == {"good"}


@pytest.mark.parametrize(
    ("changed", "value", "grade"),
    [
        ("rtt_ms", 49.9, "good"),
        ("rtt_ms", 50.0, "fair"),
        ("rtt_ms", 150.0, "fair"),
        ("rtt_ms", 150.1, "bad"),
        ("loss", 0.0099, "good"),
        ("loss", 0.025, "fair"),
        ("loss", 0.026, "bad"),
        ("jitter_ms", 30.0, "fair"),
        ("jitter_ms", 80.1, "bad"),
    ],
)
def test_thresholds_of_the_line(changed: str, value: float, grade: str) -> None:
    """Good below the lesser, bad above the greater, fair between them; fair leaves a hall ready, bad fails it."""
    relay = msgspec.structs.replace(reach(), **{changed: value})
    checked = precheck(relay, reach("backup"))
    code = changed.removesuffix("_ms")
    (finding,) = [each for each in judge(checked, THRESHOLDS) if each.code == code and each.place == "primary"]
    assert finding.grade == grade
    assert ready(checked).state == ("failed" if grade == "bad" else "ready")


@pytest.mark.parametrize(("bps", "grade"), [(2.2e6, "good"), (2.0e6, "fair"), (1.76e6, "fair"), (1.75e6, "bad")])
def test_throughput_is_judged_by_the_layer(bps: float, grade: str) -> None:
    """Met is good, less than four fifths is bad."""
    (finding,) = [each for each in judge(precheck(bps=bps), THRESHOLDS) if each.code == "throughput"]
    assert finding.grade == grade


def test_either_way_of_measuring_throughput_can_only_show_too_little() -> None:
    """A programme of few bits on a wide line is no narrow line."""
    checked = msgspec.structs.replace(precheck(bps=9e6), media_bps=300_000.0)
    assert checked.throughput_bps == 9e6
    assert ready(checked).state == "ready"


def test_thresholds_are_data() -> None:
    """A line that the defaults refuse passes where more is allowed."""
    checked = precheck(reach(rtt_ms=400.0), reach("backup"))
    assert ready(checked).state == "failed"
    assert readiness_of([checked], None, Thresholds(good_rtt_ms=500, bad_rtt_ms=600), HOUR_MS).state == "ready"


def test_what_was_not_measured_is_never_good() -> None:
    """Loss and jitter need media; without, the hall is doubtful, and the operator is to put a programme on."""
    checked = precheck(reach(loss=None, jitter_ms=None), reach("backup"))
    readiness = ready(checked)
    assert readiness.state == "doubtful"
    assert found(readiness, "loss").grade == "unmeasured"
    assert found(readiness, "loss").owner == "operator"
    assert "Chưa đo" in found(readiness, "loss").vi


def test_what_need_not_be_measured_is_left_alone() -> None:
    """A hall that will not speak needs no camera; the check says that it was not tried, and the hall is ready."""
    devices = Devices(speaker="ok")
    assert ready(precheck(devices=devices)).state == "ready"
    assert "unmeasured" in {each.grade for each in judge(precheck(devices=devices), THRESHOLDS)}
    strict = Thresholds(required=frozenset({"camera"}))
    assert readiness_of([precheck(devices=devices)], None, strict, HOUR_MS).state == "doubtful"


def test_nobody_hears_anything() -> None:
    """A person said that no sound came: failed, and the hall's own technician is to see to it."""
    readiness = ready(precheck(devices=Devices(speaker="failed")))
    assert readiness.state == "failed"
    assert found(readiness, "speaker").owner == "hall_technician"


def test_one_relay_that_is_down_is_the_operators() -> None:
    """The other is reached, so it is not the hall's network."""
    readiness = ready(precheck(reach(), reach("backup", "none")))
    assert readiness.state == "doubtful"
    assert (found(readiness, "reach").owner, found(readiness, "reach").place) == ("operator", "backup")
    readiness = ready(precheck(reach(transport="none"), reach("backup")))
    assert (readiness.state, found(readiness, "reach").owner) == ("failed", "operator")


def test_no_relay_at_all_is_the_halls_network() -> None:
    """Neither is reached: the firewall, and the provincial technician."""
    readiness = ready(precheck(reach(transport="none"), reach("backup", "none")))
    assert readiness.state == "failed"
    assert {reason.owner for reason in readiness.reasons if reason.code == "reach"} == {"province_technician"}


def test_turn_is_fair() -> None:
    """Reached through TURN: the hall works, and somebody ought to open UDP."""
    readiness = ready(precheck(reach(transport="turn_tcp"), reach("backup", "turn_tls")))
    assert readiness.state == "ready"
    assert [reason.grade for reason in readiness.reasons] == ["fair", "fair"]
    assert "TURN (TCP)" in readiness.reasons[0].vi


def test_no_relay_to_check_with() -> None:
    """Before relays run nothing is known of the line, and nothing is good."""
    checked = msgspec.structs.replace(precheck(), relays=())
    assert ready(checked).state == "doubtful"
    assert ready(precheck(reach())).state == "doubtful"  # no backup
    assert found(ready(precheck(reach())), "no_backup").owner == "operator"


def test_a_stale_check_says_so() -> None:
    """After the configured hours a check is of no more use, whatever it found."""
    readiness = ready(precheck(), now_ms=HOUR_MS * 80)
    assert (readiness.state, readiness.reasons[0].code) == ("doubtful", "stale")
    assert "79 giờ" in readiness.reasons[0].vi


def test_the_newest_check_counts() -> None:
    """Whatever order they stand in."""
    bad, good = precheck(reach(transport="none"), at_ms=1_000), precheck(at_ms=2_000)
    assert ready(good, bad).state == ready(bad, good).state == "ready"


def test_a_sign_off_stands_until_a_check_fails() -> None:
    """Whoever signs off knows the checks before it; one that fails later ends it, and a withdrawal does."""
    sign_off = SignOff(at_ms=HOUR_MS, by="user:an", note="đã thử")
    failing = precheck(reach(transport="none"), reach("backup", "none"), at_ms=HOUR_MS - 1)
    assert ready(failing, sign_off=sign_off).state == "signed_off"
    assert ready(sign_off=sign_off).state == "signed_off"
    assert ready(sign_off=sign_off).reasons[0].code == "not_checked"
    later = msgspec.structs.replace(failing, at_ms=HOUR_MS + 1)
    assert ready(later, sign_off=sign_off).state == "failed"
    withdrawn = msgspec.structs.replace(sign_off, withdrawn=True, note="đổi phòng")
    readiness = ready(precheck(), sign_off=withdrawn)
    assert (readiness.state, found(readiness, "withdrawn").owner) == ("doubtful", "organiser")
    assert "đổi phòng" in found(readiness, "withdrawn").vi


@pytest.mark.parametrize(
    "impossible",
    [
        {"version": "x" * 201},
        {"relays": (reach(), reach())},
        {"relays": (reach(loss=1.01),)},
        {"relays": (reach(rtt_ms=math.nan),)},
        {"relays": (reach(jitter_ms=-1),)},
        {"media_bps": math.inf},
        {"layer_bps": -1},
        {"devices": Devices(screen_width_px=-1)},
    ],
)
def test_what_is_impossible_is_named(impossible: dict[str, object]) -> None:
    """Bounds on everything that comes from outside."""
    assert fault_of(msgspec.structs.replace(precheck(), **impossible))
    assert not fault_of(precheck())
