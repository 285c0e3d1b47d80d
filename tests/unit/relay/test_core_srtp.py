"""SRTP keys, protection and refusal, against RFC vectors and libsrtp as the other end."""

from __future__ import annotations

import struct

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from pylibsrtp import Policy, Session

from relay.core.srtp import (
    MAX_SSRCS,
    RtpProtector,
    SrtcpProtector,
    SrtpKeys,
    SrtpProfile,
    SrtpReceiver,
    derive_session_keys,
    protect_rtp,
    split_exported,
)
from relay.errors import WireError

PROFILES = list(SrtpProfile)


def make_keys(profile: SrtpProfile) -> SrtpKeys:
    """Keys that anybody can write down."""
    return SrtpKeys(profile, bytes(range(profile.key_length)), bytes(range(50, 50 + profile.salt_length)))


def rtp(sequence_number: int, payload: bytes, *, ssrc: int = 0x1234_5678, first: int = 0x80) -> bytes:
    """An RTP packet with a 12-byte header before `payload`."""
    return struct.pack("!BBHII", first, 96, sequence_number, 90_000, ssrc) + payload


def test_profiles_stand_in_order_of_preference() -> None:
    """GCM with the short key is cheapest, counter mode is the fallback that everybody has."""
    assert [profile.value for profile in PROFILES] == [
        "SRTP_AEAD_AES_128_GCM",
        "SRTP_AEAD_AES_256_GCM",
        "SRTP_AES128_CM_SHA1_80",
    ]


def test_key_derivation_gives_the_vectors_of_rfc_3711_b3() -> None:
    """Appendix B.3 of RFC 3711: cipher key, cipher salt and authentication key."""
    keys = SrtpKeys(
        SrtpProfile.AES128_CM_SHA1_80,
        bytes.fromhex("E1F97A0D3E018BE0D64FA32C06DE4139"),
        bytes.fromhex("0EC675AD498AFEEBB6960B3AABE6"),
    )
    session = derive_session_keys(keys)
    assert session.encryption_key == bytes.fromhex("C61E7A93744F39EE10734AFE3FF7A087")
    assert session.salt == bytes.fromhex("30CBBC08863D8C85D49DB34A9AE1")
    assert session.auth_key == bytes.fromhex("CEBE321F6FF7716B6FD4AB49AF256A156D38BAA4")


def test_gcm_nonce_and_packet_are_those_of_rfc_7714_16_1_1() -> None:
    """Section 16.1.1 of RFC 7714 gives nonce, associated data and ciphertext for a known session key."""
    protector = RtpProtector(make_keys(SrtpProfile.AEAD_AES_128_GCM))
    protector._gcm = AESGCM(bytes(range(16)))
    protector._salt = int.from_bytes(bytes.fromhex("517569642070726f2071756f"), "big")
    header = bytes.fromhex("8040f17b8041f8d35501a0b2")
    plain = b"Gallia est omnis divisa in partes tres"
    protected = protector.protect(header, plain, 0xF17B)
    assert protected == bytes.fromhex(
        "8040f17b8041f8d35501a0b2f24de3a3fb34de6cacba861c9d7e4bcabe633bd50d294e6f42a5f47a51c7d19b"
        "36de3adf8833899d7f27beb16a9152cf765ee4390cce"
    )


@pytest.mark.parametrize("profile", PROFILES)
def test_libsrtp_opens_what_we_protect_across_the_roll_over(profile: SrtpProfile) -> None:
    """The roll-over counter grows with the index, with a header extension, padding and an empty payload in between."""
    keys = make_keys(profile)
    receiver = Session(
        Policy(
            key=keys.master_key + keys.master_salt,
            ssrc_type=Policy.SSRC_ANY_INBOUND,
            srtp_profile=profile.libsrtp_profile,
        )
    )
    protector = RtpProtector(keys)
    start = 65_000 - 32_000
    for index in [*range(start, 65_530, 97), *range(65_530, 65_545), *range(65_545, 140_000, 997)]:
        if index % 3 == 0:
            packet = rtp(index & 0xFFFF, b"\xbe\xde\x00\x01\x10\xaa\x00\x00" + b"ext", first=0x90)
            header_length = 20
        elif index % 3 == 1:
            packet, header_length = rtp(index & 0xFFFF, b"payload\x00\x00\x03", first=0xA0), 12
        else:
            packet, header_length = rtp(index & 0xFFFF, b""), 12
        protected = protect_rtp(protector, packet, header_length, index)
        assert len(protected) == len(packet) + profile.tag_length
        assert receiver.unprotect(protected) == packet


