"""Wrong PINs are held back by number and by hall; right ones never."""

from __future__ import annotations

from conference.access import ApiClaims, KeyRing, Role
from conference.checkin.pin_guard import HALL_BURST, NUMBER_BURST, NUMBER_PER_S, PinGuard

KEYS = KeyRing.generate()


class Clock:
    """Seconds that a test lets pass."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        """Now."""
        return self.now_s


def claims(role: Role = "poster", hall: str = "a") -> ApiClaims:
    """Who types."""
    return ApiClaims(sub=hall, role=role, hall=hall, conference="c", exp=0)


def wrong(number: int, issue: int = 0) -> str:
    """A PIN that this number does not have."""
    return f"{(int(KEYS.pin('c', number, issue)) + 1) % 1_000_000:06}"


def test_right_pins_cost_nothing() -> None:
    """However many are typed at one door."""
    guard = PinGuard(KEYS, Clock())
    for number in range(1, 2_001):
        assert guard.check(claims(), number, 0, KEYS.pin("c", number, 0)) is None


def test_a_number_is_held_back_for_a_while() -> None:
    """Also with the right PIN, so that guessing tells nothing; and is tried again later. Others go on."""
    clock = Clock()
    guard = PinGuard(KEYS, clock)
    found = [guard.check(claims(), 1, 0, wrong(1)) for _ in range(NUMBER_BURST + 1)]
    assert found == ["forged"] * NUMBER_BURST + ["limited"]
    assert guard.check(claims(), 1, 0, KEYS.pin("c", 1, 0)) == "limited"
    assert guard.check(claims(), 2, 0, KEYS.pin("c", 2, 0)) is None
    assert guard.check(claims("hall"), 1, 0, KEYS.pin("c", 1, 0)) is None
    clock.now_s = 1 / NUMBER_PER_S + 1
    assert guard.check(claims(), 1, 0, KEYS.pin("c", 1, 0)) is None


def test_a_hall_is_held_back_over_all_numbers() -> None:
    """Whoever tries one PIN with every number; the hall's own devices and other halls go on."""
    guard = PinGuard(KEYS, Clock())
    found = [guard.check(claims(), number, 0, wrong(number)) for number in range(1, HALL_BURST + 2)]
    assert found == ["forged"] * HALL_BURST + ["limited"]
    right = KEYS.pin("c", 5_000, 0)
    assert guard.check(claims(), 5_000, 0, right) == "limited"
    assert guard.check(claims("hall"), 5_000, 0, right) is None
    assert guard.check(claims(hall="b"), 5_000, 0, right) is None


def test_numbers_that_nobody_has_cost_as_well() -> None:
    """Or they would tell for nothing which there are."""
    guard = PinGuard(KEYS, Clock())
    found = {guard.check(claims(), number, None, "123456") for number in range(1, HALL_BURST + 1)}
    assert found == {"unknown"}
    assert guard.check(claims(), 1, None, "123456") == "limited"


def test_whatever_is_typed_is_a_wrong_pin() -> None:
    """Text of any length and kind."""
    guard = PinGuard(KEYS, Clock())
    for number, pin in enumerate(("", "1", "١٢٣٤٥٦", "\udcff", "0" * 1_000), 1):
        assert guard.check(claims(), number, 0, pin) == "forged"


def test_an_old_pin_is_wrong() -> None:
    """A new code has a new PIN."""
    guard = PinGuard(KEYS, Clock())
    assert guard.check(claims(), 1, 1, KEYS.pin("c", 1, 0)) == "forged"
    assert guard.check(claims(), 1, 1, KEYS.pin("c", 1, 1)) is None
