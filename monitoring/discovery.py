"""Prometheus HTTP service discovery: which programs to scrape, as a JSON document. Pure.

The format is that of `http_sd_configs`: a list of groups, each with `targets` (`host:port`) and `labels`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

_LABEL = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")


class DiscoveryError(ValueError):
    """A target cannot be scraped as given.

    Attributes:
        code: stable word for machines.
        value: what was given.
    """

    code = "bad_target"

    def __init__(self, reason: str, value: str) -> None:
        super().__init__(f"{reason}: {value!r}")
        self.value = value


@dataclass(frozen=True, slots=True)
class Target:
    """One program to scrape.

    Attributes:
        metrics_url: absolute http or https URL of its metrics.
        labels: labels on all its series, for example `{"job": "relay", "region": "01"}`.
    """

    metrics_url: str
    labels: Mapping[str, str] = field(default_factory=dict)


def _group(target: Target) -> tuple[str, tuple[tuple[str, str], ...]]:
    """Address of a target, and its labels with the scheme and path that differ from Prometheus' defaults."""
    try:
        parts = urlsplit(target.metrics_url)
        port = parts.port
    except ValueError as error:
        raise DiscoveryError("not a URL", target.metrics_url) from error
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise DiscoveryError("not an absolute http or https URL", target.metrics_url)
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    address = f"{host}:{port or (443 if parts.scheme == 'https' else 80)}"
    labels = dict(target.labels)
    for name in labels:
        if not _LABEL.match(name):
            raise DiscoveryError("not a label name", name)
    if parts.scheme != "http":
        labels["__scheme__"] = parts.scheme
    if parts.path not in {"", "/", "/metrics"}:
        labels["__metrics_path__"] = parts.path
    return address, tuple(sorted(labels.items()))


def targets_document(targets: Iterable[Target]) -> list[dict[str, Any]]:
    """The document for Prometheus: one group per set of labels, sorted, each address once.

    Raises:
        DiscoveryError: a URL is not absolute http(s), or a label's name is not valid.
    """
    groups: dict[tuple[tuple[str, str], ...], set[str]] = {}
    for target in targets:
        address, labels = _group(target)
        groups.setdefault(labels, set()).add(address)
    return [{"targets": sorted(addresses), "labels": dict(labels)} for labels, addresses in sorted(groups.items())]
