"""The sinks the settings ask for: who is told of leads, and by what way."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from typing import Final

from connectors.leadfile import LeadFile
from connectors.leadtopic import LeadTopic
from connectors.mail import Mail, MailRoute
from connectors.sink import Sink
from connectors.webhook import Webhook
from monitor.config.outlet_sections import MailSettings
from monitor.config.secret_files import read_secret
from monitor.config.settings import Settings
from monitor.metrics import SinkName

PUBLISH_TIMEOUT_S: Final = 5.0

Publish = Callable[[str, bytes], bool]


def sink_names(settings: Settings) -> list[str]:
    """Names of the sinks that are asked for, as outbox rows carry them."""
    sinks = settings.sinks
    wanted = {
        SinkName.WEBHOOK: sinks.webhook is not None,
        SinkName.MQTT: sinks.mqtt_leads,
        SinkName.FILE: sinks.file is not None,
        SinkName.APPRISE: sinks.apprise is not None,
        SinkName.MAIL: sinks.mail is not None,
    }
    return [name.value for name, is_wanted in wanted.items() if is_wanted]


def build_sinks(settings: Settings, publish: Publish) -> dict[str, Sink]:
    """The sinks by name; `publish` sends a topic and a body through the daemon's own MQTT connection."""
    made: dict[str, Sink] = {}
    webhook = settings.sinks.webhook
    if webhook is not None:
        made[SinkName.WEBHOOK] = Webhook(
            webhook.url, secret=read_secret(webhook.secret_file), key_id=webhook.key_id, allow=webhook.allow
        )
    if settings.sinks.mqtt_leads:
        made[SinkName.MQTT] = LeadTopic(publish, settings.daemon.district)
    if settings.sinks.file is not None:
        made[SinkName.FILE] = LeadFile(settings.sinks.file)
    if settings.sinks.apprise is not None:
        from connectors.chat import Chat

        made[SinkName.APPRISE] = Chat(read_secret(settings.sinks.apprise.url_file).decode().strip())
    if settings.sinks.mail is not None:
        made[SinkName.MAIL] = _mail(settings.sinks.mail)
    return made


def _mail(mail: MailSettings) -> Mail:
    password = read_secret(mail.password_file).decode() if mail.password_file is not None else ""
    route = MailRoute(
        mail.host, mail.port, mail.tls, mail.sender, tuple(mail.to), username=mail.username or "", password=password
    )
    return Mail(route, tls=ssl.create_default_context(cafile=mail.ca_file) if mail.ca_file is not None else None)
