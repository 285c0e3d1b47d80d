"""The fast fan-out: peers in shards, each with its own thread, which runs the compiled kernel.

Whoever receives packets never waits for whoever sends them. A call on the event loop only puts a command into the queue
of a shard; the shard's thread takes commands in order and alone touches its tables, so there is no lock around the
kernel, and each output sees additions, bursts, resends and removals in the order of the calls.

A burst is cut into runs, sealed and copied on the event loop, once for all shards (12 KB for a frame of 8 packets, some
microseconds), because the ring comes round while a shard still sends: a copy that nobody writes again needs no
reckoning of who still reads what. A resend is copied in the same way, at the time of the call, and so carries the bytes
of the first sending.
"""

from __future__ import annotations

import socket
from collections import Counter
from collections.abc import Sequence
from functools import partial

from relay.core.packet_cache import PacketCache
from relay.core.srtp import SrtpKeys, derive_rtcp_session_keys, derive_session_keys
from relay.fanout import layout
from relay.fanout.compiling import compiling_alone
from relay.fanout.interface import NOTHING_SENT, Address, FanOutTotals, OutputTotals, PeerSlot, Tail, TrackSlot
from relay.fanout.libcrypto import LibCrypto
from relay.fanout.shard import Shard
from relay.fanout.shard_queue import ShardQueue


class _Peer:
    __slots__ = ("outputs", "row", "shard")

    def __init__(self, shard: int, row: int) -> None:
        self.shard = shard
        self.row = row
        self.outputs: dict[TrackSlot, int] = {}


