import struct
import zlib

import pytest
from aioice import stun as aioice_stun

from relay.errors import WireError
from relay.wire import stun

TRANSACTION_ID = bytes(range(12))
PASSWORD = "VOkJxbRl1RmTxUk/WvJxBt"  # the example password of RFC 5769


def request(**changes: object) -> bytes:
    """Write a request of a controlling agent, with changes."""
    values: dict[str, object] = {"priority": 1862270975, "ice_controlling": 1 << 63, "password": PASSWORD}
    return stun.serialize_binding_request(TRANSACTION_ID, "relay:hall", **(values | changes))  # type: ignore[arg-type]  # a table of keyword arguments


def message(*attributes: tuple[int, bytes], message_type: int = 1, length: int | None = None) -> bytes:
    """Build a message without integrity or fingerprint."""
    body = b"".join(struct.pack("!HH", kind, len(value)) + value + bytes(-len(value) % 4) for kind, value in attributes)
    size = len(body) if length is None else length
    return struct.pack("!HHI", message_type, size, 0x2112A442) + TRANSACTION_ID + body


def with_fingerprint(data: bytes) -> bytes:
    """Append a right fingerprint."""
    data = data[:2] + struct.pack("!H", len(data) - 12) + data[4:]
    return data + struct.pack("!HHI", 0x8028, 4, zlib.crc32(data) ^ 0x5354554E)


def test_the_test_vector_of_rfc_5769_is_read() -> None:
    """Section 2.1: a request with padding of spaces, integrity and fingerprint."""
    vector = bytes.fromhex(
        "000100582112a442b7e7a701bc34d686fa87dfae802200105354554e207465737420636c69656e74002400046e0001ff"
        "80290008932ff9b151263b36000600096576746a3a68367659202020000800149aeaa70cbfd8cb56781ef2b5b2d3f249"
        "c1b571a280280004e57a3bcf"
    )
    parsed = stun.parse_message(vector)
    assert isinstance(parsed, stun.BindingRequest)
    assert parsed.username == "evtj:h6vY"
    assert parsed.priority == 0x6E0001FF
    assert parsed.ice_controlled == 0x932FF9B151263B36
    assert stun.verify_integrity(parsed, PASSWORD)


@pytest.mark.parametrize(
    ("vector", "address"),
    [
        (
            (
                "0101003c2112a442b7e7a701bc34d686fa87dfae8022000b7465737420766563746f7220002000080001a147e112a643"
                "000800142b91f599fd9e90c38c7489f92af9ba53f06be7d780280004c07d4c96"
            ),
            ("192.0.2.1", 32853),
        ),
        (
            (
                "010100482112a442b7e7a701bc34d686fa87dfae8022000b7465737420766563746f7220002000140002a1470113a9fa"
                "a5d3f179bc25f4b5bed2b9d900080014a382954e4be67bf11784c97c8292c275bfe3ed4180280004c8fb0b4c"
            ),
            ("2001:db8:1234:5678:11:2233:4455:6677", 32853),
        ),
    ],
)
def test_the_answers_of_rfc_5769_are_read(vector: str, address: tuple[str, int]) -> None:
    """Sections 2.2 and 2.3: IPv4 and IPv6."""
    parsed = stun.parse_message(bytes.fromhex(vector))
    assert isinstance(parsed, stun.BindingSuccess)
    assert parsed.mapped_address == address
    assert stun.verify_integrity(parsed, PASSWORD.encode())


def test_a_request_survives_the_wire() -> None:
    """Every field is read back, and only the right password verifies."""
    parsed = stun.parse_message(memoryview(request(use_candidate=True)))
    assert isinstance(parsed, stun.BindingRequest)
    assert parsed.transaction_id == TRANSACTION_ID
    assert parsed.username == "relay:hall"
    assert parsed.priority == 1862270975
    assert parsed.use_candidate
    assert parsed.ice_controlling == 1 << 63
    assert parsed.ice_controlled is None
    assert stun.verify_integrity(parsed, PASSWORD)
    assert stun.verify_integrity(parsed, PASSWORD.encode())
    assert not stun.verify_integrity(parsed, PASSWORD + "x")


