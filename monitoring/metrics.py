"""How programs define and feed their metrics.

Every program owns one `Registry`; nothing is registered globally. Names follow Prometheus: `diemcau_<program>_<what>`,
base units (seconds, bytes), `_total` on counters. Labels are small closed sets: never a person, a hall or a conference.

Hot paths keep plain integers. `Families.feed` turns such an integer, read at scrape time, into a metric, so that a
packet never touches a metric object.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping, Sequence

from prometheus_client import CollectorRegistry, Counter, Gauge, GCCollector, Histogram, ProcessCollector
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, InfoMetricFamily, Metric
from prometheus_client.registry import Collector

NAMESPACE = "diemcau"

# Under a millisecond for a batch on an NVMe disk, seconds when a disk is ill.
JOURNAL_BUCKETS_S = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)
# The promise is a picture back within a second after 300 ms of silence; what is above says how far it was missed.
INTERRUPTION_BUCKETS_S = (0.1, 0.2, 0.3, 0.4, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 5.0, 10.0, 30.0)
HTTP_BUCKETS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)

Reading = float | Mapping[str, float] | Mapping[tuple[str, str], float] | Mapping[tuple[str, ...], float]
Source = Callable[[], Reading]


class _Information(Collector):
    """`diemcau_build_info`: which program and version answers."""

    def __init__(self, program: str, version: str) -> None:
        self._labels = {"program": program, "version": version, "python": sys.version.split(maxsplit=1)[0]}

    def collect(self) -> Iterable[Metric]:
        yield InfoMetricFamily(f"{NAMESPACE}_build", "Program, version and interpreter.", value=self._labels)


class _Fed(Collector):
    """One family whose values are read from the program's own integers at scrape time."""

    def __init__(
        self,
        kind: type[CounterMetricFamily | GaugeMetricFamily],
        name: str,
        text: str,
        labels: Sequence[str],
        source: Source,
    ) -> None:
        self._kind = kind
        self._name = name
        self._text = text
        self._labels = tuple(labels)
        self._source = source

    def describe(self) -> Iterable[Metric]:
        yield self._kind(self._name, self._text, labels=self._labels)

    def collect(self) -> Iterable[Metric]:
        family = self._kind(self._name, self._text, labels=self._labels)
        reading = self._source()
        if isinstance(reading, Mapping):
            for key, value in reading.items():
                family.add_metric((key,) if isinstance(key, str) else key, value)
        else:
            family.add_metric((), reading)
        yield family


class Registry:
    """The metrics of one program, with the process's own and the garbage collector's.

    Attributes:
        program: name of the program, for example `relay`.
        collectors: the registry underneath, for a collector of another kind.
    """

    def __init__(self, program: str, version: str = "") -> None:
        self.program = program
        self.collectors = CollectorRegistry()
        ProcessCollector(registry=self.collectors)
        GCCollector(registry=self.collectors)
        self.collectors.register(_Information(program, version))

    def render(self, accept: str = "") -> tuple[bytes, str]:
        """The exposition and its content type, in the format that an `Accept` header prefers."""
        encoder, content_type = choose_encoder(accept)
        return encoder(self.collectors), content_type


class Families:
    """Base of a program's families: makes them, and lets plain integers stand in for them."""

    program = ""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._made: dict[str, tuple[Counter | Gauge, str, tuple[str, ...]]] = {}

    def _full_name(self, name: str) -> str:
        return f"{NAMESPACE}_{self.program}_{name}"

    def _counter(self, name: str, text: str, labels: Sequence[str] = ()) -> Counter:
        made = Counter(self._full_name(name), text, labels, registry=self._registry.collectors)
        self._made[name] = (made, text, tuple(labels))
        return made

    def _gauge(self, name: str, text: str, labels: Sequence[str] = ()) -> Gauge:
        made = Gauge(self._full_name(name), text, labels, registry=self._registry.collectors)
        self._made[name] = (made, text, tuple(labels))
        return made

    def _histogram(self, name: str, text: str, buckets: Sequence[float], labels: Sequence[str] = ()) -> Histogram:
        return Histogram(self._full_name(name), text, labels, registry=self._registry.collectors, buckets=buckets)

    def feed(self, **sources: Source) -> None:
        """Read these families from the program's own counters at scrape time.

        The keyword is the family's attribute; the callable returns a number, or for a family with labels a mapping
        from the label's value (or a tuple of values, in the order of the labels) to a number. From then on the
        attribute itself counts nothing.

        Raises:
            KeyError: no counter or gauge has this name.
        """
        for name, source in sources.items():
            live, text, labels = self._made.pop(name)
            kind = CounterMetricFamily if isinstance(live, Counter) else GaugeMetricFamily
            self._registry.collectors.unregister(live)
            self._registry.collectors.register(_Fed(kind, self._full_name(name), text, labels, source))


