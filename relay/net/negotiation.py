"""From an SDP offer to a session's media and our answer: what WHIP and WHEP share."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence

import msgspec

from relay.core.delivery import CNAME
from relay.core.feed import MAX_LAYERS, Stream, Want
from relay.core.ice import IceCredentials
from relay.core.inbound import Kind
from relay.errors import RelayError
from relay.wire.rtx import rtx_payload_types
from relay.wire.sdp import (
    RID_EXTENSION,
    AcceptedMedia,
    Candidate,
    Codec,
    MediaSection,
    SessionDescription,
    build_answer,
    select_play_codecs,
    select_publish_codecs,
    select_publish_rids,
)

KINDS: tuple[Kind, ...] = ("audio", "video")


class UnacceptableOfferError(RelayError):
    """The offer is well formed and offers nothing that a relay can carry."""

    code = "unacceptable_offer"


class Negotiated(msgspec.Struct, frozen=True, kw_only=True):
    """What an offer came to.

    Attributes:
        local: our ICE credentials.
        remote: the offer's.
        remote_fingerprint: hash function and value.
        accepted: per m-line of the offer, what we take of it.
        streams: what a publisher will send.
        wants: what a subscriber will get.
    """

    local: IceCredentials
    remote: IceCredentials
    remote_fingerprint: tuple[str, str]
    accepted: tuple[AcceptedMedia, ...]
    streams: tuple[Stream, ...] = ()
    wants: tuple[Want, ...] = ()

    def answer(
        self, offer: SessionDescription, fingerprint: str, candidates: Sequence[Candidate]
    ) -> SessionDescription:
        """Our answer to the offer."""
        return build_answer(
            offer,
            ice_ufrag=self.local.ufrag,
            ice_pwd=self.local.pwd,
            fingerprint=("sha-256", fingerprint),
            candidates=candidates,
            accept=self.accepted,
        )


def new_credentials() -> IceCredentials:
    """ICE credentials of at least 24 and 128 bits of randomness (RFC 8445 section 5.3)."""
    return IceCredentials(secrets.token_hex(8), secrets.token_hex(16))


def new_ssrc() -> int:
    """A random SSRC that is not zero."""
    return secrets.randbits(32) or 1


def negotiate_publish(offer: SessionDescription) -> Negotiated:
    """Take the first audio and the first video m-line that a publisher sends, with its first codec that we carry.

    Raises:
        UnacceptableOfferError: there is neither.
    """
    streams: list[Stream] = []

    def accept(media: MediaSection, kind: Kind) -> AcceptedMedia | None:
        codecs = select_publish_codecs(media) if media.direction in {"sendonly", "sendrecv"} else ()
        if not codecs:
            return None
        rids = select_publish_rids(media)[:MAX_LAYERS] if kind == "video" else ()
        streams.extend(layers_by_rid(media, codecs, rids) if rids else layers_by_ssrc(media, kind, codecs))
        return AcceptedMedia(codecs=codecs, direction="recvonly", rids=rids)

    accepted = _accept_each(offer, accept)
    return _negotiated(offer, accepted, streams=tuple(streams), wants=())


def negotiate_play(offer: SessionDescription) -> Negotiated:
    """Take the first audio and the first video m-line that a player receives, with every codec that we carry.

    Raises:
        UnacceptableOfferError: there is neither.
    """
    wants: list[Want] = []

    def accept(media: MediaSection, kind: Kind) -> AcceptedMedia | None:
        codecs = tuple(select_play_codecs(media)) if media.direction in {"recvonly", "sendrecv"} else ()
        if not codecs:
            return None
        rids = media.simulcast.get("recv", ())[:MAX_LAYERS] if kind == "video" else ()
        rtx = rtx_payload_types(media, codecs) if kind == "video" and not rids else {}
        rtx_ssrc = new_ssrc()
        layers = [None] if not rids else range(len(rids))
        taken = [
            Want(kind=kind, codecs=codecs, ssrc=new_ssrc(), layer=layer, rtx_ssrc=rtx_ssrc, rtx_payload_types=rtx)
            for layer in layers
        ]
        wants.extend(taken)
        payload_types = {*rtx.values(), *(codec.payload_type for codec in codecs)}
        return AcceptedMedia(
            codecs=tuple(codec for codec in media.codecs if codec.payload_type in payload_types),
            direction="sendonly",
            ssrcs=[want.ssrc for want in taken],
            rtx_ssrc=rtx_ssrc if rtx else None,
            rids=rids,
            cname=CNAME,
            msid=f"{CNAME} {kind}",
        )

    accepted = _accept_each(offer, accept)
    return _negotiated(offer, accepted, streams=(), wants=tuple(wants))


def layers_by_rid(media: MediaSection, codecs: tuple[Codec, ...], rids: Sequence[str]) -> list[Stream]:
    """The streams of an m-line whose packets say to which layer they belong."""
    extension = next(number for number, uri in media.extmap.items() if uri == RID_EXTENSION)
    return [
        Stream(kind="video", codecs=codecs, layer=layer, rid=rid, rid_extension=extension)
        for layer, rid in enumerate(rids)
    ]


def layers_by_ssrc(media: MediaSection, kind: Kind, codecs: tuple[Codec, ...]) -> list[Stream]:
    """The streams of an m-line that names the SSRCs of its layers, or has one layer only."""
    layers = media.simulcast_ssrcs[:MAX_LAYERS] if kind == "video" else ()
    if not layers:
        return [Stream(kind=kind, codecs=codecs, ssrcs=media.media_ssrcs)]
    return [Stream(kind=kind, codecs=codecs, ssrcs=(ssrc,), layer=layer) for layer, ssrc in enumerate(layers)]


def _accept_each(
    offer: SessionDescription, accept: Callable[[MediaSection, Kind], AcceptedMedia | None]
) -> tuple[AcceptedMedia, ...]:
    taken: set[str] = set()
    accepted = []
    for media in offer.media:
        answer = None
        for kind in KINDS:
            if media.kind == kind and kind not in taken and not media.rejected:
                answer = accept(media, kind)
        if answer is not None:
            taken.add(media.kind)
        accepted.append(answer or AcceptedMedia(codecs=(), direction="inactive"))
    if not taken:
        raise UnacceptableOfferError("the offer has no audio or video that this relay can carry")
    return tuple(accepted)


def _negotiated(
    offer: SessionDescription,
    accepted: tuple[AcceptedMedia, ...],
    *,
    streams: tuple[Stream, ...],
    wants: tuple[Want, ...],
) -> Negotiated:
    # Under BUNDLE the transport is that of the first accepted m-line (RFC 8843 section 7.3).
    first = next(media for media, answer in zip(offer.media, accepted, strict=True) if answer.direction != "inactive")
    if not first.ice_ufrag or not first.ice_pwd:
        raise UnacceptableOfferError("the offer has no ICE credentials")
    if first.fingerprint is None:
        raise UnacceptableOfferError("the offer has no DTLS fingerprint")
    return Negotiated(
        local=new_credentials(),
        remote=IceCredentials(first.ice_ufrag, first.ice_pwd),
        remote_fingerprint=first.fingerprint,
        accepted=accepted,
        streams=streams,
        wants=wants,
    )