def test_a_controlled_request_survives_the_wire() -> None:
    """The other role and no nomination."""
    parsed = stun.parse_message(request(ice_controlling=None, ice_controlled=7))
    assert isinstance(parsed, stun.BindingRequest)
    assert parsed.ice_controlled == 7
    assert not parsed.use_candidate


def test_without_integrity_nothing_verifies() -> None:
    """A message without MESSAGE-INTEGRITY is read, and not believed."""
    parsed = stun.parse_message(message())
    assert parsed == stun.BindingRequest(TRANSACTION_ID, "", 0, False, None, None)  # noqa: FBT003 - in the struct's order
    assert not stun.verify_integrity(parsed, PASSWORD)


@pytest.mark.parametrize(
    ("address", "seen"),
    [
        (("192.0.2.1", 65535), ("192.0.2.1", 65535)),
        (("2001:db8::1", 1), ("2001:db8::1", 1)),
        (("::ffff:192.0.2.9", 5), ("192.0.2.9", 5)),
    ],
)
def test_a_success_survives_the_wire(address: tuple[str, int], seen: tuple[str, int]) -> None:
    """IPv4, IPv6, and IPv4 in IPv6 form, which is told as IPv4."""
    parsed = stun.parse_message(stun.serialize_binding_success(TRANSACTION_ID, address, PASSWORD))
    assert isinstance(parsed, stun.BindingSuccess)
    assert parsed.mapped_address == seen
    assert stun.verify_integrity(parsed, PASSWORD)


def test_an_error_survives_the_wire() -> None:
    """Code and reason are read back; unknown attributes are written for 420."""
    data = stun.serialize_binding_error(TRANSACTION_ID, 420, "Unknown", password=PASSWORD, unknown_attributes=(1, 2, 3))
    parsed = stun.parse_message(data)
    assert isinstance(parsed, stun.BindingError)
    assert (parsed.code, parsed.reason) == (420, "Unknown")
    assert stun.verify_integrity(parsed, PASSWORD)
    assert bytes.fromhex("000a0006000100020003") in data
    unsigned = stun.parse_message(stun.serialize_binding_error(TRANSACTION_ID, 400, "Bad Request"))
    assert isinstance(unsigned, stun.BindingError)
    assert unsigned.signature is None


def test_an_indication_is_read() -> None:
    """A keep-alive has only its transaction."""
    assert stun.parse_message(message(message_type=0x0011)) == stun.BindingIndication(TRANSACTION_ID)


def test_another_implementation_reads_the_same() -> None:
    """The aioice library finds the same values in our bytes."""
    parsed = aioice_stun.parse_message(request(use_candidate=True))
    assert parsed.attributes["USERNAME"] == "relay:hall"
    assert parsed.attributes["ICE-CONTROLLING"] == 1 << 63
    answer = stun.serialize_binding_success(TRANSACTION_ID, ("2001:db8::1", 9), PASSWORD)
    assert aioice_stun.parse_message(answer).attributes["XOR-MAPPED-ADDRESS"] == ("2001:db8::1", 9)


def test_attributes_after_integrity_are_ignored() -> None:
    """Whoever adds attributes behind the signature changes nothing (RFC 8489 section 14.5)."""
    genuine = request()[:-8]  # without its fingerprint
    forged = genuine + struct.pack("!HHHH", 0x0025, 0, 0x7777, 0)
    parsed = stun.parse_message(with_fingerprint(forged))
    assert isinstance(parsed, stun.BindingRequest)
    assert not parsed.use_candidate
    assert stun.verify_integrity(parsed, PASSWORD)