class RelayMetrics(Families):
    """What one relay tells."""

    program = "relay"

    def __init__(self, registry: Registry) -> None:
        super().__init__(registry)
        self.packets_received_total = self._counter(
            "packets_received_total", "Media packets that arrived and were authentic."
        )
        self.packets_sent_total = self._counter("packets_sent_total", "Media packets sent to subscribers.")
        self.bytes_sent_total = self._counter("bytes_sent_total", "Bytes of media packets sent to subscribers.")
        self.packets_dropped_total = self._counter(
            "packets_dropped_total", "Packets not sent because the socket would have had to wait."
        )
        self.malformed_total = self._counter("malformed_total", "Inputs that did not parse.", ["protocol"])
        self.nacks_received_total = self._counter("nacks_received_total", "Packets that subscribers asked for again.")
        self.packets_resent_total = self._counter("packets_resent_total", "Packets sent again from the cache.")
        self.plis_received_total = self._counter("plis_received_total", "Keyframe requests from subscribers.")
        self.plis_sent_total = self._counter("plis_sent_total", "Keyframe requests passed on to sources.")
        self.merge_mismatches_total = self._counter(
            "merge_mismatches_total", "Packets that two parents sent differently under one number."
        )
        self.subscribers = self._gauge("subscribers", "Open WHEP sessions.")
        self.subscribers_by_layer = self._gauge(
            "subscribers_by_layer", "Halls by how many layers better than theirs flow; audio: sound alone.", ["layer"]
        )
        self.layer_switches_total = self._counter(
            "layer_switches_total", "Times that a hall was given another layer.", ["direction"]
        )
        self.publishers = self._gauge("publishers", "Open WHIP sessions.")
        self.dtls_handshakes_total = self._counter(
            "dtls_handshakes_total", "DTLS handshakes by their result.", ["result"]
        )
        self.stun_requests_total = self._counter("stun_requests_total", "STUN requests by their result.", ["result"])
        self.ice_restarts_total = self._counter(
            "ice_restarts_total", "ICE restarts of sessions that changed their way."
        )
        self.sessions_closed_total = self._counter("sessions_closed_total", "Sessions that ended, and why.", ["reason"])
        self.upstream_failovers_total = self._counter(
            "upstream_failovers_total", "Times that a feed went from one parent to another."
        )
        self.control_connected = self._gauge(
            "control_connected", "1 while the control connection to the coordinator is up."
        )


class FrontMetrics(Families):
    """What every program tells that answers halls over HTTP: the coordinator, and gateways."""

    def __init__(self, registry: Registry) -> None:
        super().__init__(registry)
        self.joins_total = self._counter("joins_total", "Joins of halls by result.", ["result"])
        self.rehome_interruption_seconds = self._histogram(
            "rehome_interruption_seconds",
            "How long a hall that moved had no picture, as the hall measured it.",
            INTERRUPTION_BUCKETS_S,
        )
        self.checkins_total = self._counter(
            "checkins_total", "Check-ins and marks of delegates by what became of them.", ["result"]
        )
        self.http_requests_total = self._counter(
            "http_requests_total", "HTTP requests by route template and status.", ["route", "status"]
        )
        self.http_request_seconds = self._histogram(
            "http_request_seconds", "Time to answer, by route template.", HTTP_BUCKETS_S, ["route"]
        )
        self.malformed_total = self._counter("malformed_total", "Inputs that did not parse.", ["source"])
        self.rate_limited_total = self._counter(
            "rate_limited_total", "HTTP requests refused because their caller asks too often.", ["by"]
        )


