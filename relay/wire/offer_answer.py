"""Offers and answers of a relay (RFC 9429, RFC 3264): what it carries, and how it says so.

A relay answers as an ICE-lite agent and DTLS server, over one bundled transport. It carries opus, alone or with
redundancy (RFC 2198), H.264 in non-interleaved mode, VP8, VP9 and AV1, and never decodes them. Header extensions and
FEC are left out of answers on purpose: a relay strips extensions, and repairs what is asked for: by RTX where a player
offers it, else by sending the same packet again. Two
extensions are taken with simulcast (RFC 8853), because they say to which layer a packet belongs (RFC 8852, RFC 8843
section 14).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypedDict

import msgspec

from relay.errors import WireError
from relay.wire.session_description import (
    RTP_PROFILE,
    Candidate,
    Codec,
    Direction,
    Fingerprint,
    MediaSection,
    Rid,
    SessionDescription,
)

_VIDEO_FEEDBACK = ("goog-remb", "ccm fir", "nack", "nack pli")
# Taken where offered, too: reference times (RFC 3611), by which a player that sends nothing knows its round trip.
_ANSWERED_FEEDBACK = (*_VIDEO_FEEDBACK, "rrtr")
RID_EXTENSION = "urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id"
_SIMULCAST_EXTENSIONS = frozenset({RID_EXTENSION, "urn:ietf:params:rtp-hdrext:sdes:mid"})
_RTP_PROFILES = frozenset({RTP_PROFILE, "RTP/SAVPF"})  # the second is how older senders name the first
# Blocks in a packet with redundancy carry their payload type inside (RFC 2198 section 3), where a relay leaves it as it
# is: publisher and receivers must number alike. All browsers that know `red` number opus 111.
RED_PAYLOAD_TYPES = frozenset({"111"})
_AV1_LEVEL_IDX, _AV1_TIER = 5, 0  # AV1 RTP payload format 1.0 section 7.2.3: where none is given
_H264_DEFAULT_PROFILE = "42000a"  # RFC 6184 section 8.1: Baseline at level 1 where none is given


class AcceptedMedia(msgspec.Struct, frozen=True, kw_only=True):
    """What to answer to one m= line; the default rejects it.

    Attributes:
        codecs: taken from the offered ones, in order of preference.
        direction: the relay's: `recvonly` for a publisher, `sendonly` for a player, `inactive` rejects the line.
        ssrcs: what the relay will send with, for `sendonly`; one for each layer with simulcast.
        rtx_ssrc: what it will repair the one of them with, where `codecs` has RTX (RFC 4588).
        cname: of those SSRCs.
        rids: simulcast layers (RFC 8853) that are taken or sent, in order; empty without simulcast.
        msid: `stream track` for `sendonly`; "" leaves it out.
    """

    codecs: Sequence[Codec] = ()
    direction: Direction = "inactive"
    ssrcs: Sequence[int] = ()
    rtx_ssrc: int | None = None
    rids: Sequence[str] = ()
    cname: str = ""
    msid: str = ""

    @property
    def rejected(self) -> bool:
        """True where the line is refused."""
        return self.direction == "inactive" or not self.codecs


def is_carried(kind: str, codec: Codec) -> bool:
    """Tell whether a relay carries a codec on an m= line of this kind."""
    if kind == "audio":
        is_opus = codec.name == "opus" or (codec.name == "red" and red_payload_types(codec) == RED_PAYLOAD_TYPES)
        return is_opus and codec.clock_rate == 48_000 and codec.channels == 2
    if kind != "video" or codec.clock_rate != 90_000:
        return False
    if codec.name == "H264":
        return codec.fmtp.get("packetization-mode", "0") == "1"
    return codec.name in {"VP8", "VP9", "AV1"}


def red_payload_types(codec: Codec) -> frozenset[str]:
    """The payload types of the blocks in a packet with redundancy, as its format parameters name them: `111/111`."""
    return frozenset(number for name, value in codec.fmtp.items() if not value for number in name.split("/"))


def select_publish_codecs(media: MediaSection) -> tuple[Codec, ...]:
    """Choose what a publisher will send: the first codec that is carried, in the offer's order.

    A publisher that prefers redundancy (RFC 2198) to plain opus gets both: what does not fit in twice comes plain.

    Returns:
        One codec, `red` and `opus`, or nothing.
    """
    carried = [codec for codec in media.codecs if is_carried(media.kind, codec)]
    if not carried or carried[0].name != "red":
        return tuple(carried[:1])
    plain = [codec for codec in carried if codec.name == "opus" and str(codec.payload_type) in RED_PAYLOAD_TYPES]
    return (carried[0], plain[0]) if plain else tuple(codec for codec in carried if codec.name == "opus")[:1]


def select_play_codecs(media: MediaSection) -> list[Codec]:
    """Choose the codecs that a player may be sent: all that are carried, in the offer's order."""
    return [codec for codec in media.codecs if is_carried(media.kind, codec)]


