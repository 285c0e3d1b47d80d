from support.swarm_server import AUDIO, CLIENT, KEYFRAME, SERVER, STRANGER, VIDEO_SSRC, SwarmServer

from relay.core.peer import PeerState
from relay.swarm.receiver import REFUSED_S, SILENT_S, Outcome
from relay.wire.rtcp import PictureLossIndication, ReceiverReport, Remb, SourceDescription
from relay.wire.stun import BindingSuccess, parse_message, serialize_binding_request, verify_integrity


def connected(*, sample_every: int = 10, remb_bps: int = 0) -> SwarmServer:
    """A scene behind ICE and DTLS."""
    scene = SwarmServer(sample_every=sample_every, remb_bps=remb_bps)
    scene.connect()
    return scene


def test_milestones_come_in_order() -> None:
    """Asked, answered, path, connected, first packet, first keyframe; then the set-up is over."""
    scene = connected()
    at = scene.receiver.at
    scene.now += 0.01
    scene.read(scene.audio(1))
    scene.now += 0.01
    scene.read(scene.video(1))
    assert at.first_keyframe_s is None
    assert not scene.receiver.has_settled
    scene.now += 0.01
    scene.read(scene.video(2, KEYFRAME))
    times = [at.asked_s, at.answered_s, at.path_s, at.connected_s, at.first_packet_s, at.first_keyframe_s]
    assert times == sorted(time for time in times if time is not None)
    assert scene.receiver.has_settled


def test_reads_of_many_datagrams_are_counted_one_by_one() -> None:
    """A read of five packets with a gap, the last of them shorter."""
    scene = connected()
    packets = [scene.video(number, KEYFRAME) for number in (1, 2, 3, 5)]
    scene.read(*packets, scene.audio(9))
    counts = {stream.kind: (stream.delivered, stream.lost) for stream in scene.receiver.streams}
    assert counts == {"video": (4, 1), "audio": (1, 0)}
    assert scene.receiver.last_media_s == scene.now


def test_all_video_is_opened_until_a_keyframe_and_a_sample_afterwards() -> None:
    """Thirty packets without a keyframe are thirty opened ones; of the next hundred it is every tenth."""
    scene = connected()
    for number in range(30):
        scene.read(scene.video(number))
    assert scene.receiver.packets_opened == 30
    for number in range(30, 130):
        scene.read(scene.video(number, KEYFRAME))
    assert scene.receiver.packets_opened == 40
    assert scene.receiver.packets_unauthentic == 0


def test_a_damaged_packet_in_the_sample_is_noticed() -> None:
    """It is counted as unauthentic, and later packets open again."""
    scene = connected(sample_every=1)
    for number in range(5):
        scene.read(scene.video(number, KEYFRAME))
    damaged = bytearray(scene.video(5))
    damaged[-1] ^= 1
    scene.read(bytes(damaged))
    scene.read(scene.video(6))
    assert scene.receiver.packets_unauthentic == 1
    assert scene.receiver.packets_opened == 6


def test_a_forged_stream_is_not_begun() -> None:
    """An SSRC is remembered only when its first packet is authentic."""
    scene = connected()
    scene.read(scene.audio(1)[:-1] + b"\x00")
    assert scene.receiver.streams == []
    assert scene.receiver.packets_unauthentic == 1
    scene.read(scene.audio(2))
    assert len(scene.receiver.streams) == 1


def test_media_from_elsewhere_and_of_no_codec_is_not_counted() -> None:
    """The address is the validated one, and the payload type a negotiated one."""
    scene = connected()
    scene.read(scene.audio(1), address=STRANGER)
    scene.read(scene.protect(77 + AUDIO - 111 + 20, 1, 5, bytes(20)))
    assert scene.receiver.streams == []
    assert scene.receiver.packets_unknown == 2


