"""STUN Binding messages (RFC 8489) with the attributes of ICE (RFC 8445 section 16.1), short-term credentials.

Left out on purpose: every method but Binding, long-term credentials and MESSAGE-INTEGRITY-SHA256, which ICE does not
use; a message that carries only these is refused as having unknown attributes. Parsing checks form only: whether a
message is to be believed is `verify_integrity`.
"""

from __future__ import annotations

import hmac
import ipaddress
import struct
import zlib
from collections.abc import Sequence

import msgspec

from relay.errors import WireError

MAX_MESSAGE_BYTES = 1500  # the largest datagram on any link that a relay serves
MAX_USERNAME_BYTES = 513
TRANSACTION_ID_BYTES = 12

_HEADER_BYTES = 20
_MAGIC_COOKIE = 0x2112A442
_FINGERPRINT_XOR = 0x5354554E
_MAX_REASON_BYTES = 763  # RFC 8489 section 14.8
_INTEGRITY_BYTES = 20  # HMAC-SHA1

_BINDING_REQUEST = 0x0001
_BINDING_INDICATION = 0x0011
_BINDING_SUCCESS = 0x0101
_BINDING_ERROR = 0x0111

_USERNAME = 0x0006
_MESSAGE_INTEGRITY = 0x0008
_ERROR_CODE = 0x0009
_UNKNOWN_ATTRIBUTES = 0x000A
_XOR_MAPPED_ADDRESS = 0x0020
_PRIORITY = 0x0024
_USE_CANDIDATE = 0x0025
_FINGERPRINT = 0x8028
_ICE_CONTROLLED = 0x8029
_ICE_CONTROLLING = 0x802A

_UNDERSTOOD = frozenset(
    {_USERNAME, _MESSAGE_INTEGRITY, _ERROR_CODE, _UNKNOWN_ATTRIBUTES, _XOR_MAPPED_ADDRESS, _PRIORITY, _USE_CANDIDATE}
)

_IPV4 = 0x01
_IPV6 = 0x02

_HEADER = struct.Struct("!HHI12s")
_ATTRIBUTE = struct.Struct("!HH")
_UINT32 = struct.Struct("!I")
_UINT64 = struct.Struct("!Q")
_INTEGRITY = struct.Struct("!HH20s")
_FINGERPRINT_ATTRIBUTE = struct.Struct("!HHI")
_XOR_IPV4 = struct.Struct("!HHBBHI")


class UnknownAttributesError(WireError):
    """A request carries comprehension-required attributes that are not understood; answer with code 420.

    Attributes:
        transaction_id: the request's, for the answer.
        unknown_attributes: their types.
    """

    code = "unknown_attributes"

    def __init__(self, transaction_id: bytes, unknown_attributes: tuple[int, ...]) -> None:
        names = ", ".join(f"0x{attribute:04x}" for attribute in unknown_attributes)
        super().__init__("stun", f"unknown comprehension-required attributes {names}")
        self.transaction_id = transaction_id
        self.unknown_attributes = unknown_attributes


class Signature(msgspec.Struct, frozen=True, gc=False):
    """What `verify_integrity` needs: the bytes that were signed, and their HMAC-SHA1."""

    signed: bytes
    digest: bytes


class BindingRequest(msgspec.Struct, frozen=True):
    """A connectivity or consent check.

    Attributes:
        transaction_id: 12 bytes.
        username: `receiver_ufrag:sender_ufrag`; "" where the attribute is missing.
        priority: of a peer-reflexive candidate; 0 where the attribute is missing.
        use_candidate: the controlling agent nominates this pair.
        ice_controlling: tie-breaker of a controlling sender, 64 bits.
        ice_controlled: tie-breaker of a controlled sender, 64 bits.
        signature: MESSAGE-INTEGRITY, None where missing.
    """

    transaction_id: bytes
    username: str
    priority: int
    use_candidate: bool
    ice_controlling: int | None
    ice_controlled: int | None
    signature: Signature | None = None


class BindingIndication(msgspec.Struct, frozen=True):
    """A keep-alive that wants no answer."""

    transaction_id: bytes
    signature: Signature | None = None


