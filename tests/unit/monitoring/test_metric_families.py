"""Metrics belong to one registry per program, and plain integers can stand in for them."""

import re

import pytest

from monitoring.metrics import (
    CoordinatorMetrics,
    Families,
    HallMetrics,
    PublisherMetrics,
    Registry,
    RelayMetrics,
    VirtualMetrics,
)

ALL: list[type[Families]] = [RelayMetrics, CoordinatorMetrics, HallMetrics, PublisherMetrics, VirtualMetrics]


def _text(registry: Registry) -> str:
    return registry.render()[0].decode()


def test_two_registries_share_nothing() -> None:
    """Two relays in one process count apart."""
    first, second = Registry("relay"), Registry("relay")
    RelayMetrics(first).upstream_failovers_total.inc(3)
    RelayMetrics(second)
    assert "diemcau_relay_upstream_failovers_total 3.0" in _text(first)
    assert "diemcau_relay_upstream_failovers_total 0.0" in _text(second)


def test_the_process_and_its_collector_are_there() -> None:
    """Memory, processor time, garbage collection and the version are told by every program."""
    text = _text(Registry("relay", "1.2.3"))
    assert "process_cpu_seconds_total" in text
    assert "python_gc_collections_total" in text
    assert 'diemcau_build_info{program="relay",python="' in text
    assert 'version="1.2.3"' in text


@pytest.mark.parametrize("families", ALL)
def test_names_follow_the_convention(families: type[Families]) -> None:
    """Counters end in `_total`, others do not; times are in seconds; no label is a person, hall or conference."""
    registry = Registry(families.program)
    families(registry)
    ours = [family for family in registry.collectors.collect() if family.name.startswith("diemcau_")]
    assert len(ours) > 5
    for family in ours:
        assert family.documentation, family.name
        assert not re.search(r"_(ms|kb|mb|minutes)(_|$)", family.name)
        assert family.name.startswith((f"diemcau_{families.program}_", "diemcau_build"))
        assert not family.name.endswith("_total"), "the exposition adds _total to counters only"
        for sample in family.samples:
            assert not {"hall", "hall_id", "conference", "subject", "person"} & set(sample.labels)


def test_plain_integers_are_read_at_scrape_time() -> None:
    """A fed counter shows what the callable returns at each scrape, without any metric object on the hot path."""
    registry = Registry("relay")
    metrics = RelayMetrics(registry)
    counts = {"sent": 0}
    metrics.feed(packets_sent_total=lambda: counts["sent"], subscribers=lambda: 7)
    counts["sent"] = 12345
    text = _text(registry)
    assert "diemcau_relay_packets_sent_total 12345.0" in text
    assert "# TYPE diemcau_relay_packets_sent_total counter" in text
    assert "diemcau_relay_subscribers 7.0" in text
    counts["sent"] += 1
    assert "diemcau_relay_packets_sent_total 12346.0" in _text(registry)


def test_fed_families_take_labels() -> None:
    """A mapping by one label or by a tuple of labels becomes one series each."""
    relay = Registry("relay")
    RelayMetrics(relay).feed(malformed_total=lambda: {"stun": 2, "rtp": 1})
    assert 'diemcau_relay_malformed_total{protocol="stun"} 2.0' in _text(relay)
    coordinator = Registry("coordinator")
    CoordinatorMetrics(coordinator).feed(relays=lambda: {("live", "false"): 24, ("lost", "false"): 1})
    assert 'diemcau_coordinator_relays{status="live",virtual="false"} 24.0' in _text(coordinator)


def test_feeding_an_unknown_or_fed_family_is_our_own_mistake() -> None:
    """A typo is found at start-up."""
    metrics = RelayMetrics(Registry("relay"))
    with pytest.raises(KeyError):
        metrics.feed(packets_send_total=lambda: 0)


def test_a_histogram_covers_the_promise() -> None:
    """An interruption of half a second falls between buckets that tell it from a whole second."""
    registry = Registry("coordinator")
    CoordinatorMetrics(registry).rehome_interruption_seconds.observe(0.5)
    text = _text(registry)
    assert 'rehome_interruption_seconds_bucket{le="0.4"} 0.0' in text
    assert 'rehome_interruption_seconds_bucket{le="0.5"} 1.0' in text


def test_the_exposition_format_is_negotiated() -> None:
    """OpenMetrics is served to a scraper that asks for it, plain text otherwise."""
    registry = Registry("relay")
    assert registry.render("application/openmetrics-text; version=1.0.0")[1].startswith("application/openmetrics-text")
    assert registry.render("")[1].startswith("text/plain")