def test_of_a_repeated_attribute_the_first_counts() -> None:
    """RFC 8489 section 14."""
    parsed = stun.parse_message(message((0x0006, b"first"), (0x0006, b"second")))
    assert isinstance(parsed, stun.BindingRequest)
    assert parsed.username == "first"


def test_unknown_optional_attributes_are_ignored() -> None:
    """Types from 0x8000 on need not be understood."""
    assert isinstance(stun.parse_message(message((0xC057, b"net"))), stun.BindingRequest)


def test_unknown_required_attributes_are_told() -> None:
    """The error carries what an answer with code 420 needs."""
    with pytest.raises(stun.UnknownAttributesError, match="0x7777, 0x001c") as raised:
        stun.parse_message(message((0x7777, b""), (0x001C, bytes(32))))
    assert raised.value.unknown_attributes == (0x7777, 0x001C)
    assert raised.value.transaction_id == TRANSACTION_ID
    assert raised.value.protocol == "stun"


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "message of 0 bytes"),
        (message()[:19], "message of 19 bytes"),
        (message((0xC000, bytes(1480))), "message of 1504 bytes"),
        (message()[:4] + bytes(4) + message()[8:], "wrong magic cookie"),
        (message(length=4), "length field 4"),
        (message() + b"\0\0", "length field 0"),
        (message(length=2) + b"\0\0", "length field 2"),
        (message(message_type=0x0003), "not Binding"),
        (message(message_type=0x4001), "not Binding"),
        (message(length=8) + struct.pack("!HHI", 0xC000, 5, 0), "0xc000 passes the end"),
        (message(length=8) + struct.pack("!HHI", 0xC000, 0xFFFF, 0), "0xc000 passes the end"),
        (message((0x0008, bytes(16))), "integrity of 16 bytes"),
        (message((0x8028, bytes(4))), "wrong fingerprint"),
        (message((0x8028, bytes(3))), "not the last attribute"),
        (with_fingerprint(message())[:2] + b"\0\x0c" + with_fingerprint(message())[4:] + bytes(4), "not the last"),
        (message((0x0006, bytes(514))), "username of 514 bytes"),
        (message((0x0006, b"\xff")), "username is not UTF-8"),
        (message((0x0024, bytes(3))), "0x0024 of 3 bytes"),
        (message((0x0025, bytes(1))), "use-candidate with a value"),
        (message((0x802A, bytes(4))), "0x802a of 4 bytes"),
        (message((0x8029, bytes(8)), (0x802A, bytes(8))), "both ice-controlling"),
        (message(message_type=0x0101), "without xor-mapped-address"),
        (message((0x0020, b"\0\x01" + bytes(18)), message_type=0x0101), "xor-mapped-address of 20"),
        (message((0x0020, b""), message_type=0x0101), "xor-mapped-address of 0"),
        (message(message_type=0x0111), "error code of 0 bytes"),
        (message((0x0009, b"\0\0\x02\x00"), message_type=0x0111), "class 2"),
        (message((0x0009, b"\0\0\x04\x64"), message_type=0x0111), "number 100"),
        (message((0x0009, b"\0\0\x04\x00\xff"), message_type=0x0111), "not UTF-8"),
        (message((0x0009, bytes(768)), message_type=0x0111), "error code of 768 bytes"),
    ],
)
def test_malformed_messages_are_refused(data: bytes, reason: str) -> None:
    """Every form that RFC 8489 forbids raises the one typed error."""
    with pytest.raises(WireError, match=reason) as raised:
        stun.parse_message(data)
    assert raised.value.protocol == "stun"


def test_a_changed_byte_breaks_the_fingerprint() -> None:
    """Each single changed byte is noticed, save in the four that say that a fingerprint is there at all."""
    data = bytearray(request())
    for position in [*range(len(data) - 8), *range(len(data) - 4, len(data))]:
        data[position] ^= 0x01
        with pytest.raises(WireError):
            stun.parse_message(bytes(data))
        data[position] ^= 0x01
