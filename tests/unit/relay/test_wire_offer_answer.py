from pathlib import Path

import msgspec
import pytest
from aiortc import RTCPeerConnection, RTCSessionDescription

from relay.errors import WireError
from relay.wire.sdp import (
    AcceptedMedia,
    Codec,
    MediaSection,
    SessionDescription,
    build_answer,
    build_play_offer,
    host_candidate,
    match_codec,
    parse_session,
    play_codecs,
    select_play_codecs,
    select_publish_codecs,
    serialize_session,
)

OFFERS = Path(__file__).parents[2] / "data" / "sdp"
FINGERPRINT = ("sha-256", ":".join(["AB"] * 32))
REJECTED = AcceptedMedia()


def read(name: str) -> SessionDescription:
    """Parse an offer that a real browser made."""
    return parse_session((OFFERS / name).read_bytes().decode())


def publish(media: MediaSection) -> AcceptedMedia:
    """Accept a publisher's section."""
    codecs = select_publish_codecs(media)
    assert codecs
    return AcceptedMedia(codecs=codecs, direction="recvonly")


def play(media: MediaSection, ssrc: int = 7) -> AcceptedMedia:
    """Accept a player's section."""
    return AcceptedMedia(
        codecs=select_play_codecs(media), direction="sendonly", ssrcs=(ssrc,), cname="diemcau", msid="program track"
    )


def answer(offer: SessionDescription, *accept: AcceptedMedia) -> SessionDescription:
    """Answer and send the answer over the wire."""
    description = build_answer(
        offer,
        ice_ufrag="relayufrag",
        ice_pwd="relaypassword01234567890",
        fingerprint=FINGERPRINT,
        candidates=[host_candidate("192.0.2.7", 5004), host_candidate("2001:db8::7", 5004, local_preference=9)],
        accept=accept,
    )
    assert parse_session(serialize_session(description)) == description
    return description


@pytest.mark.parametrize(
    ("name", "payload_types"), [("offer_chromium.sdp", (111, 96)), ("offer_firefox.sdp", (109, 120))]
)
def test_a_publisher_is_answered(name: str, payload_types: tuple[int, int]) -> None:
    """One codec a section, ICE-lite, DTLS server, feedback for video alone, no extension, candidates once."""
    offer = read(name)
    description = answer(offer, *map(publish, offer.media))
    assert description.ice_lite
    assert description.bundle == ("0", "1")
    audio, video = description.media
    assert (audio.payload_types, video.payload_types) == ((payload_types[0],), (payload_types[1],))
    for section in description.media:
        assert section.direction == "recvonly"
        assert section.setup == "passive"
        assert section.rtcp_mux
        assert section.rtcp_rsize
        assert section.extmap == {}
        assert section.ssrcs == {}
        assert (section.connection_address, section.port) == ("192.0.2.7", 5004)
    assert audio.codecs[0].feedback == ()
    assert set(video.codecs[0].feedback) == {"nack", "nack pli", "ccm fir", "goog-remb"}
    assert len(audio.candidates) == 2
    assert video.candidates == ()


@pytest.mark.parametrize("name", ["whepoffer_chromium.sdp", "whepoffer_firefox.sdp"])
def test_a_player_is_answered(name: str) -> None:
    """Every carried codec is accepted, and each section tells its one SSRC."""
    offer = read(name)
    video, audio = answer(offer, play(offer.media[0], 1), play(offer.media[1], 2)).media
    assert {codec.name for codec in video.codecs} <= {"VP8", "VP9", "H264", "AV1"}
    assert [codec.name for codec in audio.codecs] == (["opus", "red"] if "chromium" in name else ["opus"])
    assert (video.ssrcs, audio.ssrcs) == ({1: "diemcau"}, {2: "diemcau"})
    assert video.msid == "program track"
    assert video.kind == "video"


def test_chromium_may_be_sent_all_that_it_decodes() -> None:
    """H.264 without packetization-mode=1 is not carried; retransmission and FEC are not either."""
    codecs = select_play_codecs(read("whepoffer_chromium.sdp").media[0])
    assert [codec.payload_type for codec in codecs] == [96, 98, 100, 35, 37, 102, 108, 116, 41, 45, 47]


def test_nothing_carried_means_no_codec() -> None:
    """A section without a carried codec has to be rejected."""
    section = MediaSection(kind="video", codecs=(Codec(98, "H265", 90000), Codec(99, "H264", 90000)))
    assert select_publish_codecs(section) == ()
    assert select_play_codecs(section) == []
    data = MediaSection(kind="application", codecs=(Codec(98, "VP8", 90000),))
    assert select_publish_codecs(data) == ()


