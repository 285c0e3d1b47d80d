"""Writes a session description (RFC 8866) with CRLF line ends."""

from __future__ import annotations

from collections.abc import Iterator

from relay.wire.session_description import Candidate, Codec, MediaSection, SessionDescription


def serialize_session(description: SessionDescription) -> str:
    """Write one offer or answer.

    Parsing the text again gives an equal description, where its values are of the forms that the parser takes.
    """
    return "".join(f"{line}\r\n" for line in _session_lines(description))


def _session_lines(description: SessionDescription) -> Iterator[str]:
    yield "v=0"
    yield f"o=- {description.session_id} {description.session_version} IN IP4 127.0.0.1"
    yield "s=-"
    yield "t=0 0"
    if description.bundle:
        yield f"a=group:BUNDLE {' '.join(description.bundle)}"
    if description.ice_lite:
        yield "a=ice-lite"
    if description.ice_options:
        yield f"a=ice-options:{' '.join(description.ice_options)}"
    for media in description.media:
        yield from _media_lines(media)


def _media_lines(media: MediaSection) -> Iterator[str]:
    formats = [str(payload_type) for payload_type in media.payload_types] or list(media.formats)
    yield f"m={media.kind} {media.port} {media.protocol} {' '.join(formats)}"
    version = 6 if ":" in media.connection_address else 4
    yield f"c=IN IP{version} {media.connection_address}"
    if media.mid:
        yield f"a=mid:{media.mid}"
    yield f"a={media.direction}"
    yield from _transport_lines(media)
    if media.msid:
        yield f"a=msid:{media.msid}"
    for identifier, uri in media.extmap.items():
        yield f"a=extmap:{identifier} {uri}"
    for codec in media.codecs:
        yield from _codec_lines(codec)
    yield from _stream_lines(media)
    for candidate in media.candidates:
        yield f"a=candidate:{serialize_candidate(candidate)}"
    if media.end_of_candidates:
        yield "a=end-of-candidates"


def _transport_lines(media: MediaSection) -> Iterator[str]:
    if media.bundle_only:
        yield "a=bundle-only"
    if media.ice_ufrag:
        yield f"a=ice-ufrag:{media.ice_ufrag}"
    if media.ice_pwd:
        yield f"a=ice-pwd:{media.ice_pwd}"
    if media.fingerprint is not None:
        yield f"a=fingerprint:{media.fingerprint.algorithm} {media.fingerprint.value}"
    if media.setup is not None:
        yield f"a=setup:{media.setup}"
    if media.rtcp_mux:
        yield "a=rtcp-mux"
    if media.rtcp_rsize:
        yield "a=rtcp-rsize"


def _codec_lines(codec: Codec) -> Iterator[str]:
    channels = f"/{codec.channels}" if codec.channels != 1 else ""
    yield f"a=rtpmap:{codec.payload_type} {codec.name}/{codec.clock_rate}{channels}"
    if codec.fmtp:
        parameters = ";".join(f"{name}={value}" if value else name for name, value in codec.fmtp.items())
        yield f"a=fmtp:{codec.payload_type} {parameters}"
    for feedback in codec.feedback:
        yield f"a=rtcp-fb:{codec.payload_type} {feedback}"


def _stream_lines(media: MediaSection) -> Iterator[str]:
    for rid in media.rids:
        yield f"a=rid:{rid.rid} {rid.direction} {rid.restrictions}".rstrip(" ")
    if media.simulcast:
        streams = (f"{direction} {';'.join(rids)}" for direction, rids in media.simulcast.items())
        yield f"a=simulcast:{' '.join(streams)}"
    for semantics, group in media.ssrc_groups:
        yield f"a=ssrc-group:{semantics} {' '.join(map(str, group))}"
    for ssrc, cname in media.ssrcs.items():
        yield f"a=ssrc:{ssrc} cname:{cname}"


def serialize_candidate(candidate: Candidate) -> str:
    """Write a candidate as it stands after `a=candidate:` (RFC 8839 section 5.1)."""
    text = (
        f"{candidate.foundation} {candidate.component} {candidate.protocol} {candidate.priority}"
        f" {candidate.address} {candidate.port} typ {candidate.type}"
    )
    if candidate.related_address is not None:
        text += f" raddr {candidate.related_address}"
    if candidate.related_port is not None:
        text += f" rport {candidate.related_port}"
    if candidate.tcp_type is not None:
        text += f" tcptype {candidate.tcp_type}"
    return text
