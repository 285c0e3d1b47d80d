"""What a swarm reports: figures over all its receivers. Pure."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence

import msgspec

from relay.swarm.receiver import Milestones, Outcome, Receiver


class Spread(msgspec.Struct, frozen=True):
    """Nearest-rank percentiles of some figures; all null of none."""

    count: int
    p50: float | None = None
    p95: float | None = None
    p99: float | None = None
    max: float | None = None


class SwarmTotals(msgspec.Struct, frozen=True):
    """Counts over all receivers up to a moment; differences of two give the figures of a window.

    Attributes:
        packets: different RTP packets delivered.
        octets: of all datagrams, without IP and UDP headers.
        lost: gaps that were not filled.
        duplicates: packets delivered more than once, each time beyond the first.
        reordered: delivered after a later one.
        opened: packets whose authentication was checked.
        unauthentic: packets that failed it.
        unknown: malformed datagrams, and media that no negotiation covers.
        dropped_here: datagrams that the swarm's own sockets had no room for; they are part of `lost`.
    """

    packets: int = 0
    octets: int = 0
    lost: int = 0
    duplicates: int = 0
    reordered: int = 0
    opened: int = 0
    unauthentic: int = 0
    unknown: int = 0
    dropped_here: int = 0

    def since(self, earlier: SwarmTotals) -> SwarmTotals:
        """What came after an earlier moment."""
        names = self.__struct_fields__
        return SwarmTotals(**{name: getattr(self, name) - getattr(earlier, name) for name in names})

    @property
    def loss(self) -> float:
        """Share of the expected packets that did not come."""
        expected = self.packets + self.lost
        return self.lost / expected if expected else 0.0


class SwarmSummary(msgspec.Struct, frozen=True, kw_only=True):
    """The end of a swarm.

    Attributes:
        url: of the endpoint.
        receivers: that were asked for.
        connected: that had ICE and DTLS, whatever came afterwards.
        failed: that never had.
        lost: that were connected and ended without our doing.
        silent: connected to the last, and without media there.
        reasons: why those failed or were lost, with how many.
        held_s: length of the measured window, from the last join to the first leave.
        packets: delivered, from each receiver's first one on; see `SwarmTotals` for this and the next ones.
        octets: see above.
        packets_lost: see above.
        loss: share of the expected packets that did not come.
        duplicates: see above.
        reordered: see above.
        packets_opened: see above.
        packets_unauthentic: see above.
        packets_unknown: see above.
        packets_dropped_here: see above.
        packets_per_s: over the measured window.
        bits_per_s: over the measured window.
        cpu_s: processor time of the swarm itself in the measured window.
        us_per_packet: the same per packet delivered in it; null without any.
        srtp_profiles: what DTLS negotiated, with how many.
        setup_ms: from the request to each step: `answered`, `path`, `connected`, `first_packet`, `first_keyframe`.
        jitter_ms: at the end, over the streams of each kind (RFC 3550, once per timestamp).
    """

    url: str
    receivers: int
    connected: int
    failed: int
    lost: int
    silent: int
    reasons: dict[str, int]
    held_s: float
    packets: int
    octets: int
    packets_lost: int
    loss: float
    duplicates: int
    reordered: int
    packets_opened: int
    packets_unauthentic: int
    packets_unknown: int
    packets_dropped_here: int
    packets_per_s: float
    bits_per_s: float
    cpu_s: float
    us_per_packet: float | None
    srtp_profiles: dict[str, int]
    setup_ms: dict[str, Spread]
    jitter_ms: dict[str, Spread]

    @property
    def complaint(self) -> str:
        """One clause on what went wrong, "" where every receiver connected and got media to the end."""
        parts = []
        if self.failed:
            parts.append(f"{self.failed}/{self.receivers} không nối được (could not connect)")
        if self.lost:
            parts.append(f"{self.lost} mất kết nối (lost)")
        if self.silent:
            parts.append(f"{self.silent} không nhận được gì ở cuối (without media at the end)")
        why = ", ".join(f"{reason}: {count}" for reason, count in sorted(self.reasons.items()))
        return "; ".join(parts) + (f" [{why}]" if parts and why else "")


def spread(values: Iterable[float]) -> Spread:
    """Percentiles of some figures, rounded to a hundredth."""
    ordered = sorted(values)
    if not ordered:
        return Spread(0)

    def rank(share: float) -> float:
        return round(ordered[max(0, math.ceil(share * len(ordered)) - 1)], 2)

    return Spread(len(ordered), rank(0.5), rank(0.95), rank(0.99), round(ordered[-1], 2))


def add_up(receivers: Iterable[Receiver]) -> SwarmTotals:
    """Counts over these receivers up to now."""
    packets = octets = lost = duplicates = reordered = opened = unauthentic = unknown = dropped_here = 0
    for receiver in receivers:
        octets += receiver.octets
        opened += receiver.packets_opened
        unauthentic += receiver.packets_unauthentic
        unknown += receiver.packets_unknown
        dropped_here += receiver.dropped_here
        for stream in receiver.streams:
            packets += stream.delivered
            lost += stream.lost
            duplicates += stream.duplicates
            reordered += stream.reordered
    return SwarmTotals(packets, octets, lost, duplicates, reordered, opened, unauthentic, unknown, dropped_here)


def summarise(
    url: str,
    receivers: Sequence[Receiver],
    refusals: Sequence[str],
    *,
    window: SwarmTotals,
    held_s: float,
    cpu_s: float,
    now: float,
) -> SwarmSummary:
    """Make the summary, before anybody leaves.

    Args:
        url: of the endpoint.
        receivers: those that got an answer.
        refusals: reasons of those that got none.
        window: what was delivered in the measured window.
        held_s: its length.
        cpu_s: processor time that the swarm took in it.
        now: on the swarm's clock.
    """
    failed = [receiver for receiver in receivers if receiver.at.connected_s is None]
    lost = [receiver for receiver in receivers if receiver.outcome is Outcome.LOST]
    totals = add_up(receivers)
    reasons = Counter(refusals)
    reasons.update(receiver.reason or "handshake_unfinished" for receiver in failed)
    reasons.update(receiver.reason for receiver in lost)
    return SwarmSummary(
        url=url,
        receivers=len(receivers) + len(refusals),
        connected=len(receivers) - len(failed),
        failed=len(failed) + len(refusals),
        lost=len(lost),
        silent=sum(receiver.outcome is Outcome.CONNECTED and receiver.is_silent(now) for receiver in receivers),
        reasons=dict(reasons),
        held_s=round(held_s, 3),
        packets=totals.packets,
        octets=totals.octets,
        packets_lost=totals.lost,
        loss=round(totals.loss, 6),
        duplicates=totals.duplicates,
        reordered=totals.reordered,
        packets_opened=totals.opened,
        packets_unauthentic=totals.unauthentic,
        packets_unknown=totals.unknown,
        packets_dropped_here=totals.dropped_here,
        packets_per_s=round(window.packets / held_s, 1) if held_s > 0 else 0.0,
        bits_per_s=round(8 * window.octets / held_s) if held_s > 0 else 0,
        cpu_s=round(cpu_s, 3),
        us_per_packet=round(cpu_s * 1e6 / window.packets, 2) if window.packets > 0 else None,
        srtp_profiles=dict(Counter(receiver.srtp_profile for receiver in receivers if receiver.srtp_profile)),
        setup_ms=_setup([receiver.at for receiver in receivers]),
        jitter_ms={
            kind: spread(s.jitter_ms for receiver in receivers for s in receiver.streams if s.kind == kind)
            for kind in ("audio", "video")
        },
    )


def _setup(milestones: Sequence[Milestones]) -> dict[str, Spread]:
    steps = {}
    for step in ("answered", "path", "connected", "first_packet", "first_keyframe"):
        times = [(at.asked_s, getattr(at, f"{step}_s")) for at in milestones]
        steps[step] = spread((reached - asked) * 1000 for asked, reached in times if reached is not None)
    return steps
