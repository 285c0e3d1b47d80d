"""A whole country: at home first, orders held, and a loss that touches only its own."""

from __future__ import annotations

import pytest

from conference.planner.loads import HallWish, RelayLoad
from conference.planner.plan import Plan, make_plan
from relay.messages import RelayRole


def relay(relay_id: str, region: str = "", *, seats: int = 10) -> RelayLoad:
    """An origin if its name begins with `o`, else an edge, four fifths of it below the soft limit."""
    role: RelayRole = "origin" if relay_id.startswith("o") else "edge"
    return RelayLoad(relay_id=relay_id, region=region, role=role, soft_seats=seats * 8 // 10, hard_seats=seats)


def halls(region: str, count: int, **fields: object) -> list[HallWish]:
    """So many halls of a region."""
    return [HallWish(hall_id=f"{region}-{number:03}", region=region, **fields) for number in range(count)]  # type: ignore[arg-type] # fields of the struct


ORIGINS = [relay("o1", seats=100), relay("o2", seats=100)]


def regions_of(plan: Plan, hall_region: str) -> list[tuple[str, ...]]:
    """Where the primaries and the backups of a region's halls stand, sorted."""
    where = {load.relay_id: load.region for load in plan.loads}
    pairs = [plan.pairs()[wish.hall_id] for wish in plan.wishes if wish.region == hall_region]
    return [tuple(sorted(where.get(pair[rank], "none") for pair in pairs)) for rank in (0, 1)]


def test_halls_stay_at_home_where_two_relays_have_room() -> None:
    """Primary and backup in the own region, on different origins."""
    plan = make_plan([*ORIGINS, relay("a", "01"), relay("b", "01"), relay("c", "02", seats=50)], halls("01", 4))
    assert regions_of(plan, "01") == [("01",) * 4, ("01",) * 4]
    assert plan.in_region == 4
    assert plan.prove().survives_any_single_loss


def test_a_full_region_takes_no_seat_that_the_next_one_needs() -> None:
    """Region 01 has twice the halls that it can seat; region 02, whose ids come later, stays at home all the same."""
    relays = [*ORIGINS, relay("a", "01"), relay("b", "02"), relay("c", "02")]
    relays += [relay("d", seats=50), relay("e", seats=50)]
    plan = make_plan(relays, [*halls("01", 16), *halls("02", 6)])
    assert regions_of(plan, "02") == [("02",) * 6, ("02",) * 6]
    assert regions_of(plan, "01")[0] == ("",) * 8 + ("01",) * 8


def test_a_relay_filled_to_a_quarter_of_a_seat_makes_no_hall_share_a_way() -> None:
    """A hall of a quarter leaves three at the only relay that is below its soft limit; the others are paired apart.

    Found by the property that every single loss is survived: two halls take four half seats, of three origins, and
    of those the flow laid one and a half on the one and a half on the other.
    """
    relays = [RelayLoad(relay_id=f"o{n}", region="", role="origin", soft_seats=0, hard_seats=60) for n in range(3)]
    relays += [
        RelayLoad(relay_id=f"e{n}", region="", role="edge", soft_seats=int(n == 7), hard_seats=60) for n in range(8)
    ]
    wishes = [
        HallWish(hall_id="h00", region="", milliseats=250),
        HallWish(hall_id="h01", region="", milliseats=250, pins=("o0",)),
        HallWish(hall_id="h02", region="", milliseats=500),
    ]
    plan = make_plan(relays, wishes)
    first = {load.relay_id: load.parents[0] for load in plan.loads if load.parents}
    assert all(first[primary] != first[backup] for primary, backup in plan.pairs().values())
    assert plan.prove().survives_any_two_origins


@pytest.mark.parametrize("seats_at_home", [400, 60], ids=["at home", "overflowing"])
def test_halls_that_play_are_spread_on_paper_too(seats_at_home: int) -> None:
    """At home, and where a region overflows to."""
    home = [relay(f"e{number}", "01", seats=seats_at_home) for number in range(4)]
    plan = make_plan([*ORIGINS, *home, *(relay(f"c{number}", seats=400) for number in range(4))], halls("01", 200))
    for group in ("e", "c"):
        playing = [load.primaries for load in plan.loads if load.relay_id.startswith(group)]
        assert max(playing) - min(playing) <= 2


def test_who_comes_to_a_plan_plays_where_others_wait() -> None:
    """What is there stays, however uneven; halls without a relay level it out."""
    relays = [*ORIGINS, *(relay(f"e{number}", "01", seats=400) for number in range(4))]
    wishes = halls("01", 200)
    present = {wish.hall_id: ("e0", "e1") if number % 2 else ("e2", "e3") for number, wish in enumerate(wishes[::2])}
    plan = make_plan(relays, wishes, present=present)
    assert {hall_id: plan.pairs()[hall_id] for hall_id in present} == present
    assert [load.primaries for load in plan.loads if load.role == "edge"] == [50] * 4


def test_overflow_follows_the_chain() -> None:
    """What does not fit at home goes to the first neighbour, then to the second, before the centre."""
    relays = [*ORIGINS, relay("a", "01", seats=5), relay("b", "02", seats=5), relay("c", "03", seats=50), relay("d")]
    plan = make_plan(relays, halls("01", 10), {"01": ("02", "03")})
    primaries, backups = regions_of(plan, "01")
    assert primaries == ("01",) * 4 + ("02",) * 4 + ("03",) * 2
    assert set(backups) == {"03", ""}


def test_pins_and_exclusions_are_orders() -> None:
    """A pinned hall gets its relays, however far and before anybody else; an excluded relay is never given."""
    relays = [*ORIGINS, relay("a", "01", seats=3), relay("b", "01", seats=40), relay("c", "02", seats=1)]
    wishes = [
        *halls("01", 9, exclude=frozenset({"a"})),
        HallWish(hall_id="z-pinned", region="01", pins=("c", "a")),
        HallWish(hall_id="z-broken", region="01", pins=("nowhere",)),
    ]
    plan = make_plan(relays, wishes)
    assert plan.pairs()["z-pinned"] == ("c", "a")
    assert plan.broken_pins == ["z-broken"]
    assert not any("a" in plan.pairs()[f"01-{number:03}"] for number in range(9))


def test_short_capacity_is_told_hall_by_hall() -> None:
    """Everybody has a primary before anybody has a backup; who has none is named, and nothing is raised."""
    plan = make_plan([relay("o1"), relay("a", seats=5), relay("b", seats=5)], halls("01", 12))
    assert len(plan.halls_without_primary) == 3  # ten seats, one of them for the link from b to its backup parent a
    assert len(plan.halls_without_backup) == 12
    empty = make_plan([], halls("01", 2))
    assert empty.halls_without_primary == empty.halls_without_backup == ["01-000", "01-001"]
    assert not empty.prove().survives_any_single_loss


def test_a_lower_bitrate_takes_less_of_a_relay() -> None:
    """Twenty halls of half a seat fit where ten of a whole one do."""
    relays = [*ORIGINS, relay("a", "01"), relay("b", "01")]
    assert not make_plan(relays, halls("01", 9, milliseats=500)).halls_without_backup
    assert make_plan(relays, halls("01", 12)).halls_without_backup


def test_a_loss_moves_its_halls_to_their_backups_and_nobody_else() -> None:
    """And the plan that follows still says so of every further loss, if there is room."""
    relays = [*ORIGINS, *(relay(f"e{number}", f"{number % 2:02}", seats=40) for number in range(6))]
    plan = make_plan(relays, [*halls("00", 20), *halls("01", 20)])
    after = plan.without("e0")
    before, moved = plan.pairs(), {hall for hall, pair in after.pairs().items() if pair != plan.pairs()[hall]}
    assert moved == {hall for hall, pair in before.items() if "e0" in pair}
    assert all(after.pairs()[hall][0] == pair[1] for hall, pair in before.items() if pair[0] == "e0")
    assert after.prove().survives_any_single_loss
    assert plan.without("stranger").pairs() == before


def test_equal_countries_have_equal_digests() -> None:
    """And others have others."""
    relays = [*ORIGINS, relay("a", "01"), relay("b", "01")]
    first, second = make_plan(relays, halls("01", 3)), make_plan(relays[::-1], halls("01", 3)[::-1])
    assert first.digest() == second.digest()
    assert first.digest() != make_plan(relays, halls("01", 4)).digest()
    assert len(first.digest()) == 64
