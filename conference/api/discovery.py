"""`/api/v1/discovery/prometheus`: what Prometheus is to scrape (HTTP service discovery)."""

from __future__ import annotations

from typing import Any

from conference.api.routing import Call, Route
from monitoring.discovery import DiscoveryError, Target, targets_document
from monitoring.log_config import get_logger


async def prometheus_targets(call: Call) -> list[dict[str, Any]]:
    """This coordinator and all live relays."""
    found = targets_document(
        [Target(metrics_url=f"{call.services.public_url()}/metrics", labels={"job": "diemcau-coordinator"})]
    )
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
        try:
            found += targets_document([Target(metrics_url=relay.metrics_url, labels=labels)])
        except DiscoveryError as error:
            # One relay with an odd address must not hide all others from their monitoring.
            get_logger("conference.api.discovery").warning("relay left out", relay_id=relay.relay_id, error=str(error))
    return found


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
