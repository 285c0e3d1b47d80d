from pathlib import Path

import pytest

from relay.errors import WireError
from relay.wire.sdp import (
    Candidate,
    Codec,
    Fingerprint,
    Rid,
    host_candidate,
    parse_session,
    serialize_candidate,
    serialize_session,
)
from relay.wire.session_description import MediaSection

OFFERS = Path(__file__).parents[2] / "data" / "sdp"
NAMES = sorted(path.name for path in OFFERS.glob("*.sdp"))
HEAD = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\n"
AUDIO = "m=audio 9 UDP/TLS/RTP/SAVPF 111\r\n"


def read(name: str) -> str:
    """Read an offer that a real browser made, with its own line ends."""
    return (OFFERS / name).read_bytes().decode()


def media(*lines: str, session: str = "") -> MediaSection:
    """Parse one audio section with these lines."""
    (section,) = parse_session(HEAD + session + AUDIO + "".join(f"{line}\r\n" for line in lines)).media
    return section


@pytest.mark.parametrize("name", NAMES)
def test_an_offer_of_a_browser_survives_the_wire(name: str) -> None:
    """What was kept of it is written and read back equal, with CRLF line ends."""
    offer = parse_session(read(name))
    text = serialize_session(offer)
    assert parse_session(text) == offer
    assert text.count("\n") == text.count("\r\n") == len(text.splitlines())


def test_five_offers_are_kept() -> None:
    """Chromium and Firefox, publishing and playing; Chromium with layers."""
    assert len(NAMES) == 5


def test_chromium_publishes_layers() -> None:
    """Three rids, in the order of the application, and the extension by which packets say theirs."""
    video = parse_session(read("offer_chromium_simulcast.sdp")).media[1]
    assert video.simulcast == {"send": ("q", "h", "f")}
    assert [(rid.rid, rid.direction) for rid in video.rids] == [("q", "send"), ("h", "send"), ("f", "send")]
    assert "urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id" in video.extmap.values()
    assert video.media_ssrcs == ()


def test_chromium_publishes() -> None:
    """All that a relay needs of a publisher's offer is there."""
    offer = parse_session(read("offer_chromium.sdp"))
    assert offer.session_id == 381875518856299190
    assert offer.bundle == ("0", "1")
    assert not offer.ice_lite
    audio, video = offer.media
    assert (audio.kind, audio.mid, audio.port, audio.direction) == ("audio", "0", 56800, "sendonly")
    assert audio.connection_address == "127.0.0.1"
    assert audio.codecs[0] == Codec(111, "opus", 48000, 2, {"minptime": "10", "useinbandfec": "1"}, ("transport-cc",))
    assert audio.ssrcs == {2800874484: "mXTkocDRKWGqmAy/"}
    assert audio.msid == "0a2885ad-8ca8-492b-a848-f919a93451c3 600620ca-a429-4cd0-adf1-d1ac2aaf82d9"
    assert (video.ice_ufrag, video.ice_pwd) == ("03NY", "Ev7kDpN7F8RtFqN+jNagtXk5")
    assert video.fingerprint is not None
    assert video.fingerprint.algorithm == "sha-256"
    assert video.setup == "actpass"
    assert video.rtcp_mux
    assert video.rtcp_rsize
    assert video.payload_types[:3] == (96, 97, 102)
    assert [codec.payload_type for codec in video.codecs] == list(video.payload_types)
    assert video.codecs[2].fmtp["profile-level-id"] == "42001f"
    assert "nack pli" in video.codecs[2].feedback
    assert video.extmap[4] == "urn:ietf:params:rtp-hdrext:sdes:mid"
    assert video.ssrc_groups == (("FID", (2624739864, 1704232796)),)
    assert video.media_ssrcs == (2624739864,)
    assert len(video.candidates) == 8
    assert video.candidates[4].tcp_type == "active"


def test_firefox_gives_its_fingerprint_for_all() -> None:
    """A session-level fingerprint counts for each section; a direction in the section goes before the session's."""
    offer = parse_session(read("whepoffer_firefox.sdp"))
    assert {section.fingerprint for section in offer.media} == {offer.media[0].fingerprint}
    assert offer.media[0].fingerprint is not None
    assert [section.direction for section in offer.media] == ["recvonly", "recvonly"]
    assert offer.media[0].end_of_candidates


def test_session_level_values_are_filled_in() -> None:
    """ICE credentials, setup, direction and the c= line come from the session where a section has none."""
    session = "c=IN IP6 ::1\r\na=ice-ufrag:abcd\r\na=ice-pwd:0123456789012345678901\r\na=setup:active\r\na=sendonly\r\n"
    section = media(session=session)
    assert (section.ice_ufrag, section.ice_pwd) == ("abcd", "0123456789012345678901")
    assert (section.setup, section.direction, section.connection_address) == ("active", "sendonly", "::1")
    assert media("a=ice-ufrag:efgh", "a=recvonly", session=session).ice_ufrag == "efgh"


