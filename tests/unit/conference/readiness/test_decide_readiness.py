"""The rules of readiness: what is stored of a pre-check, who signs off for what, and which relays are checked."""

from __future__ import annotations

from collections.abc import Generator

import msgspec
import pytest
from support.country import Country

from bridges.prechecks import Precheck, RelayReach
from bridges.readiness import Thresholds
from conference.commands import ChangePhase, CreateConference, ReportPrecheck, SignOffReadiness
from conference.errors import RejectedError
from conference.events import ATTENDANCE, PrecheckReported, RehearsalSignedOff, stream_of
from conference.readiness.prechecking import Prechecks
from conference.readiness.readying import hall_readiness, relays_to_check, sessions_of
from conference.snapshot import decode_state, encode_in_steps, encode_state, fingerprint
from conference.state import State

PRECHECK = Precheck(
    source="agent", relays=(RelayReach(relay_id="e1", place="primary", transport="udp"),), layer_bps=2_200_000
)


@pytest.fixture
def country() -> Country:
    """Two halls that nobody seated yet, and relays."""
    country = Country()
    country.open_conference("h1", "h2")
    country.register("o1", "e1", "e2")
    return country


def test_a_precheck_is_dated_by_the_coordinator(country: Country) -> None:
    """Whatever the hall's clock says; it is attendance, so that gateways write it."""
    (event,) = country.do(
        ReportPrecheck(conference_id="hn", hall_id="h1", precheck=msgspec.structs.replace(PRECHECK, at_ms=10**15))
    )
    assert isinstance(event, PrecheckReported)
    assert event.precheck.at_ms == country.state.newest_ms < 10**15
    assert stream_of(event) == ATTENDANCE


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({"conference_id": "none"}, "unknown_conference"),
        ({"hall_id": "none"}, "unknown_hall"),
        ({"precheck": msgspec.structs.replace(PRECHECK, media_bps=-1.0)}, "bad_precheck"),
        (
            {"precheck": Precheck(source="page", relays=(RelayReach(relay_id="", place="backup", transport="none"),))},
            "bad_id",
        ),
    ],
)
def test_prechecks_that_are_refused(country: Country, changed: dict[str, object], code: str) -> None:
    """Of nobody, or impossible."""
    command = msgspec.structs.replace(ReportPrecheck(conference_id="hn", hall_id="h1", precheck=PRECHECK), **changed)
    with pytest.raises(RejectedError) as caught:
        country.do(command)
    assert caught.value.code == code


def test_after_the_end_nobody_gets_ready(country: Country) -> None:
    """A pre-check of a conference that is over is refused."""
    country.do(ChangePhase(conference_id="hn", phase="ended"))
    with pytest.raises(RejectedError, match="has ended"):
        country.do(ReportPrecheck(conference_id="hn", hall_id="h1", precheck=PRECHECK))


def test_the_relays_of_a_check_cost_nothing(country: Country) -> None:
    """They are those that a join would give, and no seat is charged; before any relay runs there are none."""
    before = fingerprint(country.state)
    primary, backup = relays_to_check(country.state, "hn", "h1", frozenset())
    assert {primary, backup} <= {"o1", "e1", "e2"}
    assert primary != backup
    assert fingerprint(country.state) == before
    assert country.state.seat("hn", "h1") is None
    country.join("h1")
    seat = country.state.seat("hn", "h1")
    assert seat is not None
    assert relays_to_check(country.state, "hn", "h1", frozenset()) == (seat.primary, seat.backup)
    country.do(CreateConference(conference_id="draft", title="Hội nghị", feeds=["program"]))
    assert relays_to_check(country.state, "draft", "h2", frozenset())[0]
    bare = Country()
    bare.open_conference("h1")
    assert relays_to_check(bare.state, "hn", "h1", frozenset()) == ("", "")


