"""DTLS sessions over memory, two at a time."""

from __future__ import annotations

import datetime as dt

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID

from relay.core.dtls import MTU_BYTES, Certificate, DtlsContext, DtlsSession, DtlsState, check_fingerprint
from relay.core.srtp import SrtpProfile
from relay.errors import WireError

NOW = 1_790_000_000.0


def make_pair(
    *, server_profiles: list[SrtpProfile] | None = None, client_profiles: list[SrtpProfile] | None = None
) -> tuple[DtlsSession, DtlsSession]:
    """A server and a client that know each other's fingerprint."""
    server_certificate, client_certificate = Certificate.generate(NOW), Certificate.generate(NOW)
    server = DtlsSession(
        DtlsContext(server_certificate, server_profiles or list(SrtpProfile)),
        is_server=True,
        remote_fingerprint=("sha-256", client_certificate.fingerprint),
    )
    client = DtlsSession(
        DtlsContext(client_certificate, client_profiles or list(SrtpProfile)),
        is_server=False,
        remote_fingerprint=("sha-256", server_certificate.fingerprint),
    )
    return server, client


def run(server: DtlsSession, client: DtlsSession) -> list[bytes]:
    """Pass datagrams until both are silent; returns all of them."""
    client.start()
    seen: list[bytes] = []
    while True:
        to_server, to_client = client.datagrams_to_send(), server.datagrams_to_send()
        if not to_server and not to_client:
            return seen
        for datagram in to_server:
            server.handle_datagram(datagram)
        for datagram in to_client:
            client.handle_datagram(datagram)
        seen += to_server + to_client


def test_both_ends_connect_and_export_the_same_keys() -> None:
    """What one writes with, the other reads with; the first preference of both is GCM with a 128-bit key."""
    server, client = make_pair()
    assert server.next_deadline(NOW) is None
    datagrams = run(server, client)
    assert server.state is client.state is DtlsState.CONNECTED
    assert server.srtp_profile is SrtpProfile.AEAD_AES_128_GCM
    server_local, server_remote = server.export_keys()
    assert client.export_keys() == (server_remote, server_local)
    assert all(len(datagram) <= MTU_BYTES for datagram in datagrams)
    assert server.next_deadline(NOW) is None


def test_the_server_prefers() -> None:
    """A client that puts counter mode first still gets the server's choice."""
    server, client = make_pair(client_profiles=list(reversed(SrtpProfile)))
    run(server, client)
    assert client.srtp_profile is server.srtp_profile is SrtpProfile.AEAD_AES_128_GCM


@pytest.mark.parametrize("profile", list(SrtpProfile))
def test_the_only_common_profile_is_taken(profile: SrtpProfile) -> None:
    """Each profile can be negotiated alone."""
    server, client = make_pair(client_profiles=[profile])
    run(server, client)
    assert client.srtp_profile is server.srtp_profile is profile
    assert server.export_keys()[0].profile is profile


def test_without_a_common_profile_the_session_fails() -> None:
    """Media without keys is no session."""
    server, client = make_pair(
        server_profiles=[SrtpProfile.AEAD_AES_128_GCM], client_profiles=[SrtpProfile.AES128_CM_SHA1_80]
    )
    run(server, client)
    assert server.state is DtlsState.FAILED
    with pytest.raises(ValueError, match="connected"):
        server.export_keys()


def test_another_certificate_than_the_fingerprint_says_fails() -> None:
    """The peer proved a key, but not the one of the SDP; it hears of it and is not connected either."""
    server, client = make_pair()
    stranger = DtlsSession(
        DtlsContext(Certificate.generate(NOW)), is_server=False, remote_fingerprint=("sha-256", "00:" * 31 + "00")
    )
    run(server, stranger)
    assert server.state is stranger.state is DtlsState.FAILED
    assert server.failure is not None
    assert server.failure.protocol == "dtls"
    assert "fingerprint" in server.failure.reason
    assert client.state is DtlsState.HANDSHAKING


@pytest.mark.parametrize(("name", "algorithm"), [("SHA-384", hashes.SHA384()), ("sha-512", hashes.SHA512())])
def test_longer_hashes_are_taken_too(name: str, algorithm: hashes.HashAlgorithm) -> None:
    """A fingerprint may be of SHA-384 or SHA-512, in any case of letters."""
    server_certificate, client_certificate = Certificate.generate(NOW), Certificate.generate(NOW)
    server = DtlsSession(
        DtlsContext(server_certificate),
        is_server=True,
        remote_fingerprint=(name, client_certificate.certificate.fingerprint(algorithm).hex(":")),
    )
    client = DtlsSession(
        DtlsContext(client_certificate), is_server=False, remote_fingerprint=("sha-256", server_certificate.fingerprint)
    )
    run(server, client)
    assert server.state is DtlsState.CONNECTED


