"""What holds for every input of the relay's parsers: a value or `WireError`, and round trips."""

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.errors import WireError
from relay.wire import rtcp, stun
from relay.wire.codecs import is_keyframe_start
from relay.wire.demux import Kind, classify
from relay.wire.rtp import extension_value, parse_rtp_header, strip_header
from relay.wire.sdp import parse_session, serialize_session
from relay.wire.sdp_fragment import parse_fragment, serialize_fragment
from relay.wire.sequence_number import SequenceUnwrapper, is_newer

SDP_FOLDER = Path(__file__).parents[1] / "data" / "sdp"
OFFERS = [path.read_bytes().decode() for path in sorted(SDP_FOLDER.glob("*.sdp"))]

uint8 = st.integers(0, 0xFF)
uint16 = st.integers(0, 0xFFFF)
uint32 = st.integers(0, 0xFFFFFFFF)
uint64 = st.integers(0, (1 << 64) - 1)
transaction_ids = st.binary(min_size=12, max_size=12)
passwords = st.binary(min_size=1, max_size=64)
users = st.text(max_size=120)
addresses = st.tuples(st.ip_addresses().map(str), uint16)

requests = st.builds(
    stun.serialize_binding_request,
    transaction_ids,
    users,
    priority=uint32,
    use_candidate=st.booleans(),
    ice_controlling=uint64,
    password=passwords,
)
answers = st.builds(stun.serialize_binding_success, transaction_ids, addresses, passwords)
refusals = st.builds(
    stun.serialize_binding_error,
    transaction_ids,
    st.integers(300, 699),
    st.text(max_size=60),
    password=st.none() | passwords,
    unknown_attributes=st.lists(uint16, max_size=5),
)

blocks = st.builds(rtcp.ReportBlock, uint32, uint8, st.integers(-0x800000, 0x7FFFFF), uint32, uint32, uint32, uint32)
reports = st.lists(blocks, max_size=4).map(tuple)
packets = st.one_of(
    st.builds(rtcp.SenderReport, uint32, uint64, uint32, uint32, uint32, reports),
    st.builds(rtcp.ReceiverReport, uint32, reports),
    st.builds(rtcp.SourceDescription, st.lists(st.tuples(uint32, st.text(max_size=20)), max_size=4).map(tuple)),
    st.builds(rtcp.Bye, st.lists(uint32, max_size=31).map(tuple)),
    st.builds(rtcp.GenericNack, uint32, uint32, st.lists(uint16, min_size=1, max_size=20).map(tuple)),
    st.builds(rtcp.PictureLossIndication, uint32, uint32),
    st.builds(rtcp.FullIntraRequest, uint32, st.lists(st.tuples(uint32, uint8), min_size=1, max_size=8).map(tuple)),
    st.builds(rtcp.Remb, uint32, uint64, st.lists(uint32, max_size=20).map(tuple)),
)
compounds = st.lists(packets, min_size=1, max_size=3).map(rtcp.serialize_compound)