def test_it_reports_like_a_receiver() -> None:
    """A receiver report with both streams, a name, and REMB where one was asked for; sender reports are echoed."""
    scene = connected(remb_bps=2_000_000)
    scene.read(scene.video(1, KEYFRAME), scene.video(2), scene.video(4))
    scene.send_report(VIDEO_SSRC, 0x0001_0002_0003_0004)
    scene.receiver.send_reports(scene.now)
    scene.exchange()
    report, name, remb = scene.reports
    assert isinstance(report, ReceiverReport)
    assert [(block.ssrc, block.packets_lost, block.last_sr) for block in report.reports] == [
        (VIDEO_SSRC, 1, 0x0002_0003)
    ]
    assert isinstance(name, SourceDescription)
    assert isinstance(remb, Remb)
    assert remb.ssrcs == (VIDEO_SSRC,)


def test_it_asks_for_a_keyframe_that_does_not_come() -> None:
    """Not with the first report, when one may be under way; with each one after it, until it is there."""
    scene = connected()
    scene.read(scene.video(1))
    asked = []
    for number in range(2, 5):
        scene.receiver.send_reports(scene.now)
        scene.exchange()
        asked.append(sum(isinstance(packet, PictureLossIndication) for packet in scene.reports))
        scene.read(scene.video(number, KEYFRAME if number == 3 else b"\x00"))
    assert asked == [0, 1, 1]


def test_checks_of_a_full_ice_agent_are_answered() -> None:
    """A server that is not lite checks us too; the answer is signed with our password, a stranger gets none."""
    scene = connected()

    def check(password: str) -> bytes:
        return serialize_binding_request(b"t" * 12, "swarm:relay", priority=1, ice_controlled=5, password=password)

    scene.read(check("wrong password of 22 ch"))
    assert scene.receiver.datagrams_to_send() == []
    scene.read(check(scene.local.pwd))
    [(data, address)] = scene.receiver.datagrams_to_send()
    answer = parse_message(data)
    assert address == SERVER
    assert isinstance(answer, BindingSuccess)
    assert answer.mapped_address == SERVER  # as seen from here; the scene has one address for both directions
    assert verify_integrity(answer, scene.local.pwd)


def test_a_server_that_says_goodbye_is_lost() -> None:
    """DTLS close_notify ends the receiver with a reason."""
    scene = connected()
    scene.server.close(scene.now)
    scene.exchange()
    assert (scene.receiver.outcome, scene.receiver.reason) == (Outcome.LOST, "dtls_closed")


def test_a_refused_port_is_believed_after_silence() -> None:
    """One "port unreachable" ends nothing while media flows; with a second of silence after it, it does."""
    scene = connected()
    scene.read(scene.audio(1))
    scene.receiver.handle_refused(scene.now)
    scene.now += REFUSED_S / 2
    scene.read(scene.audio(2))
    scene.now += REFUSED_S + 0.1
    scene.receiver.handle_timer(scene.now)
    assert scene.receiver.outcome is Outcome.CONNECTED
    scene.receiver.handle_refused(scene.now)
    scene.receiver.handle_timer(scene.now)
    assert (scene.receiver.outcome, scene.receiver.reason) == (Outcome.LOST, "port_unreachable")


def test_a_handshake_without_an_end_fails() -> None:
    """Nobody answers: the receiver failed, and was never lost."""
    scene = SwarmServer()
    for _ in range(30):
        scene.now += 0.5
        scene.receiver.handle_timer(scene.now)
    assert (scene.receiver.outcome, scene.receiver.reason) == (Outcome.FAILED, "handshake_timeout")
    assert scene.receiver.at.connected_s is None


def test_leaving_tells_the_server() -> None:
    """The server hears it at once and does not wait for consent to expire."""
    scene = connected()
    scene.receiver.close(scene.now)
    for data, _ in scene.receiver.datagrams_to_send():
        scene.server.handle_datagram(data, CLIENT, scene.now)
    assert scene.server.state is PeerState.CLOSED
    assert scene.receiver.outcome is Outcome.LEFT


def test_silence_is_noticed() -> None:
    """Never any media, and none any more, are both silence, each after two seconds."""
    scene = connected()
    assert not scene.receiver.is_silent(scene.now)
    assert scene.receiver.is_silent(scene.now + SILENT_S + 0.1)
    scene.read(scene.audio(1))
    assert not scene.receiver.is_silent(scene.now)
    assert scene.receiver.is_silent(scene.now + SILENT_S + 0.1)
