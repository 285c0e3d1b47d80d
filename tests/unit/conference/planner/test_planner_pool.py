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