class CoordinatorMetrics(FrontMetrics):
    """What the coordinator tells."""

    program = "coordinator"

    def __init__(self, registry: Registry) -> None:
        super().__init__(registry)
        self.commands_total = self._counter("commands_total", "Commands by kind and result.", ["command", "result"])
        self.journal_append_seconds = self._histogram(
            "journal_append_seconds", "From the call until the events are durable.", JOURNAL_BUCKETS_S
        )
        self.journal_events_total = self._counter("journal_events_total", "Events made durable.", ["stream"])
        self.journal_failures_total = self._counter(
            "journal_failures_total", "Appends that were not acknowledged, by the error's code.", ["code"]
        )
        self.leading = self._gauge("leading", "1 while this coordinator takes commands.")
        self.admission_waiting = self._gauge(
            "admission_waiting", "Halls without a seat that were told when to come back."
        )
        self.gateways = self._gauge("gateways", "Gateways that are connected to this coordinator.")
        self.relays = self._gauge("relays", "Relays by status; virtual ones apart.", ["status", "virtual"])
        self.relay_modes = self._gauge(
            "relay_modes", "Live relays by what operators want of them; virtual ones apart.", ["mode", "virtual"]
        )
        self.halls_to_move = self._gauge(
            "halls_to_move", "Halls that operators' orders move: waiting for their turn, or leaving.", ["step"]
        )
        self.assignments_total = self._counter("assignments_total", "Assignments of halls by reason.", ["reason"])
        self.relays_suspected = self._gauge(
            "relays_suspected", "Relays that their halls left because nothing came, and that take none for a while."
        )
        self.halls = self._gauge("halls", "Halls by status; virtual ones apart.", ["status", "virtual"])


class GatewayMetrics(FrontMetrics):
    """What a gateway tells."""

    program = "gateway"

    def __init__(self, registry: Registry) -> None:
        super().__init__(registry)
        self.leader_connected = self._gauge("leader_connected", "1 while connected to the coordinator that leads.")
        self.partition_held = self._gauge("partition_held", "1 while this gateway may write its partition.")
        self.state_ready = self._gauge("state_ready", "1 while there is a state to answer from.")
        self.journal_append_seconds = self._histogram(
            "journal_append_seconds", "From the call until attendance is durable.", JOURNAL_BUCKETS_S
        )
        self.journal_events_total = self._counter("journal_events_total", "Events of attendance made durable.")
        self.journal_failures_total = self._counter(
            "journal_failures_total", "Appends that were not acknowledged, by the error's code.", ["code"]
        )


class HallMetrics(Families):
    """What a hall's agent tells."""

    program = "hall"

    def __init__(self, registry: Registry) -> None:
        super().__init__(registry)
        self.halls = self._gauge(
            "halls", "The hall, 1 in the state that it is in: waiting, present, lost or left.", ["state"]
        )
        self.joins_total = self._counter("joins_total", "Joins by result.", ["result"])
        self.packets_received_total = self._counter("packets_received_total", "Media packets received.")
        self.packets_lost_total = self._counter("packets_lost_total", "Media packets that never came.")
        self.frames_decoded_total = self._counter("frames_decoded_total", "Video frames decoded.")
        self.moves_total = self._counter("moves_total", "Times that a hall went to another relay.", ["reason"])
        self.interruption_seconds = self._histogram(
            "interruption_seconds",
            "From the last packet of the old relay to the first decoded frame of the new one.",
            INTERRUPTION_BUCKETS_S,
        )
        self.malformed_total = self._counter("malformed_total", "Answers that did not parse.", ["source"])


class VirtualMetrics(Families):
    """What a process of virtual relays and halls (ảo) tells: control traffic alone, never a figure about media."""

    program = "virtual"

    def __init__(self, registry: Registry) -> None:
        super().__init__(registry)
        self.relays = self._gauge("relays", "Virtual relays by whether they are registered.", ["status"])
        self.halls = self._gauge("halls", "Virtual halls by what they do.", ["state"])
        self.joins_total = self._counter("joins_total", "Virtual halls that joined.")
        self.late_joins_total = self._counter("late_joins_total", "Joins answered after more than a second.")
        self.moves_total = self._counter("moves_total", "Times that a virtual hall went to another relay.")
        self.headcounts_total = self._counter("headcounts_total", "Headcounts that the coordinator accepted.")
        self.requests_failed_total = self._counter(
            "requests_failed_total", "Requests of all kinds that were refused or not answered.", ["reason"]
        )


class PublisherMetrics(Families):
    """What a publisher of a feed tells."""

    program = "publisher"

    def __init__(self, registry: Registry) -> None:
        super().__init__(registry)
        self.frames_encoded_total = self._counter(
            "frames_encoded_total", "Frames handed to the encoder, or passed on as they were encoded.", ["kind"]
        )
        self.packets_sent_total = self._counter("packets_sent_total", "Media packets sent.")
        self.bytes_sent_total = self._counter("bytes_sent_total", "Bytes of media packets sent.")
        self.connected = self._gauge("connected", "WHIP sessions that are up, one for each origin.")
        self.reconnections_total = self._counter("reconnections_total", "Times that a WHIP session was made anew.")
