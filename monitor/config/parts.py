"""From settings to the parts they configure."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable

from connectors.adapters.base import Adapter
from connectors.adapters.generic import Generic, GenericProfile
from connectors.adapters.table import build_adapters
from connectors.mqtt_settings import MqttSettings as Connection
from connectors.mqtt_settings import Subscription
from models.domain.leads import LeadKind
from monitor.config.secret_files import read_secret
from monitor.config.sections import LeadSettings, ProfileSettings, SubscriptionSettings
from monitor.config.settings import Settings
from monitor.leads import LeadPolicy


def subscribed_adapters(subscriptions: Iterable[SubscriptionSettings]) -> dict[str, Adapter]:
    """Adapters by `SubscriptionSettings.adapter_key`; the plain formats are always there."""
    adapters = build_adapters()
    for subscription in subscriptions:
        if subscription.profile is not None:
            adapters[subscription.adapter_key] = Generic(_profile(subscription.profile))
    return adapters


def mqtt_connection(settings: Settings) -> Connection:
    """The broker connection with its password. Raises SecretFileError."""
    mqtt = settings.mqtt
    password = read_secret(mqtt.password_file).decode() if mqtt.password_file is not None else ""
    return Connection(
        host=mqtt.host,
        port=mqtt.port,
        version=5 if mqtt.version == "5" else 4,
        client_id=mqtt.client_id,
        username=mqtt.username or "",
        password=password,
        tls="off" if mqtt.tls == "off" else "system" if mqtt.ca_file is None else "ca_file",
        ca_file=mqtt.ca_file,
        cert_file=mqtt.cert_file,
        key_file=mqtt.key_file,
        keepalive_s=mqtt.keepalive_s,
        receive_maximum=mqtt.receive_maximum,
        subscriptions=routes(settings.subscriptions),
    )


def routes(subscriptions: Iterable[SubscriptionSettings]) -> tuple[Subscription, ...]:
    """What is subscribed: topics with their formats and publishers."""
    return tuple(
        Subscription(
            topic=subscription.topic,
            adapter=subscription.adapter_key,
            publisher_level=subscription.publisher_level,
            publisher=subscription.publisher,
        )
        for subscription in subscriptions
    )


def lead_policy(settings: LeadSettings) -> LeadPolicy:
    """How many nights make a lead."""
    hold = {LeadKind(kind): nights for kind, nights in settings.hold_nights.model_dump().items()}
    return LeadPolicy(hold_nights=hold, hold_window_nights=settings.hold_window_nights)


def _profile(settings: ProfileSettings) -> GenericProfile:
    """The profile; what the settings leave open keeps the adapter's default."""
    base = GenericProfile(
        time_unit=settings.time_unit,
        zone=settings.zone,
        numbers_as_strings=settings.numbers_as_strings,
        ignored=frozenset(settings.ignored),
        interval_s=settings.interval_s,
    )
    return dataclasses.replace(
        base,
        meter_fields=tuple(settings.meter_fields or base.meter_fields),
        time_fields=tuple(settings.time_fields or base.time_fields),
        fields=settings.fields if settings.fields is not None else base.fields,
        missing=frozenset(settings.missing) if settings.missing is not None else base.missing,
    )
