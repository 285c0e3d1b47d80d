"""How a packet is written for one output: its header, its protection and its tag, in memory of the thread.

Hot path, compiled into `relay.fanout.kernel`, which sends what is written here. Functions of C are declared by name, so
that Numba can keep the compiled code on disk; `relay.fanout.libcrypto` loads the library before the first call.

Protection: RFC 3711 section 4 (AES in counter mode, HMAC-SHA-1 cut to 80 bits) and RFC 7714 section 8 (AEAD).
"""

from __future__ import annotations

from relay.fanout.compiling import compiled
from relay.fanout.externals import (
    cipher_ctrl,
    encrypt_final,
    encrypt_init,
    encrypt_update,
    memcpy,
    sha1_final,
    sha1_update,
)
from relay.fanout.layout import FIRST_WORD, HEADER_LENGTH, Burst, Octets, Outputs, Peers, Scratch

AEAD_TAG_BYTES = 16
SHA1_TAG_BYTES = 10
TRAILER_BYTES = 4

_RTP_HEADER_BYTES = 12
# Of a header's first eight octets in network order: version, padding, extension and CSRC count; the marker.
_FIRST_OCTET_AND_MARKER = -(1 << 55)
_GET_TAG = 0x10  # EVP_CTRL_AEAD_GET_TAG of openssl/evp.h
_SHA1_BYTES = 20
_SHA_CTX_BYTES = 96


@compiled
def _network_order(word: int) -> int:
    """The same 64 bits as octets of a machine with its least octet first: LLVM makes one instruction of this."""
    return (
        ((word & 0xFF) << 56)
        | ((word & 0xFF00) << 40)
        | ((word & 0xFF0000) << 24)
        | ((word & 0xFF000000) << 8)
        | ((word >> 8) & 0xFF000000)
        | ((word >> 24) & 0xFF0000)
        | ((word >> 40) & 0xFF00)
        | ((word >> 56) & 0xFF)
    )


@compiled
def write_uint32(number: int, to: Octets, at: int) -> None:
    """Write four octets in network order."""
    for octet in range(4):
        to[at + octet] = (number >> (24 - 8 * octet)) & 0xFF


@compiled
def packet_address(burst: Burst, position: int) -> int:
    """Where a packet of a burst begins in memory."""
    address: int = burst.ctypes.data + position * burst.strides[0] + 8 * FIRST_WORD
    return address


@compiled
def write_header(
    output: int, position: int, index: int, begin: int, outputs: Outputs, burst: Burst, to: Scratch
) -> int:
    """Write the header of a packet as this output sends it at octet `begin`; returns its length."""
    length: int = burst[position, HEADER_LENGTH]
    first = _network_order(burst[position, FIRST_WORD])
    to.header[0] = _network_order(
        (first & _FIRST_OCTET_AND_MARKER)
        | (outputs.payload_types[output] << 48)
        | ((index & 0xFFFF) << 32)
        | ((first + outputs.timestamp_offsets[output]) & 0xFFFFFFFF)
    )
    to.header[1] = _network_order(outputs.ssrcs[output] << 32)
    at = to.datagrams.ctypes.data + begin
    memcpy(at, to.header.ctypes.data, _RTP_HEADER_BYTES)
    if length > _RTP_HEADER_BYTES:
        plain = packet_address(burst, position)
        memcpy(at + _RTP_HEADER_BYTES, plain + _RTP_HEADER_BYTES, length - _RTP_HEADER_BYTES)
    return length


@compiled
def protect_aead(
    peer: int,
    protocol: int,
    ssrc: int,
    index: int,
    begin: int,
    header: int,
    plain: int,
    length: int,
    trailer: int,
    peers: Peers,
    to: Scratch,
) -> bool:
    """Encrypt behind a header that stands at octet `begin`, and write the tag; False when OpenSSL refuses.

    `plain` is the address of the whole packet of `length` octets, of which `header` stay in the clear. The first
    `trailer` octets of `to.trailer` are authenticated as well (RFC 7714 section 9.2).
    """
    # RFC 7714 sections 8.1, 9.1: two zero octets, SSRC, index (48 bits); XOR the salt.
    salts = peers.salts
    to.nonce[0] = salts[peer, protocol, 0] ^ _network_order((ssrc << 16) | (index >> 32))
    to.nonce[1] = salts[peer, protocol, 1] ^ _network_order(index << 32)
    cipher = peers.ciphers[peer, protocol]
    written = to.written.ctypes.data
    at = to.datagrams.ctypes.data + begin
    done: int = encrypt_init(cipher, 0, 0, 0, to.nonce.ctypes.data)
    done &= encrypt_update(cipher, 0, written, at, header)
    if trailer > 0:
        done &= encrypt_update(cipher, 0, written, to.trailer.ctypes.data, trailer)
    if length > header:
        done &= encrypt_update(cipher, at + header, written, plain + header, length - header)
    done &= encrypt_final(cipher, at + length, written)
    done &= cipher_ctrl(cipher, _GET_TAG, AEAD_TAG_BYTES, at + length)
    return done == 1


@compiled
def protect_counter_mode(
    peer: int,
    protocol: int,
    ssrc: int,
    index: int,
    begin: int,
    header: int,
    plain: int,
    length: int,
    kept: int,
    peers: Peers,
    to: Scratch,
) -> bool:
    """Encrypt behind a header that stands at octet `begin`, and authenticate; see `protect_aead`.

    `to.trailer` is authenticated behind the packet. Of its octets `kept` are sent, in front of the tag.
    """
    # RFC 3711 section 4.1.1: salt * 2^16 XOR SSRC * 2^64 XOR index * 2^16.
    salts = peers.salts
    to.nonce[0] = salts[peer, protocol, 0] ^ _network_order(ssrc)
    to.nonce[1] = salts[peer, protocol, 1] ^ _network_order(index << 16)
    cipher = peers.ciphers[peer, protocol]
    at = to.datagrams.ctypes.data + begin
    done: int = encrypt_init(cipher, 0, 0, 0, to.nonce.ctypes.data)
    if length > header:
        done &= encrypt_update(cipher, at + header, to.written.ctypes.data, plain + header, length - header)
    # Section 4.2: the tag of a packet takes the place of the roll-over counter; that of RTCP stands behind its index.
    memcpy(at + length, to.trailer.ctypes.data, TRAILER_BYTES)
    state, digest = to.hmac_state.ctypes.data, to.digest.ctypes.data
    states = peers.hmac_states.ctypes.data + peer * peers.hmac_states.strides[0]
    states += protocol * peers.hmac_states.strides[1]
    memcpy(state, states, _SHA_CTX_BYTES)
    done &= sha1_update(state, at, length + TRAILER_BYTES)
    done &= sha1_final(digest, state)
    memcpy(state, states + _SHA_CTX_BYTES, _SHA_CTX_BYTES)
    done &= sha1_update(state, digest, _SHA1_BYTES)
    done &= sha1_final(digest, state)
    memcpy(at + length + kept, digest, SHA1_TAG_BYTES)
    return done == 1