def test_sign_offs_of_halls_and_units(country: Country) -> None:
    """A unit's technician answers for every hall under it; the later word counts, and what does not stand goes not."""
    unit = country.state.halls["h1"].unit
    state = country.state

    def of(hall_id: str) -> str:
        return hall_readiness(state, sessions_of(state, "hn"), hall_id, Thresholds(), state.newest_ms).state

    assert of("h1") == "not_checked"
    (event,) = country.do(SignOffReadiness(conference_id="hn", unit=unit, by="user:an", note="cả tỉnh"))
    assert isinstance(event, RehearsalSignedOff)
    assert stream_of(event) == ATTENDANCE
    assert of("h1") == "signed_off"
    country.do(SignOffReadiness(conference_id="hn", hall_id="h1", by="hall:h1"))
    country.do(SignOffReadiness(conference_id="hn", hall_id="h1", by="user:an", note="mất điện", withdrawn=True))
    assert of("h1") == "not_checked"
    assert not country.do(SignOffReadiness(conference_id="hn", hall_id="h1", by="user:an", withdrawn=True))
    assert dict(state.prechecks.unit_sign_offs("hn"))[unit].note == "cả tỉnh"
    for hall_id, named in (("", ""), ("h1", unit)):
        with pytest.raises(RejectedError, match="a hall or a unit"):
            country.do(SignOffReadiness(conference_id="hn", by="user:an", hall_id=hall_id, unit=named))


def test_a_rehearsal_and_its_conference_share_their_checks(country: Country) -> None:
    """What was checked in the rehearsal holds for the day, and the other way round."""
    state = country.state
    country.do(
        CreateConference(conference_id="td", title="Tổng duyệt", feeds=["program"], kind="rehearsal", rehearsal_of="hn")
    )
    assert sessions_of(state, "hn") == sessions_of(state, "td") == ["hn", "td"]
    country.do(ReportPrecheck(conference_id="td", hall_id="h1", precheck=PRECHECK))
    found = hall_readiness(state, sessions_of(state, "hn"), "h1", Thresholds(), state.newest_ms)
    assert found.state == "doubtful"
    assert found.checked_at_ms == state.newest_ms


@pytest.mark.parametrize("halls", [0, 1, 15, 16, 1_001, 70_000])
def test_a_snapshot_in_steps_is_the_same_whatever_its_size(halls: int) -> None:
    """Tables of any length come back, although they are written some records at a time."""
    state = State()
    kept: dict[str, tuple[Precheck, ...]] = {f"h{number}": (PRECHECK,) for number in range(halls)}
    state.prechecks = Prechecks({"hn": kept} if halls else {})
    made: list[bytes] = []

    def made_in_steps() -> Generator[None, None, None]:
        made.append((yield from encode_in_steps(state)))

    for _ in made_in_steps():
        pass
    assert decode_state(made[0]).prechecks.by_hall == state.prechecks.by_hall


def test_a_snapshot_keeps_readiness(country: Country) -> None:
    """Pre-checks and sign-offs come back, also where the snapshot is made in steps."""
    country.do(ReportPrecheck(conference_id="hn", hall_id="h1", precheck=PRECHECK))
    country.do(SignOffReadiness(conference_id="hn", hall_id="h1", by="hall:h1"))

    made: list[bytes] = []

    def made_in_steps() -> Generator[None, None, None]:
        made.append((yield from encode_in_steps(country.state)))

    for _ in made_in_steps():
        country.do(ReportPrecheck(conference_id="hn", hall_id="h2", precheck=PRECHECK))
    whole = decode_state(encode_state(country.state))
    assert fingerprint(whole) == fingerprint(country.state)
    assert whole.prechecks.of_hall("hn", "h1") == country.state.prechecks.of_hall("hn", "h1")
    restored = decode_state(made[0])
    assert restored.prechecks.of_hall("hn", "h2") == ()
    assert restored.prechecks.sign_off_of_hall("hn", "h1") is not None