@pytest.mark.parametrize("profile", PROFILES)
def test_we_equal_libsrtp_byte_for_byte(profile: SrtpProfile) -> None:
    """For the first round of sequence numbers libsrtp produces the same bytes."""
    keys = make_keys(profile)
    sender = Session(
        Policy(
            key=keys.master_key + keys.master_salt,
            ssrc_type=Policy.SSRC_ANY_OUTBOUND,
            srtp_profile=profile.libsrtp_profile,
        )
    )
    protector = RtpProtector(keys)
    for index in range(100, 120):
        packet = rtp(index, bytes(index))
        assert protect_rtp(protector, packet, 12, index) == sender.protect(packet)


@pytest.mark.parametrize("profile", PROFILES)
def test_a_replay_and_a_forgery_are_told_apart(profile: SrtpProfile) -> None:
    """The same packet again is `replayed`; one bit flipped is `authentication failed`."""
    keys = make_keys(profile)
    protector, receiver = RtpProtector(keys), SrtpReceiver(keys)
    first = protect_rtp(protector, rtp(1, b"one"), 12, 1)
    assert receiver.unprotect_rtp(memoryview(first)) == rtp(1, b"one")
    with pytest.raises(WireError) as refused:
        receiver.unprotect_rtp(first)
    assert (refused.value.protocol, refused.value.reason) == ("rtp", "replayed")
    second = bytearray(protect_rtp(protector, rtp(2, b"two"), 12, 2))
    second[13] ^= 1
    with pytest.raises(WireError) as refused:
        receiver.unprotect_rtp(bytes(second))
    assert refused.value.reason == "authentication failed"


def test_the_replay_window_holds_1024_packets() -> None:
    """A packet 1,000 behind the newest is still taken; one 1,100 behind counts as replayed."""
    keys = make_keys(SrtpProfile.AEAD_AES_128_GCM)
    protector, receiver = RtpProtector(keys), SrtpReceiver(keys)
    receiver.unprotect_rtp(protect_rtp(protector, rtp(2000, b""), 12, 2000))
    receiver.unprotect_rtp(protect_rtp(protector, rtp(1000, b""), 12, 1000))
    with pytest.raises(WireError, match="replayed"):
        receiver.unprotect_rtp(protect_rtp(protector, rtp(900, b""), 12, 900))


@pytest.mark.parametrize("profile", PROFILES)
def test_rtcp_goes_round_and_refuses_replays(profile: SrtpProfile) -> None:
    """What SrtcpProtector seals, SrtpReceiver opens once."""
    keys = make_keys(profile)
    protector, receiver = SrtcpProtector(keys), SrtpReceiver(keys)
    report = bytes.fromhex("80c90001") + b"\x00\x00\x00\x07"
    sealed = protector.protect_rtcp(report)
    assert receiver.unprotect_rtcp(sealed) == report
    with pytest.raises(WireError) as refused:
        receiver.unprotect_rtcp(sealed)
    assert (refused.value.protocol, refused.value.reason) == ("rtcp", "replayed")
    forged = protector.protect_rtcp(report)
    with pytest.raises(WireError, match="authentication failed"):
        receiver.unprotect_rtcp(forged[:-1] + bytes([forged[-1] ^ 1]))


@pytest.mark.parametrize("size", [0, 1, 12, 27, 1501, 4000])
def test_sizes_are_bounded_before_anything_else(size: int) -> None:
    """Too short and too long are WireError, never libsrtp's ValueError."""
    receiver = SrtpReceiver(make_keys(SrtpProfile.AEAD_AES_128_GCM))
    with pytest.raises(WireError):
        receiver.unprotect_rtp(b"\x80" * size)
    with pytest.raises(WireError):
        receiver.unprotect_rtcp(b"\x80" * size)


def test_outbound_rtcp_is_bounded() -> None:
    """A compound packet that libsrtp's buffer cannot take is a WireError."""
    protector = SrtcpProtector(make_keys(SrtpProfile.AEAD_AES_128_GCM))
    for size in (0, 4, 1353, 3000):
        with pytest.raises(WireError):
            protector.protect_rtcp(bytes(size))