def select_publish_rids(media: MediaSection) -> tuple[str, ...]:
    """Choose the simulcast layers that a publisher may send: all, where its packets can say which they belong to."""
    return media.simulcast.get("send", ()) if RID_EXTENSION in media.extmap.values() else ()


def match_codec(source: Codec, offered: Sequence[Codec]) -> Codec | None:
    """Find the payload type under which a receiver takes what a source sends.

    The name and the clock rate must agree, with H.264 also the packetization mode, with VP9 and AV1 the profile, with
    AV1 the receiver's tier must be the source's or higher. An H.264 receiver that offers another profile only is
    matched all the same, since decoders are lenient: the nearest profile is taken. A level says what a receiver is
    sure to decode and not where it fails: with AV1 the first that reaches the source's is preferred.
    """
    same = [codec for codec in offered if codec.name == source.name and codec.clock_rate == source.clock_rate]
    if source.name == "VP9":
        same = [codec for codec in same if _parameter(codec, "profile-id") == _parameter(source, "profile-id")]
    elif source.name == "AV1":
        same = [
            codec
            for codec in same
            if _parameter(codec, "profile") == _parameter(source, "profile")
            and _number(codec, "tier", _AV1_TIER) >= _number(source, "tier", _AV1_TIER)
        ]
        level = _number(source, "level-idx", _AV1_LEVEL_IDX)
        # max() keeps the first of equals, which is the receiver's preference.
        return max(same, key=lambda codec: _number(codec, "level-idx", _AV1_LEVEL_IDX) >= level, default=None)
    elif source.name == "red":
        same = [codec for codec in same if red_payload_types(codec) == red_payload_types(source)]
    elif source.name == "H264":
        mode = _parameter(source, "packetization-mode")
        same = [codec for codec in same if _parameter(codec, "packetization-mode") == mode]
        # max() keeps the first of equals, which is the receiver's preference.
        return max(same, key=lambda codec: _profile_likeness(source, codec), default=None)
    return same[0] if same else None


def _parameter(codec: Codec, name: str) -> str:
    return codec.fmtp.get(name, "0")


def _number(codec: Codec, name: str, default: int) -> int:
    value = codec.fmtp.get(name, "")
    return int(value[:3]) if value.isascii() and value.isdigit() else default


def _profile_likeness(source: Codec, offered: Codec) -> int:
    """Count equal leading bytes of profile-level-id: 1 the same profile_idc, 2 also the same constraints."""
    first = source.fmtp.get("profile-level-id", _H264_DEFAULT_PROFILE).lower()
    second = offered.fmtp.get("profile-level-id", _H264_DEFAULT_PROFILE).lower()
    if first[:2] != second[:2]:
        return 0
    return 2 if first[2:4] == second[2:4] else 1


def build_answer(
    offer: SessionDescription,
    *,
    ice_ufrag: str,
    ice_pwd: str,
    fingerprint: tuple[str, str],
    candidates: Sequence[Candidate],
    accept: Sequence[AcceptedMedia],
    session_id: int = 1,
) -> SessionDescription:
    """Answer an offer as an ICE-lite agent and DTLS server.

    Args:
        offer: the offer.
        ice_ufrag: ours, for all lines.
        ice_pwd: ours.
        fingerprint: (algorithm, hex value) of our certificate.
        candidates: ours; they are written once, at the first accepted line.
        accept: what to say to each m= line of the offer, in its order.
        session_id: for the o= line.

    Raises:
        WireError: the offer cannot be answered: an accepted line without ICE credentials, fingerprint or rtcp-mux, a
            second accepted line outside BUNDLE, a direction that does not answer the offered one, an offerer that
            wants to be the DTLS server, or one that is ICE-lite.
        ValueError: `accept` has not one entry for each line; our own mistake.
    """
    pairs = list(zip(offer.media, accept, strict=True))
    if offer.ice_lite:
        raise WireError("sdp", "both agents would be ICE-lite, and none would check the path")
    accepted = [media for media, choice in pairs if not choice.rejected]
    for media, choice in pairs:
        if choice.rejected:
            continue
        _check_transport(media)
        _check_direction(media, choice.direction)
        if len(accepted) > 1 and media.mid not in offer.bundle:
            raise WireError("sdp", f"media section {media.mid!r} is not in the BUNDLE group")
    sections = []
    for media, choice in pairs:
        if choice.rejected:
            sections.append(_rejection(media))
            continue
        is_first = media is accepted[0]
        section = _acceptance(media, choice, ice_ufrag, ice_pwd, Fingerprint(*fingerprint))
        sections.append(_with_candidates(section, candidates, write=is_first))
    return SessionDescription(
        session_id=session_id,
        media=tuple(sections),
        bundle=tuple(media.mid for media in accepted if media.mid in offer.bundle),
        ice_lite=True,
    )


