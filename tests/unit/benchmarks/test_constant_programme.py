from benchmarks.support.constant_programme import PACKETS_PER_FRAME, PACKETS_PER_S, ConstantProgramme
from relay.wire.codecs import is_keyframe_start
from relay.wire.rtp import parse_rtp_header


def test_the_rate_is_constant() -> None:
    """Ten seconds hold ten times 240 video and 50 audio packets, however often one asks."""
    programme = ConstantProgramme(seed=1)
    packets = [packet for step in range(1000) for packet in programme.packets(step / 100)]
    assert abs(len(packets) - 10 * PACKETS_PER_S) <= PACKETS_PER_FRAME + 1
    kinds = [kind for kind, _, _ in packets]
    assert abs(kinds.count("audio") - 500) <= 1


def test_packets_are_numbered_and_of_the_promised_size() -> None:
    """Each stream counts by one, a frame ends with the marker, and sizes differ by one octet."""
    programme = ConstantProgramme(seed=2)
    video = [(index, packet) for kind, index, packet in programme.packets(1.0) if kind == "video"]
    headers = [parse_rtp_header(packet) for _, packet in video]
    assert [index for index, _ in video] == list(range(video[0][0], video[0][0] + len(video)))
    assert [header.sequence_number for header in headers] == [index & 0xFFFF for index, _ in video]
    assert [header.marker for header in headers[:16]] == ([False] * 7 + [True]) * 2
    assert {len(packet) for _, packet in video} == {1050, 1051}


def test_keyframes_come_first_in_time_and_on_demand() -> None:
    """A server recognises them: the first frame, one after the interval, and the next one after a request."""

    def keyframes(programme: ConstantProgramme, until_s: float) -> list[int]:
        frames = []
        for kind, _, packet in programme.packets(until_s):
            header = parse_rtp_header(packet)
            if kind == "video" and is_keyframe_start("VP8", packet[header.header_length :]):
                frames.append(header.timestamp // 3000)
        return frames

    programme = ConstantProgramme(seed=3, keyframe_interval_s=1.0)
    assert keyframes(programme, 1.5) == [0, 30]
    programme.want_keyframe()
    assert keyframes(programme, 2.0) == [46]
    assert programme.keyframes == 3
