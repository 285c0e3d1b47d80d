"""DTLS for SRTP keys (RFC 5763, RFC 5764, RFC 6347), sans-IO: datagrams in, datagrams out.

OpenSSL does the protocol over memory buffers through pyOpenSSL's public interface. Both ends show a self-signed
certificate; the one that the SDP's fingerprint names is the only one taken (RFC 8122). Application data is ignored.
OpenSSL keeps its retransmission timer by the machine's clock: `next_deadline` translates it, and that is the one place
in the core where `now` alone does not decide.
"""

from __future__ import annotations

import datetime as dt
import enum
import hmac
from collections.abc import Sequence

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import NameOID
from OpenSSL import SSL

from relay.core.srtp import SrtpKeys, SrtpProfile, split_exported
from relay.errors import WireError

MAX_DATAGRAM_BYTES = 2048  # a peer fragments its handshake to its own MTU, which is below 1,500
MTU_BYTES = 1200  # of the datagrams that we send: fits in every path that WebRTC runs over
MAX_READS_PER_DATAGRAM = 32  # records that carry application data, all ignored

_EXPORTER_LABEL = b"EXTRACTOR-dtls_srtp"
_DTLS_1_2 = 0xFEFD
_RECORD_HEADER_BYTES = 13
_CERTIFICATE_LIFETIME = dt.timedelta(days=365)  # peers compare the fingerprint only; some refuse longer ones

# RFC 8827 asks for the first; suites with ECDHE_RSA are for peers with an RSA certificate.
_CIPHERS = b":".join(
    (
        b"ECDHE-ECDSA-AES128-GCM-SHA256",
        b"ECDHE-RSA-AES128-GCM-SHA256",
        b"ECDHE-ECDSA-AES256-GCM-SHA384",
        b"ECDHE-RSA-AES256-GCM-SHA384",
        b"ECDHE-ECDSA-CHACHA20-POLY1305",
        b"ECDHE-RSA-CHACHA20-POLY1305",
    )
)

# RFC 8122 section 5 names more; what is shorter than SHA-256 is not taken.
_FINGERPRINT_HASHES = {"sha-256": ("sha256", 32), "sha-384": ("sha384", 48), "sha-512": ("sha512", 64)}

CertificateKey = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey


class DtlsState(enum.Enum):
    """Where a session stands. `FAILED` and `CLOSED` are final."""

    HANDSHAKING = "handshaking"
    CONNECTED = "connected"
    FAILED = "failed"
    CLOSED = "closed"


class Certificate:
    """A self-signed certificate with its private key."""

    def __init__(self, certificate: x509.Certificate, private_key: CertificateKey) -> None:
        self.certificate = certificate
        self.private_key = private_key

    @classmethod
    def generate(cls, now: float) -> Certificate:
        """Make an ECDSA P-256 certificate, valid for a year from a day before `now` (seconds since the epoch)."""
        private_key = ec.generate_private_key(ec.SECP256R1())
        # The name says nothing: a certificate shown to everybody must not tell the host (RFC 8827 section 6.5).
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "relay")])
        begin = dt.datetime.fromtimestamp(now, dt.UTC) - dt.timedelta(days=1)
        certificate = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(private_key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(begin)
            .not_valid_after(begin + _CERTIFICATE_LIFETIME)
            .sign(private_key, hashes.SHA256())
        )
        return cls(certificate, private_key)

    @classmethod
    def load(cls, certificate_pem: bytes, private_key_pem: bytes) -> Certificate:
        """Load a certificate and its unencrypted key from PEM.

        Raises:
            ValueError: the PEM is malformed, or the key is of a kind that DTLS here does not use.
        """
        private_key = serialization.load_pem_private_key(private_key_pem, password=None)
        if not isinstance(private_key, ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey):
            raise ValueError("DTLS certificate needs an EC, RSA or Ed25519 key")  # noqa: TRY004 - content, not a type
        return cls(x509.load_pem_x509_certificate(certificate_pem), private_key)

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the certificate as upper-case hex pairs with colons: the value of `a=fingerprint:sha-256`."""
        return self.certificate.fingerprint(hashes.SHA256()).hex(":").upper()


class DtlsContext:
    """OpenSSL's shared state for all sessions of a relay: built once, so that a join storm does not pay for it."""

    def __init__(self, certificate: Certificate, profiles: Sequence[SrtpProfile] = tuple(SrtpProfile)) -> None:
        context = SSL.Context(SSL.DTLS_METHOD)
        # 1.2 alone: the splitting of records into datagrams below knows its record header.
        context.set_min_proto_version(_DTLS_1_2)
        context.set_max_proto_version(_DTLS_1_2)
        context.set_options(SSL.OP_NO_QUERY_MTU | SSL.OP_NO_TICKET | SSL.OP_NO_RENEGOTIATION | SSL.OP_NO_COMPRESSION)
        context.set_session_cache_mode(SSL.SESS_CACHE_OFF)
        context.set_cipher_list(_CIPHERS)
        # Every chain passes here, since the fingerprint decides after the handshake proved the private key.
        context.set_verify(SSL.VERIFY_PEER | SSL.VERIFY_FAIL_IF_NO_PEER_CERT, _accept_chain)
        context.use_certificate(certificate.certificate)
        context.use_privatekey(certificate.private_key)
        context.check_privatekey()
        context.set_tlsext_use_srtp(b":".join(profile.value.encode() for profile in profiles))
        self.certificate = certificate
        self._context = context

    def new_connection(self) -> SSL.Connection:
        """A connection over memory buffers that fragments to `MTU_BYTES`."""
        connection = SSL.Connection(self._context, None)
        connection.set_ciphertext_mtu(MTU_BYTES)
        return connection


