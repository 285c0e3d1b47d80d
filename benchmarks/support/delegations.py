"""Who comes to a day of a whole country, and when: rosters that sum exactly, and a curve of arrivals. Pure."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence

import msgspec

MAX_BATCH = 1_000  # of one request
MOST_IN_HALL = 2_000


class Batch(msgspec.Struct, frozen=True):
    """What a hall's device sends at once: check-ins of the numbers from `first` to before `end`."""

    hall: int
    first: int
    end: int
    at_ms: int


def rosters(halls: int, delegates: int, seed: int) -> list[int]:
    """How many delegates each hall has: most near the mean, some several times that; they sum to `delegates`.

    Raises:
        ValueError: there are fewer delegates than halls, or more than halls have seats.
    """
    if not halls <= delegates <= halls * MOST_IN_HALL // 2:
        raise ValueError("delegates and halls do not fit together")
    chance = random.Random(seed)
    weights = [chance.lognormvariate(0, 0.5) for _ in range(halls)]
    scale = (delegates - halls) / sum(weights)
    sizes = [min(MOST_IN_HALL, 1 + int(weight * scale)) for weight in weights]
    missing = delegates - sum(sizes)
    for place in range(missing):
        sizes[place % halls] += 1
    return sizes


def arrival(share: float, span_ms: int) -> int:
    """When this share of all has come: few at first and at last, most in the middle (a smoothed step).

    The inverse of `3 x^2 - 2 x^3` over the span, by bisection.
    """
    low, high = 0.0, 1.0
    for _ in range(40):
        middle = (low + high) / 2
        if middle * middle * (3 - 2 * middle) < share:
            low = middle
        else:
            high = middle
    return round(low * span_ms)


def batches(sizes: Sequence[int], span_ms: int, seed: int) -> list[Batch]:
    """Everybody's check-in, a hall at a time, in the order of arrival; numbers begin at 1 in the first hall.

    Args:
        sizes: delegates by hall.
        span_ms: from the first arrival to the last, before it is compressed.
        seed: of the order of the halls.
    """
    order = list(range(len(sizes)))
    random.Random(seed).shuffle(order)
    firsts = list(_firsts(sizes))
    total, come = sum(sizes), 0
    made = []
    for hall in order:
        for first in range(firsts[hall], firsts[hall] + sizes[hall], MAX_BATCH):
            end = min(first + MAX_BATCH, firsts[hall] + sizes[hall])
            made.append(Batch(hall, first, end, arrival(come / total, span_ms)))
            come += end - first
    return made


def first_numbers(sizes: Sequence[int]) -> list[int]:
    """The first number of each hall."""
    return list(_firsts(sizes))


def _firsts(sizes: Sequence[int]) -> Iterator[int]:
    number = 1
    for size in sizes:
        yield number
        number += size
