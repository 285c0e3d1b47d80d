"""A scenario that is too large to go through: what the planner says of it, with the servers and the traffic needed."""

from __future__ import annotations

import time

import msgspec

from bridges.synthetic import synthetic_halls
from bridges.vietnam import load_vietnam_units
from conference.planning.drawing import draw_tree
from conference.planning.figures import PlanFigures, plan_country
from conference.planning.inputs import MadeUpRelays, make_input, regions_of
from conference.planning.words import sentences
from conference.simulation.running import Cost, measured
from conference.simulation.scenario import Scenario


class PaperReport(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A plan in figures and words.

    Attributes:
        broken: what must not be: halls without a relay or without a backup, a loss that is not survived.
        tree_svg: the tree as a picture; "" where it is not wanted.
    """

    title: str
    seed: int
    figures: PlanFigures
    sentences: tuple[str, ...]
    broken: tuple[str, ...]
    tree_svg: str = ""


def plan_on_paper(scenario: Scenario, *, draws: bool = False) -> tuple[PaperReport, Cost]:
    """Plan the country of a scenario, and draw its tree if asked.

    Raises:
        PlanInputError: there are no relays that could carry the halls.
    """
    return measured(lambda: _plan(scenario, draws=draws))


def _plan(scenario: Scenario, *, draws: bool) -> PaperReport:
    units = load_vietnam_units()
    halls = regions_of(synthetic_halls(units, scenario.halls, scenario.seed), units)
    policy = scenario.placement.as_policy()
    relays = scenario.relays
    made_up = MadeUpRelays(count=relays.count, origins=relays.origins, capacity=relays.capacity.as_message())
    plan_input = make_input(
        halls,
        made_up.spots(halls, policy),
        policy,
        units,
        merge_parents=relays.merge_parents,
        is_synthetic=True,
    )
    planned = plan_country(plan_input, time.perf_counter)
    figures = planned.figures
    facts = {
        "halls_without_primary": figures.halls_without_primary > 0,
        "halls_without_backup": figures.halls_without_backup > 0,
        "loss_not_survived": not figures.survives_any_single_loss,
    }
    return PaperReport(
        title=scenario.title,
        seed=scenario.seed,
        figures=msgspec.structs.replace(figures, plan_seconds=0.0),  # the same each time; what it took is its cost
        sentences=tuple(sentences(planned)),
        broken=tuple(name for name, is_broken in facts.items() if is_broken),
        tree_svg=draw_tree(planned) if draws else "",
    )
