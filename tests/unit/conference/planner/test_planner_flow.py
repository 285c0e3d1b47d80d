"""The least-cost flow, in networks whose answer can be seen."""

from __future__ import annotations

from conference.planner.flow import FlowNetwork


def test_the_cheap_way_is_filled_first() -> None:
    """Three of five units go the cheap way, two the dear one."""
    flow = FlowNetwork()
    source, sink = flow.add_node(), flow.add_node()
    cheap, dear = flow.add_arc(source, sink, 3, 1), flow.add_arc(source, sink, 9, 5)
    gate = flow.add_node()
    entry = flow.add_arc(gate, source, 5, 0)
    flows = flow.solve(gate, sink)
    assert (flows[entry], flows[cheap], flows[dear]) == (5, 3, 2)


def test_a_later_path_takes_back_what_an_earlier_one_took() -> None:
    """Two halls, two relays with a seat each: who has no other choice gets the one that both would like."""
    flow = FlowNetwork()
    source, sink, one, other, near, far = (flow.add_node() for _ in range(6))
    for hall in (one, other):
        flow.add_arc(source, hall, 1, 0)
    for relay in (near, far):
        flow.add_arc(relay, sink, 1, 0)
    one_near, one_far = flow.add_arc(one, near, 1, 0), flow.add_arc(one, far, 1, 1)
    other_near = flow.add_arc(other, near, 1, 2)
    flows = flow.solve(source, sink)
    assert (flows[one_near], flows[one_far], flows[other_near]) == (0, 1, 1)


def test_nothing_flows_where_nothing_leads() -> None:
    """A sink that cannot be reached, and an arc without room."""
    flow = FlowNetwork()
    source, sink, aside = flow.add_node(), flow.add_node(), flow.add_node()
    closed, astray = flow.add_arc(source, sink, 0, 0), flow.add_arc(source, aside, 4, 0)
    flows = flow.solve(source, sink)
    assert (flows[closed], flows[astray]) == (0, 0)