class BindingSuccess(msgspec.Struct, frozen=True):
    """An answer; `mapped_address` is where the request was seen to come from, (address, port)."""

    transaction_id: bytes
    mapped_address: tuple[str, int]
    signature: Signature | None = None


class BindingError(msgspec.Struct, frozen=True):
    """A refusal; `code` is 300..699, for example 487 (role conflict)."""

    transaction_id: bytes
    code: int
    reason: str
    signature: Signature | None = None


Message = BindingRequest | BindingIndication | BindingSuccess | BindingError


def parse_message(datagram: bytes | memoryview) -> Message:
    """Read one Binding message.

    Of an attribute that comes twice the first counts; after MESSAGE-INTEGRITY only FINGERPRINT counts.

    Raises:
        UnknownAttributesError: an unknown comprehension-required attribute.
        WireError: anything else that RFC 8489 does not allow.
    """
    size = len(datagram)
    if not _HEADER_BYTES <= size <= MAX_MESSAGE_BYTES:
        raise WireError("stun", f"message of {size} bytes, expected 20 to 1500")
    data = bytes(datagram)
    message_type, length, cookie, transaction_id = _HEADER.unpack_from(data)
    if cookie != _MAGIC_COOKIE:
        raise WireError("stun", "wrong magic cookie")
    if length % 4 or length + _HEADER_BYTES != size:
        raise WireError("stun", f"length field {length} in a message of {size} bytes")
    if message_type not in {_BINDING_REQUEST, _BINDING_INDICATION, _BINDING_SUCCESS, _BINDING_ERROR}:
        raise WireError("stun", f"message type 0x{message_type:04x} is not Binding")
    attributes, signature = _parse_attributes(data)
    unknown = tuple(kind for kind in attributes if kind < 0x8000 and kind not in _UNDERSTOOD)
    if unknown:
        raise UnknownAttributesError(transaction_id, unknown)
    if message_type == _BINDING_REQUEST:
        return _parse_request(transaction_id, attributes, signature)
    if message_type == _BINDING_SUCCESS:
        return _parse_success(transaction_id, attributes, signature)
    if message_type == _BINDING_ERROR:
        return _parse_error(transaction_id, attributes, signature)
    return BindingIndication(transaction_id, signature)


def verify_integrity(message: Message, password: str | bytes) -> bool:
    """Tell whether a message was signed with this password (RFC 8489 section 9.1.3).

    Takes constant time for a wrong digest; False where MESSAGE-INTEGRITY is missing.
    """
    signature = message.signature
    if signature is None:
        return False
    key = password.encode() if isinstance(password, str) else password
    return hmac.compare_digest(hmac.digest(key, signature.signed, "sha1"), signature.digest)


def _parse_attributes(data: bytes) -> tuple[dict[int, bytes], Signature | None]:
    size = len(data)
    attributes: dict[int, bytes] = {}
    signature = None
    offset = _HEADER_BYTES
    while offset < size:  # the size is a multiple of four, so a whole attribute header is left
        kind, length = _ATTRIBUTE.unpack_from(data, offset)
        start = offset + 4
        following = start + (length + 3 & ~3)
        if following > size:
            raise WireError("stun", f"attribute 0x{kind:04x} passes the end")
        if kind == _FINGERPRINT:
            _check_fingerprint(data, offset, length)
        elif signature is None:
            if kind == _MESSAGE_INTEGRITY:
                signature = _parse_integrity(data, offset, length)
            elif kind not in attributes:
                attributes[kind] = data[start : start + length]
        offset = following
    return attributes, signature


def _check_fingerprint(data: bytes, offset: int, length: int) -> None:
    if length != 4 or offset + 8 != len(data):
        raise WireError("stun", "fingerprint is not the last attribute")
    if _UINT32.unpack_from(data, offset + 4)[0] != zlib.crc32(data[:offset]) ^ _FINGERPRINT_XOR:
        raise WireError("stun", "wrong fingerprint")


