"""Each hall is sent the layer that its line carries, as one stream without a break."""

from __future__ import annotations

from itertools import pairwise

import pytest
from support.pure_relay import OPUS, RtpSource, new_router
from support.simulcast import Encoder, Hall, play

from relay.core.router import KEYFRAME_INTERVAL_S
from relay.wire.rtcp import Remb

TOP = 2


@pytest.mark.parametrize("estimates", [False, True], ids=["loss", "estimate"])
@pytest.mark.parametrize(("rate_bps", "layer"), [(1_000_000, 1), (350_000, 0)])
def test_a_poor_line_gets_a_lower_layer_and_the_best_one_when_it_heals(
    rate_bps: int,
    layer: int,
    estimates: bool,  # noqa: FBT001 (a parameter of the table)
) -> None:
    """Down within seconds, whether it sends REMB or not; up again when the line is good; one stream all the time."""
    router, fan_out = new_router()
    encoder = Encoder(router, 0)
    play([encoder], [], router, 0.0, 3.0)
    hall = Hall(router, fan_out, 1, estimates=estimates)
    hall.join(3.0)
    play([encoder], [hall], router, 3.0, 8.0)
    assert hall.shown[-1][1] == TOP, "a good line is sent the best from the start"
    hall.rate_bps = rate_bps
    play([encoder], [hall], router, 8.0, 14.0)
    assert hall.shown[-1][1] == layer
    assert max(at for at, _ in hall.shown) < 14.0
    assert router.subscribers_by_layer()[str(TOP - layer)] == 1
    hall.rate_bps = float("inf")
    play([encoder], [hall], router, 14.0, 45.0)
    assert hall.shown[-1][1] == TOP
    assert router.totals.layer_switches["up"] >= TOP - layer
    hall.check_stream()


def test_a_hall_on_a_good_line_does_not_notice_the_others() -> None:
    """One hall goes down, the other stays; requests for keyframes stay one a second and layer."""
    router, fan_out = new_router()
    encoder = Encoder(router, 0)
    good, poor = Hall(router, fan_out, 1), Hall(router, fan_out, 2)
    for hall in (good, poor):
        hall.join(0.0)
    poor.rate_bps = 1_000_000
    play([encoder], [good, poor], router, 0.0, 60.0)
    assert [layer for _, layer in good.shown] == [0, TOP], "before the layers are measured, the first"
    assert {layer for _, layer in poor.shown} >= {0, 1}
    for times in encoder.keyframes_asked.values():
        assert all(later - earlier >= KEYFRAME_INTERVAL_S for earlier, later in pairwise(times))
    good.check_stream()
    poor.check_stream()


def test_a_line_that_is_just_too_thin_is_tried_less_and_less_often() -> None:
    """Each step up that fails doubles the time to the next one."""
    router, fan_out = new_router()
    encoder = Encoder(router, 0)
    hall = Hall(router, fan_out, 1)
    hall.join(0.0)
    hall.rate_bps = 1_500_000
    play([encoder], [hall], router, 0.0, 160.0)
    trials = [at for at, layer in hall.shown if layer == TOP][1:]
    pauses = [later - earlier for earlier, later in pairwise(trials)]
    assert 2 <= len(pauses) <= 5
    assert all(later > 1.5 * earlier for earlier, later in pairwise(pauses)), pauses
    hall.check_stream()


def test_a_layer_that_its_encoder_pauses_is_replaced_and_taken_again() -> None:
    """A browser whose uplink is thin pauses its best layer: no hall is without a picture for a second."""
    router, fan_out = new_router()
    encoder = Encoder(router, 0)
    hall = Hall(router, fan_out, 1)
    hall.join(0.0)
    play([encoder], [hall], router, 0.0, 5.0)
    encoder.paused = {TOP}
    play([encoder], [hall], router, 5.0, 10.0)
    at, layer = hall.shown[-1]
    assert (layer, at < 6.0) == (1, True)
    encoder.paused = set()
    play([encoder], [hall], router, 10.0, 20.0)
    assert hall.shown[-1][1] == TOP
    assert router.feeds()[0].is_simulcast
    hall.check_stream(longest_silence_s=1.0)


def test_sound_alone_is_the_last_step() -> None:
    """A line that does not carry the least picture is sent none; it is tried again, and comes back when it heals."""
    router, fan_out = new_router()
    encoder = Encoder(router, 0)
    encoder.sound = RtpSource(0x50, OPUS)
    hall = Hall(router, fan_out, 1)
    hall.join(0.0)
    play([encoder], [hall], router, 0.0, 3.0)
    hall.rate_bps = 60_000
    play([encoder], [hall], router, 3.0, 25.0)
    assert router.subscribers_by_layer()["audio"] == 1
    assert not router.is_receiving(hall.peer)
    hall.rate_bps = float("inf")
    play([encoder], [hall], router, 25.0, 80.0)
    assert hall.shown[-1][1] == TOP
    hall.check_stream(longest_silence_s=30.0)


def test_a_small_client_that_says_what_it_can_take_is_heard() -> None:
    """A constant estimate below the layer's bitrate is meant, though nothing is lost."""
    router, fan_out = new_router()
    encoder = Encoder(router, 0)
    hall = Hall(router, fan_out, 1)
    hall.join(0.0)
    play([encoder], [hall], router, 0.0, 4.0)
    for second in range(4, 12):
        router.handle_rtcp(hall.peer, [Remb(9, 300_000, (hall.ssrc,))], float(second))
        play([encoder], [hall], router, second, second + 1)
    assert hall.shown[-1][1] == 0
    hall.check_stream()
