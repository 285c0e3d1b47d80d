"""Who sends what to whom inside one relay: feeds, their sources, their subscribers, and the RTCP between them.

Sans-IO: packets and parsed RTCP come in, bursts leave through the fan-out, RTCP leaves through `rtcp_to_send`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import msgspec

from relay.core.company import Company
from relay.core.feed import MAX_LAYERS, Feed, FeedKey, Stream, Want
from relay.core.inbound import Kind
from relay.core.layer_selector import AUDIO_ONLY
from relay.core.nack_register import REORDER_TOLERANCE_S
from relay.core.source import OUR_SSRC, Source
from relay.core.subscriber import Subscriber
from relay.core.track import Track
from relay.fanout.interface import FanOut, PeerSlot, TrackSlot
from relay.wire import rtcp
from relay.wire.extended_report import ReceiverReferenceTime
from relay.wire.rtp import parse_rtp_header

CLOCK_RATES: dict[Kind, int] = {"audio": 48_000, "video": 90_000}
REPORT_INTERVAL_S = 1.0
KEYFRAME_INTERVAL_S = 1.0  # a source is asked for at most one keyframe in so long
LADDER_INTERVAL_S = 0.25  # a layer that ceased is noticed within so long
LAYERS: dict[Kind, int] = {"audio": 1, "video": MAX_LAYERS}


class RouterTotals(msgspec.Struct, kw_only=True):
    """Counters since the start."""

    packets_received: int = 0
    packets_unrouted: int = 0
    nacks_received: int = 0
    nacks_sent: int = 0
    packets_resent: int = 0
    plis_received: int = 0
    plis_sent: int = 0
    layer_switches: Counter[str] = msgspec.field(default_factory=Counter)  # by direction


class Router:
    """Feeds of one relay. Peers are known by the slot that the fan-out knows them by."""

    def __init__(self, fanout: FanOut, *, publisher_bitrate_bps: int, hold_s: float = 0.0) -> None:
        """Make an empty router.

        Args:
            fanout: sends bursts; its peers are added and removed by the caller.
            publisher_bitrate_bps: what a publisher is told that it may send (REMB).
            hold_s: so long sound and picture may wait for each other on the way to halls, see `relay.core.company`.
        """
        self._fanout = fanout
        self._publisher_bitrate_bps = publisher_bitrate_bps
        self._hold_s = hold_s
        self._feeds: dict[FeedKey, Feed] = {}
        self._sources: dict[PeerSlot, Source] = {}
        self._subscribers: dict[PeerSlot, Subscriber] = {}
        self._next_track = 0
        self._next_report_s = 0.0
        self._next_ladder_s = 0.0
        self._due_s = 0.0
        self._rtcp: list[tuple[PeerSlot, list[rtcp.RtcpPacket]]] = []
        self.totals = RouterTotals()

    # --- who is here ---------------------------------------------------------------------------------------------

    def feeds(self) -> list[Feed]:
        """All feeds that anybody published or asked for."""
        return list(self._feeds.values())

    def packets_unlike(self) -> int:
        """Packets that two sources of a feed sent differently under one number."""
        return sum(track.packets_unlike for feed in self._feeds.values() for track in feed.tracks)

    def feed(self, key: FeedKey) -> Feed:
        """The feed of this name, made at its first mention."""
        feed = self._feeds.get(key)
        if feed is None:
            company = Company(self._hold_s)
            feed = self._feeds[key] = Feed(
                key, {kind: [self._new_track(kind, company) for _ in range(count)] for kind, count in LAYERS.items()}
            )
        return feed

    def drop_conference(self, conference: str) -> list[PeerSlot]:
        """Forget a conference's feeds. Returns the peers that were part of it, for the caller to close."""
        peers: list[PeerSlot] = []
        for key in [key for key in self._feeds if key[0] == conference]:
            feed = self._feeds.pop(key)
            peers += [*feed.sources, *feed.subscribers]
        for peer in peers:
            self.remove_peer(peer)
        return peers

    def add_source(self, peer: PeerSlot, key: FeedKey, streams: Sequence[Stream], *, is_publisher: bool) -> None:
        """A publisher or a parent relay will send this feed."""
        feed = self.feed(key)
        bitrate = self._publisher_bitrate_bps if is_publisher else 0
        self._sources[peer] = Source(peer, feed, streams, bitrate_bps=bitrate)
        feed.sources.append(peer)

    def set_rtt(self, peer: PeerSlot, rtt_s: float) -> None:
        """The round trip to a source, which NACKs keep apart; unknown peers are ignored."""
        source = self._sources.get(peer)
        if source is not None:
            source.rtt_s = rtt_s
            for track in source.feed.tracks:
                track.nacks.rtt_s = max(self._sources[other].rtt_s for other in source.feed.sources)

    def add_subscriber(
        self,
        peer: PeerSlot,
        key: FeedKey,
        wants: Sequence[Want],
        *,
        active: bool,
        now: float,
        keeps_numbers: bool = False,
    ) -> None:
        """A hall or a child relay takes this feed.

        Args:
            peer: the fan-out knows it by this slot.
            key: the feed.
            wants: what it takes.
            active: false for a standby, which is sent nothing yet.
            now: seconds.
            keeps_numbers: true for a child relay, see `relay.core.output.Output`.
        """
        feed = self.feed(key)
        feed.subscribers.add(peer)
        self._subscribers[peer] = Subscriber(peer, feed, wants, active=active, keeps_numbers=keeps_numbers, now=now)
        self._begin_outputs(feed, now)

    def set_active(self, peer: PeerSlot, *, active: bool, now: float) -> None:
        """Turn a standby into a receiver, or back."""
        subscriber = self._subscribers[peer]
        subscriber.set_active(active=active, now=now)
        self._begin_outputs(subscriber.feed, now)

    def is_receiving(self, peer: PeerSlot) -> bool:
        """True while at least one track flows to this subscriber."""
        subscriber = self._subscribers.get(peer)
        return subscriber is not None and subscriber.is_receiving

    def packets_sent(self, peer: PeerSlot) -> int:
        """Packets sent to this subscriber so far, over all its tracks."""
        subscriber = self._subscribers.get(peer)
        return subscriber.packets_sent if subscriber is not None else 0

    def subscribers_by_layer(self) -> Counter[str]:
        """How many halls are sent the highest layer that flows ("0"), the one below it ("1"), ..., or sound alone."""
        found = Counter({str(rank): 0 for rank in range(MAX_LAYERS)} | {"audio": 0})
        for subscriber in self._subscribers.values():
            rank = subscriber.rank
            if rank is not None:
                found["audio" if rank == AUDIO_ONLY else str(rank)] += 1
        return found

    def remove_peer(self, peer: PeerSlot) -> None:
        """Forget a source or a subscriber."""
        source = self._sources.pop(peer, None)
        if source is not None and peer in source.feed.sources:
            source.feed.sources.remove(peer)
            for track in source.feed.tracks:
                track.inbounds.remove_peer(peer)
        subscriber = self._subscribers.pop(peer, None)
        if subscriber is not None:
            subscriber.feed.subscribers.discard(peer)
            subscriber.remove()

    # --- media ---------------------------------------------------------------------------------------------------

    def handle_rtp(self, peer: PeerSlot, packet: bytes, now: float) -> None:
        """Take a decrypted RTP packet of a source.

        Raises:
            WireError: the packet is malformed.
        """
        header = parse_rtp_header(packet)
        source = self._sources.get(peer)
        inbound = source.by_ssrc.get(header.ssrc) if source is not None else None
        if inbound is None and source is not None:
            inbound = source.recognise(header, packet)
        if source is None or inbound is None or header.payload_type not in inbound.codecs:
            self.totals.packets_unrouted += 1
            return
        self.totals.packets_received += 1
        track = source.feed.layers[inbound.kind][inbound.layer]
        track.handle_packet(inbound, header, packet, now)
        self._wake_by(track.next_deadline())
        if track.nacks.is_waiting:
            self._wake_by(now + REORDER_TOLERANCE_S)
        if track.wants_keyframe or track.nacks.take_keyframe_wanted():
            self._ask_keyframe(track, now)

    def handle_rtcp(self, peer: PeerSlot, packets: Sequence[rtcp.RtcpPacket | rtcp.Unknown], now: float) -> None:
        """Take decrypted, parsed RTCP of a source or a subscriber."""
        source = self._sources.get(peer)
        if source is not None:
            self._handle_source_rtcp(source, packets, now)
        subscriber = self._subscribers.get(peer)
        if subscriber is not None:
            for packet in packets:
                self._handle_subscriber_rtcp(subscriber, packet, now)
            self._choose_layer(subscriber, now)

    # --- time ----------------------------------------------------------------------------------------------------

    def handle_timer(self, now: float) -> None:
        """Flush bursts, ask for missing packets and keyframes, report to sources."""
        self._due_s = float("inf")
        for feed in self._feeds.values():
            for track in feed.tracks:
                track.poll(now)
                if track.keyframes.poll(now):
                    self._send_pli(track, now)
                missing = track.nacks.poll(now)
                if missing:
                    self._send_nack(track, missing, now)
                if track.nacks.is_waiting:
                    self._wake_by(now + REORDER_TOLERANCE_S)
                self._wake_by(track.next_deadline())
                self._wake_by(track.keyframes.next_deadline())
        if now >= self._next_ladder_s:
            self._next_ladder_s = now + LADDER_INTERVAL_S
            self._look_at_layers(now)
        if now >= self._next_report_s:
            self._next_report_s = now + REPORT_INTERVAL_S
            for peer, source in self._sources.items():
                report = source.report(now)
                if report:
                    self._rtcp.append((peer, report))
        self._wake_by(self._next_report_s)

    def next_deadline(self) -> float:
        """When `handle_timer` is due at the latest. Asked after every read, therefore kept and not computed."""
        return self._due_s

    def rtcp_to_send(self) -> list[tuple[PeerSlot, list[rtcp.RtcpPacket]]]:
        """Take the RTCP that waits: (peer, compound packet)."""
        waiting, self._rtcp = self._rtcp, []
        return waiting

    # --- inside --------------------------------------------------------------------------------------------------

    def _wake_by(self, deadline: float | None) -> None:
        if deadline is not None and deadline < self._due_s:
            self._due_s = deadline

    def _new_track(self, kind: Kind, company: Company) -> Track:
        self._next_track += 3
        return Track(
            kind,
            TrackSlot(self._next_track - 2),
            self._fanout,
            catch_up_slot=TrackSlot(self._next_track - 1),
            rtx_slot=TrackSlot(self._next_track),
            clock_rate=CLOCK_RATES[kind],
            keyframe_interval_s=KEYFRAME_INTERVAL_S,
            company=company,
        )

    def _handle_source_rtcp(
        self, source: Source, packets: Sequence[rtcp.RtcpPacket | rtcp.Unknown], now: float
    ) -> None:
        for packet in packets:
            inbound = source.by_ssrc.get(packet.ssrc) if isinstance(packet, rtcp.SenderReport) else None
            if inbound is None or not isinstance(packet, rtcp.SenderReport):
                continue
            inbound.reception.handle_sender_report(packet.ntp_timestamp, now)
            track = source.feed.layers[inbound.kind][inbound.layer]
            is_known = track.handle_sender_report(inbound, packet.ntp_timestamp, packet.rtp_timestamp)
            if is_known and track.inbounds.leads(inbound, now):
                track.pass_sender_report_on()

    def _handle_subscriber_rtcp(
        self, subscriber: Subscriber, packet: rtcp.RtcpPacket | rtcp.Unknown, now: float
    ) -> None:
        match packet:
            case rtcp.GenericNack():
                self.totals.nacks_received += 1
                placement = subscriber.placements.get(packet.media_ssrc)
                if placement is not None:
                    subscriber.handle_nack(packet.lost)
                    self.totals.packets_resent += placement.track.resend(placement.output, packet.lost, now)
            case rtcp.PictureLossIndication():
                self._handle_keyframe_request(subscriber, packet.media_ssrc, now)
            case rtcp.FullIntraRequest():
                for ssrc, _ in packet.entries:
                    self._handle_keyframe_request(subscriber, ssrc, now)
            case rtcp.ReceiverReport() | rtcp.SenderReport():
                subscriber.handle_reports(packet.reports, now)
            case ReceiverReferenceTime():
                subscriber.handle_reference_time(packet, now)
            case rtcp.Remb():
                subscriber.handle_estimate(packet.bitrate_bps, now)

    def _handle_keyframe_request(self, subscriber: Subscriber, ssrc: int, now: float) -> None:
        self.totals.plis_received += 1
        placement = subscriber.placements.get(ssrc)
        if placement is not None and placement.track.kind == "video":
            self._ask_keyframe(placement.track, now)

    # --- layers --------------------------------------------------------------------------------------------------

    def _look_at_layers(self, now: float) -> None:
        for feed in self._feeds.values():
            if feed.measure(now):
                for peer in feed.subscribers:
                    self._choose_layer(self._subscribers[peer], now)
            if feed.is_simulcast:
                self._wake_by(self._next_ladder_s)

    def _choose_layer(self, subscriber: Subscriber, now: float) -> None:
        step = subscriber.choose(now)
        if step > 0:
            self.totals.layer_switches["up"] += 1
        elif step < 0:
            self.totals.layer_switches["down"] += 1
        if step or subscriber.is_moving:
            self._begin_outputs(subscriber.feed, now)

    def _begin_outputs(self, feed: Feed, now: float) -> None:
        for track in feed.tracks:
            self._wake_by(track.next_deadline())
            if track.wants_keyframe:
                self._ask_keyframe(track, now)

    def _ask_keyframe(self, track: Track, now: float) -> None:
        if track.keyframes.request(now):
            self._send_pli(track, now)
        self._wake_by(track.keyframes.next_deadline())

    def _send_pli(self, track: Track, now: float) -> None:
        """Ask one source for a keyframe, or all when none of them has sent anything yet."""
        asked = track.inbounds.next_to_ask(now)
        for inbound in [asked] if asked is not None else track.inbounds.all():
            pli = rtcp.PictureLossIndication(sender_ssrc=OUR_SSRC, media_ssrc=inbound.ssrc)
            self._rtcp.append((inbound.peer, [pli]))
            self.totals.plis_sent += 1

    def _send_nack(self, track: Track, missing: Sequence[int], now: float) -> None:
        asked = track.inbounds.next_to_ask(now)
        if asked is not None and asked.clock is not None:
            lost = tuple(asked.clock.source_sequence_number(number) for number in missing)
            nack = rtcp.GenericNack(sender_ssrc=OUR_SSRC, media_ssrc=asked.ssrc, lost=lost)
            self._rtcp.append((asked.peer, [nack]))
            self.totals.nacks_sent += 1
