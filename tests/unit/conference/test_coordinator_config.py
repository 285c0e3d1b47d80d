from __future__ import annotations

import pytest

from conference.config import CoordinatorConfig
from configs.loading import ConfigError, load_text


def test_an_empty_file_is_a_coordinator_on_loopback() -> None:
    """Every key has a default, and none of them opens the machine to its network."""
    config = load_text("", CoordinatorConfig)
    assert (config.host, config.port, config.lease_s) == ("127.0.0.1", 8080, 3.0)
    assert config.tokens.relay_s == 600


def test_all_mistakes_are_shown_at_once() -> None:
    """Unknown keys, wrong types and values out of range stand in one error."""
    text = "port: 99999\nhosst: x\ntokens: {relay_s: 1}\npublic_url: 'http://example.test/'\n"
    with pytest.raises(ConfigError) as caught:
        load_text(text, CoordinatorConfig)
    assert {mistake.path for mistake in caught.value.mistakes} == {"port", "hosst", "tokens.relay_s", "public_url"}


@pytest.mark.parametrize(
    "text", ["lease_s: 1.5\nheartbeat_s: 1.0", "placement: {soft_limit: 0.9, hard_limit: 0.8}", "snapshot_every: 1"]
)
def test_values_that_do_not_fit_together_are_refused(text: str) -> None:
    """A lease shorter than two heartbeats, or a soft limit above the hard one, is a mistake and not a surprise."""
    with pytest.raises(ConfigError):
        load_text(text, CoordinatorConfig)


@pytest.mark.parametrize("url", ["https://hop.example.test", "http://10.0.0.1:8080", "https://example.test/hop"])
def test_public_urls(url: str) -> None:
    """Where halls reach it: with or without port and path, never with a slash at the end."""
    assert load_text(f"public_url: {url}", CoordinatorConfig).public_url == url