def test_a_rejected_section_keeps_its_place() -> None:
    """Port 0, out of the bundle, and the candidates go to the first accepted one."""
    offer = read("offer_chromium.sdp")
    audio, video = answer(offer, REJECTED, publish(offer.media[1])).media
    assert audio.rejected
    assert audio.kind == "audio"
    assert audio.mid == "0"
    assert audio.payload_types == (111,)
    assert not audio.ice_ufrag
    assert len(video.candidates) == 2
    assert answer(offer, REJECTED, publish(offer.media[1])).bundle == ("1",)
    assert all(section.rejected for section in answer(offer, REJECTED, REJECTED).media)


def test_a_rejected_data_channel_keeps_its_format() -> None:
    """The format list is never empty."""
    text = "m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\na=mid:2\r\n"
    offer = parse_session((OFFERS / "offer_chromium.sdp").read_bytes().decode() + text)
    assert answer(offer, REJECTED, REJECTED, REJECTED).media[2].formats == ("webrtc-datachannel",)


def test_what_a_sender_says_of_itself_is_not_echoed() -> None:
    """Parameter sets in the offer are the publisher's, not the relay's."""
    offer = read("offer_chromium.sdp")
    codec = msgspec.structs.replace(
        offer.media[1].codecs[2], fmtp={"packetization-mode": "1", "sprop-parameter-sets": "Z0IA"}
    )
    description = answer(offer, REJECTED, AcceptedMedia(codecs=[codec], direction="recvonly"))
    assert description.media[1].codecs[0].fmtp == {"packetization-mode": "1"}


def test_each_section_needs_a_choice() -> None:
    """Too few choices are our own mistake."""
    with pytest.raises(ValueError, match="shorter"):
        answer(read("offer_chromium.sdp"), REJECTED)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"port": 0}, "offered as rejected"),
        ({"protocol": "RTP/AVP"}, "is RTP/AVP"),
        ({"ice_ufrag": ""}, "no ICE credentials"),
        ({"ice_pwd": ""}, "no ICE credentials"),
        ({"fingerprint": None}, "no fingerprint"),
        ({"rtcp_mux": False}, "does not multiplex"),
        ({"setup": "passive"}, "DTLS client"),
        ({"direction": "recvonly"}, "which recvonly does not answer"),
        ({"mid": "9"}, "not in the BUNDLE group"),
    ],
)
def test_an_offer_that_cannot_be_served_is_refused(change: dict[str, object], reason: str) -> None:
    """Whatever transport the relay does not have is told, not half answered."""
    offer = read("offer_chromium.sdp")
    accept = [publish(media) for media in offer.media]
    video = msgspec.structs.replace(offer.media[1], **change)
    with pytest.raises(WireError, match=reason):
        answer(msgspec.structs.replace(offer, media=(offer.media[0], video)), *accept)


def test_two_lite_agents_do_not_meet() -> None:
    """One side has to check the path."""
    offer = msgspec.structs.replace(read("offer_chromium.sdp"), ice_lite=True)
    with pytest.raises(WireError, match="ICE-lite"):
        answer(offer, REJECTED, REJECTED)


def test_a_sender_is_not_sent_to() -> None:
    """A sendonly offer is no player."""
    offer = read("offer_chromium.sdp")
    with pytest.raises(WireError, match="which sendonly does not answer"):
        answer(offer, REJECTED, play(offer.media[1]))


def h264(payload_type: int, profile: str, mode: str = "1") -> Codec:
    """Make an H.264 codec."""
    return Codec(payload_type, "H264", 90000, 1, {"packetization-mode": mode, "profile-level-id": profile})


@pytest.mark.parametrize(
    ("profile", "payload_type"),
    [("42e01f", 2), ("42001f", 1), ("42c01f", 1), ("4D0028", 3), ("640c1f", 1)],
)
def test_h264_takes_the_nearest_profile(profile: str, payload_type: int) -> None:
    """The same profile and constraints, then the same profile, then the receiver's first."""
    offered = [h264(9, profile, "0"), h264(1, "42001f"), h264(2, "42e01f"), h264(3, "4d001f")]
    matched = match_codec(h264(100, profile), offered)
    assert matched is not None
    assert matched.payload_type == payload_type


def test_profiles_of_vp9_and_av1_must_agree() -> None:
    """Their decoders are not lenient; profile 0 is what nothing means."""
    plain = Codec(98, "VP9", 90000, 1, {"profile-id": "0"})
    other = Codec(100, "VP9", 90000, 1, {"profile-id": "2"})
    assert match_codec(Codec(1, "VP9", 90000), [other, plain]) is plain
    assert match_codec(other, [plain]) is None
    assert match_codec(Codec(1, "AV1", 90000), [Codec(47, "AV1", 90000, 1, {"profile": "1"})]) is None


def av1(payload_type: int, **parameters: str) -> Codec:
    """One AV1 payload type."""
    return Codec(payload_type, "AV1", 90000, 1, {name.replace("_", "-"): value for name, value in parameters.items()})


