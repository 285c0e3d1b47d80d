"""One shard of a fan-out: some of the peers with all their outputs, in tables that one thread alone changes.

Every method runs on the shard's thread, save `output_totals`, `count` and `rows`, which the event loop may ask at any
time: they read counters that only grow, and lag behind by what still waits.
"""

from __future__ import annotations

import socket
from collections import deque
from collections.abc import Callable, Sequence
from typing import ClassVar

import numpy as np

from relay.core.packet_cache import PacketCache
from relay.fanout.compiling import entry_point
from relay.fanout.interface import OutputTotals, TrackSlot
from relay.fanout.kernel import fan_out, send_reports
from relay.fanout.layout import (
    ADDRESS_BYTES,
    COUNTERS,
    INET_BYTES,
    RTCP,
    RTP,
    SALT_BYTES,
    Burst,
    Ints,
    Octets,
    copy_burst,
    new_outputs,
    new_peers,
    new_scratch,
    outputs_with,
    peers_with,
    report_template,
)
from relay.fanout.libcrypto import LibCrypto, PeerKeys


class Rows:
    """Numbers of table rows: taken by the event loop, given back by the shard's thread once a row is wiped."""

    def __init__(self) -> None:
        self._free: deque[int] = deque()
        self._next = 0

    def take(self) -> int:
        """A row that is zero."""
        try:
            return self._free.popleft()
        except IndexError:
            self._next += 1
            return self._next - 1

    def give_back(self, row: int) -> None:
        """The row is zero again."""
        self._free.append(row)