def test_without_anything_the_defaults_hold() -> None:
    """A bare section sends and receives and has no transport."""
    section = media()
    assert section.direction == "sendrecv"
    assert section.fingerprint is None
    assert section.connection_address == "0.0.0.0"
    assert not section.rejected


def test_simulcast_is_read() -> None:
    """Rids keep their restrictions; of alternatives the first counts, paused or not."""
    section = media("a=rid:h send", "a=rid:l send max-width=320", "a=simulcast:send h;~l,m recv x")
    assert section.rids == (Rid("h", "send"), Rid("l", "send", "max-width=320"))
    assert section.simulcast == {"send": ("h", "l"), "recv": ("x",)}
    description = parse_session(HEAD + AUDIO + "a=rid:h send\r\na=simulcast:send h\r\n")
    assert parse_session(serialize_session(description)) == description


def test_of_several_fingerprints_sha_256_is_taken() -> None:
    """An unknown hash function is passed over, a weaker one only stands in."""
    sha_1 = ":".join(["0a"] * 20)
    sha_256 = ":".join(["0B"] * 32)
    assert media(f"a=fingerprint:SHA-1 {sha_1}").fingerprint == Fingerprint("sha-1", sha_1.upper())
    both = media("a=fingerprint:sha-3 00", f"a=fingerprint:sha-1 {sha_1}", f"a=fingerprint:sha-256 {sha_256}")
    assert both.fingerprint == Fingerprint("sha-256", sha_256)
    assert media("a=fingerprint:sha-3 00").fingerprint is None


def test_codec_names_have_one_spelling() -> None:
    """Encoding names do not regard case, and feedback for all counts for each."""
    (codec,) = media("a=rtpmap:111 OPUS/48000/2", "a=rtcp-fb:* nack", "a=rtcp-fb:111 nack").codecs
    assert codec == Codec(111, "opus", 48000, 2, {}, ("nack",))
    (other,) = media("a=rtpmap:111 G722/8000", "a=fmtp:111 0-15; X = y;;").codecs
    assert other == Codec(111, "G722", 8000, 1, {"0-15": "", "x": "y"})


def test_an_application_section_keeps_its_formats() -> None:
    """A data channel's format is not a payload type."""
    (section,) = parse_session(HEAD + "m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\n").media
    assert section.formats == ("webrtc-datachannel",)
    assert section.payload_types == ()
    description = parse_session(HEAD + "m=application 0 UDP/DTLS/SCTP webrtc-datachannel\r\n")
    assert description.media[0].rejected
    assert parse_session(serialize_session(description)) == description


def test_a_bundled_section_has_the_transport_of_the_first() -> None:
    """A bundle-only section leaves out what the first one says; a rejected one and one outside get nothing."""
    transport = f"a=mid:0\r\na=ice-ufrag:abcd\r\na=ice-pwd:{'p' * 22}\r\na=setup:actpass\r\na=rtcp-mux\r\n"
    other = "m=video 0 UDP/TLS/RTP/SAVPF 96\r\na=mid:"
    text = HEAD + "a=group:BUNDLE 0 1 2\r\n" + AUDIO + transport
    text += other + "1\r\na=bundle-only\r\n" + other + "2\r\n" + other.replace("video 0", "video 9") + "3\r\n"
    description = parse_session(text)
    first, bundled, rejected, outside = description.media
    assert (bundled.ice_ufrag, bundled.ice_pwd, bundled.setup) == (first.ice_ufrag, first.ice_pwd, "actpass")
    assert bundled.rtcp_mux
    assert not rejected.ice_ufrag
    assert not outside.ice_ufrag
    assert parse_session(serialize_session(description)) == description


def test_bundle_only_is_not_rejected() -> None:
    """Port 0 with a=bundle-only waits for the bundle (RFC 8843 section 6)."""
    (section,) = parse_session(HEAD + "m=audio 0 UDP/TLS/RTP/SAVPF 0\r\na=bundle-only\r\n").media
    assert not section.rejected


def test_candidates_survive_the_wire() -> None:
    """Types, related addresses and extensions are read; extensions that nobody needs are dropped."""
    line = "1 1 UDP 5 192.0.2.1 9 typ srflx raddr 10.0.0.1 rport 8 generation 0"
    (candidate,) = media(f"a=candidate:{line}").candidates
    assert candidate == Candidate("1", 1, "udp", 5, "192.0.2.1", 9, "srflx", "10.0.0.1", 8)
    assert serialize_candidate(candidate) == "1 1 udp 5 192.0.2.1 9 typ srflx raddr 10.0.0.1 rport 8"
    tcp = Candidate("1", 2, "tcp", 5, "x.local", 9, "host", tcp_type="active")
    assert media(f"a=candidate:{serialize_candidate(tcp)}").candidates == (tcp,)


def test_a_host_candidate_has_the_priority_of_its_type() -> None:
    """RFC 8445 section 5.1.2.1 with type preference 126 and component 1."""
    candidate = host_candidate("2001:db8::1", 5000)
    assert candidate.priority == 2130706431
    assert candidate.foundation != host_candidate("192.0.2.1", 5000).foundation