class KernelFanOut:
    """Implements `relay.fanout.interface.FanOut` with the compiled kernel, on a UDP socket that stays the caller's.

    Counters of outputs and of the whole lag behind by what still waits in the queues.
    """

    _shard_type = Shard  # a benchmark measures another kernel in the same place

    def __init__(self, sock: socket.socket, *, threads: int = 1) -> None:
        """Load libcrypto, compile the kernel or read it from disk, and start the threads.

        Args:
            sock: a bound UDP socket, IPv4 or IPv6; it outlives the fan-out.
            threads: shards, each with a thread; 0 for one shard that sends within the call.

        Raises:
            KernelUnavailableError: libcrypto cannot be used here.
        """
        self._family = sock.family
        self._libcrypto = LibCrypto()
        self._shards = [self._shard_type(sock, self._libcrypto) for _ in range(max(threads, 1))]
        with compiling_alone():
            for shard in self._shards:
                shard.load()
        self._queues = [
            ShardQueue(name=f"fan-out-{number}", threaded=threads > 0) for number in range(len(self._shards))
        ]
        self._peers_of_shard = [0] * len(self._shards)
        self._peers: dict[PeerSlot, _Peer] = {}
        self._outputs_of_track: dict[TrackSlot, Counter[int]] = {}  # how many of a track's outputs a shard has
        self._nobody: Counter[int] = Counter()

    def add_peer(self, peer: PeerSlot, address: Address, keys: SrtpKeys) -> None:
        """Know a peer: where it is and with which key to encrypt for it.

        Raises:
            ValueError: the address is not numeric (our own bug).
        """
        where = layout.socket_address(address, self._family)
        known = self._peers.get(peer)
        if known is None:
            shard = self._peers_of_shard.index(min(self._peers_of_shard))
            self._peers_of_shard[shard] += 1
            known = self._peers[peer] = _Peer(shard, self._shards[shard].peer_rows.take())
        sessions = (derive_session_keys(keys), derive_rtcp_session_keys(keys))
        change = partial(
            self._shards[known.shard].set_peer,
            known.row,
            layout.COUNTER_MODE if keys.profile.auth_key_length else layout.AEAD,
            [self._libcrypto.new_keys(session, keys.profile) for session in sessions],
            where,
        )
        self._queues[known.shard].change(change)

    def set_address(self, peer: PeerSlot, address: Address) -> None:
        """ICE validated another address for the peer; an unknown peer is ignored."""
        known = self._peers.get(peer)
        if known is not None:
            where = layout.socket_address(address, self._family)
            self._queues[known.shard].change(partial(self._shards[known.shard].set_address, known.row, where))

    def remove_peer(self, peer: PeerSlot) -> None:
        """Forget a peer and all its outputs; its key is wiped when what was to be sent before has been sent."""
        known = self._peers.get(peer)
        if known is None:
            return
        for track in list(known.outputs):
            self.remove_output(track, peer)
        del self._peers[peer]
        self._peers_of_shard[known.shard] -= 1
        self._queues[known.shard].change(partial(self._shards[known.shard].remove_peer, known.row))

    def add_output(
        self,
        track: TrackSlot,
        peer: PeerSlot,
        *,
        ssrc: int,
        payload_type: int,
        index_offset: int,
        timestamp_offset: int = 0,
        sent_before: OutputTotals = NOTHING_SENT,
    ) -> None:
        """Send `track` to `peer` from the next burst on; an output that exists begins anew.

        Raises:
            KeyError: the peer is unknown (our own bug).
        """
        known = self._peers[peer]
        self.remove_output(track, peer)
        shard = self._shards[known.shard]
        row = known.outputs[track] = shard.output_rows.take()
        self._outputs_of_track.setdefault(track, Counter())[known.shard] += 1
        self._queues[known.shard].change(
            partial(
                shard.add_output,
                track,
                row,
                known.row,
                ssrc,
                payload_type,
                index_offset,
                timestamp_offset,
                sent_before,
            )
        )

    def remove_output(self, track: TrackSlot, peer: PeerSlot) -> None:
        """Stop sending `track` to `peer` after what waits; unknown outputs are ignored."""
        known = self._peers.get(peer)
        row = known.outputs.pop(track, None) if known is not None else None
        if known is None or row is None:
            return
        outputs = self._outputs_of_track[track]
        outputs[known.shard] -= 1
        if not outputs.total():
            del self._outputs_of_track[track]
        self._queues[known.shard].change(partial(self._shards[known.shard].remove_output, track, row))

    def send_burst(
        self, track: TrackSlot, cache: PacketCache, indexes: Sequence[int], tail: Tail | None = None
    ) -> None:
        """Send these packets to every output of the track, and the tail to those of its own; returns at once."""
        outputs = self._outputs_of_track.get(track, self._nobody)
        if tail is None and not outputs:
            cache.equalise(indexes)  # a burst is sealed when it was due, whoever was there
            return
        burst = layout.copy_burst(cache, indexes)
        packets: int = burst.shape[0]
        riders = self._nobody
        behind: layout.Burst | None = None
        if tail is not None:
            riders = self._outputs_of_track.get(tail.track, self._nobody)
            behind = layout.copy_burst(tail.cache, [tail.index])
        for number, queue in enumerate(self._queues):
            count, riding = outputs[number], riders[number]
            if count or riding:
                tail_track = tail.track if tail is not None else None
                command = partial(self._shards[number].send_to_track, track, burst, tail_track, behind)
                queue.burst(command, packets=packets * count + riding, outputs=count + riding)

    def resend(self, track: TrackSlot, peer: PeerSlot, cache: PacketCache, indexes: Sequence[int]) -> int:
        """Send packets again to one output, byte for byte as the first time. Returns how many the cache still had."""
        known = self._peers.get(peer)
        row = known.outputs.get(track) if known is not None else None
        if known is None or row is None:
            return 0
        burst = layout.copy_burst(cache, indexes)
        packets: int = burst.shape[0]
        command = partial(self._shards[known.shard].send_to_output, row, burst)
        self._queues[known.shard].resend(command, packets=packets)
        return packets

    def send_report(
        self,
        track: TrackSlot,
        *,
        ntp_timestamp: int,
        rtp_timestamp: int,
        cname: str,
        peer: PeerSlot | None = None,
        appended: bytes = b"",
    ) -> None:
        """Send a sender report, the CNAME and what is appended to every output of the track, or to one.

        Returns before they are sent.
        """
        outputs = self._outputs_of_track.get(track)
        if outputs is None:
            return
        report = layout.report_template(ntp_timestamp, cname, appended)
        if peer is not None:
            known = self._peers.get(peer)
            row = known.outputs.get(track) if known is not None else None
            if known is not None and row is not None:
                send = self._shards[known.shard].send_report_to_output
                self._queues[known.shard].change(partial(send, row, report, rtp_timestamp))
            return
        for shard, count in outputs.items():
            if count:
                self._queues[shard].change(partial(self._shards[shard].send_report, track, report, rtp_timestamp))

    def output_totals(self, track: TrackSlot, peer: PeerSlot) -> OutputTotals:
        """Counters of one output; zero for an unknown one."""
        known = self._peers.get(peer)
        row = known.outputs.get(track) if known is not None else None
        return OutputTotals() if known is None or row is None else self._shards[known.shard].output_totals(row)

    def totals(self) -> FanOutTotals:
        """Counters of all outputs."""
        sums = [sum(shard.count(counter) for shard in self._shards) for counter in range(layout.COUNTERS)]
        return FanOutTotals(
            packets_sent=sums[layout.PACKETS_SENT],
            bytes_sent=sums[layout.BYTES_SENT],
            sends=sums[layout.SENDS],
            packets_dropped=sums[layout.PACKETS_DROPPED] + sum(queue.packets_dropped for queue in self._queues),
            bursts_dropped=sums[layout.BURSTS_DROPPED] + sum(queue.bursts_dropped for queue in self._queues),
            send_errors=sums[layout.SEND_ERRORS],
            reports_sent=sums[layout.REPORTS_SENT],
            reports_dropped=sums[layout.REPORTS_DROPPED],
        )

    def wait_idle(self, timeout_s: float = 10.0) -> bool:
        """Wait until all that was asked for is done; for tests and measurements. False when that took too long."""
        return all(queue.wait_idle(timeout_s) for queue in self._queues)

    def close(self) -> None:
        """End the threads and wipe all keys; what waits is dropped. The socket belongs to the caller."""
        for queue in self._queues:
            queue.close()
        for shard in self._shards:
            shard.wipe()
        self._peers.clear()
        self._outputs_of_track.clear()
