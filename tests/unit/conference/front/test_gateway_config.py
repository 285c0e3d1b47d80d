from __future__ import annotations

import pytest

from conference.front.config import GatewayConfig
from configs.loading import ConfigError, load_text

WHOLE = "gateway_id: gateway-1\nkey_file: key.pem\njournal: {url: 'redis://store'}\n"


def test_three_keys_make_a_gateway_on_loopback() -> None:
    """Everything else has a default that opens nothing."""
    config = load_text(WHOLE, GatewayConfig)
    assert (config.host, config.port, config.leader_wait_s) == ("127.0.0.1", 8090, 4.0)


@pytest.mark.parametrize("journal", ["", "journal: {}\n", "journal: {keep_records: 5}\n"])
def test_a_gateway_needs_a_journal_that_others_reach(journal: str) -> None:
    """With the journal in a file there is one process, and the error says so."""
    with pytest.raises(ConfigError) as caught:
        load_text(f"gateway_id: gateway-1\nkey_file: key.pem\n{journal}", GatewayConfig)
    assert "journal" in str(caught.value)


def test_the_error_names_redis() -> None:
    """Who has the journal in a file reads what is missing."""
    with pytest.raises(ConfigError, match="a gateway needs a journal on Redis"):
        load_text("gateway_id: gateway-1\nkey_file: key.pem\njournal: {}\n", GatewayConfig)


@pytest.mark.parametrize("name", ["''", "'0'", "a/b", "'a b'", "cổng", "x" * 65])
def test_a_name_is_fit_for_a_partition(name: str) -> None:
    """`0` is the leader's own stream, and a name is part of keys in the store."""
    with pytest.raises(ConfigError):
        load_text(WHOLE.replace("gateway-1", name), GatewayConfig)
