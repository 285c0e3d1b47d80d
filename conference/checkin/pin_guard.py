"""Holds back who guesses PINs: a wrong one costs the number and the hall, and right ones cost nothing.

A PIN has six digits. A number that had its wrong ones is not tried again for minutes, whatever is typed; a hall that
had many is not told of any PIN for a while, and codes go on to be scanned there. The hall's own devices and the phones
that read its poster are held back apart, so that nobody at the door can stop the technician.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable
from typing import Literal

from conference.access import ApiClaims, KeyRing
from conference.rate_limits import RateLimit

# Wrong PINs of a number: five, then one in ten minutes. A whole day of guessing finds one PIN in 6,700 so.
NUMBER_BURST, NUMBER_PER_S = 5, 1 / 600
# Wrong PINs in a hall, over all numbers: clumsy fingers of two thousand people, then one in ten seconds.
HALL_BURST, HALL_PER_S = 200, 1 / 10


class PinGuard:
    """Checks PINs, so often and no oftener.

    Args:
        keys: know the PINs.
        monotonic_s: seconds.
    """

    def __init__(self, keys: KeyRing, monotonic_s: Callable[[], float]) -> None:
        self._keys = keys
        self._monotonic_s = monotonic_s
        self._numbers = RateLimit(per_s=NUMBER_PER_S, burst=NUMBER_BURST)
        self._halls = RateLimit(per_s=HALL_PER_S, burst=HALL_BURST)

    def check(
        self, by: ApiClaims, number: int, issue: int | None, pin: str
    ) -> Literal["unknown", "forged", "limited"] | None:
        """Check the PIN that was typed for a number.

        Args:
            by: who typed.
            number: as typed.
            issue: which code of the delegate is good; None for a number that nobody has.
            pin: as typed.

        Returns:
            None where it is right.
        """
        now_s = self._monotonic_s()
        hall, door = f"{by.conference}/{by.actor}", f"{by.conference}/{by.role}/{number}"
        if self._halls.wait_s(hall, now_s) > 0 or self._numbers.wait_s(door, now_s) > 0:
            return "limited"
        if issue is not None and hmac.compare_digest(
            self._keys.pin(by.conference, number, issue).encode(), _bytes(pin)
        ):
            return None
        self._halls.take(hall, now_s)
        if issue is None:
            return "unknown"
        self._numbers.take(door, now_s)
        return "forged"


def _bytes(pin: str) -> bytes:
    return pin.encode("utf-8", "surrogatepass")
