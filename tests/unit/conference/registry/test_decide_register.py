"""Rules of the register: units, halls, conferences."""

from __future__ import annotations

import msgspec
import pytest
from support.country import Country

from bridges.halls import Hall
from bridges.units import Unit
from conference.commands import ChangePhase, Command, CreateConference, ImportHalls, ImportUnits
from conference.decide import decide
from conference.errors import RejectedError
from conference.events import ConferenceCreated
from conference.lifecycle import PHASES, ConferenceKind, Phase, can_move
from conference.snapshot import decode_state, encode_state, fingerprint


def unit(code: str, parent: str = "", name: str = "Xã") -> Unit:
    """A commune."""
    return Unit(code=code, name=name, kind="xã", parent=parent)


def hall(
    hall_id: str, unit_code: str = "00004", *, seats: int = 80, name: str = "Điểm cầu", virtual: bool = False
) -> Hall:
    """A base hall."""
    return Hall(hall_id=hall_id, name=name, unit=unit_code, level="base", seats=seats, virtual=virtual)


def conference(conference_id: str = "x", title: str = "Hội nghị", feeds: tuple[str, ...] = ("program",)) -> Command:
    """A draft."""
    return CreateConference(conference_id=conference_id, title=title, feeds=list(feeds))


def rehearsal(of: str, kind: ConferenceKind = "rehearsal") -> Command:
    """A draft of a dress rehearsal."""
    return CreateConference(conference_id="thu", title="Tổng duyệt", feeds=["program"], kind=kind, rehearsal_of=of)


REFUSED = [
    (ImportUnits(units=[unit("a b")]), "bad_id", 422),
    (ImportUnits(units=[unit("1", name=" ")]), "bad_text", 422),
    (ImportUnits(units=[unit("1"), unit("1")]), "duplicate_unit", 422),
    (ImportUnits(units=[unit("1", parent="99")]), "unknown_unit", 404),
    (ImportUnits(units=[unit("1", parent="2"), unit("2", parent="1")]), "unit_cycle", 422),
    (ImportUnits(units=[unit("01", parent="00004")]), "unit_cycle", 422),
    (ImportUnits(units=[msgspec.structs.replace(unit("1", parent="01"), tree="organisation")]), "wrong_tree", 422),
    (ImportUnits(units=[msgspec.structs.replace(unit("1"), merged_into="a b")]), "bad_id", 422),
    (
        ImportUnits(units=[msgspec.structs.replace(unit("1"), valid_from="2025-07-01", valid_to="2025-06-30")]),
        "bad_validity",
        422,
    ),
    (ImportHalls(halls=[hall("")]), "bad_id", 422),
    (ImportHalls(halls=[hall("x" * 65)]), "bad_id", 422),
    (ImportHalls(halls=[hall("điểm")]), "bad_id", 422),
    (ImportHalls(halls=[hall("h1\n")]), "bad_id", 422),
    (ImportHalls(halls=[hall("n", seats=-1)]), "bad_seats", 422),
    (ImportHalls(halls=[hall("n"), hall("n")]), "duplicate_hall", 422),
    (ImportHalls(halls=[hall("good"), hall("n", "99")]), "unknown_unit", 404),
    (ImportHalls(halls=[hall("h1", virtual=True)]), "hall_kind", 409),
    (conference(title=""), "bad_text", 422),
    (conference(feeds=()), "bad_feeds", 422),
    (conference(feeds=("program", "program")), "bad_feeds", 422),
    (conference(feeds=("../x",)), "bad_id", 422),
    (conference("hn", title="Another"), "conference_exists", 409),
    (rehearsal("hn", "conference"), "bad_rehearsal", 422),
    (rehearsal("none"), "unknown_conference", 404),
    (rehearsal(""), "bad_rehearsal", 422),
    (CreateConference(conference_id="x", title="x", feeds=["a"], starts_at_ms=-1), "bad_time", 422),
    (ImportHalls(halls=[msgspec.structs.replace(hall("n"), organisation="99")]), "unknown_unit", 404),
    (ImportHalls(halls=[msgspec.structs.replace(hall("n"), organisation="01")]), "wrong_tree", 422),
    (ImportHalls(halls=[msgspec.structs.replace(hall("n"), bandwidth_mbps=-1)]), "bad_bandwidth", 422),
    (ImportHalls(halls=[msgspec.structs.replace(hall("n"), devices="x" * 301)]), "bad_text", 422),
    (ChangePhase(conference_id="none", phase="open"), "unknown_conference", 404),
    (ChangePhase(conference_id="hn", phase="open"), "wrong_phase", 409),
    (ChangePhase(conference_id="hn", phase="draft"), "wrong_phase", 409),
]