def _check_transport(media: MediaSection) -> None:
    if media.rejected:
        raise WireError("sdp", f"media section {media.mid!r} was offered as rejected")
    if media.protocol not in _RTP_PROFILES:
        raise WireError("sdp", f"media section {media.mid!r} is {media.protocol}, not {RTP_PROFILE}")
    if not media.ice_ufrag or not media.ice_pwd:
        raise WireError("sdp", f"media section {media.mid!r} has no ICE credentials")
    if media.fingerprint is None:
        raise WireError("sdp", f"media section {media.mid!r} has no fingerprint")
    if not media.rtcp_mux:
        raise WireError("sdp", f"media section {media.mid!r} does not multiplex RTCP")
    if media.setup in {"passive", "holdconn"}:
        raise WireError("sdp", f"media section {media.mid!r} wants the relay to be the DTLS client")


def _check_direction(media: MediaSection, direction: Direction) -> None:
    sends = direction in {"sendonly", "sendrecv"}
    receives = direction in {"recvonly", "sendrecv"}
    if (sends and media.direction in {"sendonly", "inactive"}) or (
        receives and media.direction in {"recvonly", "inactive"}
    ):
        raise WireError("sdp", f"media section {media.mid!r} is {media.direction}, which {direction} does not answer")


def _acceptance(
    media: MediaSection, choice: AcceptedMedia, ice_ufrag: str, ice_pwd: str, fingerprint: Fingerprint
) -> MediaSection:
    sends = choice.direction in {"sendonly", "sendrecv"}
    repair = () if choice.rtx_ssrc is None else (choice.rtx_ssrc,)
    return MediaSection(
        kind=media.kind,
        mid=media.mid,
        protocol=media.protocol,
        direction=choice.direction,
        payload_types=tuple(codec.payload_type for codec in choice.codecs),
        codecs=tuple(_answered(media.kind, codec) for codec in choice.codecs),
        ice_ufrag=ice_ufrag,
        ice_pwd=ice_pwd,
        fingerprint=fingerprint,
        setup="passive",
        rtcp_mux=True,
        rtcp_rsize=True,
        ssrcs=dict.fromkeys((*choice.ssrcs, *repair), choice.cname) if sends else {},
        ssrc_groups=_ssrc_groups(choice) if sends else (),
        msid=choice.msid if sends else "",
        **_simulcast("send" if sends else "recv", choice.rids),
        extmap={number: uri for number, uri in media.extmap.items() if choice.rids and uri in _SIMULCAST_EXTENSIONS},
    )


def _ssrc_groups(choice: AcceptedMedia) -> tuple[tuple[str, tuple[int, ...]], ...]:
    """Which SSRCs are layers of one picture, or repair another (RFC 5576)."""
    if choice.rids:
        return (("SIM", tuple(choice.ssrcs)),)
    return () if choice.rtx_ssrc is None else (("FID", (*choice.ssrcs, choice.rtx_ssrc)),)


class _Simulcast(TypedDict):
    rids: tuple[Rid, ...]
    simulcast: dict[str, tuple[str, ...]]


def _simulcast(direction: str, rids: Sequence[str]) -> _Simulcast:
    """The attributes of a line whose writer sends or receives these layers."""
    return {
        "rids": tuple(Rid(rid, direction) for rid in rids),
        "simulcast": {direction: tuple(rids)} if rids else {},
    }


