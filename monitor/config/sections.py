"""The tables of the configuration file: every key, its default, its range and what it means."""

from __future__ import annotations

import ipaddress
import re
import warnings
from pathlib import Path
from typing import Any, Final, Literal, Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from models.domain.channels import CHANNELS
from models.domain.readings import ID_PATTERN
from monitor.config.faults import unknown_key_remedy

AdapterName = Literal["canonical", "arrow", "generic", "output", "furnace", "kept", "status"]


def is_loopback(host: str) -> bool:
    """Whether a host name or address can only mean this machine."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def _checked_zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError(f"time zone {name!r} is not known. Use an IANA name such as Asia/Shanghai.") from None
    return name


class Section(BaseModel):
    """A table of the configuration file."""

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True)

    @field_validator("*", mode="before")
    @classmethod
    def _no_boolean_for_a_number(cls, value: Any, info: Any) -> Any:
        if isinstance(value, bool) and cls.model_fields[info.field_name].annotation in (int, float):
            raise ValueError(f"a number is wanted, got {str(value).lower()}. Write digits.")
        return value


with warnings.catch_warnings():
    warnings.filterwarnings("ignore", 'Field name "register"')  # hides ABCMeta.register, which no one calls

    class DaemonSettings(Section):
        """Who this daemon watches, and where it keeps what it knows."""

        state_dir: Path = Field(
            default=Path("state"), description="Directory of journal, desk and history; local disk."
        )
        register: Path | None = Field(
            default=None,
            description="Register to import at start: XLSX file or directory of CSV. Unset: the last one.",
        )
        zone: str = Field(default="Asia/Shanghai", description="Time zone of nights, months and registers (IANA name).")
        district: str = Field(default="district", pattern=ID_PATTERN, description="District id; names the leads topic.")

        @field_validator("zone")
        @classmethod
        def _zone_exists(cls, value: str) -> str:
            return _checked_zone(value)


class MqttSettings(Section):
    """The broker. Plaintext to another host than this one has to be asked for by `tls = "off"` (rule A1)."""

    host: str = Field(default="127.0.0.1", min_length=1, description="Broker host name or address.")
    port: int = Field(default=1883, ge=1, le=65535, description="Broker port.")
    version: Literal["5", "3.1.1"] = Field(default="5", description="MQTT version.")
    client_id: str = Field(
        default="gridwarden",
        pattern=ID_PATTERN,
        description="Fixed: the broker keeps our queue under it.",
    )
    username: str | None = Field(default=None, description="User name at the broker.")
    password_file: Path | None = Field(default=None, description="File that holds the password; mode 0600.")
    tls: Literal["off", "on"] = Field(
        default="off", description="TLS with verification; must be written for other hosts."
    )
    ca_file: Path | None = Field(default=None, description="Certificates to trust instead of the system's, PEM.")
    cert_file: Path | None = Field(default=None, description="Our client certificate, PEM.")
    key_file: Path | None = Field(default=None, description="Its private key, PEM; mode 0600.")
    keepalive_s: int = Field(default=60, ge=5, le=3600, description="MQTT keepalive, seconds.")
    receive_maximum: int = Field(
        default=2000,
        ge=1,
        le=65535,
        description="Unacknowledged messages in flight; at least a commit group.",
    )

    @model_validator(mode="after")
    def _tls_is_coherent(self) -> Self:
        if self.tls == "off" and "tls" not in self.model_fields_set and not is_loopback(self.host):
            raise ValueError(
                f"{self.host} is not this machine and tls is not set. "
                'Set tls = "on" with ca_file, or tls = "off" to send everything in plaintext.'
            )
        if (self.cert_file is None) != (self.key_file is None):
            raise ValueError("cert_file and key_file belong together. Give both or neither.")
        if self.tls == "off" and (self.ca_file or self.cert_file):
            raise ValueError('ca_file and cert_file have no effect while tls is "off". Set tls = "on", or drop them.')
        return self


class ProfileSettings(Section):
    """What the messages of a `generic` subscription mean; their payloads say none of this, and nothing is guessed."""

    time_unit: Literal["s", "ms", "iso"] = Field(description="Stamps: seconds or milliseconds since 1970, or ISO text.")
    zone: str = Field(default="", description="Zone of ISO stamps without an offset; empty refuses those.")
    numbers_as_strings: bool = Field(default=False, description='Numbers arrive as text ("812.4").')
    meter_fields: list[str] | None = Field(default=None, min_length=1, description="Names of the meter id.")
    time_fields: list[str] | None = Field(default=None, min_length=1, description="Names of the stamp.")
    fields: dict[str, str] | None = Field(default=None, description="Names of values, each with its channel.")
    ignored: list[str] = Field(default_factory=list, description="Names to pass over.")
    missing: list[str] | None = Field(default=None, description='Texts that mean "no value".')
    interval_s: int = Field(default=0, ge=0, le=86400, description="Interval length; 0: the register says.")

    @field_validator("zone")
    @classmethod
    def _zone_exists(cls, value: str) -> str:
        return _checked_zone(value) if value else value

    @field_validator("fields")
    @classmethod
    def _fields_are_channels(cls, value: dict[str, str] | None) -> dict[str, str] | None:
        unknown = sorted(set((value or {}).values()) - CHANNELS.keys())
        if unknown:
            raise ValueError(f"{unknown[0]!r} is not a channel. {unknown_key_remedy(unknown[0], CHANNELS)}")
        return value


class SubscriptionSettings(Section):
    """One topic filter: which payload format it carries and who its publisher is."""

    topic: str = Field(min_length=1, max_length=256, description="Topic filter; + and # as in MQTT.")
    adapter: AdapterName = Field(description="Payload format.")
    publisher_level: int = Field(
        default=2, ge=0, le=15, description="Topic level (from 0) that names the publisher, when publisher is not set."
    )
    publisher: str = Field(default="", description="Fixed publisher id for every message of this filter.")
    profile: ProfileSettings | None = Field(default=None, description="What a generic payload means.")

    @property
    def adapter_key(self) -> str:
        """Name of the adapter with its profile, as messages carry it; unique where profiles differ."""
        return self.adapter if self.profile is None else f"{self.adapter}:{self.topic}"

    @model_validator(mode="after")
    def _filter_is_valid(self) -> Self:
        levels = self.topic.split("/")
        for position, level in enumerate(levels):
            if ("+" in level and level != "+") or ("#" in level and (level != "#" or position != len(levels) - 1)):
                raise ValueError(f"{self.topic!r} is not a topic filter. + and # stand alone; # comes last.")
        if self.publisher:
            if not re.fullmatch(ID_PATTERN, self.publisher):
                raise ValueError(f"publisher {self.publisher!r} is not an id. Use letters, digits, '.', '_' and '-'.")
        elif self.publisher_level >= len(levels) and levels[-1] != "#":
            problem = f"{self.topic!r} has no level {self.publisher_level}"
            raise ValueError(f"{problem}. Levels count from 0; or set publisher.")
        return self

    @model_validator(mode="after")
    def _profile_is_complete(self) -> Self:
        if self.adapter == "generic" and self.profile is None:
            raise ValueError("adapter generic needs a profile. Write [subscriptions.profile] with time_unit.")
        if self.adapter != "generic" and self.profile is not None:
            raise ValueError(f"profile belongs to adapter generic, not {self.adapter}. Drop it.")
        return self


DEFAULT_SUBSCRIPTIONS: Final = (
    SubscriptionSettings(topic="grid/v1/+/readings", adapter="canonical"),
    SubscriptionSettings(topic="grid/v1/+/furnace", adapter="furnace"),
    SubscriptionSettings(topic="grid/v1/+/output", adapter="output"),
    SubscriptionSettings(topic="grid/v1/+/status", adapter="status"),
)


class IntakeSettings(Section):
    """Bounds between the broker and the journal (rules D5, D9)."""

    queue_messages: int = Field(default=20_000, ge=1000, le=1_000_000, description="Messages that may wait.")
    queue_bytes: int = Field(default=268_435_456, ge=4_194_304, description="Bytes that may wait.")
    group_messages: int = Field(default=500, ge=1, le=10_000, description="Messages in one commit group.")
    group_ms: int = Field(default=20, ge=1, le=1000, description="Longest wait to fill a commit group, milliseconds.")


class TimeSettings(Section):
    """Event time, lateness and silence."""

    lateness_s: int = Field(
        default=1800, ge=0, le=86_400, description="How late readings may be and still count at first."
    )
    future_s: int = Field(default=300, ge=0, le=3600, description="A stamp further ahead of receipt is TIME_FUTURE.")
    old_days: int = Field(default=400, ge=1, le=4000, description="A stamp older than this at receipt is TIME_OLD.")
    silence_hours: float = Field(default=6.0, gt=0, le=240, description="A feed without a word for so long is silent.")
    tick_s: int = Field(default=60, ge=1, le=3600, description="How often time is recorded in the journal.")


class HistorySettings(Section):
    """The columnar history."""

    memory_limit: str = Field(default="1GB", pattern=r"^[1-9][0-9]*(MB|GB)$", description="Memory DuckDB may use.")
    seal_after_days: int = Field(default=8, ge=1, le=60, description="Age at which a day becomes Parquet.")


class HoldSettings(Section):
    """Suspect nights of one month that make a lead, by kind of lead; kinds that come of a month's account need none."""

    furnace_melt: int = Field(default=2, ge=1, le=31, description="Suspect nights before a furnace lead.")
    sealed_site: int = Field(default=1, ge=1, le=31, description="Suspect nights before a sealed-site lead.")
    meter_silent: int = Field(default=1, ge=1, le=31, description="Silent nights before a silent-meter lead.")
    consumption: int = Field(default=1, ge=1, le=31, description="Suspect nights before a lead on consumption.")


class LeadSettings(Section):
    """When findings become a lead."""

    hold_nights: HoldSettings = Field(default_factory=HoldSettings)
    hold_window_nights: int = Field(default=7, ge=1, le=31, description="Nights in which the suspect ones must lie.")

    @model_validator(mode="after")
    def _hold_fits(self) -> Self:
        for kind, nights in self.hold_nights.model_dump().items():
            if nights > self.hold_window_nights:
                raise ValueError(f"hold_nights.{kind} exceeds hold_window_nights. Raise the second or lower the first.")
        return self


class OpsSettings(Section):
    """Metrics and health over HTTP."""

    host: str = Field(default="127.0.0.1", min_length=1, description="Address to listen on.")
    port: int = Field(default=9321, ge=0, le=65535, description="Port; 0 takes a free one.")


class LogSettings(Section):
    """Logs, on standard error."""

    level: Literal["debug", "info", "warning", "error"] = Field(default="info", description="Least level shown.")
    format: Literal["json", "console"] = Field(default="json", description="JSON lines, or text for a terminal.")