def _parse_integrity(data: bytes, offset: int, length: int) -> Signature:
    if length != _INTEGRITY_BYTES:
        raise WireError("stun", f"message integrity of {length} bytes, expected 20")
    # What follows was not there when it was signed: the length field counted up to the end of this attribute.
    covered = offset + 4 + _INTEGRITY_BYTES - _HEADER_BYTES
    return Signature(data[:2] + covered.to_bytes(2) + data[4:offset], data[offset + 4 : offset + 4 + length])


def _parse_request(transaction_id: bytes, attributes: dict[int, bytes], signature: Signature | None) -> BindingRequest:
    username = attributes.get(_USERNAME, b"")
    if len(username) > MAX_USERNAME_BYTES:
        raise WireError("stun", f"username of {len(username)} bytes")
    if attributes.get(_USE_CANDIDATE):
        raise WireError("stun", "use-candidate with a value")
    ice_controlling = _parse_integer(attributes, _ICE_CONTROLLING, _UINT64)
    ice_controlled = _parse_integer(attributes, _ICE_CONTROLLED, _UINT64)
    if ice_controlling is not None and ice_controlled is not None:
        raise WireError("stun", "both ice-controlling and ice-controlled")
    return BindingRequest(
        transaction_id,
        _parse_text(username, "username"),
        _parse_integer(attributes, _PRIORITY, _UINT32) or 0,
        _USE_CANDIDATE in attributes,
        ice_controlling,
        ice_controlled,
        signature,
    )


def _parse_integer(attributes: dict[int, bytes], kind: int, shape: struct.Struct) -> int | None:
    value = attributes.get(kind)
    if value is None:
        return None
    if len(value) != shape.size:
        raise WireError("stun", f"attribute 0x{kind:04x} of {len(value)} bytes, expected {shape.size}")
    number: int = shape.unpack(value)[0]
    return number


def _parse_text(value: bytes, name: str) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError:
        raise WireError("stun", f"{name} is not UTF-8") from None


def _parse_success(transaction_id: bytes, attributes: dict[int, bytes], signature: Signature | None) -> BindingSuccess:
    value = attributes.get(_XOR_MAPPED_ADDRESS)
    if value is None:
        raise WireError("stun", "success without xor-mapped-address")
    if len(value) == 8 and value[1] == _IPV4:
        size = 4
    elif len(value) == 20 and value[1] == _IPV6:
        size = 16
    else:
        raise WireError("stun", f"xor-mapped-address of {len(value)} bytes")
    port = int.from_bytes(value[2:4]) ^ _MAGIC_COOKIE >> 16
    packed = _xor_address(value[4:], transaction_id)
    address = ipaddress.IPv4Address(packed) if size == 4 else ipaddress.IPv6Address(packed)
    return BindingSuccess(transaction_id, (str(address), port), signature)


def _parse_error(transaction_id: bytes, attributes: dict[int, bytes], signature: Signature | None) -> BindingError:
    value = attributes.get(_ERROR_CODE, b"")
    if not 4 <= len(value) <= 4 + _MAX_REASON_BYTES:
        raise WireError("stun", f"error code of {len(value)} bytes")
    hundreds, rest = value[2] & 0x07, value[3]
    if not 3 <= hundreds <= 6 or rest > 99:
        raise WireError("stun", f"error code of class {hundreds} and number {rest}")
    return BindingError(transaction_id, 100 * hundreds + rest, _parse_text(value[4:], "error reason"), signature)


def _xor_address(packed: bytes, transaction_id: bytes) -> bytes:
    mask = (_MAGIC_COOKIE.to_bytes(4) + transaction_id)[: len(packed)]
    return (int.from_bytes(packed) ^ int.from_bytes(mask)).to_bytes(len(packed))