class Shard:
    """Tables and kernel calls of one shard.

    Attributes:
        fan_out: what sends; a benchmark measures another in the same place.
        peer_rows: rows of the table of peers.
        output_rows: rows of the table of outputs.
    """

    fan_out: ClassVar[Callable[..., None]] = staticmethod(fan_out)

    def __init__(self, sock: socket.socket, libcrypto: LibCrypto) -> None:
        self.peer_rows = Rows()
        self.output_rows = Rows()
        self._fd = sock.fileno()
        self._address_length = INET_BYTES if sock.family == socket.AF_INET else ADDRESS_BYTES
        self._libcrypto = libcrypto
        self._peers = new_peers()
        self._outputs = new_outputs()
        self._scratch = new_scratch()
        self._counters = np.zeros(COUNTERS, dtype=np.int64)
        self._tracks: dict[TrackSlot, dict[int, None]] = {}  # rows of outputs, in the order of their addition
        self._rows_of_track: dict[TrackSlot, Ints] = {}  # the same as arrays, made when a burst asks
        self._tails: dict[tuple[TrackSlot, TrackSlot], tuple[Ints, Ints]] = {}  # made when a burst with a tail asks
        self._no_rows, self._no_tail = np.zeros(0, dtype=np.int64), copy_burst(PacketCache(1), [])
        self._fan_out: Callable[..., None] = self.fan_out
        self._send_reports: Callable[..., None] = send_reports

    def load(self) -> None:
        """Compile the kernel, or read it from disk; to be called before the first send, with the shard's own tables."""
        self.send(self._no_rows, self._no_tail)
        self.send_reports(self._no_rows, report_template(0, ""), 0)
        self._fan_out = entry_point(self.fan_out)
        self._send_reports = entry_point(send_reports)

    # --- the shard's thread ------------------------------------------------------------------------------------------

    def set_peer(self, row: int, protection: int, keys: Sequence[PeerKeys], address: bytes) -> None:
        """Write a peer, with its keys for RTP and RTCP; what stood there is wiped."""
        self._peers = peers_with(self._peers, row)
        self._wipe_peer(row)
        peers = self._peers
        peers.protections[row] = protection
        for protocol, key in zip((RTP, RTCP), keys, strict=True):
            peers.ciphers[row, protocol] = key.cipher
            peers.salts[row, protocol] = np.frombuffer(key.salt.ljust(SALT_BYTES, b"\0"), dtype=np.int64)
            peers.hmac_states[row, protocol] = np.frombuffer(key.hmac_states, dtype=np.uint8)
        peers.addresses[row] = np.frombuffer(address, dtype=np.uint8)

    def set_address(self, row: int, address: bytes) -> None:
        """The peer is elsewhere now."""
        self._peers.addresses[row] = np.frombuffer(address, dtype=np.uint8)

    def remove_peer(self, row: int) -> None:
        """Wipe a peer without outputs."""
        self._wipe_peer(row)
        self.peer_rows.give_back(row)

    def add_output(
        self,
        track: TrackSlot,
        row: int,
        peer_row: int,
        ssrc: int,
        payload_type: int,
        index_offset: int,
        timestamp_offset: int,
        sent_before: OutputTotals,
    ) -> None:
        """Write an output into a row that is zero."""
        self._outputs = outputs_with(self._outputs, row)
        outputs = self._outputs
        outputs.peers[row] = peer_row
        outputs.ssrcs[row] = ssrc
        outputs.payload_types[row] = payload_type
        outputs.index_offsets[row] = index_offset
        outputs.timestamp_offsets[row] = timestamp_offset
        outputs.packets_before[row] = sent_before.packets
        outputs.octets_before[row] = sent_before.octets
        self._tracks.setdefault(track, {})[row] = None
        self._forget_rows(track)

    def remove_output(self, track: TrackSlot, row: int) -> None:
        """Wipe an output."""
        rows = self._tracks[track]
        del rows[row]
        if not rows:
            del self._tracks[track]
        self._forget_rows(track)
        for array in self._outputs:
            array[row] = 0
        self.output_rows.give_back(row)

    def send_to_track(
        self, track: TrackSlot, burst: Burst, tail_track: TrackSlot | None = None, tail: Burst | None = None
    ) -> None:
        """Send a burst to every output of a track, and a tail to every output of its own."""
        if tail_track is None or tail is None or not tail.shape[0]:
            self.send(self._rows_of(track), burst)
            return
        rows = self._rows_of(track)
        tail_rows, others = self._tails_of(track, tail_track)
        self._send(rows, tail_rows, burst, tail)
        if others.shape[0]:
            self.send(others, tail)

    def send_to_output(self, row: int, burst: Burst) -> None:
        """Send a burst to one output."""
        self.send(np.array([row], dtype=np.int64), burst)

    def send(self, rows: Ints, burst: Burst) -> None:
        """Send a burst to these outputs."""
        self._send(rows, self._no_rows, burst, self._no_tail)

    def send_report(self, track: TrackSlot, report: Octets, rtp_timestamp: int) -> None:
        """Send a sender report to every output of a track."""
        self.send_reports(self._rows_of(track), report, rtp_timestamp)

    def send_report_to_output(self, row: int, report: Octets, rtp_timestamp: int) -> None:
        """Send a sender report to one output."""
        self.send_reports(np.array([row], dtype=np.int64), report, rtp_timestamp)

    def send_reports(self, rows: Ints, report: Octets, rtp_timestamp: int) -> None:
        """Send a sender report to these outputs, see `relay.fanout.kernel.send_reports`."""
        self._send_reports(
            self._fd,
            self._address_length,
            rows,
            self._outputs,
            self._peers,
            report,
            rtp_timestamp,
            self._scratch,
            self._counters,
        )

    def wipe(self) -> None:
        """Forget everything save the counters; nothing can be sent any more."""
        self._fd = -1  # the socket may be closed next, and its number given to another file
        for row in range(self._peers.protections.shape[0]):
            self._wipe_peer(row)
        self._outputs = new_outputs()
        self._tracks.clear()
        self._rows_of_track.clear()
        self._tails.clear()
        for array in (self._scratch.datagrams, self._scratch.hmac_state, self._scratch.nonce):
            array[:] = 0

    def _forget_rows(self, track: TrackSlot) -> None:
        self._rows_of_track.pop(track, None)
        self._tails.clear()

    def _send(self, rows: Ints, tail_rows: Ints, burst: Burst, tail: Burst) -> None:
        self._fan_out(
            self._fd,
            self._address_length,
            rows,
            tail_rows,
            self._outputs,
            self._peers,
            burst,
            tail,
            self._scratch,
            self._counters,
        )

    def _tails_of(self, track: TrackSlot, tail_track: TrackSlot) -> tuple[Ints, Ints]:
        """For each output of a track the row of its peer's output of another, or -1; and those whose peer has none."""
        found = self._tails.get((track, tail_track))
        if found is None:
            peer_of = self._outputs.peers
            left = {int(peer_of[row]): row for row in self._tracks.get(tail_track, ())}
            tails = [left.pop(int(peer_of[row]), -1) for row in self._tracks.get(track, ())]
            found = (np.array(tails, dtype=np.int64), np.array(list(left.values()), dtype=np.int64))
            self._tails[track, tail_track] = found
        return found

    def _rows_of(self, track: TrackSlot) -> Ints:
        rows = self._rows_of_track.get(track)
        if rows is None:
            rows = np.fromiter(self._tracks.get(track, ()), dtype=np.int64)
            self._rows_of_track[track] = rows
        return rows

    def _wipe_peer(self, row: int) -> None:
        for cipher in self._peers.ciphers[row].tolist():
            self._libcrypto.free_cipher(cipher)
        for array in self._peers:
            array[row] = 0

    # --- the event loop ----------------------------------------------------------------------------------------------

    def output_totals(self, row: int) -> OutputTotals:
        """Counters of an output."""
        outputs = self._outputs
        if row >= outputs.packets.shape[0]:
            return OutputTotals()  # the thread has not come to it yet
        return OutputTotals(packets=int(outputs.packets[row]), octets=int(outputs.octets[row]))

    def count(self, counter: int) -> int:
        """One of the counters that `relay.fanout.layout` numbers."""
        return int(self._counters[counter])
