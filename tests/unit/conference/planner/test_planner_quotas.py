"""Who goes where when not everybody can stay at home."""

from __future__ import annotations

from collections import Counter

from conference.planner.loads import HallWish, RelayLoad
from conference.planner.quotas import quotas


def edge(relay_id: str, region: str, parent: str, *, seats: int = 10) -> RelayLoad:
    """An edge that plays from one origin, all of it below the soft limit."""
    return RelayLoad(
        relay_id=relay_id, region=region, role="edge", soft_seats=seats, hard_seats=seats, parents=[parent]
    )


def halls(region: str, count: int, *, milliseats: int = 1_000) -> list[HallWish]:
    """So many halls of a region, of one bitrate."""
    return [HallWish(hall_id=f"{region}-{number}", region=region, milliseats=milliseats) for number in range(count)]


def test_who_loses_least_makes_room() -> None:
    """Region 02 may go on to 03 for one step, region 01 else far away: so 02, which has room for itself, moves."""
    relays = [edge(f"{region}-{origin}", region, origin) for region in ("02", "03") for origin in ("o1", "o2")]
    relays += [edge("far-1", "09", "o1", seats=50), edge("far-2", "09", "o2", seats=50)]
    found = quotas(relays, [*halls("01", 10), *halls("02", 10)], {"01": ("02",), "02": ("03",)})
    where = {
        region: {relays[group.relays[0]].region for pair in pairs for group in pair} for region, pairs in found.items()
    }
    assert where == {"01": {"02"}, "02": {"03"}}
    assert [len(pairs) for pairs in found.values()] == [10, 10]


def test_the_two_seats_of_a_hall_play_from_different_origins() -> None:
    """As long as there are seats at both; and the primaries are shared out."""
    relays = [edge("a", "01", "o1", seats=20), edge("b", "01", "o2", seats=20)]
    (pairs,) = quotas(relays, halls("01", 20), {}).values()
    assert len(pairs) == 20
    assert all(one.fate != other.fate for one, other in pairs)
    assert Counter(one.fate for one, _ in pairs) == {"o1": 10, "o2": 10}


def test_a_way_is_shared_rather_than_a_hall_left_alone() -> None:
    """Where one origin's side is too small, some halls have both seats on the other side, on different relays."""
    relays = [edge("a", "01", "o1"), edge("b", "01", "o1"), edge("c", "01", "o2", seats=4)]
    (pairs,) = quotas(relays, halls("01", 12), {}).values()
    assert len(pairs) == 12
    assert sum(one.fate == other.fate for one, other in pairs) == 8


def test_seats_broken_up_over_relays_make_nobody_share_a_way() -> None:
    """Three halls of 667: of o2 there is one whole seat at home and one away, so two pairs, and none within o1."""
    relays = [edge("a", "01", "o1"), edge("b", "01", "o1"), edge("c", "01", "o2", seats=1), edge("d", "02", "o2")]
    (pairs,) = quotas(relays, halls("01", 3, milliseats=667), {}).values()
    assert [{one.fate, other.fate} for one, other in pairs] == [{"o1", "o2"}] * 2


def test_no_more_halls_share_a_way_than_must_where_seats_are_broken_up() -> None:
    """Twelve halls of 667 and three seats at o2, far apart: three halls are apart, seven share, two find no quota."""
    relays = [edge("a", "01", "o1"), edge("b", "01", "o1")]
    relays += [edge(name, region, "o2", seats=1) for name, region in (("c", "01"), ("d", "02"), ("e", "03"))]
    (pairs,) = quotas(relays, halls("01", 12, milliseats=667), {"01": ("02", "03")}).values()
    assert Counter(one.fate == other.fate for one, other in pairs) == {True: 7, False: 3}


def test_below_one_origin_each_relay_is_a_fate() -> None:
    """A hall takes one seat of a relay, however large that is."""
    relays = [edge("a", "01", "o1", seats=50), edge("b", "01", "o1", seats=4), edge("c", "02", "o1", seats=50)]
    (pairs,) = quotas(relays, halls("01", 10), {}).values()
    assert all(one.fate != other.fate for one, other in pairs)
    assert Counter(group.fate for pair in pairs for group in pair) == {"a": 10, "b": 4, "c": 6}


def test_without_seats_for_all_there_are_no_quotas() -> None:
    """Then everybody's primary comes before anybody's backup."""
    assert quotas([edge("a", "01", "o1"), edge("b", "01", "o2")], halls("01", 11), {}) == {}
    assert quotas([], halls("01", 1), {}) == {}
    assert quotas([edge("a", "01", "o1")], [], {}) == {}
