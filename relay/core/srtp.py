"""SRTP and SRTCP (RFC 3711, RFC 7714): keys, protection with an explicit index, and the receiving side.

Outbound RTP is protected here by the caller's own 48-bit index (roll-over counter and sequence number), because a relay
chooses the index per output and must never encrypt one index with two contents. Outbound RTCP is numbered by whoever
holds the key, one count for all SSRCs. Inbound packets go through libsrtp, which guesses the roll-over counter and
keeps the replay window. No MKI, no key derivation rate, no early-authentication: RFC 8827 section 6.5 uses none.
"""

from __future__ import annotations

import enum
import hashlib
import hmac
import struct

import msgspec
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from pylibsrtp import Error, Policy, Session

from relay.errors import WireError

REPLAY_WINDOW = 1024  # packets; 0.7 s of a 10 Mbit/s stream, longer than a NACKed packet is still of use
MAX_PACKET_BYTES = 1500  # libsrtp's buffer here, and what a path without fragmentation carries
MAX_RTCP_BYTES = 1352  # index and tag stay within the smallest path that WebRTC is expected to run over
MAX_SSRCS = 64  # a peer could otherwise make us keep a replay window for each of 2^32 sources

_RTCP_HEADER_BYTES = 8
_SRTCP_INDEX_BYTES = 4
MAX_SRTCP_INDEX = 1 << 31  # RFC 3711 section 3.4: 31 bits, and a key is used up behind them (section 9.2)
_ENCRYPTED = 1 << 31  # the flag in front of the SRTCP index, same section
_RTP_HEADER_BYTES = 12
_ROLL_OVER = struct.Struct("!I")
_SRTCP_INDEX = struct.Struct("!I")

_LABEL_ENCRYPTION = 0
_LABEL_AUTHENTICATION = 1
_LABEL_SALT = 2
_LABEL_RTCP = 3  # added to each of these for RTCP (RFC 3711 section 4.3.2)
_REPLAY_ERRORS = frozenset(
    {
        "replay check failed (bad index)",
        "replay check failed (index too old)",
        "packet index is too old to consider",
    }
)

Buffer = bytes | bytearray | memoryview


class SrtpProfile(enum.Enum):
    """Protection profiles in our order of preference; the value is OpenSSL's name (RFC 5764, RFC 7714)."""

    AEAD_AES_128_GCM = "SRTP_AEAD_AES_128_GCM"
    AEAD_AES_256_GCM = "SRTP_AEAD_AES_256_GCM"
    AES128_CM_SHA1_80 = "SRTP_AES128_CM_SHA1_80"

    @property
    def key_length(self) -> int:
        """Octets of the master key and of the session encryption key."""
        return 32 if self is SrtpProfile.AEAD_AES_256_GCM else 16

    @property
    def salt_length(self) -> int:
        """Octets of the master salt and of the session salt."""
        return 14 if self is SrtpProfile.AES128_CM_SHA1_80 else 12

    @property
    def auth_key_length(self) -> int:
        """Octets of the session authentication key; 0 for AEAD."""
        return 20 if self is SrtpProfile.AES128_CM_SHA1_80 else 0

    @property
    def tag_length(self) -> int:
        """Octets that protection adds to an RTP packet."""
        return 10 if self is SrtpProfile.AES128_CM_SHA1_80 else 16

    @property
    def keying_material_length(self) -> int:
        """Octets to export from DTLS: two keys and two salts (RFC 5764 section 4.2)."""
        return 2 * (self.key_length + self.salt_length)

    @property
    def libsrtp_profile(self) -> int:
        """The profile's number in libsrtp."""
        return int(_LIBSRTP_PROFILES[self])


_LIBSRTP_PROFILES = {
    SrtpProfile.AEAD_AES_128_GCM: Policy.SRTP_PROFILE_AEAD_AES_128_GCM,
    SrtpProfile.AEAD_AES_256_GCM: Policy.SRTP_PROFILE_AEAD_AES_256_GCM,
    SrtpProfile.AES128_CM_SHA1_80: Policy.SRTP_PROFILE_AES128_CM_SHA1_80,
}


class SrtpKeys(msgspec.Struct, frozen=True):
    """Master key and master salt of one direction. Its `repr` hides both."""

    profile: SrtpProfile
    master_key: bytes
    master_salt: bytes

    def __post_init__(self) -> None:
        if len(self.master_key) != self.profile.key_length or len(self.master_salt) != self.profile.salt_length:
            raise ValueError(f"key or salt has not the length that {self.profile.value} needs")

    def __repr__(self) -> str:
        return f"SrtpKeys({self.profile.name}, ...)"


class SessionKeys(msgspec.Struct, frozen=True):
    """Session keys for RTP or RTCP (RFC 3711 section 4.3); `auth_key` is empty for AEAD. Its `repr` hides them."""

    encryption_key: bytes
    auth_key: bytes
    salt: bytes

    def __repr__(self) -> str:
        return "SessionKeys(...)"


