from hypothesis import given, settings
from hypothesis import strategies as st
from support.swarm_server import SERVER, STRANGER, SwarmServer

from relay.swarm.receiver import MAX_STREAMS, Outcome


@settings(max_examples=40)
@given(
    reads=st.lists(
        st.tuples(st.binary(min_size=1, max_size=200), st.integers(1, 200), st.booleans(), st.booleans()), max_size=20
    )
)
def test_no_read_breaks_a_receiver(reads: list[tuple[bytes, int, bool, bool]]) -> None:
    """Any octets in segments of any size, from anywhere: nothing is raised, and honest media still counts."""
    scene = SwarmServer()
    scene.connect()
    for data, segment, from_server, looks_like_rtp in reads:
        body = b"\x80\x60" + data if looks_like_rtp else data
        # DTLS alerts in the clear cannot end a session; STUN without our password changes nothing.
        scene.receiver.handle_read(
            memoryview(body), len(body), segment, SERVER if from_server else STRANGER, scene.now, scene.now
        )
    assert len(scene.receiver.streams) <= MAX_STREAMS
    assert scene.receiver.outcome is Outcome.CONNECTED
    scene.read(scene.audio(1), scene.audio(2))
    assert sum(stream.delivered for stream in scene.receiver.streams) == 2