def _answered(kind: str, codec: Codec) -> Codec:
    # An answer may narrow feedback, not add to it (RFC 4585 section 4.2). What a sender says of itself (sprop-*) is
    # the offerer's to say.
    feedback = tuple(name for name in codec.feedback if name in _ANSWERED_FEEDBACK) if kind == "video" else ()
    fmtp = {name: value for name, value in codec.fmtp.items() if not name.startswith("sprop-")}
    return msgspec.structs.replace(codec, fmtp=fmtp, feedback=feedback)


def _rejection(media: MediaSection) -> MediaSection:
    # Port 0 rejects; the format list must not be empty, and one format of the offer is enough (RFC 3264 section 6).
    payload_types = media.payload_types[:1]
    return MediaSection(
        kind=media.kind,
        mid=media.mid,
        port=0,
        protocol=media.protocol,
        direction="inactive",
        payload_types=payload_types,
        formats=media.formats,
        codecs=tuple(Codec(c.payload_type, c.name, c.clock_rate, c.channels) for c in media.codecs[:1])
        if media.codecs and media.codecs[0].payload_type in payload_types
        else (),
    )


def _with_candidates(section: MediaSection, candidates: Sequence[Candidate], *, write: bool) -> MediaSection:
    if not candidates:
        return section
    # The default destination names the first candidate on every bundled line (RFC 8839 section 4.2.1.2).
    return msgspec.structs.replace(
        section,
        port=candidates[0].port,
        connection_address=candidates[0].address,
        candidates=tuple(candidates) if write else (),
        end_of_candidates=write,
    )


def play_codecs() -> dict[str, tuple[Codec, ...]]:
    """List all that a relay can carry, per kind, with the payload types that its own offers use."""
    video: tuple[tuple[str, int, dict[str, str]], ...] = (
        ("VP8", 96, {}),
        ("VP9", 98, {"profile-id": "0"}),
        ("VP9", 100, {"profile-id": "2"}),
        ("H264", 102, _h264_parameters("42e01f")),
        ("H264", 104, _h264_parameters("640c1f")),
        ("H264", 106, _h264_parameters("4d001f")),
        ("H264", 108, _h264_parameters("42001f")),
        ("AV1", 45, {}),
    )
    return {
        "audio": (
            Codec(111, "opus", 48_000, 2, {"minptime": "10", "useinbandfec": "1"}),
            Codec(63, "red", 48_000, 2, {"111/111": ""}),
        ),
        "video": tuple(
            Codec(payload_type, name, 90_000, 1, fmtp, _VIDEO_FEEDBACK) for name, payload_type, fmtp in video
        ),
    }


def _h264_parameters(profile_level_id: str) -> dict[str, str]:
    return {"level-asymmetry-allowed": "1", "packetization-mode": "1", "profile-level-id": profile_level_id}


def build_play_offer(
    *,
    ice_ufrag: str,
    ice_pwd: str,
    fingerprint: tuple[str, str],
    codecs: Mapping[str, Sequence[Codec]] | None = None,
    candidates: Sequence[Candidate] = (),
    session_id: int = 1,
    layers: int = 1,
) -> SessionDescription:
    """Offer to receive a feed from a parent relay: one bundled recvonly line per kind, as DTLS client.

    Args:
        ice_ufrag: ours.
        ice_pwd: ours.
        fingerprint: (algorithm, hex value) of our certificate.
        codecs: kind to codecs; `play_codecs()` where None. The mids count from "0" in the mapping's order.
        candidates: ours; a parent learns our address from our checks, so none are needed.
        session_id: for the o= line.
        layers: simulcast layers of video to take side by side; 1 leaves the choice to the parent.
    """
    chosen = play_codecs() if codecs is None else codecs
    sections = []
    for number, (kind, offered) in enumerate(chosen.items()):
        section = MediaSection(
            kind=kind,
            mid=str(number),
            direction="recvonly",
            payload_types=tuple(codec.payload_type for codec in offered),
            codecs=tuple(offered),
            ice_ufrag=ice_ufrag,
            ice_pwd=ice_pwd,
            fingerprint=Fingerprint(*fingerprint),
            setup="active",
            rtcp_mux=True,
            rtcp_rsize=True,
            **_simulcast("recv", [str(layer) for layer in range(layers)] if kind == "video" and layers > 1 else []),
        )
        sections.append(_with_candidates(section, candidates, write=number == 0))
    return SessionDescription(
        session_id=session_id,
        media=tuple(sections),
        bundle=tuple(section.mid for section in sections),
    )