def test_a_peer_cannot_open_a_replay_window_per_ssrc() -> None:
    """After 64 SSRCs another one is refused, the known ones go on."""
    keys = make_keys(SrtpProfile.AEAD_AES_128_GCM)
    protector, receiver = RtpProtector(keys), SrtpReceiver(keys)
    for ssrc in range(MAX_SSRCS):
        receiver.unprotect_rtp(protect_rtp(protector, rtp(1, b"", ssrc=ssrc), 12, 1))
    with pytest.raises(WireError, match="more than 64"):
        receiver.unprotect_rtp(protect_rtp(protector, rtp(1, b"", ssrc=MAX_SSRCS), 12, 1))
    receiver.unprotect_rtp(protect_rtp(protector, rtp(2, b"", ssrc=0), 12, 2))


@pytest.mark.parametrize("profile", PROFILES)
def test_exported_material_is_split_as_rfc_5764_says(profile: SrtpProfile) -> None:
    """Client key, server key, client salt, server salt."""
    key, salt = profile.key_length, profile.salt_length
    client, server = split_exported(b"a" * key + b"b" * key + b"c" * salt + b"d" * salt, profile)
    assert client == SrtpKeys(profile, b"a" * key, b"c" * salt)
    assert server == SrtpKeys(profile, b"b" * key, b"d" * salt)
    with pytest.raises(ValueError, match="octets"):
        split_exported(b"", profile)


def test_keys_never_show_in_a_log() -> None:
    """The repr of keys tells the profile only, and wrong lengths are our own bug."""
    keys = make_keys(SrtpProfile.AEAD_AES_128_GCM)
    assert repr(keys) == "SrtpKeys(AEAD_AES_128_GCM, ...)"
    assert repr(derive_session_keys(keys)) == "SessionKeys(...)"
    with pytest.raises(ValueError, match="length"):
        SrtpKeys(SrtpProfile.AEAD_AES_256_GCM, bytes(16), bytes(12))


@pytest.mark.parametrize("profile", PROFILES)
def test_protected_rtcp_equals_that_of_libsrtp(profile: SrtpProfile) -> None:
    """Byte for byte, also with an empty body; the index begins at 1 as there."""
    keys = make_keys(profile)
    sender = Session(
        Policy(
            key=keys.master_key + keys.master_salt,
            ssrc_type=Policy.SSRC_ANY_OUTBOUND,
            srtp_profile=profile.libsrtp_profile,
        )
    )
    protector = SrtcpProtector(keys)
    for words in range(20):
        report = struct.pack("!BBHI", 0x80, 201, 1 + words, 0xDEAD_BEEF) + bytes(range(4 * words))
        assert protector.protect_rtcp(report) == sender.protect_rtcp(report)


def test_gcm_rtcp_is_that_of_rfc_7714_17_1() -> None:
    """Section 17.1 of RFC 7714: nonce, ciphertext and index of a sender report."""
    protector = SrtcpProtector(make_keys(SrtpProfile.AEAD_AES_128_GCM))
    protector._gcm = AESGCM(bytes(range(16)))
    protector._salt = int.from_bytes(bytes.fromhex("517569642070726f2071756f"), "big")
    protector._index = 0x5D3
    plain = "81c8000d4d6172734e5450314e545032525450200000042a0000e9304c756e61" + "deadbeef" * 5
    assert protector.protect_rtcp(bytes.fromhex(plain)) == bytes.fromhex(
        "81c8000d4d61727363e94885dcdab67ca727d7662f6b7e997ff5c0f76c06f32dc676a5f1730d6fda"
        "4ce09b4686303ded0bb9275bc84aa45896cf4d2fc5abf87245d9eade800005d4"
    )


@pytest.mark.parametrize("profile", PROFILES)
def test_no_srtcp_index_is_used_twice(profile: SrtpProfile) -> None:
    """The index grows over all SSRCs together, and a key that has used them all protects nothing more."""
    protector = SrtcpProtector(make_keys(profile))
    tag_length = 0 if profile.tag_length == 16 else profile.tag_length
    seen = []
    for number in range(6):
        sealed = protector.protect_rtcp(struct.pack("!BBHI", 0x80, 201, 1, number % 2))
        trailer = sealed[len(sealed) - tag_length - 4 : len(sealed) - tag_length]
        seen.append(int.from_bytes(trailer))
    assert seen == [1 << 31 | number for number in range(1, 7)]
    protector._index = (1 << 31) - 2
    protector.protect_rtcp(bytes.fromhex("80c9000100000001"))
    with pytest.raises(WireError, match="used up"):
        protector.protect_rtcp(bytes.fromhex("80c9000100000001"))
