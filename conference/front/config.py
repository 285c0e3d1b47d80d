"""A gateway's configuration: frozen pydantic models, loaded from YAML by `configs.loading.load`."""

from __future__ import annotations

from pathlib import Path
from typing import Self

from pydantic import Field, model_validator

from conference.config import JournalConfig, RateLimitsConfig, ReadinessConfig
from configs.loading import Section
from configs.tls import TlsFiles
from configs.turn import TurnServers


class GatewayConfig(Section):
    """One gateway.

    Attributes:
        gateway_id: its name, and that of its partition in the journal. It stays the same from start to start, and no
            two gateways have the same.
        host: address to listen on; `::` is all addresses of IPv6 and of IPv4.
        port: TCP port; 0 takes any free one.
        own_url: where Prometheus reaches this gateway itself, without a slash at the end; "" means the address it
            listens on, and nothing where that is a wildcard.
        tls: certificate and key to serve HTTPS with; without, plain HTTP for loopback or behind a proxy.
        key_file: the coordinators' signing key: a copy of their `signing-key.pem`, mode 0600.
        journal: as the coordinators have it; always on Redis.
        leader_ca_file: certificates that sign the coordinators', where their `own_url` is https; those that the system
            trusts unless given.
        leader_wait_s: a hall that only the leader can answer waits so long for one, while another takes over.
        relay_token_s: how long a hall's token for a relay is good for; `tokens.relay_s` of the coordinators.
        rate_limits: how often one caller may ask this gateway.
        readiness: when a hall is ready, as the coordinators have it.
        turn: TURN servers that halls are told of, as the coordinators have them.
    """

    gateway_id: str = Field(pattern=r"^[A-Za-z][A-Za-z0-9._-]{0,63}$")
    host: str = "127.0.0.1"
    port: int = Field(default=8090, ge=0, le=65_535)
    own_url: str = Field(default="", pattern=r"^(https?://[^\s/]+)?$")
    tls: TlsFiles | None = None
    key_file: Path
    journal: JournalConfig
    leader_ca_file: Path | None = None
    leader_wait_s: float = Field(default=4.0, ge=0.1, le=60)
    relay_token_s: int = Field(default=600, ge=30, le=86_400)
    rate_limits: RateLimitsConfig = RateLimitsConfig()
    readiness: ReadinessConfig = ReadinessConfig()
    turn: TurnServers | None = None

    @model_validator(mode="after")
    def _journal_is_shared(self) -> Self:
        if not self.journal.url:
            raise ValueError("journal.url: a gateway needs a journal on Redis; with a file there is one process alone")
        return self
