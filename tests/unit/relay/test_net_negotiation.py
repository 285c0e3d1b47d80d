"""From the offers of real browsers to our answers."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from relay.core.feed import MAX_LAYERS
from relay.errors import WireError
from relay.net.negotiation import (
    UnacceptableOfferError,
    layers_by_ssrc,
    negotiate_play,
    negotiate_publish,
    new_credentials,
    new_ssrc,
)
from relay.wire.sdp import build_play_offer, host_candidate, parse_session, serialize_session

SDP = Path(__file__).parent.parent.parent / "data" / "sdp"
FINGERPRINT = ":".join(["AB"] * 32)
CANDIDATES = [host_candidate("192.0.2.1", 8_100, local_preference=65_535)]
BROWSERS = ["chromium", "firefox"]


def offer(name: str) -> str:
    """The text of an offer."""
    return (SDP / f"{name}.sdp").read_bytes().decode()


@pytest.mark.parametrize("browser", BROWSERS)
def test_a_publisher_gets_one_codec_a_line(browser: str) -> None:
    """Audio and video are taken, each with one codec, received only; the answer parses again."""
    parsed = parse_session(offer(f"offer_{browser}"))
    made = negotiate_publish(parsed)
    assert [stream.kind for stream in made.streams] == ["audio", "video"]
    assert next(stream.codecs[0].name for stream in made.streams) == "opus"
    assert made.wants == ()
    answer = parse_session(serialize_session(made.answer(parsed, FINGERPRINT, CANDIDATES)))
    assert answer.ice_lite
    assert len(answer.media) == len(parsed.media)
    for media, offered in zip(answer.media, parsed.media, strict=True):
        assert media.mid == offered.mid
        assert media.direction == "recvonly"
        assert media.setup == "passive"
        assert media.rtcp_mux
        assert len(media.codecs) == 1
        assert media.codecs[0].payload_type in offered.payload_types
        assert media.media_ssrcs == ()


@pytest.mark.parametrize("browser", BROWSERS)
def test_a_player_gets_every_codec_that_we_carry(browser: str) -> None:
    """One SSRC a line, the codecs of the offer with its payload types, H.264 in packetization mode 1 alone."""
    parsed = parse_session(offer(f"whepoffer_{browser}"))
    made = negotiate_play(parsed)
    assert [want.kind for want in made.wants] == [media.kind for media in parsed.media]
    assert made.streams == ()
    video = next(want for want in made.wants if want.kind == "video")
    names = {codec.name for codec in video.codecs}
    assert {"VP8"} <= names <= {"VP8", "VP9", "H264", "AV1"}
    modes = {codec.fmtp.get("packetization-mode") for codec in video.codecs if codec.name == "H264"}
    assert modes <= {"1"}
    answer = parse_session(serialize_session(made.answer(parsed, FINGERPRINT, CANDIDATES)))
    for media, want in zip(answer.media, made.wants, strict=True):
        assert media.direction == "sendonly"
        assert media.media_ssrcs == (want.ssrc,)
        played = [codec for codec in media.codecs if codec.name != "rtx"]
        assert [codec.payload_type for codec in played] == [codec.payload_type for codec in want.codecs]
        repaired = {
            int(codec.fmtp["apt"]): codec.payload_type for codec in media.codecs if codec.fmtp.keys() == {"apt"}
        }
        assert repaired == want.rtx_payload_types
        if want.kind == "video":
            assert set(repaired) == {codec.payload_type for codec in want.codecs}
            assert media.ssrc_groups == (("FID", (want.ssrc, want.rtx_ssrc)),)
            assert list(media.ssrcs) == [want.ssrc, want.rtx_ssrc]
    assert made.wants[0].ssrc != made.wants[1].ssrc


@pytest.mark.parametrize("browser", BROWSERS)
def test_directions_must_fit(browser: str) -> None:
    """Who only sends cannot play, who only receives cannot publish."""
    with pytest.raises(UnacceptableOfferError):
        negotiate_publish(parse_session(offer(f"whepoffer_{browser}")))
    only_sends = offer(f"offer_{browser}").replace("a=sendrecv", "a=sendonly")
    with pytest.raises(UnacceptableOfferError):
        negotiate_play(parse_session(only_sends))
    assert negotiate_publish(parse_session(only_sends)).streams


@pytest.mark.parametrize("browser", BROWSERS)
def test_credentials_are_those_of_the_offer_and_fresh_ones_of_ours(browser: str) -> None:
    """Remote: from the offer; local: never twice the same."""
    parsed = parse_session(offer(f"whepoffer_{browser}"))
    one, two = negotiate_play(parsed), negotiate_play(parsed)
    assert (one.remote.ufrag, one.remote.pwd) == (parsed.media[0].ice_ufrag, parsed.media[0].ice_pwd)
    assert one.remote_fingerprint == parsed.media[0].fingerprint
    assert one.local != two.local
    assert len(one.local.ufrag) >= 4
    assert len(one.local.pwd) >= 22


def test_unknown_codecs_and_second_lines_are_rejected() -> None:
    """Only the first line of a kind is taken; the others get port 0, and the answer keeps their places."""
    parsed = parse_session(offer("whepoffer_chromium"))
    again = tuple(msgspec.structs.replace(media, mid=f"x{media.mid}") for media in parsed.media)
    bundle = (*parsed.bundle, *(media.mid for media in again))
    doubled = msgspec.structs.replace(parsed, media=parsed.media + again, bundle=bundle)
    made = negotiate_play(doubled)
    assert len(made.wants) == 2
    answer = made.answer(doubled, FINGERPRINT, CANDIDATES)
    assert [media.rejected for media in answer.media] == [False, False, True, True]


@pytest.mark.parametrize("gone", ["a=ice-ufrag", "a=ice-pwd", "a=fingerprint"])
def test_an_offer_without_a_transport_is_not_answered(gone: str) -> None:
    """No credentials or no fingerprint: refused before there is a session."""
    text = "\r\n".join(line for line in offer("whepoffer_chromium").split("\r\n") if not line.startswith(gone))
    with pytest.raises((UnacceptableOfferError, WireError)):
        negotiate_play(parse_session(text))


def test_names_are_not_guessable() -> None:
    """A thousand of each, all different; an SSRC is never 0."""
    assert len({new_credentials().pwd for _ in range(1_000)}) == 1_000
    ssrcs = {new_ssrc() for _ in range(1_000)}
    assert 0 not in ssrcs
    assert len(ssrcs) > 990


def test_simulcast_of_a_publisher_is_taken_by_rid() -> None:
    """A stream per layer, known by its rid; the answer receives the same layers and names the extension."""
    parsed = parse_session(offer("offer_chromium_simulcast"))
    made = negotiate_publish(parsed)
    video = [stream for stream in made.streams if stream.kind == "video"]
    assert [(stream.layer, stream.rid, stream.ssrcs) for stream in video] == [(0, "q", ()), (1, "h", ()), (2, "f", ())]
    assert all(stream.codecs == video[0].codecs for stream in video)
    answer = parse_session(serialize_session(made.answer(parsed, FINGERPRINT, CANDIDATES)))
    audio, taken = answer.media
    assert taken.simulcast == {"recv": ("q", "h", "f")}
    assert [(rid.rid, rid.direction) for rid in taken.rids] == [("q", "recv"), ("h", "recv"), ("f", "recv")]
    assert taken.extmap[video[0].rid_extension] == "urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id"
    assert set(taken.extmap.items()) < set(parsed.media[1].extmap.items())
    assert audio.extmap == {}


def test_layers_without_the_extension_or_beyond_our_number_are_not_taken() -> None:
    """No packet could say its layer; a fifth layer is left out of the answer, which its sender then does not send."""
    text = offer("offer_chromium_simulcast")
    bare = "".join(line for line in text.splitlines(keepends=True) if "rtp-stream-id" not in line)
    made = negotiate_publish(parse_session(bare))
    assert [(stream.kind, stream.layer, stream.rid) for stream in made.streams] == [("audio", 0, ""), ("video", 0, "")]
    assert made.accepted[1].rids == ()
    many = text.replace("a=simulcast:send q;h;f", "a=simulcast:send q;h;f;4;5")
    made = negotiate_publish(parse_session(many))
    assert made.accepted[1].rids == ("q", "h", "f", "4")
    assert len(made.streams) == 1 + MAX_LAYERS


def test_layers_that_are_named_by_ssrc_are_taken_in_their_order() -> None:
    """As a parent relay and older encoders name them; the SSRCs of retransmission are no layers."""
    text = offer("offer_chromium").rstrip("\r\n") + "\r\na=ssrc-group:SIM 11 12\r\na=ssrc:11 cname:c\r\n"
    text += "a=ssrc:12 cname:c\r\n"
    video = [stream for stream in negotiate_publish(parse_session(text)).streams if stream.kind == "video"]
    assert [(stream.layer, stream.ssrcs) for stream in video] == [(0, (11,)), (1, (12,))]


def test_a_child_is_given_every_layer_side_by_side() -> None:
    """An SSRC a layer, named in the order of the layers; the child reads the same from the answer."""
    parsed = build_play_offer(ice_ufrag="child", ice_pwd="p" * 24, fingerprint=("sha-256", FINGERPRINT), layers=3)
    parsed = parse_session(serialize_session(parsed))
    made = negotiate_play(parsed)
    assert [(want.kind, want.layer) for want in made.wants] == [
        ("audio", None),
        ("video", 0),
        ("video", 1),
        ("video", 2),
    ]
    ssrcs = [want.ssrc for want in made.wants if want.kind == "video"]
    answer = parse_session(serialize_session(made.answer(parsed, FINGERPRINT, CANDIDATES)))
    assert answer.media[1].simulcast == {"send": ("0", "1", "2")}
    assert answer.media[1].simulcast_ssrcs == tuple(ssrcs)
    streams = layers_by_ssrc(answer.media[1], "video", answer.media[1].codecs)
    assert [(stream.layer, stream.ssrcs) for stream in streams] == [(n, (ssrc,)) for n, ssrc in enumerate(ssrcs)]
    assert [stream.layer for stream in layers_by_ssrc(answer.media[0], "audio", answer.media[0].codecs)] == [0]