def split_exported(material: bytes, profile: SrtpProfile) -> tuple[SrtpKeys, SrtpKeys]:
    """Split exported DTLS keying material (RFC 5764 section 4.2).

    Args:
        material: `profile.keying_material_length` octets exported with the label `EXTRACTOR-dtls_srtp`.
        profile: the profile that the handshake selected.

    Returns:
        The keys that the DTLS client writes with, and those that the server writes with.

    Raises:
        ValueError: the material has another length.
    """
    if len(material) != profile.keying_material_length:
        raise ValueError(f"{profile.value} takes {profile.keying_material_length} octets, not {len(material)}")
    key, salt = profile.key_length, profile.salt_length
    client_key, server_key = material[:key], material[key : 2 * key]
    client_salt, server_salt = material[2 * key : 2 * key + salt], material[2 * key + salt :]
    return SrtpKeys(profile, client_key, client_salt), SrtpKeys(profile, server_key, server_salt)


def derive_session_keys(keys: SrtpKeys) -> SessionKeys:
    """Derive the RTP session keys with AES in counter mode (RFC 3711 section 4.3.3, RFC 7714 section 11)."""
    return _derive_all(keys, 0)


def derive_rtcp_session_keys(keys: SrtpKeys) -> SessionKeys:
    """Derive the RTCP session keys, see `derive_session_keys` (RFC 3711 section 4.3.2)."""
    return _derive_all(keys, _LABEL_RTCP)


def _derive_all(keys: SrtpKeys, first_label: int) -> SessionKeys:
    profile = keys.profile
    return SessionKeys(
        encryption_key=_derive(keys, first_label + _LABEL_ENCRYPTION, profile.key_length),
        auth_key=_derive(keys, first_label + _LABEL_AUTHENTICATION, profile.auth_key_length),
        salt=_derive(keys, first_label + _LABEL_SALT, profile.salt_length),
    )


def _derive(keys: SrtpKeys, label: int, length: int) -> bytes:
    # A 96-bit salt is taken as a 112-bit one with zeros behind (RFC 7714 section 11); the key derivation rate is 0, so
    # that the label alone tells keys apart. It stands above the 48-bit index, that is in octet 7.
    counter = bytearray(keys.master_salt.ljust(16, b"\x00"))
    counter[7] ^= label
    encryptor = Cipher(algorithms.AES(keys.master_key), modes.CTR(bytes(counter))).encryptor()
    return encryptor.update(bytes(length))


class RtpProtector:
    """Protects RTP packets of any SSRC under one key, each by an explicit 48-bit index.

    The caller never gives one (ssrc, index) two different contents: that would give the key stream away.
    """

    __slots__ = ("_auth", "_cipher_key", "_gcm", "_salt", "tag_length")

    def __init__(self, keys: SrtpKeys) -> None:
        session = derive_session_keys(keys)
        self.tag_length = keys.profile.tag_length
        self._salt = int.from_bytes(session.salt, "big")
        self._gcm = AESGCM(session.encryption_key) if not session.auth_key else None
        # The two below serve counter mode alone; AEAD leaves them unused.
        self._cipher_key = algorithms.AES(session.encryption_key)
        self._auth = hmac.new(session.auth_key, digestmod=hashlib.sha1)

    def protect(self, header: bytes, payload: Buffer, index: int) -> bytes:
        """Protect one packet given in two parts.

        Args:
            header: the whole RTP header (fixed part, CSRC, extension), sent in the clear and authenticated.
            payload: what follows it, padding included.
            index: roll-over counter times 65,536 plus the header's sequence number, below 2^48.

        Returns:
            The SRTP packet, `tag_length` octets longer.
        """
        if self._gcm is not None:
            # RFC 7714 section 8.1: two zero octets, SSRC, roll-over counter, sequence number; XOR the salt.
            nonce = self._salt ^ (int.from_bytes(header[8:12], "big") << 48) ^ index
            return header + self._gcm.encrypt(nonce.to_bytes(12, "big"), payload, header)
        return self._protect_counter_mode(header, payload, index)

    def _protect_counter_mode(self, header: bytes, payload: Buffer, index: int) -> bytes:
        # RFC 3711 section 4.1.1: salt * 2^16 XOR SSRC * 2^64 XOR index * 2^16.
        counter = (self._salt << 16) ^ (int.from_bytes(header[8:12], "big") << 64) ^ (index << 16)
        encryptor = Cipher(self._cipher_key, modes.CTR(counter.to_bytes(16, "big"))).encryptor()
        packet = header + encryptor.update(payload)
        auth = self._auth.copy()
        auth.update(packet)
        auth.update(_ROLL_OVER.pack(index >> 16))
        return packet + auth.digest()[: self.tag_length]


def protect_rtp(protector: RtpProtector, packet: Buffer, header_length: int, index: int) -> bytes:
    """Protect one whole RTP packet; see `RtpProtector.protect`."""
    view = memoryview(packet)
    return protector.protect(bytes(view[:header_length]), view[header_length:], index)


