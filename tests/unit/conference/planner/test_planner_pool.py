"""Where one hall goes, and what makes a backup a good one."""

from __future__ import annotations

from typing import Any

import pytest

from conference.errors import RejectedError
from conference.planner.loads import HallWish, RelayLoad
from conference.planner.pool import Pool
from conference.policy import MediaCost, Policy
from relay.messages import Capacity, RelayRole


def relay(
    relay_id: str,
    region: str = "",
    *,
    used: int = 0,
    hard: int = 10,
    role: RelayRole = "edge",
    parents: tuple[str, ...] = ("o1", "o2"),
) -> RelayLoad:
    """An edge with ten seats, eight of them below the soft limit."""
    return RelayLoad(
        relay_id=relay_id,
        region=region,
        role=role,
        soft_seats=hard * 8 // 10,
        hard_seats=hard,
        parents=[] if role == "origin" else list(parents),
        primaries=used,
        hall_milliseats=1_000 * used,
    )


def wish(region: str = "01", **fields: Any) -> HallWish:
    """A hall of province 01."""
    return HallWish(hall_id="h", region=region, **fields)


@pytest.mark.parametrize(
    ("relays", "expected"),
    [
        pytest.param([relay("a", "02"), relay("b", "01"), relay("c")], ("b", "c"), id="region, then centre"),
        pytest.param([relay("a", "02"), relay("b", "01")], ("b", "a"), id="region, then another province"),
        pytest.param([relay("a", "01", used=5), relay("b", "01", used=2), relay("c")], ("b", "a"), id="least used"),
        pytest.param([relay("b", "01"), relay("a", "01")], ("a", "b"), id="by name where all is equal"),
        pytest.param([relay("a", "01", used=8), relay("b"), relay("c")], ("b", "c"), id="soft limit overflows"),
        pytest.param([relay("a", "01", used=8), relay("b", used=9)], ("a", "b"), id="all above soft: region again"),
        pytest.param([relay("a", "01", used=10), relay("b", used=9)], ("b", ""), id="never above hard"),
        pytest.param(
            [relay("a", "01", parents=()), relay("b", "02")], ("b", "a"), id="a relay without feed comes last"
        ),
        pytest.param([relay("o", role="origin"), relay("a", "02")], ("a", ""), id="no origin beside an edge"),
        pytest.param(
            [relay("a", "01", parents=("o1",)), relay("b", "01", parents=("o1",)), relay("c", "02", parents=("o2",))],
            ("a", "c"),
            id="backup does not share the only parent",
        ),
        pytest.param(
            [relay("a", "01", parents=("o1",)), relay("b", "01", parents=("o1",))],
            ("a", "b"),
            id="unless there is no other",
        ),
    ],
)
def test_place(relays: list[RelayLoad], expected: tuple[str, str]) -> None:
    """Region first, then the centre, then others; soft before hard; a backup on another path."""
    relays = [*relays, relay("o1", role="origin"), relay("o2", role="origin")]
    assert Pool(relays).place(wish()) == expected
    assert Pool(relays[::-1]).place(wish()) == expected


def test_avoided_relays_are_not_chosen() -> None:
    """`avoid` holds for primary and backup."""
    relays = [relay("a", "01"), relay("b", "01"), relay("c")]
    assert Pool(relays).place(wish(), frozenset({"a"})) == ("b", "c")
    assert Pool(relays).place_backup(wish(), "a", frozenset({"b"})) == "c"


@pytest.mark.parametrize("relays", [[], [relay("a", used=10)], [relay("o", role="origin", used=8)]])
def test_no_room_is_a_rejection(relays: list[RelayLoad]) -> None:
    """503 `no_relay`; an origin keeps what is above its soft limit for relays."""
    with pytest.raises(RejectedError) as caught:
        Pool(relays).place(wish())
    assert (caught.value.code, caught.value.status) == ("no_relay", 503)


def test_seats_are_what_the_scarcer_resource_carries() -> None:
    """A gigabit line with a fast processor carries 454 halls at 2.2 Mbit/s; a slow processor fewer."""
    policy = Policy()
    assert policy.seats(Capacity(bits_per_s=1_000_000_000, packets_per_s=1_000_000), 1.0) == 454
    assert policy.seats(Capacity(bits_per_s=1_000_000_000, packets_per_s=30_000), 1.0) == 100
    assert policy.seats(Capacity(bits_per_s=1_000_000_000, packets_per_s=30_000), 0.8) == 80


def test_a_region_of_lower_bitrate_takes_the_scarcer_share() -> None:
    """A hall takes what line or processor feel more of it, rounded up; other regions take a seat."""
    policy = Policy(regions={"04": MediaCost(bits_per_s=1_100_000, packets_per_s=200)})
    assert policy.milliseats("04") == 667
    assert policy.milliseats("01") == 1_000


def test_wishes_carry_pins_and_exclusions_of_hall_and_region() -> None:
    """Both exclusions hold together."""
    policy = Policy(pins={"h": ("a", "b")}, exclusions={"h": frozenset({"c"}), "01": frozenset({"d"})})
    assert policy.wish("h", "01") == wish(pins=("a", "b"), exclude=frozenset({"c", "d"}))
    assert policy.wish("i", "01").exclude == {"d"}


def test_pins_come_first_where_they_have_room() -> None:
    """The first as primary, the second as backup; a full one is passed over; exclusions outweigh them."""
    relays = [relay("a", "01"), relay("b", "01"), relay("c", "02"), relay("d", "02", used=10)]
    assert Pool(relays).place(wish(pins=("c", "b"))) == ("c", "b")
    assert Pool(relays).place(wish(pins=("d", "c"))) == ("c", "a")
    assert Pool(relays).place(wish(pins=("c",), exclude=frozenset({"c"}))) == ("a", "b")