def test_av1_takes_a_tier_that_suffices_and_prefers_a_level_that_does() -> None:
    """A decoder of the high tier takes both tiers; a level is a promise and no limit; nonsense is the default."""
    low, high = av1(45, level_idx="5", profile="0", tier="0"), av1(46, level_idx="8", profile="0", tier="0")
    assert match_codec(av1(1), [low, high]) is low
    assert match_codec(av1(1, level_idx="8"), [low, high]) is high
    assert match_codec(av1(1, level_idx="12"), [low, high]) is low
    assert match_codec(av1(1, tier="1"), [low, high]) is None
    tall = av1(47, tier="1", level_idx="none")
    assert match_codec(av1(1, tier="1"), [low, tall]) is tall
    assert match_codec(av1(1, tier="0"), [tall]) is tall


RED = Codec(63, "red", 48000, 2, {"111/111": ""})
OPUS = Codec(111, "opus", 48000, 2, {"useinbandfec": "1"})


def test_redundancy_is_taken_from_a_publisher_that_prefers_it() -> None:
    """With opus beside it, and only where the blocks are numbered as all receivers number them."""
    deep = Codec(63, "red", 48000, 2, {"111/111/111": ""})
    other = Codec(63, "red", 48000, 2, {"96/96": ""})
    for offered, taken in [
        ((OPUS, RED), (OPUS,)),
        ((RED, OPUS), (RED, OPUS)),
        ((deep, OPUS), (deep, OPUS)),
        ((other, OPUS), (OPUS,)),
        ((RED,), ()),
        ((RED, Codec(96, "opus", 48000, 2)), (Codec(96, "opus", 48000, 2),)),
    ]:
        assert select_publish_codecs(MediaSection(kind="audio", codecs=offered)) == taken


def test_redundancy_matches_by_the_payload_types_inside() -> None:
    """They stand in the packets, which a relay passes on untouched; a receiver without `red` gets none of it."""
    other = Codec(64, "red", 48000, 2, {"96/96": ""})
    theirs = Codec(70, "red", 48000, 2, {"111/111": ""})
    assert match_codec(RED, [OPUS, other, theirs]) is theirs
    assert match_codec(RED, [OPUS, other]) is None
    assert match_codec(OPUS, [theirs, OPUS]) is OPUS
    assert match_codec(RED, play_codecs()["audio"]) == RED


def test_redundancy_of_a_real_browser_is_read_and_answered() -> None:
    """Chromium offers `red` after opus; the answer to a player keeps its format parameters as they were."""
    offer = read("whepoffer_chromium.sdp")
    audio = next(section for section in offer.media if section.kind == "audio")
    assert [codec.name for codec in select_play_codecs(audio)] == ["opus", "red"]
    text = serialize_session(answer(offer, *map(play, offer.media)))
    assert "a=fmtp:63 111/111\r\n" in text
    assert "useinbandfec=1" in text


def test_other_codecs_match_by_name_and_clock() -> None:
    """The payload type is the receiver's."""
    opus = Codec(109, "opus", 48000, 2)
    assert match_codec(Codec(111, "opus", 48000, 2), [Codec(0, "PCMU", 8000), opus]) is opus
    assert match_codec(Codec(96, "VP8", 90000), [opus]) is None
    assert match_codec(h264(1, "42e01f"), [h264(2, "42e01f", "0")]) is None


def test_a_relay_plays_from_its_parent() -> None:
    """A play offer survives the wire and is answered with every codec of ours."""
    offer = build_play_offer(ice_ufrag="child", ice_pwd="childpassword012345678901", fingerprint=FINGERPRINT)
    assert parse_session(serialize_session(offer)) == offer
    assert [section.direction for section in offer.media] == ["recvonly", "recvonly"]
    assert {section.setup for section in offer.media} == {"active"}
    assert offer.bundle == ("0", "1")
    description = answer(offer, *map(play, offer.media))
    for section, kind in zip(description.media, ("audio", "video"), strict=True):
        assert [codec.payload_type for codec in section.codecs] == [c.payload_type for c in play_codecs()[kind]]


def test_payload_types_of_a_play_offer_are_distinct() -> None:
    """Under BUNDLE a payload type stands for one codec."""
    numbers = [codec.payload_type for codecs in play_codecs().values() for codec in codecs]
    assert len(set(numbers)) == len(numbers)


async def test_aiortc_takes_our_answer() -> None:
    """Its offer is read, and our answer is accepted by its peer connection."""
    peer = RTCPeerConnection()
    try:
        peer.addTransceiver("audio", "recvonly")
        peer.addTransceiver("video", "recvonly")
        await peer.setLocalDescription(await peer.createOffer())
        offer = parse_session(peer.localDescription.sdp)
        assert [codec.name for codec in select_play_codecs(offer.media[1])] == ["VP8", "H264", "H264"]
        description = answer(offer, *map(play, offer.media))
        await peer.setRemoteDescription(RTCSessionDescription(serialize_session(description), "answer"))
        assert peer.signalingState == "stable"
    finally:
        await peer.close()
