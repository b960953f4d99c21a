"""The tables of the configuration file about everything that goes out: leads, notices, InfluxDB."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final, Literal, Self

from pydantic import Field, field_validator, model_validator

from connectors.outbound import parse_target
from models.domain.channels import CHANNELS
from models.domain.readings import ID_PATTERN
from monitor.config.faults import unknown_key_remedy
from monitor.config.sections import Section, is_loopback

OUTLET_SECRETS: Final = (
    ("sinks", "webhook", "secret_file"),
    ("sinks", "apprise", "url_file"),
    ("sinks", "mail", "password_file"),
    ("sinks", "influx", "token_file"),
)
"""Settings that name files with secrets in them."""
OUTLET_FILES: Final = (("sinks", "mail", "ca_file"), ("sinks", "influx", "ca_file"))
"""Settings that name other files to read."""

_MAILBOX: Final = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9.-]{1,253}")


class WebhookSettings(Section):
    """A signed webhook that receives leads (rule W7)."""

    url: str = Field(description="Where leads are posted; https, or http on this machine if allowed.")
    secret_file: Path = Field(description="File that holds the signing secret; mode 0600.")
    key_id: str = Field(default="k1", pattern=ID_PATTERN, description="Name of the secret, sent with each signature.")
    allow: list[str] = Field(
        default_factory=list, description="host:port of this machine or private addresses that may be called."
    )

    @model_validator(mode="after")
    def _url_is_usable(self) -> Self:
        parse_target(self.url, self.allow)
        return self


class AppriseSettings(Section):
    """A short notice of each change of a lead to a chat group or a telephone, through apprise."""

    url_file: Path = Field(
        description="File that holds the one apprise URL, which is a secret: wecombot, dingtalk, feishu, twilio or"
        " bulksms; mode 0600."
    )


class MailSettings(Section):
    """A short notice of each change of a lead by e-mail. The host and port named here are the allow list (rule W7)."""

    host: str = Field(min_length=1, description="SMTP server that takes our mail.")
    port: int = Field(default=587, ge=1, le=65535, description="Its port; 465 is usual for tls = implicit.")
    tls: Literal["starttls", "implicit", "off"] = Field(
        default="starttls", description="Encryption; off is for this machine only."
    )
    ca_file: Path | None = Field(default=None, description="Certificates to trust instead of the system's, PEM.")
    username: str | None = Field(default=None, description="User name at the server.")
    password_file: Path | None = Field(default=None, description="File that holds the password; mode 0600.")
    sender: str = Field(description="Address the mail comes from.")
    to: list[str] = Field(min_length=1, max_length=50, description="Addresses it goes to.")

    @field_validator("host")
    @classmethod
    def _host_is_a_name(cls, value: str) -> str:
        if not re.fullmatch(r"[A-Za-z0-9.:_-]+", value):
            raise ValueError(f"{value!r} is not a host. Write its name or address alone.")
        return value

    @field_validator("sender", "to")
    @classmethod
    def _addresses_are_plain(cls, value: str | list[str]) -> str | list[str]:
        for address in [value] if isinstance(value, str) else value:
            if not _MAILBOX.fullmatch(address):
                raise ValueError(f"{address!r} is not an address. Write name@host, in ASCII, without a display name.")
        return value

    @model_validator(mode="after")
    def _is_coherent(self) -> Self:
        if self.tls == "off" and not is_loopback(self.host):
            raise ValueError(f'{self.host} is not this machine. Set tls = "starttls" or "implicit".')
        if (self.username is None) != (self.password_file is None):
            raise ValueError("username and password_file belong together. Give both or neither.")
        if self.tls == "off" and (self.username or self.ca_file):
            raise ValueError('username, password_file and ca_file need tls. Set tls = "starttls", or drop them.')
        return self


class InfluxSettings(Section):
    """Readings copied to a server that speaks InfluxDB's v2 write API; a sink, never the record (rule D12)."""

    url: str = Field(description="Base address, without /api/v2/write; https, or http on this machine if allowed.")
    org: str = Field(default="gridwarden", min_length=1, description="Organisation.")
    bucket: str = Field(default="gridwarden", min_length=1, description="Bucket.")
    token_file: Path = Field(description="File that holds the token; mode 0600.")
    ca_file: Path | None = Field(default=None, description="Certificates to trust instead of the system's, PEM.")
    allow: list[str] = Field(
        default_factory=list, description="host:port of this machine or private addresses that may be called."
    )
    channels: list[str] = Field(default_factory=list, description="Channels to write; empty writes all.")
    batch_lines: int = Field(default=10_000, ge=5_000, le=50_000, description="Most lines in one request.")
    timeout_s: float = Field(default=10.0, ge=1.0, le=60.0, description="Longest time one request may take, seconds.")
    gzip: bool = Field(default=True, description="Compress requests.")

    @field_validator("channels")
    @classmethod
    def _channels_exist(cls, value: list[str]) -> list[str]:
        unknown = sorted(set(value) - CHANNELS.keys())
        if unknown:
            raise ValueError(f"{unknown[0]!r} is not a channel. {unknown_key_remedy(unknown[0], CHANNELS)}")
        return value

    @model_validator(mode="after")
    def _url_is_usable(self) -> Self:
        if "?" in parse_target(self.url, self.allow).path:
            raise ValueError("the URL has a query. Write the base address alone; org and bucket are settings.")
        return self


class SinkSettings(Section):
    """Where leads go besides the store, and readings besides the history."""

    webhook: WebhookSettings | None = Field(default=None, description="A signed webhook.")
    mqtt_leads: bool = Field(default=True, description="Publish leads on grid/v1/iit/{district}/leads.")
    file: Path | None = Field(default=None, description="Append leads to this file, one JSON object a line.")
    apprise: AppriseSettings | None = Field(default=None, description="Notices to a chat group or a telephone.")
    mail: MailSettings | None = Field(default=None, description="Notices by e-mail.")
    influx: InfluxSettings | None = Field(default=None, description="Readings to InfluxDB.")