@pytest.mark.parametrize(("command", "code", "status"), REFUSED)
def test_refused(command: Command, code: str, status: int) -> None:
    """Each rule has its code and status, and a refused command changes nothing."""
    country = Country()
    country.open_conference("h1")
    country.register("e1", "e2")
    country.join("h1")
    before = fingerprint(country.state)
    with pytest.raises(RejectedError) as caught:
        decide(country.state, command, 0)
    assert (caught.value.code, caught.value.status) == (code, status)
    assert fingerprint(country.state) == before


@pytest.mark.parametrize(
    "command",
    [
        ImportUnits(units=[unit("7"), unit("8", parent="7")]),
        ImportUnits(units=[unit("8", parent="7"), unit("7")]),
        ImportHalls(halls=[hall("n1"), hall("n2")]),
        conference(),
    ],
)
def test_a_repetition_gives_nothing(command: Command) -> None:
    """The same import or draft again is no event; a parent may follow its child within an import."""
    country = Country()
    country.open_conference("h1")
    assert country.do(command)
    assert country.do(command) == []


def test_an_import_holds_only_what_changed() -> None:
    """Of three halls, one is new, one differs, one is the same."""
    country = Country()
    country.open_conference()
    country.do(ImportHalls(halls=[hall("a"), hall("b")]))
    (event,) = country.do(ImportHalls(halls=[hall("a"), hall("b", seats=90), hall("c")]))
    assert [h.hall_id for h in event.halls] == ["b", "c"]  # type: ignore[union-attr]  # it is a HallsImported


@pytest.mark.parametrize("current", PHASES)
@pytest.mark.parametrize("target", PHASES)
def test_phases_follow_the_table(current: Phase, target: Phase) -> None:
    """Exactly the moves of `lifecycle.TRANSITIONS` are taken."""
    country = Country()
    country.do(conference())
    country.state.conferences["x"].phase = current
    command = ChangePhase(conference_id="x", phase=target)
    if can_move(current, target):
        assert len(country.do(command)) == 1
        assert country.state.conferences["x"].phase == target
    else:
        with pytest.raises(RejectedError):
            country.do(command)


def test_a_rehearsal_knows_what_it_is_of_and_in_which_tree_its_halls_report() -> None:
    """What a conference was drafted with is in the state and comes back from a snapshot."""
    country = Country()
    country.open_conference("h1")
    command = CreateConference(
        conference_id="thu",
        title="Tổng duyệt",
        feeds=["program"],
        reporting="organisation",
        kind="rehearsal",
        rehearsal_of="hn",
        starts_at_ms=1_770_000_000_000,
    )
    country.do(command)
    known = decode_state(encode_state(country.state)).conferences["thu"]
    for name in command.__struct_fields__:
        assert getattr(known, name) == getattr(command, name)
    with pytest.raises(RejectedError):
        decide(country.state, msgspec.structs.replace(command, conference_id="x", rehearsal_of="thu"), 0)


def test_events_of_older_journals_have_the_fields_that_came_later() -> None:
    """A record without the newer fields means a conference by territory, units that are in force and bare halls."""
    created = msgspec.json.decode(
        b'{"type":"conference_created","conference_id":"c","title":"c","feeds":["program"]}', type=ConferenceCreated
    )
    assert (created.reporting, created.kind, created.rehearsal_of) == ("territory", "conference", "")
    assert msgspec.convert({"code": "01", "name": "x", "kind": "tỉnh"}, Unit).valid_to == ""


def test_an_older_unit_becomes_the_past_of_its_code() -> None:
    """What is in force stays, the older one goes before it, and both are there again from a snapshot."""
    country = Country()
    country.open_conference("h1")
    now = msgspec.structs.replace(unit("7", name="Mới"), valid_from="2025-07-01")
    old = msgspec.structs.replace(unit("7", name="Cũ"), valid_to="2025-06-30")
    country.do(ImportUnits(units=[now]))
    country.do(ImportUnits(units=[old]))
    assert country.do(ImportUnits(units=[old])) == []
    known = decode_state(encode_state(country.state)).units["7"]
    assert known.versions == (old, now)