def _accept_chain(*_: object) -> bool:
    return True


def check_fingerprint(fingerprint: tuple[str, str]) -> tuple[str, bytes]:
    """Normalise a fingerprint of the SDP.

    Args:
        fingerprint: hash function and colon-separated hex value, as `a=fingerprint` gives them.

    Returns:
        OpenSSL's name of the hash, and the digest.

    Raises:
        WireError: `dtls`, when the hash is weak or unknown or the value has not its length.
    """
    algorithm, value = fingerprint
    known = _FINGERPRINT_HASHES.get(algorithm.lower())
    if known is None:
        raise WireError("dtls", "fingerprint is not sha-256, sha-384 or sha-512")
    name, length = known
    if len(value) != 3 * length - 1:
        raise WireError("dtls", f"fingerprint has not the length of {algorithm.lower()}")
    try:
        digest = bytes.fromhex(value.replace(":", ""))
    except ValueError as error:
        raise WireError("dtls", "fingerprint is not hexadecimal") from error
    if len(digest) != length:
        raise WireError("dtls", f"fingerprint has not the length of {algorithm.lower()}")
    return name, digest


class DtlsSession:
    """One DTLS association with one peer.

    Attributes:
        state: see `DtlsState`.
        failure: why the state is `FAILED`.
        srtp_profile: the negotiated profile, once connected.
        records_discarded: malformed datagrams that were dropped unread (RFC 6347 section 4.1.2.7).
    """

    def __init__(self, context: DtlsContext, *, is_server: bool, remote_fingerprint: tuple[str, str]) -> None:
        """Prepare an association; a client sends its first flight after `start`.

        Raises:
            WireError: `dtls`, when the fingerprint is of no use.
        """
        self._fingerprint = check_fingerprint(remote_fingerprint)
        self._connection = context.new_connection()
        self._is_server = is_server
        if is_server:
            self._connection.set_accept_state()
        else:
            self._connection.set_connect_state()
        self.state = DtlsState.HANDSHAKING
        self.failure: WireError | None = None
        self.srtp_profile: SrtpProfile | None = None
        self.records_discarded = 0

    def start(self) -> None:
        """Send the first flight, as a client; a server waits for it."""
        if self.state is DtlsState.HANDSHAKING and not self._is_server:
            self._shake_hands()

    def handle_datagram(self, data: bytes | memoryview) -> None:
        """Take one datagram of the peer. Never raises: a malformed one is discarded, a fatal one changes `state`."""
        if self.state not in (DtlsState.HANDSHAKING, DtlsState.CONNECTED):
            return
        if not _holds_whole_records(data):
            self.records_discarded += 1
            return
        self._connection.bio_write(bytes(data))
        if self.state is DtlsState.HANDSHAKING:
            self._shake_hands()
        if self.state is DtlsState.CONNECTED:
            self._drain()

    def handle_timer(self, now: float) -> None:  # noqa: ARG002 - OpenSSL looks at the clock itself, see the module
        """Retransmit the last flight if its timer has run out; too many times is a failure."""
        if self.state is not DtlsState.HANDSHAKING:
            return
        try:
            self._connection.DTLSv1_handle_timeout()
        except SSL.Error as error:
            self._fail(f"handshake gave up: {_describe(error)}")

    def next_deadline(self, now: float) -> float | None:
        """When to call `handle_timer`, on the caller's clock; None while no flight waits for an answer."""
        if self.state is not DtlsState.HANDSHAKING:
            return None
        remaining = self._connection.DTLSv1_get_timeout()
        return None if remaining is None else now + remaining

    def datagrams_to_send(self) -> list[bytes]:
        """Take what waits to be sent: whole records, at most `MTU_BYTES` to a datagram."""
        datagrams: list[bytes] = []
        while True:
            try:
                stream = self._connection.bio_read(65_536)
            except SSL.Error:  # WantReadError: the buffer is empty
                return datagrams
            datagrams.extend(_split_records(stream))

    def export_keys(self) -> tuple[SrtpKeys, SrtpKeys]:
        """The SRTP keys: those that we write with, and those that the peer writes with.

        Raises:
            ValueError: the session is not connected (our own bug).
        """
        profile = self.srtp_profile
        if self.state is not DtlsState.CONNECTED or profile is None:
            raise ValueError("SRTP keys exist only while DTLS is connected")
        material = self._connection.export_keying_material(_EXPORTER_LABEL, profile.keying_material_length)
        client, server = split_exported(material, profile)
        return (server, client) if self._is_server else (client, server)

    def close(self) -> None:
        """Send close_notify if the handshake is done; the session is over at once."""
        if self.state is DtlsState.CONNECTED:
            self._notify_close()
        if self.state is not DtlsState.FAILED:
            self.state = DtlsState.CLOSED

    def _shake_hands(self) -> None:
        try:
            self._connection.do_handshake()
        except SSL.WantReadError:
            return
        except SSL.Error as error:
            self._fail(f"handshake failed: {_describe(error)}")
            return
        self._finish_handshake()

    def _finish_handshake(self) -> None:
        name, expected = self._fingerprint
        certificate = self._connection.get_peer_certificate()
        shown = bytes.fromhex(certificate.digest(name).decode().replace(":", "")) if certificate is not None else b""
        if not hmac.compare_digest(shown, expected):
            self._notify_close()
            self._fail("certificate is not the one of the fingerprint")
            return
        selected = self._connection.get_selected_srtp_profile().decode("ascii", "replace")
        try:
            self.srtp_profile = SrtpProfile(selected)
        except ValueError:
            self._notify_close()
            self._fail("no SRTP profile in common")
            return
        self.state = DtlsState.CONNECTED

    def _drain(self) -> None:
        for _ in range(MAX_READS_PER_DATAGRAM):
            try:
                self._connection.recv(MAX_DATAGRAM_BYTES)
            except SSL.WantReadError:
                return
            except SSL.ZeroReturnError:
                self._notify_close()
                self.state = DtlsState.CLOSED
                return
            except SSL.Error as error:
                self._fail(f"association failed: {_describe(error)}")
                return

    def _notify_close(self) -> None:
        try:
            self._connection.shutdown()
        except SSL.Error:
            return  # the peer will notice by consent

    def _fail(self, reason: str) -> None:
        self.failure = WireError("dtls", reason)
        self.state = DtlsState.FAILED