@st.composite
def rtp_packets(draw: st.DrawFn) -> bytes:
    """Draw a valid packet with any mixture of CSRCs, header extension and padding."""
    csrcs = draw(st.binary(max_size=60).map(lambda data: data[: len(data) & ~3]))
    extension = draw(st.none() | st.binary(max_size=64).map(lambda data: data[: len(data) & ~3]))
    profile = draw(st.sampled_from([0xBEDE, 0x1000, 0x1005, 0x4242]))
    payload = draw(st.binary(max_size=200))
    padding = draw(st.integers(0, 255))
    first = 0x80 | len(csrcs) // 4 | (0x10 if extension is not None else 0) | (0x20 if padding else 0)
    data = bytes((first,)) + draw(st.binary(min_size=11, max_size=11)) + csrcs
    if extension is not None:
        data += profile.to_bytes(2) + (len(extension) // 4).to_bytes(2) + extension
    return data + payload + (bytes(padding - 1) + bytes((padding,)) if padding else b"")


@st.composite
def mutated(draw: st.DrawFn, messages: st.SearchStrategy[bytes]) -> bytes:
    """Draw a valid message, then change a few bytes, cut it, or append to it."""
    data = bytearray(draw(messages))
    for position, value in draw(st.lists(st.tuples(st.integers(0, 1500), uint8), max_size=6)):
        if data:
            data[position % len(data)] = value
    cut = draw(st.none() | st.integers(0, len(data)))
    return bytes(data[:cut]) + draw(st.just(b"") | st.binary(max_size=12))


def read_rtp(data: bytes) -> None:
    """Read a packet in every way that the relay does."""
    header = parse_rtp_header(data)
    plain = strip_header(data, header, sequence_number=1, timestamp=2)
    assert len(plain) == 12 + len(data) - header.header_length - header.padding_length
    for identifier in range(17):
        value = extension_value(data, header, identifier)
        assert value is None or len(value) <= header.header_length


@pytest.mark.parametrize("parse", [stun.parse_message, rtcp.parse_compound, read_rtp])
@given(data=st.binary(max_size=200))
def test_any_bytes_parse_or_raise_wire_error(parse: Callable[[bytes], object], data: bytes) -> None:
    """Nothing but `WireError` leaves a parser."""
    try:
        parse(data)
    except WireError as error:
        assert error.reason  # noqa: PT017 - most inputs do not raise at all


@given(mutated(requests | answers | refusals))
def test_mutated_stun_parses_or_raises_wire_error(data: bytes) -> None:
    """A damaged message is read as another one or refused; whichever it is, checking it raises nothing."""
    try:
        message = stun.parse_message(data)
    except WireError:
        return
    stun.verify_integrity(message, b"password")


@given(mutated(compounds))
def test_mutated_rtcp_parses_or_raises_wire_error(data: bytes) -> None:
    """A damaged compound is read as another one or refused, and one that is read has a packet at least."""
    try:
        assert rtcp.parse_compound(data)
    except WireError:
        return


@given(mutated(rtp_packets()))
def test_mutated_rtp_parses_or_raises_wire_error(data: bytes) -> None:
    """A damaged packet is read as another one or refused."""
    try:
        read_rtp(data)
    except WireError:
        return


@given(rtp_packets(), uint16, uint32, uint32, st.integers(0, 127))
def test_a_stripped_packet_is_plain(data: bytes, number: int, timestamp: int, ssrc: int, payload_type: int) -> None:
    """It has the new values, the old marker and payload, and nothing else."""
    header = parse_rtp_header(data)
    plain = strip_header(
        data, header, sequence_number=number, timestamp=timestamp, ssrc=ssrc, payload_type=payload_type
    )
    again = parse_rtp_header(plain)
    assert (again.sequence_number, again.timestamp, again.ssrc) == (number, timestamp, ssrc)
    assert (again.payload_type, again.marker) == (payload_type, header.marker)
    assert (again.header_length, again.padding_length) == (12, 0)
    assert plain[12:] == data[header.header_length : len(data) - header.padding_length]


@given(transaction_ids, users, uint32, st.booleans(), uint64, passwords)
def test_a_stun_request_survives_the_wire(
    transaction_id: bytes,
    username: str,
    priority: int,
    use_candidate: bool,  # noqa: FBT001 - hypothesis passes by position
    tie_breaker: int,
    password: bytes,
) -> None:
    """Every field is read back, and the password verifies."""
    data = stun.serialize_binding_request(
        transaction_id,
        username,
        priority=priority,
        use_candidate=use_candidate,
        ice_controlled=tie_breaker,
        password=password,
    )
    parsed = stun.parse_message(data)
    assert isinstance(parsed, stun.BindingRequest)
    assert (parsed.transaction_id, parsed.username, parsed.priority) == (transaction_id, username, priority)
    assert (parsed.use_candidate, parsed.ice_controlling, parsed.ice_controlled) == (use_candidate, None, tie_breaker)
    assert stun.verify_integrity(parsed, password)
    assert not stun.verify_integrity(parsed, password + b"x")


def pack_nack(packet: rtcp.RtcpPacket) -> rtcp.RtcpPacket:
    """Put a packet into the form that the wire keeps: a NACK's numbers in a set, a REMB with 18 bits."""
    if isinstance(packet, rtcp.GenericNack):
        return rtcp.GenericNack(packet.sender_ssrc, packet.media_ssrc, tuple(sorted(set(packet.lost))))
    if isinstance(packet, rtcp.Remb):
        dropped = max(0, packet.bitrate_bps.bit_length() - 18)
        return rtcp.Remb(packet.sender_ssrc, packet.bitrate_bps >> dropped << dropped, packet.ssrcs)
    return packet


@given(st.lists(packets, min_size=1, max_size=2))
def test_rtcp_survives_the_wire(written: list[rtcp.RtcpPacket]) -> None:
    """Packets are read back as they were written."""
    read = rtcp.parse_compound(rtcp.serialize_compound(written))
    known = [packet for packet in read if not isinstance(packet, rtcp.Unknown)]
    assert [pack_nack(packet) for packet in known] == [pack_nack(packet) for packet in written]


lines = st.sampled_from(sorted({line for offer in OFFERS for line in offer.splitlines()}))
pieces = st.sampled_from(
    ["", " ", ":", "a=", "m=", "0", "65536", "\x00", "\r", "\n", "é", "a=rid:x send", "~", ";", "="]
)


@st.composite
def mutated_offers(draw: st.DrawFn) -> str:
    """Draw a real offer with lines replaced, removed and added, and pieces put in anywhere."""
    text = draw(st.sampled_from(OFFERS)).split("\r\n")
    for position, line in draw(st.lists(st.tuples(st.integers(4, 400), lines | st.none()), max_size=6)):
        index = position % len(text)
        text[index : index + 1] = [] if line is None else [line, text[index]]
    joined = "\r\n".join(text)
    for position, piece in draw(st.lists(st.tuples(st.integers(0, 8000), pieces), max_size=3)):
        index = position % (len(joined) + 1)
        joined = joined[:index] + piece + joined[index + draw(st.integers(0, 3)) :]
    return joined


@given(st.text(max_size=400) | mutated_offers() | st.lists(lines, max_size=40).map("\n".join))
def test_any_text_is_a_session_or_raises_wire_error(text: str) -> None:
    """What is read is written in a form that reads back equal."""
    try:
        description = parse_session(text)
    except WireError as error:
        assert error.protocol == "sdp"  # noqa: PT017 - most inputs do not raise at all
        return
    assert parse_session(serialize_session(description)) == description


fragment_lines = st.sampled_from(
    ["a=ice-ufrag:ysXw", "a=ice-ufrag:zzzz", f"a=ice-pwd:{'p' * 22}", "m=audio 9 RTP/AVP 0", "a=mid:0", "a=x"]
)


@given(st.text(max_size=400) | st.lists(fragment_lines | lines, max_size=20).map("\r\n".join))
def test_any_text_is_a_fragment_or_raises_wire_error(text: str) -> None:
    """What is read is written in a form that reads back equal."""
    try:
        fragment = parse_fragment(text)
    except WireError as error:
        assert error.protocol == "sdp"  # noqa: PT017 - most inputs do not raise at all
        return
    assert parse_fragment(serialize_fragment(fragment, [])) == fragment


@given(st.sampled_from(["VP8", "VP9", "H264", "AV1", "opus", ""]), st.binary(max_size=40))
def test_keyframe_search_never_raises(codec: str, payload: bytes) -> None:
    """Any payload is a start or is not."""
    assert is_keyframe_start(codec, payload) is is_keyframe_start(codec, memoryview(payload))


@given(st.binary(max_size=4))
def test_every_datagram_has_a_kind(datagram: bytes) -> None:
    """Nothing that arrives raises."""
    assert classify(datagram) in Kind


@given(uint16, uint16)
def test_of_two_different_numbers_one_is_newer(a: int, b: int) -> None:
    """The order is total over two numbers."""
    assert is_newer(a, b) + is_newer(b, a) == (a != b)


@given(uint16, st.lists(st.integers(-500, 2000), max_size=200))
def test_indexes_follow_a_reordered_stream(first: int, steps: list[int]) -> None:
    """However packets are reordered, an index is the one that the sender counted, or 0 before the beginning."""
    unwrapper = SequenceUnwrapper()
    assert unwrapper.unwrap(first) == first
    highest = first
    for step in steps:
        sent = highest + step
        assert unwrapper.unwrap(sent & 0xFFFF) == max(0, sent)
        highest = max(highest, sent)
    assert unwrapper.highest == highest
