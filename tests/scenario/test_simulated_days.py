"""Days gone through under virtual time: what each happening costs the halls, and that nothing else follows from it."""

from __future__ import annotations

import msgspec
import pytest
from structlog.testing import capture_logs

from conference.simulation.report import Report
from conference.simulation.running import run_scenario
from conference.simulation.scenario import Scenario


def day(*happenings: dict[str, object], halls: int = 300, duration_s: float = 120.0, **keywords: object) -> Report:
    """A small country of 300 halls that come within 20 s, and what happens to it."""
    document = {"halls": halls, "arrival_s": 20, "duration_s": duration_s, "happenings": happenings, **keywords}
    with capture_logs():  # of a whole country
        report, _ = run_scenario(Scenario.model_validate(document))
    return report


def test_a_storm_of_joins_is_seated_below_every_limit() -> None:
    """Everybody sees the picture, has a backup, and no relay is charged beyond its limit at any record."""
    report = day(halls=1_000, arrival_s=5, duration_s=30)
    assert (report.seeing, report.halls_without_backup, report.broken) == (1_000, 0, ())
    assert report.peak_joins_per_s > 300
    assert report.points[-1].present == 1_000


def test_halls_of_an_unplugged_relay_see_the_picture_again_within_half_a_second() -> None:
    """They fall back by themselves, before its lease ends; nobody else moves."""
    report = day({"at_s": 40, "kind": "relay_crash", "back_after_s": 20})
    (lost,) = report.consequences
    assert lost.rehomed == lost.halls > 0
    assert 0.3 < lost.gone_s.p50 <= lost.gone_s.max < 0.6
    assert (report.relays_lost, report.moved, report.broken) == (1, 0, ())


def test_halls_of_a_killed_process_need_not_wait_for_the_silence() -> None:
    """Its machine breaks their connections."""
    report = day({"at_s": 40, "kind": "relay_crash", "unplugged": False, "back_after_s": 2})
    assert report.consequences[0].gone_s.max < 0.2
    assert report.broken == ()


def test_the_loss_of_an_origin_costs_nobody_more_than_that_of_an_edge() -> None:
    """Relays take their other parent; halls of those that wait longer have gone to their backups by then."""
    report = day({"at_s": 40, "kind": "relay_crash", "role": "origin"})
    assert (report.relays_lost, report.moved, report.broken) == (1, 0, ())
    assert 0 < report.consequences[0].gone_s.max < 0.6


def test_a_relay_that_hangs_is_left_by_its_halls() -> None:
    """It goes on sending heartbeats, and they do not wait for the coordinator."""
    report = day({"at_s": 40, "kind": "relay_hang", "for_s": 30})
    assert report.consequences[0].gone_s.max < 0.6
    assert (report.relays_lost, report.broken) == (0, ())


def test_a_province_comes_back_with_its_line_and_stays_at_home() -> None:
    """While it is cut off its relays are lost; when they are back their halls are found where they play."""
    report = day(
        {"at_s": 40, "kind": "region_cut", "region": "79"}, {"at_s": 70, "kind": "region_back", "region": "79"}
    )
    (cut,) = report.consequences
    assert cut.gone_s.p50 == pytest.approx(30, abs=0.5)
    assert (report.dark_at_end, report.astray, report.broken) == (0, 0, ())


@pytest.mark.parametrize(
    "happening",
    [
        {"at_s": 8, "kind": "slow_store", "append_ms": 2_000, "for_s": 10},
        {"at_s": 8, "kind": "store_down", "for_s": 10},
        {"at_s": 8, "kind": "coordinator_crash", "back_after_s": 5},
    ],
    ids=lambda happening: happening["kind"],
)
def test_a_storm_outlives_its_coordinator_and_its_store(happening: dict[str, object]) -> None:
    """Who joins meanwhile is seated later; who is seated sees nothing of it; the journal folds to the state."""
    report = day(happening)
    assert (report.seeing, report.dark, report.relays_lost, report.broken) == (300, 0, 0, ())


def test_a_rolling_restart_costs_nobody_the_picture() -> None:
    """Relays are emptied one after the other, restarted, and filled again; halls go before the link is broken."""
    report = day(
        {"at_s": 40, "kind": "drain", "count": 3, "every_s": 40, "for_s": 35, "deadline_s": 20}, duration_s=200
    )
    assert report.moved > 0
    assert (report.consequences, report.orders_refused, report.broken) == ((), (), ())


def test_newcomers_beyond_the_pace_are_given_turns_and_all_are_seated() -> None:
    """300 halls that come at once at 20 a second: the last is seated when its turn has come, and none twice refused."""
    report = day(arrival_s=0, duration_s=60, coordinator={"admission": {"per_s": 20, "burst": 20}})
    assert report.peak_joins_per_s <= 41
    assert (report.refused, report.seeing) == ({"admission": 280}, 300)
    seated = next(point.at_s for point in report.points if point.seeing == 300)
    assert 5 + 280 / 20 - 1 < seated < 5 + 280 / 20 + 5


def test_what_decisions_cost_is_paid_by_those_who_wait() -> None:
    """With 50 ms for each request the answers of a storm queue behind one processor."""
    dear, free = (day(arrival_s=2, coordinator={"decision_us": us}).join_reply_ms for us in (50_000, 0))
    assert dear.p99 > 5_000
    assert free.p99 < 100


def test_a_silent_source_moves_nobody() -> None:
    """Everybody waits where they are."""
    report = day({"at_s": 40, "kind": "source_silent", "for_s": 10})
    assert report.consequences[0].rehomed == report.moved == 0
    assert (report.seeing, report.broken) == (300, ())


def test_halls_with_bad_lines_disturb_nobody_else() -> None:
    """Only they lose their picture, for as long as their lines are down."""
    report = day({"at_s": 40, "kind": "flapping_hall", "halls": 5, "for_s": 30})
    assert (report.consequences[0].halls, report.broken) == (5, ())


def test_the_same_day_makes_the_same_report() -> None:
    """Byte for byte; another seed makes another."""
    happenings: tuple[dict[str, object], ...] = (
        {"at_s": 30, "kind": "relay_crash", "back_after_s": 10},
        {"at_s": 50, "kind": "coordinator_crash"},
    )
    first, again, other = (
        msgspec.json.encode(day(*happenings, halls=60, duration_s=60, relays={"count": 8}, seed=seed))
        for seed in (1, 1, 2)
    )
    assert first == again != other
