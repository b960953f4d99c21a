"""Settings of a broker connection."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from connectors.mqtt_settings import MqttSettings, Subscription, tls_context


@pytest.mark.parametrize(
    ("subscription", "topic", "publisher"),
    [
        (Subscription("grid/v1/+/readings", "canonical"), "grid/v1/bureau-1/readings", "bureau-1"),
        (Subscription("grid/v1/+/readings", "canonical"), "grid/v1//readings", ""),
        (Subscription("grid/v1/+/readings", "canonical"), "grid/v1/a b/readings", ""),
        (Subscription("em/+/+/data", "generic", publisher_level=1), "em/site7/m1/data", "site7"),
        (Subscription("em/#", "generic", publisher="gateway-3"), "em/site7/m1/data", "gateway-3"),
        (Subscription("em/#", "generic", publisher_level=5), "em/site7", ""),
    ],
)
def test_the_publisher_is_the_declared_level_of_the_topic(
    subscription: Subscription, topic: str, publisher: str
) -> None:
    assert subscription.publisher_of(topic) == publisher


@pytest.mark.parametrize(
    "bad",
    [{"topic": ""}, {"topic": "a/#/b"}, {"topic": "a+/b"}, {"qos": 2}, {"publisher_level": -1}, {"publisher": "../x"}],
)
def test_a_subscription_that_cannot_be_meant_is_refused(bad: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="subscription"):
        Subscription(**{"topic": "grid/v1/+/readings", "adapter": "canonical", **bad})


@pytest.mark.parametrize(
    ("bad", "named"),
    [
        ({"host": ""}, "broker"),
        ({"port": 0}, "broker"),
        ({"version": 3}, "version"),
        ({"client_id": ""}, "client_id"),
        ({"keepalive_s": 1}, "keepalive_s"),
        ({"receive_maximum": 0}, "receive_maximum"),
        ({"tls": "ca_file"}, "ca_file"),
        ({"tls": "off", "cert_file": Path("c")}, "client certificate"),
        ({"key_file": Path("k")}, "key_file"),
    ],
)
def test_settings_are_checked_when_they_are_made(bad: dict[str, Any], named: str) -> None:
    with pytest.raises(ValueError, match=named):
        MqttSettings(**{"host": "broker", **bad})


def test_the_password_is_not_printed() -> None:
    assert "canary" not in repr(MqttSettings("broker", username="u", password="canary-secret"))


def test_tls_always_verifies_the_brokers_name() -> None:
    context = tls_context(MqttSettings("broker"))
    assert context is not None
    assert context.check_hostname
    assert tls_context(MqttSettings("broker", tls="off")) is None
