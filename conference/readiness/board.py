"""Readiness of many halls: totals of units, the list of whom to phone, and what changed since the rehearsal before.

In two steps, because there are 40,000 halls: what is known is taken out of the state, which is quick, and judged
afterwards, wherever there is time. Virtual halls have nothing to check and are left out. Pure.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Literal

import msgspec

from bridges.collation import collation_key
from bridges.halls import Hall
from bridges.prechecks import Precheck, SignOff
from bridges.readiness import STATES, Readiness, ReadinessState, Thresholds, readiness_of
from bridges.units import TreeName
from conference.attendance.places import TreeOrder
from conference.readiness.readying import latest_sign_off
from conference.state import State

Change = Literal["better", "worse", "same", "new", "missing"]
CHANGES: tuple[Change, ...] = ("worse", "missing", "new", "better", "same")
_RANK: dict[ReadinessState, int] = {state: rank for rank, state in enumerate(STATES)}


class HallChecks(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What is known of a hall, not judged yet.

    Attributes:
        province: name of its root unit by territory.
        unit_name: name of the unit that it belongs to.
        newest: its newest pre-check.
        sign_off: the latest word for it or for a unit above it.
    """

    hall: Hall
    province: str
    unit_name: str
    newest: Precheck | None
    sign_off: SignOff | None


class HallReadiness(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A hall and how ready it is; the fields are those of `bridges.halls.Hall` and `bridges.readiness.Readiness`."""

    hall_id: str
    name: str
    unit: str
    unit_name: str
    province: str
    organisation: str
    contact_name: str
    contact_phone: str
    readiness: Readiness


class ReadinessCounts(msgspec.Struct, frozen=True, kw_only=True):
    """So many halls of a unit and of all below it in each state; `unit` is "" for all that the caller reaches."""

    unit: str
    name: str
    halls: int = 0
    not_checked: int = 0
    failed: int = 0
    doubtful: int = 0
    ready: int = 0
    signed_off: int = 0


class HallChange(msgspec.Struct, frozen=True, kw_only=True):
    """How a hall stands beside what it was in an earlier session; a state is "" where nothing was known."""

    hall_id: str
    name: str
    province: str
    change: Change
    before: ReadinessState | Literal[""]
    now: ReadinessState | Literal[""]


def collect(state: State, sessions: Sequence[str], hall_ids: Iterable[str]) -> list[HallChecks]:
    """What is known of these halls in any of these sessions."""
    found = []
    for hall_id in hall_ids:
        hall = state.halls.get(hall_id)
        if hall is None or hall.virtual:
            continue
        prechecks = [checks[-1] for session in sessions if (checks := state.prechecks.of_hall(session, hall_id))]
        root = state.units.get(state.provinces.get(hall_id, ""))
        unit = state.units.get(hall.unit)
        found.append(
            HallChecks(
                hall=hall,
                province="" if root is None else root.name,
                unit_name="" if unit is None else unit.name,
                newest=max(prechecks, key=lambda precheck: precheck.at_ms, default=None),
                sign_off=latest_sign_off(state, sessions, hall_id),
            )
        )
    return found


def judge_all(checks: Iterable[HallChecks], thresholds: Thresholds, now_ms: int) -> list[HallReadiness]:
    """How ready each hall is, in the order given."""
    return [
        HallReadiness(
            hall_id=each.hall.hall_id,
            name=each.hall.name,
            unit=each.hall.unit,
            unit_name=each.unit_name,
            province=each.province,
            organisation=each.hall.organisation,
            contact_name=each.hall.contact_name,
            contact_phone=each.hall.contact_phone,
            readiness=readiness_of(() if each.newest is None else (each.newest,), each.sign_off, thresholds, now_ms),
        )
        for each in checks
    ]


def count(halls: Iterable[HallReadiness], unit: str, name: str) -> ReadinessCounts:
    """So many halls in each state."""
    states: Counter[str] = Counter(hall.readiness.state for hall in halls)
    return ReadinessCounts(unit=unit, name=name, halls=states.total(), **states)


def count_children(
    halls: Iterable[HallReadiness], order: TreeOrder, tree: TreeName, unit: str, names: Mapping[str, str]
) -> list[ReadinessCounts]:
    """The same for the units right below one (the roots for ""), in Vietnamese order, without those without a hall.

    Args:
        halls: of the unit and of all below it.
        order: the tree.
        tree: which.
        unit: the unit above, or "".
        names: of units, by code.
    """
    children = order.children(unit or None)
    bucket_of = {
        code: child
        for child in children
        for code in order.codes[order.place(child) : int(order.ends[order.place(child)])]
    }
    buckets: dict[str, list[HallReadiness]] = {}
    for hall in halls:
        child = bucket_of.get(hall.unit if tree == "territory" else hall.organisation)
        if child is not None:
            buckets.setdefault(child, []).append(hall)
    found = [count(members, child, names.get(child, "")) for child, members in buckets.items()]
    return sorted(found, key=lambda counts: collation_key(counts.name or counts.unit))


def call_list(halls: Iterable[HallReadiness]) -> list[HallReadiness]:
    """The halls for which somebody has to be phoned: by province, then by name, as Vietnamese sorts them."""
    wanted = [hall for hall in halls if hall.readiness.state not in {"ready", "signed_off"}]
    return sorted(wanted, key=lambda hall: (collation_key(hall.province), collation_key(hall.name), hall.hall_id))


def compare(before: Iterable[HallReadiness], now: Iterable[HallReadiness]) -> list[HallChange]:
    """What changed from an earlier session: worst news first, then in Vietnamese order.

    A hall that was never checked nor signed off in a session was not there: it is new, or missing.
    """
    earlier = {hall.hall_id: hall for hall in before}
    found: list[HallChange] = []
    for hall in now:
        past = earlier.get(hall.hall_id)
        was: ReadinessState | Literal[""] = (
            "" if past is None or past.readiness.state == "not_checked" else past.readiness.state
        )
        state: ReadinessState | Literal[""] = "" if hall.readiness.state == "not_checked" else hall.readiness.state
        if was or state:
            found.append(
                HallChange(
                    hall_id=hall.hall_id,
                    name=hall.name,
                    province=hall.province,
                    change=_change(was, state),
                    before=was,
                    now=state,
                )
            )
    return sorted(
        found,
        key=lambda each: (CHANGES.index(each.change), collation_key(each.province), collation_key(each.name)),
    )


def _change(before: ReadinessState | Literal[""], now: ReadinessState | Literal[""]) -> Change:
    if not before or not now:
        return "missing" if before else "new"
    if before == now:
        return "same"
    return "better" if _RANK[now] > _RANK[before] else "worse"
