"""What a simulated day came to: figures that depend on nothing but the scenario, and what must never be otherwise."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import msgspec

from conference.simulation.pictures import Gap

if TYPE_CHECKING:
    from conference.simulation.world import World

SHOWN = 10


class Point(msgspec.Struct, frozen=True, kw_only=True):
    """The country at one moment.

    Attributes:
        at_s: seconds from the start.
        waiting: halls by connection, as the journal has it; `present` and `lost` likewise.
        seeing: halls whose picture is there, as only the simulation knows.
        joined: first joins since the point before.
        load_max: charged share of its hard limit of the fullest edge.
        load_mean: the same of all edges together.
    """

    at_s: float
    waiting: int
    present: int
    lost: int
    seeing: int
    joined: int
    load_max: float
    load_mean: float


class Spread(msgspec.Struct, frozen=True, kw_only=True):
    """A distribution; all 0 where there is nothing."""

    count: int
    p50: float
    p99: float
    max: float


class Consequence(msgspec.Struct, frozen=True, kw_only=True):
    """What followed one happening.

    Attributes:
        cause: moment and kind.
        halls: how many lost their picture.
        rehomed: of these, how many got it back from another relay.
        dark: how many for longer than the scenario's `dark_s`.
        still_dark: how many did not get it back.
        gone_s: how long it was gone.
    """

    cause: str
    halls: int
    rehomed: int
    dark: int
    still_dark: int
    gone_s: Spread


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """A simulated day in figures.

    Attributes:
        peak_joins_per_s: first joins that became durable in the busiest second.
        join_reply_ms: from a hall's asking to its answer, of the requests that were answered.
        refused: requests that the coordinator refused, by code.
        unanswered: requests without an answer.
        orders_refused: operators' orders that the coordinator refused.
        peak_utilisation: greatest share of a relay's hard limit that was ever charged.
        seats_over_limit: most seats that were ever charged to one relay beyond its hard limit; looked at after every
            record.
        relays_over_limit: which, and by how much.
        sent_over_limit: most seats beyond its hard limit that one relay really sent to.
        relays_sending_over: which, and by how much.
        seeing: halls whose picture was there at the end.
        dark_at_end: halls whose picture was not there at the end, those that never had one among them.
        astray: halls that played at the end from another relay than the coordinator believes.
        rehome_s: how long the picture was gone of halls that got it back from another relay.
        dark: gaps longer than `dark_s`.
        consequences: by happening.
        moved: halls that were sent to another relay by the coordinator.
        moves_beyond: of these, those with whose relay nothing was wrong.
        relays_lost: leases that ended.
        lost_without_need: of these, those of relays with which nothing was wrong.
        halls_without_backup: at the end.
        halls_on_lost_relays: at the end.
        folds_agree: the coordinator's state at the end, and the whole journal folded again, are the same.
        broken: invariants that did not hold.
        happened: moment and kind of each happening.
        points: the curves.
    """

    title: str
    seed: int
    halls: int
    relays: int
    origins: int
    duration_s: float
    arrival_s: float
    records: int
    appends: int
    coordinator_crashes: int
    peak_joins_per_s: int
    join_reply_ms: Spread
    refused: dict[str, int]
    unanswered: int
    orders_refused: tuple[str, ...]
    peak_utilisation: float
    seats_over_limit: float
    relays_over_limit: dict[str, float]
    sent_over_limit: float
    relays_sending_over: dict[str, float]
    seeing: int
    dark_at_end: int
    astray: int
    rehome_s: Spread
    dark_s: float
    dark: int
    consequences: tuple[Consequence, ...]
    moved: int
    moves_beyond: int
    relays_lost: int
    lost_without_need: int
    halls_without_backup: int
    halls_on_lost_relays: int
    folds_agree: bool
    broken: tuple[str, ...]
    happened: tuple[str, ...]
    points: tuple[Point, ...]


def make_report(world: World, points: Sequence[Point], coordinator_print: str) -> Report:
    """Look at what stands at the end of the day.

    Args:
        world: at its end.
        points: the curves.
        coordinator_print: fingerprint of the coordinator's state; "" where none was to be had.
    """
    scenario, auditor, pictures = world.scenario, world.auditor, world.pictures
    still = pictures.still_gone(world.regions, scenario.duration_s)
    gaps = [*pictures.gaps, *still]
    halls = list(world.model_halls)
    astray = [hall.hall_id for hall in halls if hall.sees and hall.relay_id != _assigned(world, hall.hall_id)]
    spots = [relay.spot for relay in world.relays]
    facts: dict[str, bool] = {
        "seats_over_limit": auditor.most_over_limit > 0,
        "moves_beyond": auditor.moves_beyond > 0,
        "lost_without_need": bool(auditor.lost_without_need),
        "halls_on_lost_relays": bool(auditor.halls_on_lost_relays()),
        "folds_differ": coordinator_print != auditor.fingerprint(),
        "halls_astray": bool(astray),
        "dark_at_end": pictures.seeing < len(halls),
    }
    return Report(
        title=scenario.title,
        seed=scenario.seed,
        halls=len(halls),
        relays=len(spots),
        origins=sum(spot.role == "origin" for spot in spots),
        duration_s=scenario.duration_s,
        arrival_s=scenario.arrival_s,
        records=auditor.records,
        appends=world.store.appends,
        coordinator_crashes=world.crashes,
        peak_joins_per_s=max(auditor.joins.values(), default=0),
        join_reply_ms=_spread([reply_s * 1_000 for reply_s in world.model_halls.join_replies_s], 1),
        refused=dict(sorted(world.model_halls.refused.items())),
        unanswered=world.model_halls.unanswered,
        orders_refused=tuple(world.orders_refused),
        peak_utilisation=round(auditor.peak_utilisation, 4),
        seats_over_limit=round(auditor.most_over_limit, 3),
        relays_over_limit=_worst(auditor.over_limit),
        sent_over_limit=round(pictures.most_over_limit, 3),
        relays_sending_over=_worst(pictures.over_limit),
        seeing=pictures.seeing,
        dark_at_end=len(halls) - pictures.seeing,
        astray=len(astray),
        rehome_s=_spread([gap.lasted_s for gap in pictures.gaps if gap.to_relay != gap.from_relay], 3),
        dark_s=scenario.dark_s,
        dark=sum(gap.lasted_s > scenario.dark_s for gap in gaps),
        consequences=_consequences(gaps, scenario.dark_s),
        moved=auditor.moved,
        moves_beyond=auditor.moves_beyond,
        relays_lost=auditor.relays_lost,
        lost_without_need=len(auditor.lost_without_need),
        halls_without_backup=auditor.halls_without_backup(),
        halls_on_lost_relays=len(auditor.halls_on_lost_relays()),
        folds_agree=not facts["folds_differ"],
        broken=tuple(name for name, is_broken in facts.items() if is_broken),
        happened=tuple(f"{each.at_s:g}s {each.kind}" for each in scenario.happenings),
        points=tuple(points),
    )


def _assigned(world: World, hall_id: str) -> str:
    for conference in world.auditor.state.conferences.values():
        seat = conference.seats.get(hall_id)
        if seat is not None:
            return seat.primary
    return ""


def _consequences(gaps: Sequence[Gap], dark_s: float) -> tuple[Consequence, ...]:
    by_cause: dict[str, list[Gap]] = {}
    for gap in sorted(gaps, key=lambda gap: (gap.began_s, gap.hall_id)):
        by_cause.setdefault(gap.cause, []).append(gap)
    return tuple(
        Consequence(
            cause=cause,
            halls=len({gap.hall_id for gap in found}),
            rehomed=sum(gap.to_relay not in {"", gap.from_relay} for gap in found),
            dark=sum(gap.lasted_s > dark_s for gap in found),
            still_dark=sum(not gap.to_relay for gap in found),
            gone_s=_spread([gap.lasted_s for gap in found], 3),
        )
        for cause, found in by_cause.items()
    )


def _worst(beyond: dict[str, float]) -> dict[str, float]:
    worst = sorted(beyond.items(), key=lambda item: (-item[1], item[0]))[:SHOWN]
    return {relay_id: round(seats, 3) for relay_id, seats in worst}


def _spread(values: list[float], digits: int) -> Spread:
    values = sorted(values)
    if not values:
        return Spread(count=0, p50=0.0, p99=0.0, max=0.0)

    def at(share: float) -> float:
        return round(values[min(len(values) - 1, int(share * len(values)))], digits)

    return Spread(count=len(values), p50=at(0.5), p99=at(0.99), max=round(values[-1], digits))