def test_newlines_alone_and_trailing_ones_are_taken() -> None:
    """Some senders write LF, some end with an empty line."""
    assert parse_session((HEAD + AUDIO).replace("\r\n", "\n") + "\n\n") == parse_session(HEAD + AUDIO)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "line 1: not of the form"),
        ("v=0\r\no=- 1 1 IN IP4 x\r\n", "without v=, o= and s="),
        ("v=1\r\n", "line 1: v=0 belongs"),
        ("o=- 1 1 IN IP4 x\r\n", "line 1: o= where v= belongs"),
        ("v=0\r\ns=-\r\n", "line 2: s= where o= belongs"),
        (HEAD + "v=0\r\n", "line 5: v=0 belongs"),
        (HEAD.replace("o=- 1", "o=- x"), "line 2: malformed o="),
        (HEAD + "a =x\r\n", "line 5: not of the form"),
        (HEAD + "a=x\0\r\n", "line 5: control character"),
        (HEAD + "a=x\rb\r\n", "line 5: control character"),
        (HEAD + "a=\ud800\r\n", "line 5: control character"),
        (HEAD + "a=" + "x" * 4096 + "\r\n", "line 5: longer than"),
        (HEAD + "a=x\r\n" * 4096, "4100 lines"),
        ("x" * 65537, "65537 characters"),
        (HEAD + AUDIO * 33, "line 37: more than 32 media"),
        (HEAD + "m=audio\r\n", "line 5: malformed m="),
        (HEAD + "m=audio 9 UDP/TLS/RTP/SAVPF\r\n", "line 5: malformed m="),
        (HEAD + "m=audio 65536 UDP/TLS/RTP/SAVPF 0\r\n", "line 5: port 65536"),
        (HEAD + "m=audio 9 UDP/TLS/RTP/SAVPF x\r\n", "line 5: payload type 'x'"),
        (HEAD + "m=audio 9 UDP/TLS/RTP/SAVPF 128\r\n", "line 5: payload type 128"),
        (HEAD + "m=audio 9 UDP/TLS/RTP/SAVPF 0 00\r\n", "line 5: a payload type twice"),
        (HEAD + AUDIO + "a=mid:0\r\n" + AUDIO + "a=mid:0\r\n", "same mid"),
        (HEAD + "a=group:BUNDLE 0\r\n", "line 5: BUNDLE names"),
        (HEAD + "a=group:BUNDLE 0 0\r\n" + AUDIO + "a=mid:0\r\n", "line 5: BUNDLE names"),
        (HEAD + "a=group:\r\n", "line 5: malformed group"),
    ],
)
def test_malformed_descriptions_are_refused(text: str, reason: str) -> None:
    """The error names the line."""
    with pytest.raises(WireError, match=reason) as raised:
        parse_session(text)
    assert raised.value.protocol == "sdp"


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("c=IN IP5 x", "malformed c="),
        ("a=mid:a b", "malformed mid"),
        ("a=ice-ufrag:abc", "malformed ice-ufrag"),
        ("a=ice-pwd:short", "malformed ice-pwd"),
        ("a=fingerprint:sha-256", "malformed fingerprint"),
        ("a=fingerprint:sha-256 00:11", "fingerprint is not a digest of sha-256"),
        ("a=setup:maybe", "malformed setup"),
        ("a=rtpmap:111", "malformed rtpmap"),
        ("a=rtpmap:128 opus/48000", "payload type 128"),
        ("a=rtpmap:111 opus/١", "malformed rtpmap"),
        ("a=fmtp:x", "malformed fmtp"),
        ("a=rtcp-fb:111", "malformed rtcp-fb"),
        ("a=ssrc:1", "malformed ssrc"),
        ("a=ssrc:4294967296 cname:x", "ssrc 4294967296"),
        ("a=ssrc-group:FID", "malformed ssrc-group"),
        ("a=rid:a both", "malformed rid"),
        ("a=simulcast:send", "malformed simulcast"),
        ("a=simulcast:send a;;b", "malformed simulcast"),
        ("a=simulcast:send ~~a", "malformed simulcast"),
        ("a=simulcast:send a send b", "malformed simulcast"),
        ("a=extmap:x y", "malformed extmap"),
        ("a=candidate:1", "malformed candidate"),
        ("a=candidate:1 1 udp 4294967296 192.0.2.1 1 typ host", "priority 4294967296"),
        ("a=candidate:1 1 udp 1 192.0.2.1 65536 typ host", "port 65536"),
        ("a=candidate:1 1 udp 1 192.0.2.1 1 typ host rport x", "malformed rport"),
        ("a=candidate:1 1 udp 1 192.0.2.1 1 typ host odd", "malformed candidate"),
    ],
)
def test_malformed_lines_are_refused(line: str, reason: str) -> None:
    """A known attribute must have its form."""
    with pytest.raises(WireError, match=f"line 6: {reason}"):
        media(line)


def test_a_payload_type_has_one_rtpmap() -> None:
    """Two of them would be two codecs under one number."""
    with pytest.raises(WireError, match="line 7: second rtpmap"):
        media("a=rtpmap:111 opus/48000/2", "a=rtpmap:111 opus/48000/2")
