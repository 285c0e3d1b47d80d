from hypothesis import given
from hypothesis import strategies as st

from relay.swarm.stream_count import StreamCount

WINDOW = 40  # how far a packet may come out of order


@given(
    first=st.integers(0, 65_535),
    fates=st.lists(st.sampled_from(["comes", "comes", "comes", "late", "lost", "twice"]), min_size=1, max_size=300),
    data=st.data(),
)
def test_every_packet_is_counted_once(first: int, fates: list[str], data: st.DataObject) -> None:
    """Whatever is lost, late or doubled, across any wrap: delivered, lost and duplicates are what happened."""
    arrivals = []
    for offset, fate in enumerate(fates):
        if fate == "lost":
            continue
        delay = data.draw(st.integers(0, WINDOW)) if fate == "late" else 0
        arrivals.append((offset + delay, offset))
        if fate == "twice":
            arrivals.append((offset + data.draw(st.integers(0, WINDOW)), offset))
    arrivals.sort()
    stream = StreamCount(1, "video", "VP8", 90_000)
    for _, offset in arrivals:
        stream.handle_packet((first + offset) & 0xFFFF, offset * 3000, offset / 30)
    seen = {offset for _, offset in arrivals}
    expected = max(seen) - min(seen) + 1 if seen else 0
    assert stream.delivered == len(seen)
    assert stream.lost == expected - len(seen)
    assert stream.duplicates == len(arrivals) - len(seen)
    assert stream.restarts == 0


@given(st.lists(st.tuples(st.integers(0, 65_535), st.integers(0, 0xFFFF_FFFF)), max_size=200))
def test_no_order_of_numbers_breaks_the_counts(packets: list[tuple[int, int]]) -> None:
    """Any numbers at all: counts stay sane, and a report can be made."""
    stream = StreamCount(1, "audio", "OPUS", 48_000)
    for at, (number, timestamp) in enumerate(packets):
        stream.handle_packet(number, timestamp, at * 0.01)
    assert 0 <= stream.delivered + stream.duplicates <= len(packets)
    assert stream.lost >= 0
    block = stream.report_block(1.0)
    assert 0 <= block.fraction_lost <= 255
    assert 0 <= block.highest_sequence <= 0xFFFF_FFFF
