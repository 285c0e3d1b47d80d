"""Readiness names what is missing."""

from monitoring.health import Health


def test_conditions_are_missing_until_met() -> None:
    """A program starts with its conditions unmet and is ready when the last one is met."""
    health = Health("relay", ["socket", "control"])
    assert set(health.missing()) == {"socket", "control"}
    health.met("socket")
    health.met("control")
    assert health.missing() == {}
    health.unmet("control", "connection closed")
    assert health.missing() == {"control": "connection closed"}


def test_checks_are_asked_each_time() -> None:
    """A check decides at the moment of the question."""
    health = Health("relay")
    reasons: list[str | None] = ["no key yet", None]
    health.add_check("keys", lambda: reasons[0])
    assert health.missing() == {"keys": "no key yet"}
    reasons.pop(0)
    assert health.missing() == {}
