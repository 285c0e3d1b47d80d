"""Session descriptions of WHIP and WHEP: the public names of the parser, the serialiser and offer/answer.

Values are in `session_description`, reading in `sdp_parser`, writing in `sdp_serializer`, and what a relay offers and
answers in `offer_answer`.
"""

from __future__ import annotations

from relay.wire.offer_answer import (
    RID_EXTENSION,
    AcceptedMedia,
    build_answer,
    build_play_offer,
    is_carried,
    match_codec,
    play_codecs,
    red_payload_types,
    select_play_codecs,
    select_publish_codecs,
    select_publish_rids,
)
from relay.wire.sdp_parser import parse_session
from relay.wire.sdp_serializer import serialize_candidate, serialize_session
from relay.wire.session_description import (
    Candidate,
    Codec,
    Direction,
    Fingerprint,
    MediaSection,
    Rid,
    SessionDescription,
    Setup,
    host_candidate,
)

__all__ = [
    "RID_EXTENSION",
    "AcceptedMedia",
    "Candidate",
    "Codec",
    "Direction",
    "Fingerprint",
    "MediaSection",
    "Rid",
    "SessionDescription",
    "Setup",
    "build_answer",
    "build_play_offer",
    "host_candidate",
    "is_carried",
    "match_codec",
    "parse_session",
    "play_codecs",
    "red_payload_types",
    "select_play_codecs",
    "select_publish_codecs",
    "select_publish_rids",
    "serialize_candidate",
    "serialize_session",
]