def serialize_binding_request(
    transaction_id: bytes,
    username: str,
    *,
    priority: int,
    use_candidate: bool = False,
    ice_controlling: int | None = None,
    ice_controlled: int | None = None,
    password: str | bytes,
) -> bytes:
    """Write a signed connectivity or consent check with a fingerprint.

    Args:
        transaction_id: 12 random bytes.
        username: `receiver_ufrag:sender_ufrag`.
        priority: for a peer-reflexive candidate (RFC 8445 section 7.1.1).
        use_candidate: nominate this pair.
        ice_controlling: our tie-breaker, where we control.
        ice_controlled: our tie-breaker, where we do not.
        password: the receiver's.
    """
    name = username.encode()
    attributes = [
        _ATTRIBUTE.pack(_USERNAME, len(name)) + name + bytes(-len(name) % 4),
        _ATTRIBUTE.pack(_PRIORITY, 4) + _UINT32.pack(priority),
    ]
    if use_candidate:
        attributes.append(_ATTRIBUTE.pack(_USE_CANDIDATE, 0))
    if ice_controlling is not None:
        attributes.append(_ATTRIBUTE.pack(_ICE_CONTROLLING, 8) + _UINT64.pack(ice_controlling))
    if ice_controlled is not None:
        attributes.append(_ATTRIBUTE.pack(_ICE_CONTROLLED, 8) + _UINT64.pack(ice_controlled))
    return _serialize(_BINDING_REQUEST, transaction_id, b"".join(attributes), password)


def serialize_binding_success(transaction_id: bytes, mapped_address: tuple[str, int], password: str | bytes) -> bytes:
    """Write a signed answer with a fingerprint.

    Args:
        transaction_id: the request's.
        mapped_address: where the request came from. An IPv4 address in IPv6 form (`::ffff:192.0.2.1`, what a
            dual-stack socket shows) is written as the IPv4 address that the peer knows itself by.
        password: ours, which also signed the request.
    """
    host, port = mapped_address
    if ":" in host:
        address = ipaddress.IPv6Address(host)
        if address.ipv4_mapped is None:
            masked = _xor_address(address.packed, transaction_id)
            head = struct.pack("!HHBBH", _XOR_MAPPED_ADDRESS, 20, 0, _IPV6, port ^ _MAGIC_COOKIE >> 16)
            return _serialize(_BINDING_SUCCESS, transaction_id, head + masked, password)
        host = str(address.ipv4_mapped)
    number = int.from_bytes(bytes(map(int, host.split("."))))
    attribute = _XOR_IPV4.pack(_XOR_MAPPED_ADDRESS, 8, 0, _IPV4, port ^ _MAGIC_COOKIE >> 16, number ^ _MAGIC_COOKIE)
    return _serialize(_BINDING_SUCCESS, transaction_id, attribute, password)


def serialize_binding_error(
    transaction_id: bytes,
    code: int,
    reason: str,
    *,
    password: str | bytes | None = None,
    unknown_attributes: Sequence[int] = (),
) -> bytes:
    """Write a refusal with a fingerprint.

    Args:
        transaction_id: the request's.
        code: 300..699.
        reason: short text for people.
        password: signs the answer; None for 400 and 401, where no credential is shared.
        unknown_attributes: their types, for 420.
    """
    text = reason.encode()
    attributes = _ATTRIBUTE.pack(_ERROR_CODE, 4 + len(text)) + bytes((0, 0, code // 100, code % 100)) + text
    attributes += bytes(-len(text) % 4)
    if unknown_attributes:
        count = len(unknown_attributes)
        attributes += _ATTRIBUTE.pack(_UNKNOWN_ATTRIBUTES, 2 * count)
        attributes += struct.pack(f"!{count}H", *unknown_attributes) + bytes(-2 * count % 4)
    return _serialize(_BINDING_ERROR, transaction_id, attributes, password)


def _serialize(message_type: int, transaction_id: bytes, attributes: bytes, password: str | bytes | None) -> bytes:
    length = len(attributes)
    body = attributes
    if password is not None:
        key = password.encode() if isinstance(password, str) else password
        length += 4 + _INTEGRITY_BYTES
        signed = _HEADER.pack(message_type, length, _MAGIC_COOKIE, transaction_id) + attributes
        body += _INTEGRITY.pack(_MESSAGE_INTEGRITY, _INTEGRITY_BYTES, hmac.digest(key, signed, "sha1"))
    message = _HEADER.pack(message_type, length + 8, _MAGIC_COOKIE, transaction_id) + body
    return message + _FINGERPRINT_ATTRIBUTE.pack(_FINGERPRINT, 4, zlib.crc32(message) ^ _FINGERPRINT_XOR)
