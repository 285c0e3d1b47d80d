"""`/api/v1/discovery/prometheus`: what Prometheus is to scrape (HTTP service discovery)."""

from __future__ import annotations

from typing import Any

from conference.api.routing import Call, Route
from monitoring.discovery import DiscoveryError, Target, targets_document
from monitoring.log_config import get_logger


async def prometheus_targets(call: Call) -> list[dict[str, Any]]:
    """This coordinator, the gateways that are connected to it, and all live relays."""
    found = targets_document(
        [Target(metrics_url=f"{call.services.public_url()}/metrics", labels={"job": "diemcau-coordinator"})]
    )
    for gateway in call.services.forwarding.gateways:
        if gateway.metrics_url:
            labels = {"job": "diemcau-gateway", "gateway": gateway.gateway_id}
            found += _targets(gateway.metrics_url, labels, gateway.gateway_id)
    for relay in call.services.coordinator.state.relays.values():
        if not relay.live or not relay.metrics_url:
            continue
        labels = {
            "job": "diemcau-relay",
            "relay": relay.relay_id,
            "region": relay.region,
            "role": relay.role,
            "virtual": str(relay.virtual).lower(),
        }
        found += _targets(relay.metrics_url, labels, relay.relay_id)
    return found


def _targets(metrics_url: str, labels: dict[str, str], name: str) -> list[dict[str, Any]]:
    try:
        return targets_document([Target(metrics_url=metrics_url, labels=labels)])
    except DiscoveryError as error:
        # One program with an odd address must not hide all others from their monitoring.
        get_logger("conference.api.discovery").warning("a program is left out", name=name, error=str(error))
        return []


ROUTES = (
    Route(
        method="GET",
        path="/api/v1/discovery/prometheus",
        handler=prometheus_targets,
        summary="Targets for Prometheus' http_sd_configs",
        tag="discovery",
        roles=frozenset({"operator"}),
        response=list[dict[str, Any]],
        errors=(503,),
    ),
)
