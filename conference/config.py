"""The coordinator's configuration: frozen pydantic models, loaded from YAML by `configs.loading.load`.

Every key has a default that is safe on one machine: it listens on loopback only, and keeps its journal and key in a
folder of its own. Unknown keys are errors.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Self

from pydantic import Field, field_validator, model_validator

from bridges.prechecks import Measure
from bridges.readiness import Thresholds
from conference.journal.redis.address import JournalAddressError, parse_redis_url
from conference.planner.loads import MAX_CHAIN
from conference.policy import MediaCost, Policy
from configs.loading import Section
from configs.tls import TlsFiles
from configs.turn import TurnServers

JOURNAL_FILE = "journal.sqlite"
KEY_FILE = "signing-key.pem"

UnitCode = Annotated[str, Field(max_length=64)]
Name = Annotated[str, Field(min_length=1, max_length=64)]


class TokenLifetimes(Section):
    """How long each kind of token is good for, in seconds.

    Attributes:
        relay_s: a hall's token for a relay. Short: it is given anew at each join and each change of assignment.
        link_s: a relay's token for its parents; pushed anew at half of its life.
        hall_s: a hall's link, printed or sent before the day and used on it.
        publisher_s: a publisher's token for one feed.
    """

    relay_s: int = Field(default=600, ge=30, le=86_400)
    link_s: int = Field(default=3_600, ge=60, le=604_800)
    hall_s: int = Field(default=7 * 86_400, ge=60, le=90 * 86_400)
    publisher_s: int = Field(default=86_400, ge=60, le=604_800)


class RegionCost(Section):
    """What a hall costs in a region of poor lines, where it takes a lower layer."""

    hall_bits_per_s: int = Field(ge=1, le=1_000_000_000)
    hall_packets_per_s: int = Field(ge=1, le=1_000_000)


class PlacementConfig(Section):
    """What a hall is expected to cost a relay, how full a relay may be, and who belongs where.

    Attributes:
        hall_bits_per_s: media of one hall.
        hall_packets_per_s: packets of one hall.
        soft_limit: share of a relay's capacity up to which it is filled first.
        hard_limit: share of a relay's capacity that is never exceeded.
        regions: cost of a hall in regions where it is less, by unit code.
        overflow: by region, the regions that take its halls when its own relays are full, nearest first; the centre
            and all others come after them.
        pins: by hall, the relays that it shall have, the primary first. One that is gone or full is passed over.
        exclusions: by hall or by region, relays that shall never have its halls.
        moves_per_s: halls a second that operators' orders move; a drain with a deadline may need more.
        moves_at_once: of these, halls on their way to one relay.
        move_patience_s: a hall that was moved and did not say so for so long holds no seat at its former relay.
    """

    hall_bits_per_s: int = Field(default=2_200_000, ge=1, le=1_000_000_000)
    hall_packets_per_s: int = Field(default=300, ge=1, le=1_000_000)
    soft_limit: float = Field(default=0.8, gt=0, le=1)
    hard_limit: float = Field(default=1.0, gt=0, le=1)
    regions: dict[UnitCode, RegionCost] = Field(default={}, max_length=1_000)
    overflow: dict[UnitCode, Annotated[tuple[UnitCode, ...], Field(max_length=MAX_CHAIN)]] = Field(
        default={}, max_length=1_000
    )
    pins: dict[Name, Annotated[tuple[Name, ...], Field(min_length=1, max_length=2)]] = Field(
        default={}, max_length=10_000
    )
    exclusions: dict[Name, Annotated[tuple[Name, ...], Field(max_length=1_000)]] = Field(default={}, max_length=10_000)
    moves_per_s: float = Field(default=200.0, ge=0.1, le=10_000)
    moves_at_once: int = Field(default=50, ge=1, le=100_000)
    move_patience_s: float = Field(default=15.0, ge=1, le=600)

    @model_validator(mode="after")
    def _limits_in_order(self) -> Self:
        if self.soft_limit > self.hard_limit:
            raise ValueError("soft_limit must not be above hard_limit")
        for code, cost in self.regions.items():
            # A link between relays takes a whole programme: the cost of a hall that sees all of it.
            if cost.hall_bits_per_s > self.hall_bits_per_s or cost.hall_packets_per_s > self.hall_packets_per_s:
                raise ValueError(f"regions: a hall of {code} must not cost more than hall_bits_per_s and packets")
        return self

    def as_policy(self) -> Policy:
        """The same for the planner."""
        return Policy(
            media=MediaCost(bits_per_s=self.hall_bits_per_s, packets_per_s=self.hall_packets_per_s),
            soft_limit=self.soft_limit,
            hard_limit=self.hard_limit,
            regions={
                code: MediaCost(bits_per_s=cost.hall_bits_per_s, packets_per_s=cost.hall_packets_per_s)
                for code, cost in self.regions.items()
            },
            overflow=self.overflow,
            pins=self.pins,
            exclusions={name: frozenset(relays) for name, relays in self.exclusions.items()},
            moves_per_s=self.moves_per_s,
            moves_at_once=self.moves_at_once,
            move_patience_ms=int(self.move_patience_s * 1000),
        )


class RateLimitsConfig(Section):
    """How often one caller may ask; beyond that the answer is 429 with `Retry-After`.

    Attributes:
        holder_per_s: requests a second of one token's holder; a hall at work makes one now and then.
        holder_burst: requests that a holder may make at once.
        poster_per_s: requests a second of all phones that read the poster of one hall.
        poster_burst: such requests that may be made at once: everybody in the largest hall, and once more.
        address_per_s: requests a second without a valid token (pages, refused tokens) from one address. Generous:
            a province of halls, or everybody behind a proxy, has one address.
        address_burst: such requests that an address may make at once.
        behind_proxy: take the address from the last entry of X-Forwarded-For. Only where every request comes through
            one proxy that appends it; otherwise callers could name any address.
    """

    holder_per_s: float = Field(default=50.0, ge=0.1, le=100_000)
    holder_burst: int = Field(default=500, ge=1, le=1_000_000)
    poster_per_s: float = Field(default=200.0, ge=0.1, le=100_000)
    poster_burst: int = Field(default=5_000, ge=1, le=1_000_000)
    address_per_s: float = Field(default=1_000.0, ge=0.1, le=100_000)
    address_burst: int = Field(default=50_000, ge=1, le=10_000_000)
    behind_proxy: bool = False


class AdmissionConfig(Section):
    """How fast halls that have no seat yet are let in; beyond that the answer is 503 `admission` with `Retry-After`.

    Attributes:
        per_s: newcomers a second; 0 lets everybody in. At this rate 99 of 100 of 40,000 halls that come within a minute
            are answered within a quarter of a second (`benchmarks.join_storm`); at 1,000 a second most of them are
            turned away once, and the refusals cost more than the joins that they put off.
        burst: how many are let in at once after a rest.
    """

    per_s: float = Field(default=1_500.0, ge=0, le=1_000_000)
    burst: int = Field(default=1_000, ge=1, le=1_000_000)


class ReadinessConfig(Section):
    """When a hall's line is good and when it is bad, and what must be known of a hall before it is ready.

    Attributes:
        good_share: of its layer's bitrate that a good line carries; below `bad_share` it is bad.
        good_loss: share of lost packets below which a line is good; above `bad_loss` it is bad.
        good_rtt_ms: likewise, round trip.
        good_jitter_ms: likewise, jitter.
        stale_after_h: a pre-check older than this must be made again.
        required: what must have been measured; what was not is never taken as good.
        downloads_per_s: downloads of 3 MiB a second that halls without a programme try their lines with, all together.
    """

    good_share: float = Field(default=1.0, gt=0, le=10)
    bad_share: float = Field(default=0.8, gt=0, le=10)
    good_loss: float = Field(default=0.01, gt=0, le=1)
    bad_loss: float = Field(default=0.025, gt=0, le=1)
    good_rtt_ms: float = Field(default=50.0, gt=0, le=60_000)
    bad_rtt_ms: float = Field(default=150.0, gt=0, le=60_000)
    good_jitter_ms: float = Field(default=30.0, gt=0, le=60_000)
    bad_jitter_ms: float = Field(default=80.0, gt=0, le=60_000)
    stale_after_h: float = Field(default=72.0, gt=0, le=8_760)
    required: frozenset[Measure] = frozenset({"reach", "rtt", "loss", "jitter", "throughput", "speaker"})
    downloads_per_s: float = Field(default=4.0, ge=0.1, le=1_000)

    @model_validator(mode="after")
    def _good_is_better_than_bad(self) -> Self:
        if self.good_share < self.bad_share:
            raise ValueError("good_share must not be below bad_share")
        for name in ("loss", "rtt_ms", "jitter_ms"):
            if getattr(self, f"good_{name}") > getattr(self, f"bad_{name}"):
                raise ValueError(f"good_{name} must not be above bad_{name}")
        return self

    def as_thresholds(self) -> Thresholds:
        """The same for the rules."""
        return Thresholds(**self.model_dump(exclude={"downloads_per_s"}))


class PrivacyConfig(Section):
    """How long people are kept.

    Attributes:
        retention_days: `diemcau privacy retention` erases the people of conferences that ended so many days ago.
    """

    retention_days: float = Field(default=90.0, ge=0, le=36_500)


class JournalConfig(Section):
    """Where the journal is.

    Attributes:
        url: a Redis, as `conference.journal.redis.address` describes it; "" is an SQLite file in `state_dir`.
        name: of the journal, where several coordinations share one Redis.
        password_file: holds the password for Redis.
        sentinel_password_file: holds the password for the Sentinels.
        ca_file: certificates that sign those of `rediss` servers; those that the system trusts unless given.
        replicas: so many replicas must have what is acknowledged; by default 1 with Sentinel or Cluster, where a
            failover could lose it otherwise, and 0 with a single server.
        require_aof: refuse a Redis that does not sync to its append-only file before it answers.
        keep_records: so many records are kept at least for audit, although a snapshot contains them.
        timeout_s: a call to the store that takes longer has failed.
        lease_s: a coordinator that gave no sign of life for so long is succeeded by one that stands by.
    """

    url: str = ""
    name: str = Field(default="diemcau", pattern=r"^[A-Za-z0-9._-]{1,100}$")
    password_file: Path | None = None
    sentinel_password_file: Path | None = None
    ca_file: Path | None = None
    replicas: int | None = Field(default=None, ge=0, le=10)
    require_aof: bool = True
    keep_records: int = Field(default=100_000, ge=0, le=100_000_000)
    timeout_s: float = Field(default=4.0, ge=0.5, le=60)
    lease_s: float = Field(default=3.0, ge=0.5, le=60)

    @field_validator("url")
    @classmethod
    def _is_an_address(cls, url: str) -> str:
        if url:
            try:
                parse_redis_url(url)
            except JournalAddressError as error:
                raise ValueError(str(error)) from None
        return url


class CoordinatorConfig(Section):
    """One coordinator.

    Attributes:
        host: address to listen on; `::` is all addresses of IPv6 and of IPv4.
        port: TCP port; 0 takes any free one.
        public_url: where halls and operators reach it, without a slash at the end; "" means the address it listens on.
        own_url: where gateways reach this coordinator itself and not a proxy before it, without a slash at the end; ""
            means the address it listens on, which must not be a wildcard then. Only with a journal on Redis.
        tls: certificate and key to serve HTTPS with; without, plain HTTP for loopback or behind a proxy.
        state_dir: folder of the signing key, and of the journal where that is a file.
        journal: where the journal is.
        lease_s: a relay that sent nothing for so long is lost.
        heartbeat_s: how often relays send a heartbeat.
        return_grace_s: after its start the coordinator waits so long for the relays of its journal before it counts
            them as lost and moves their halls; longer than a relay ever pauses between two attempts (7.5 s).
        snapshot_every: events between two snapshots, so that a start folds at most about so many.
        tokens: lifetimes of tokens.
        placement: cost of a hall and limits of relays.
        rate_limits: how often one caller may ask.
        admission: how fast newcomers are let in.
        privacy: how long people are kept.
        readiness: when a hall is ready for the day.
        turn: TURN servers that halls are told of, for those whose network lets no UDP out.
    """

    host: str = "127.0.0.1"
    port: int = Field(default=8080, ge=0, le=65_535)
    public_url: str = Field(default="", pattern=r"^(https?://[^\s/]+(/[^\s]*[^\s/])?)?$")
    own_url: str = Field(default="", pattern=r"^(https?://[^\s/]+)?$")
    tls: TlsFiles | None = None
    state_dir: Path = Path("state")
    journal: JournalConfig = JournalConfig()
    lease_s: float = Field(default=3.0, ge=0.2, le=60)
    heartbeat_s: float = Field(default=1.0, ge=0.05, le=20)
    return_grace_s: float = Field(default=10.0, ge=0.2, le=300)
    snapshot_every: int = Field(default=20_000, ge=100, le=10_000_000)
    tokens: TokenLifetimes = TokenLifetimes()
    placement: PlacementConfig = PlacementConfig()
    rate_limits: RateLimitsConfig = RateLimitsConfig()
    admission: AdmissionConfig = AdmissionConfig()
    privacy: PrivacyConfig = PrivacyConfig()
    readiness: ReadinessConfig = ReadinessConfig()
    turn: TurnServers | None = None

    @model_validator(mode="after")
    def _heartbeats_fit_the_lease(self) -> Self:
        if self.heartbeat_s * 2 > self.lease_s:
            raise ValueError("lease_s must be at least twice heartbeat_s, or one late heartbeat loses a relay")
        return self

    @property
    def journal_path(self) -> Path:
        """File of the journal."""
        return self.state_dir / JOURNAL_FILE

    @property
    def key_path(self) -> Path:
        """File of the signing key."""
        return self.state_dir / KEY_FILE