def test_a_seat_that_does_not_fit_is_not_given() -> None:
    """Half a seat fits where a whole one does not."""
    relays = [relay("a", "01")]
    relays[0].hall_milliseats = 9_500
    assert Pool(relays).place(wish(milliseats=500)) == ("a", "")
    with pytest.raises(RejectedError):
        Pool(relays).place(wish())


def test_a_touched_relay_is_seen_as_it_is_now() -> None:
    """Charges count from the moment that the pool is told of them; strangers do not matter."""
    relays = [relay("a", "01"), relay("b", "01")]
    pool = Pool(relays)
    relays[0].charge(1_000, primaries=1)
    assert pool.place(wish())[0] == "a"
    pool.touch("a")
    pool.touch("stranger")
    assert pool.place(wish())[0] == "b"


def joined(relays: list[RelayLoad], halls: int, *, milliseats: int = 1_000) -> Pool:
    """The pool after so many halls of province 01 joined, one by one, and were charged at both relays."""
    pool = Pool(relays)
    for _ in range(halls):
        primary, backup = pool.place(wish(milliseats=milliseats))
        pool.charge(pool.index(primary), milliseats, primaries=1)
        pool.charge(pool.index(backup), milliseats, backups=1)
    return pool


@pytest.mark.parametrize("milliseats", [1_000, 667, 100])
@pytest.mark.parametrize(
    "parents",
    [
        pytest.param(("o1", "o2"), id="two"),
        pytest.param(("o1", "o2", "o1", "o2"), id="four"),
        pytest.param(("o1", "o2", "o1"), id="three, of which one is everybody else's backup"),
        pytest.param(("o1", "o1", "o1", "o1", "o1"), id="five below the only origin"),
    ],
)
def test_halls_that_play_are_spread_and_not_only_seats(parents: tuple[str, ...], milliseats: int) -> None:
    """However backups lie, each relay of a province gets as many halls that play as any other."""
    edges = [relay(f"e{number}", "01", hard=2_000, parents=(parent,)) for number, parent in enumerate(parents)]
    joined([*edges, relay("o1", role="origin"), relay("o2", role="origin")], 1_000, milliseats=milliseats)
    playing = [load.primaries for load in edges]
    assert sum(playing) == 1_000
    assert max(playing) - min(playing) <= 3


def test_larger_relays_are_given_more_to_play() -> None:
    """A relay of twice the seats gets twice the halls; seats are spread alike."""
    relays = [relay("a", "01", hard=1_000), relay("b", "01", hard=1_000), relay("c", "01", hard=2_000)]
    pool = joined(relays, 1_000)
    assert [load.primaries for load in pool.loads] == pytest.approx([250, 250, 500], abs=3)
    assert [load.charged_milliseats for load in pool.loads] == pytest.approx([500_000, 500_000, 1_000_000], abs=5_000)


def test_a_relay_of_standbys_is_first_to_play_only_while_nothing_that_weighs_more_speaks_against_it() -> None:
    """It plays least; region, feed, soft and hard limit still come first, and among those that play alike use does."""

    def waiting(relay_id: str, region: str, backups: int, parents: tuple[str, ...] = ("o1", "o2")) -> RelayLoad:
        load = relay(relay_id, region, parents=parents)
        load.charge(1_000, backups=backups)
        return load

    busy = relay("b", "01", used=3)
    assert Pool([busy, waiting("w", "01", 7)]).place(wish())[0] == "w"
    assert Pool([busy, waiting("w", "02", 0)]).place(wish())[0] == "b"
    assert Pool([busy, waiting("w", "01", 0, parents=())]).place(wish())[0] == "b"
    assert Pool([busy, waiting("w", "01", 8)]).place(wish())[0] == "b"
    assert Pool([relay("b", "01", used=9), waiting("w", "01", 10)]).place(wish()) == ("b", "")
    assert Pool([waiting("v", "01", 6), waiting("w", "01", 5)]).place(wish())[0] == "w"


def test_backups_go_by_all_that_is_charged() -> None:
    """A standby takes a seat whether others of the relay play or wait."""
    waiting = relay("w", "01")
    waiting.charge(1_000, backups=5)
    assert Pool([relay("a", "01"), relay("b", "01", used=4), waiting]).place_backup(wish(), "a") == "b"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        pytest.param(("a", "b"), ("a", "b"), id="what stands is kept"),
        pytest.param(("gone", "b"), ("b", "a"), id="the backup is promoted"),
        pytest.param(("b", "gone"), ("b", "a"), id="another backup"),
        pytest.param(("gone", ""), ("a", "b"), id="both anew"),
        pytest.param(("a", "a"), ("a", "b"), id="a primary is no backup"),
    ],
)
def test_settling(before: tuple[str, str], after: tuple[str, str]) -> None:
    """As much of what a hall had as still stands."""
    assert Pool([relay("a", "01"), relay("b", "01"), relay("c", "02")]).settle(wish(), *before) == after


def test_settling_without_room_says_so() -> None:
    """No backup, or nothing at all."""
    assert Pool([relay("a", "01"), relay("b", used=10)]).settle(wish(), "a", "gone") == ("a", "")
    assert Pool([relay("a", used=10)]).settle(wish(), "gone", "gone") == ("", "")
    assert Pool().settle(wish(), "gone", "gone") == ("", "")
