"""Whatever arrives, the core answers with its typed errors or with silence, and honest traffic goes on."""

from __future__ import annotations

import functools
import struct

from hypothesis import given, settings
from hypothesis import strategies as st

from relay.core.dtls import Certificate, DtlsContext, DtlsSession, DtlsState
from relay.core.nack_register import MAX_TRIES, WINDOW_PACKETS, NackRegister
from relay.core.srtp import RtpProtector, SrtcpProtector, SrtpKeys, SrtpProfile, SrtpReceiver, protect_rtp
from relay.errors import WireError

Mutation = tuple[int, int, int]  # which datagram, which octet, what to XOR it with


@functools.cache
def contexts() -> tuple[DtlsContext, DtlsContext]:
    """One server and one client context for all examples."""
    return DtlsContext(Certificate.generate(1e9)), DtlsContext(Certificate.generate(1e9))


@settings(max_examples=60)
@given(mutations=st.lists(st.tuples(st.integers(0, 12), st.integers(0, 1200), st.integers(1, 255)), max_size=6))
def test_a_damaged_handshake_connects_or_fails_and_never_raises(mutations: list[Mutation]) -> None:
    """Octets of any flight may be changed; afterwards each end stands in a known state."""
    server_context, client_context = contexts()
    server = DtlsSession(
        server_context,
        is_server=True,
        remote_fingerprint=("sha-256", client_context.certificate.fingerprint),
    )
    client = DtlsSession(
        client_context,
        is_server=False,
        remote_fingerprint=("sha-256", server_context.certificate.fingerprint),
    )
    client.start()
    sent = 0
    while True:
        waiting = [(server, data) for data in client.datagrams_to_send()]
        waiting += [(client, data) for data in server.datagrams_to_send()]
        if not waiting or sent > 60:
            break
        for receiver, data in waiting:
            damaged = bytearray(data)
            for number, octet, mask in mutations:
                if number == sent and octet < len(damaged):
                    damaged[octet] ^= mask
            receiver.handle_datagram(bytes(damaged))
            sent += 1
    for end in (server, client):
        assert end.state in DtlsState
        assert (end.failure is not None) == (end.state is DtlsState.FAILED)
    if not mutations:
        assert server.state is client.state is DtlsState.CONNECTED


@given(datagrams=st.lists(st.binary(max_size=200), max_size=20))
def test_a_server_survives_any_datagram(datagrams: list[bytes]) -> None:
    """Random octets, also behind a proper record header, raise nothing."""
    server = DtlsSession(contexts()[0], is_server=True, remote_fingerprint=("sha-256", "00:" * 31 + "00"))
    for datagram in datagrams:
        server.handle_datagram(datagram)
        server.handle_datagram(b"\x16\xfe\xfd" + bytes(8) + len(datagram).to_bytes(2, "big") + datagram)
        server.datagrams_to_send()
    assert server.state in {DtlsState.HANDSHAKING, DtlsState.FAILED}


@given(profile=st.sampled_from(SrtpProfile), garbage=st.binary(max_size=1600), flip=st.integers(0, 10_000))
def test_srtp_opens_what_is_authentic_and_refuses_the_rest(profile: SrtpProfile, garbage: bytes, flip: int) -> None:
    """Random octets and packets with one bit turned are WireError; the honest packet still opens after them."""
    keys = SrtpKeys(profile, bytes(profile.key_length), bytes(profile.salt_length))
    receiver = SrtpReceiver(keys)
    packet = struct.pack("!BBHII", 0x80, 96, 7, 0, 9) + b"payload"
    report = struct.pack("!BBHI", 0x80, 201, 1, 9)
    sealed = protect_rtp(RtpProtector(keys), packet, 12, 7)
    sealed_report = SrtcpProtector(keys).protect_rtcp(report)
    for attempt, data in ((receiver.unprotect_rtp, sealed), (receiver.unprotect_rtcp, sealed_report)):
        turned = bytearray(data)
        turned[flip // 8 % len(data)] ^= 1 << flip % 8
        for bad in (garbage, bytes(turned)):
            try:
                attempt(bad)
            except WireError:
                continue
            raise AssertionError("a forgery was opened")
    assert receiver.unprotect_rtp(sealed) == packet
    assert receiver.unprotect_rtcp(sealed_report) == report


@given(steps=st.lists(st.tuples(st.integers(-40, 600), st.floats(0, 0.2)), max_size=200))
def test_the_nack_register_is_bounded_and_patient(steps: list[tuple[int, float]]) -> None:
    """Nothing that arrived is asked for, nothing more often than ten times, and memory has its bound."""
    register = NackRegister()
    index, now = 1000, 0.0
    arrived: set[int] = set()
    asked: dict[int, int] = {}
    for step, wait in steps:
        now += wait
        index = max(0, index + step)
        register.handle_packet(index, now)
        arrived.add(index)
        for sequence_number in register.poll(now):
            missing = max(arrived) - ((max(arrived) - sequence_number) & 0xFFFF)
            assert missing not in arrived
            asked[missing] = asked.get(missing, 0) + 1
        assert len(register._missing) <= WINDOW_PACKETS
    assert all(count <= MAX_TRIES for count in asked.values())