@pytest.mark.parametrize(
    "fingerprint",
    [("sha-1", "00:" * 19 + "00"), ("md5", "00"), ("sha-256", ""), ("sha-256", "zz:" * 31 + "zz"), ("", "")],
)
def test_fingerprints_of_no_use_are_refused_early(fingerprint: tuple[str, str]) -> None:
    """Weak hashes, wrong lengths and other characters raise WireError."""
    with pytest.raises(WireError):
        check_fingerprint(fingerprint)


def test_close_tells_the_other_end() -> None:
    """close_notify ends both."""
    server, client = make_pair()
    run(server, client)
    client.close()
    run(server, client)
    assert server.state is client.state is DtlsState.CLOSED
    server.handle_datagram(b"\x17" * 40)
    server.close()
    assert server.state is DtlsState.CLOSED


@pytest.mark.parametrize(
    "datagram",
    [
        b"",
        b"\x16",
        b"\x16\xfe\xfd" + bytes(10) + b"x",
        b"\x16\xfe\xfd" + bytes(8) + b"\x00\x05abc",
        b"\x19\xfe\xfd" + bytes(8) + b"\x00\x00",
        b"\x16\x03\x03" + bytes(8) + b"\x00\x00",
        b"\x16\xfe\xfd" + bytes(8) + b"\x10\x00" + bytes(4096),
    ],
)
def test_what_is_no_record_is_discarded(datagram: bytes) -> None:
    """Malformed datagrams are counted and change nothing: the handshake still succeeds."""
    server, client = make_pair()
    server.handle_datagram(datagram)
    assert server.records_discarded == 1
    run(server, client)
    assert server.state is DtlsState.CONNECTED
    server.handle_datagram(datagram)
    assert server.state is DtlsState.CONNECTED


def test_forged_records_after_the_handshake_change_nothing() -> None:
    """Records that do not authenticate, a plain alert among them, are dropped by a connected session."""
    server, client = make_pair()
    run(server, client)
    for content_type in (20, 21, 22, 23):
        for epoch in (0, 1, 7):
            record = bytes([content_type]) + b"\xfe\xfd" + epoch.to_bytes(2, "big") + bytes(6) + b"\x00\x20" + bytes(32)
            server.handle_datagram(record)
    assert server.state is DtlsState.CONNECTED


def test_a_waiting_client_has_a_deadline() -> None:
    """OpenSSL's first retransmission comes after a second."""
    _, client = make_pair()
    client.start()
    deadline = client.next_deadline(100.0)
    assert deadline is not None
    assert 100.5 < deadline <= 101.0
    client.handle_timer(100.1)
    assert client.state is DtlsState.HANDSHAKING


def test_a_certificate_survives_pem() -> None:
    """What was saved loads with the same fingerprint; a key of another kind is refused."""
    certificate = Certificate.generate(NOW)
    loaded = Certificate.load(
        certificate.certificate.public_bytes(serialization.Encoding.PEM),
        certificate.private_key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        ),
    )
    assert loaded.fingerprint == certificate.fingerprint
    assert len(certificate.fingerprint) == 95
    with pytest.raises(ValueError, match=r"."):
        Certificate.load(b"", b"")


def test_a_peer_with_an_rsa_certificate_connects() -> None:
    """Some stacks have no ECDSA; a certificate longer than a datagram passes a thin path in fragments."""
    own = Certificate.generate(NOW)
    private_key = rsa.generate_private_key(public_exponent=65_537, key_size=4096)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "rsa")])
    begin = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
    shown = Certificate(
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(private_key.public_key())
        .serial_number(1)
        .not_valid_before(begin)
        .not_valid_after(begin + dt.timedelta(days=9))
        .sign(private_key, hashes.SHA256()),
        private_key,
    )
    for server_shows, client_shows in ((own, shown), (shown, own)):
        server = DtlsSession(
            DtlsContext(server_shows), is_server=True, remote_fingerprint=("sha-256", client_shows.fingerprint)
        )
        client = DtlsSession(
            DtlsContext(client_shows), is_server=False, remote_fingerprint=("sha-256", server_shows.fingerprint)
        )
        datagrams = run(server, client)
        assert server.state is client.state is DtlsState.CONNECTED
        assert sum(map(len, datagrams)) > 2 * MTU_BYTES
        assert all(len(datagram) <= MTU_BYTES for datagram in datagrams)