def _holds_whole_records(data: bytes | memoryview) -> bool:
    """Whether a datagram is one or more whole DTLS records, so that OpenSSL never keeps half of one."""
    size = len(data)
    if not _RECORD_HEADER_BYTES <= size <= MAX_DATAGRAM_BYTES:
        return False
    offset = 0
    while offset < size:
        # Content type (RFC 6347 section 4.1: change_cipher_spec 20 to application_data 23), then version 254.x.
        if size - offset < _RECORD_HEADER_BYTES or not 20 <= data[offset] <= 23 or data[offset + 1] != 0xFE:
            return False
        offset += _RECORD_HEADER_BYTES + (data[offset + 11] << 8 | data[offset + 12])
    return offset == size


def _split_records(stream: bytes) -> list[bytes]:
    """Cut OpenSSL's output, whole records one after another, into datagrams of at most `MTU_BYTES`."""
    datagrams: list[bytes] = []
    begin = end = 0
    while end < len(stream):
        next_end = end + _RECORD_HEADER_BYTES + (stream[end + 11] << 8 | stream[end + 12])
        if next_end - begin > MTU_BYTES and end > begin:
            datagrams.append(stream[begin:end])
            begin = end
        end = next_end
    datagrams.append(stream[begin:end])
    return datagrams


def _describe(error: SSL.Error) -> str:
    """OpenSSL's last reason, for example `no shared cipher`."""
    queue = error.args[0] if error.args else None
    if isinstance(queue, list) and queue:
        return str(queue[-1][-1])
    return type(error).__name__
