"""Where one hall goes, and what makes a backup a good one."""

from __future__ import annotations

import pytest

from conference.errors import RejectedError
from conference.planner import RelayLoad, place, place_backup
from conference.policy import Policy
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
    )


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
        pytest.param([relay("o", role="origin"), relay("p", role="origin")], ("o", "p"), id="origins alone"),
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
    assert place(relays, region="01") == expected
    assert place(relays[::-1], region="01") == expected


def test_avoided_relays_are_not_chosen() -> None:
    """`avoid` holds for primary and backup."""
    relays = [relay("a", "01"), relay("b", "01"), relay("c")]
    assert place(relays, region="01", avoid=frozenset({"a"})) == ("b", "c")
    assert place_backup(relays, primary="a", region="01", avoid=frozenset({"b"})) == "c"


@pytest.mark.parametrize("relays", [[], [relay("a", used=10)], [relay("o", role="origin", used=8)]])
def test_no_room_is_a_rejection(relays: list[RelayLoad]) -> None:
    """503 `no_relay`; an origin keeps what is above its soft limit for relays."""
    with pytest.raises(RejectedError) as caught:
        place(relays, region="01")
    assert (caught.value.code, caught.value.status) == ("no_relay", 503)


def test_seats_are_what_the_scarcer_resource_carries() -> None:
    """A gigabit line with a fast processor carries 454 halls at 2.2 Mbit/s; a slow processor fewer."""
    policy = Policy()
    assert policy.seats(Capacity(bits_per_s=1_000_000_000, packets_per_s=1_000_000), 1.0) == 454
    assert policy.seats(Capacity(bits_per_s=1_000_000_000, packets_per_s=30_000), 1.0) == 100
    assert policy.seats(Capacity(bits_per_s=1_000_000_000, packets_per_s=30_000), 0.8) == 80
