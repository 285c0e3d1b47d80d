"""The document that Prometheus reads to find its targets."""

import json

import pytest

from monitoring.discovery import DiscoveryError, Target, targets_document


def test_targets_with_the_same_labels_share_a_group() -> None:
    """Groups and addresses are sorted, so that an unchanged country gives an unchanged document."""
    relay = {"job": "relay", "region": "01"}
    document = targets_document(
        [
            Target("http://10.0.0.7:8100/metrics", relay),
            Target("http://10.0.0.5:8100/metrics", relay),
            Target("http://127.0.0.1:8080/metrics", {"job": "coordinator"}),
            Target("http://10.0.0.5:8100/metrics", relay),
        ]
    )
    assert document == [
        {"targets": ["127.0.0.1:8080"], "labels": {"job": "coordinator"}},
        {"targets": ["10.0.0.5:8100", "10.0.0.7:8100"], "labels": relay},
    ]
    json.dumps(document)


def test_scheme_and_path_become_labels() -> None:
    """What differs from Prometheus' defaults is told by its own labels; ports are always written."""
    (group,) = targets_document([Target("https://relay.example/deep/metrics")])
    assert group == {
        "targets": ["relay.example:443"],
        "labels": {"__scheme__": "https", "__metrics_path__": "/deep/metrics"},
    }


def test_an_ipv6_address_keeps_its_brackets() -> None:
    """host:port stays readable."""
    assert targets_document([Target("http://[::1]:9/metrics")])[0]["targets"] == ["[::1]:9"]


@pytest.mark.parametrize(
    "url", ["", "relay:8100", "ftp://h/metrics", "http://", "http://h:99999/metrics", "http://[::1"]
)
def test_a_bad_url_is_a_typed_error(url: str) -> None:
    """A relay that registers nonsense does not break the document with something else."""
    with pytest.raises(DiscoveryError):
        targets_document([Target(url)])


def test_a_bad_label_name_is_a_typed_error() -> None:
    """Label names follow Prometheus' grammar."""
    with pytest.raises(DiscoveryError):
        targets_document([Target("http://h/metrics", {"a-b": "c"})])