class SrtpReceiver:
    """Opens SRTP and SRTCP of one peer: authenticates, refuses replays, guesses the roll-over counter per SSRC."""

    def __init__(self, keys: SrtpKeys) -> None:
        policy = Policy(
            key=keys.master_key + keys.master_salt,
            ssrc_type=Policy.SSRC_ANY_INBOUND,
            srtp_profile=keys.profile.libsrtp_profile,
        )
        policy.window_size = REPLAY_WINDOW
        self._session = Session(policy)
        self._min_rtp_bytes = _RTP_HEADER_BYTES + keys.profile.tag_length
        self._min_rtcp_bytes = _RTCP_HEADER_BYTES + _SRTCP_INDEX_BYTES + keys.profile.tag_length
        self._ssrcs: set[bytes] = set()

    def unprotect_rtp(self, data: Buffer) -> bytes:
        """Open one SRTP packet.

        Raises:
            WireError: `rtp`, with the reason `replayed`, `authentication failed`, or what was malformed.
        """
        packet = _bounded(data, "rtp", self._min_rtp_bytes)
        ssrc = self._known_ssrc(packet[8:12], "rtp")
        try:
            opened = self._session.unprotect(packet)
        except Error as error:
            raise _refusal("rtp", error) from error
        self._ssrcs.add(ssrc)
        return bytes(opened)

    def unprotect_rtcp(self, data: Buffer) -> bytes:
        """Open one SRTCP packet.

        Raises:
            WireError: `rtcp`, with the reason `replayed`, `authentication failed`, or what was malformed.
        """
        packet = _bounded(data, "rtcp", self._min_rtcp_bytes)
        ssrc = self._known_ssrc(packet[4:8], "rtcp")
        try:
            opened = self._session.unprotect_rtcp(packet)
        except Error as error:
            raise _refusal("rtcp", error) from error
        self._ssrcs.add(ssrc)
        return bytes(opened)

    def _known_ssrc(self, ssrc: bytes, protocol: str) -> bytes:
        if ssrc not in self._ssrcs and len(self._ssrcs) >= MAX_SSRCS:
            raise WireError(protocol, f"peer sends more than {MAX_SSRCS} SSRCs")
        return ssrc


class SrtcpProtector:
    """Protects RTCP toward one peer and counts the SRTCP index, over all SSRCs together. One per key, never two."""

    __slots__ = ("_auth", "_cipher_key", "_gcm", "_index", "_salt", "_tag_length")

    def __init__(self, keys: SrtpKeys) -> None:
        session = derive_rtcp_session_keys(keys)
        self._tag_length = keys.profile.tag_length
        self._salt = int.from_bytes(session.salt, "big")
        self._gcm = AESGCM(session.encryption_key) if not session.auth_key else None
        # The two below serve counter mode alone; AEAD leaves them unused.
        self._cipher_key = algorithms.AES(session.encryption_key)
        self._auth = hmac.new(session.auth_key, digestmod=hashlib.sha1)
        self._index = 0

    def protect_rtcp(self, packet: Buffer) -> bytes:
        """Protect one compound RTCP packet (RFC 3711 section 3.4, RFC 7714 section 9).

        Raises:
            WireError: `rtcp`, when the packet is shorter than a header or longer than 1,352 octets, or when the key
                has protected 2^31 packets.
        """
        plain = bytes(packet)
        if not _RTCP_HEADER_BYTES <= len(plain) <= MAX_RTCP_BYTES:
            raise WireError("rtcp", f"cannot protect a packet of {len(plain)} octets")
        index = self._index + 1
        if index >= MAX_SRTCP_INDEX:
            raise WireError("rtcp", "the key is used up")
        self._index = index
        header, payload, trailer = plain[:8], plain[8:], _SRTCP_INDEX.pack(_ENCRYPTED | index)
        ssrc = int.from_bytes(header[4:], "big")
        if self._gcm is not None:
            # RFC 7714 section 9.1: two zero octets, SSRC, two zero octets, index; XOR the salt.
            nonce = self._salt ^ ssrc << 48 ^ index
            return header + self._gcm.encrypt(nonce.to_bytes(12, "big"), payload, header + trailer) + trailer
        # RFC 3711 section 4.1.1, with the SRTCP index in the place of the packet's.
        counter = self._salt << 16 ^ ssrc << 64 ^ index << 16
        encryptor = Cipher(self._cipher_key, modes.CTR(counter.to_bytes(16, "big"))).encryptor()
        authenticated = header + encryptor.update(payload) + trailer
        auth = self._auth.copy()
        auth.update(authenticated)
        return authenticated + auth.digest()[: self._tag_length]


def _bounded(data: Buffer, protocol: str, shortest: int) -> bytes:
    if not shortest <= len(data) <= MAX_PACKET_BYTES:
        raise WireError(protocol, f"protected packet of {len(data)} octets")
    return bytes(data)


def _refusal(protocol: str, error: Error) -> WireError:
    text = str(error)
    if text in _REPLAY_ERRORS:
        return WireError(protocol, "replayed")
    if text == "authentication failure":
        return WireError(protocol, "authentication failed")
    return WireError(protocol, f"not opened: {text}")
