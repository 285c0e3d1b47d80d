from support.swarm_server import KEYFRAME, SwarmServer

from relay.swarm.summary import Spread, SwarmTotals, add_up, spread, summarise


def test_percentiles_are_of_nearest_rank() -> None:
    """The 95th of a hundred figures is the 95th, and of none there is none."""
    assert spread(range(1, 101)) == Spread(100, 50, 95, 99, 100)
    assert spread([3.0]) == Spread(1, 3, 3, 3, 3)
    assert spread([]) == Spread(0)


def test_totals_differ_by_a_window() -> None:
    """What came between two moments."""
    before, after = SwarmTotals(packets=10, lost=1), SwarmTotals(packets=110, lost=26)
    assert after.since(before) == SwarmTotals(packets=100, lost=25)
    assert after.since(before).loss == 0.2
    assert SwarmTotals().loss == 0


def test_a_summary_counts_each_fate_once() -> None:
    """One receives, one was lost, one never connected, one was refused."""
    scenes = [SwarmServer(), SwarmServer(), SwarmServer()]
    for scene in scenes[:2]:
        scene.connect()
        scene.read(scene.video(1, KEYFRAME), scene.video(2), scene.video(4))
    scenes[1].server.close(scenes[1].now)
    scenes[1].exchange()
    receivers = [scene.receiver for scene in scenes]
    summary = summarise(
        "http://192.0.2.1/whep",
        receivers,
        ["HTTP 403"],
        window=add_up(receivers),
        held_s=2.0,
        cpu_s=0.001,
        now=scenes[0].now,
    )
    assert (summary.receivers, summary.connected, summary.failed, summary.lost, summary.silent) == (4, 2, 2, 1, 0)
    assert summary.reasons == {"HTTP 403": 1, "handshake_unfinished": 1, "dtls_closed": 1}
    assert (summary.packets, summary.packets_lost, summary.loss) == (6, 2, 0.25)
    assert summary.packets_per_s == 3
    assert summary.us_per_packet == 166.67
    assert summary.setup_ms["connected"].count == 2
    assert summary.setup_ms["first_keyframe"].p50 is not None
    assert summary.jitter_ms["audio"].p95 is None
    assert summary.complaint.startswith("2/4 không nối được (could not connect); 1 mất kết nối (lost) [HTTP 403: 1")


def test_all_well_is_no_complaint() -> None:
    """Connected and receiving to the end."""
    scene = SwarmServer()
    scene.connect()
    scene.read(scene.video(1, KEYFRAME))

    def complaint(now: float) -> str:
        return summarise("u", [scene.receiver], [], window=SwarmTotals(), held_s=0.0, cpu_s=0.0, now=now).complaint

    assert complaint(scene.now) == ""
    assert "không nhận được gì" in complaint(scene.now + 10)
