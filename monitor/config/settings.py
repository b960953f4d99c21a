"""Settings: one TOML file, overridden by `GRIDWARDEN__SECTION__KEY`; frozen, checked whole at start, strict.

Relative paths are relative to the working directory. Secrets are never settings: a setting names the file that
holds one (rule L4).
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Final, Literal, Self, Union, get_args, get_origin

from pydantic import BaseModel, Field, ValidationError, model_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict, SettingsError

from monitor.config.audit_sections import AuditSettings
from monitor.config.faults import (
    ENV_PREFIX,
    ConfigFault,
    ConfigFaults,
    env_name,
    faults_of,
    model_of,
    unknown_key_remedy,
)
from monitor.config.handling_sections import HandlingSettings
from monitor.config.intensity_sections import IntensitySettings
from monitor.config.keeping_sections import (
    OLD_DAYS_MARGIN,
    BackupSettings,
    PrivacySettings,
    RetentionSettings,
    ScopeSettings,
)
from monitor.config.law_sections import LawSettings
from monitor.config.outlet_sections import OUTLET_FILES, OUTLET_SECRETS, SinkSettings, WebhookSettings
from monitor.config.secret_files import SecretFileError, read_secret
from monitor.config.sections import (
    DEFAULT_SUBSCRIPTIONS,
    DaemonSettings,
    HistorySettings,
    IntakeSettings,
    LeadSettings,
    LogSettings,
    MqttSettings,
    OpsSettings,
    ProfileSettings,
    SubscriptionSettings,
    TimeSettings,
    is_loopback,
)

__all__ = [
    "DEFAULT_SUBSCRIPTIONS",
    "REQUIRED",
    "ConfigFault",
    "ConfigFaults",
    "DaemonSettings",
    "HistorySettings",
    "IntakeSettings",
    "LeadSettings",
    "LogSettings",
    "MqttSettings",
    "OpsSettings",
    "ProfileSettings",
    "SettingRow",
    "Settings",
    "SinkSettings",
    "SubscriptionSettings",
    "TimeSettings",
    "WebhookSettings",
    "exposures",
    "is_loopback",
    "load_settings",
    "settings_reference",
    "type_name",
    "written",
]

DEFAULTS_NAME: Final = "defaults"
REQUIRED: Final = "required"


class Settings(BaseSettings):
    """The whole configuration; every key has a default, so an empty file is a valid one."""

    model_config = SettingsConfigDict(
        env_prefix=ENV_PREFIX,
        env_nested_delimiter="__",
        env_ignore_empty=True,
        extra="forbid",
        frozen=True,
        validate_default=True,
    )

    daemon: DaemonSettings = Field(default_factory=DaemonSettings)
    mqtt: MqttSettings = Field(default_factory=MqttSettings)
    subscriptions: list[SubscriptionSettings] = Field(
        default_factory=lambda: list(DEFAULT_SUBSCRIPTIONS), min_length=1, description="What is subscribed."
    )
    intake: IntakeSettings = Field(default_factory=IntakeSettings)
    time: TimeSettings = Field(default_factory=TimeSettings)
    history: HistorySettings = Field(default_factory=HistorySettings)
    retention: RetentionSettings = Field(default_factory=RetentionSettings)
    backup: BackupSettings = Field(default_factory=BackupSettings)
    privacy: PrivacySettings = Field(default_factory=PrivacySettings)
    scope: ScopeSettings = Field(default_factory=ScopeSettings)
    detectors: dict[str, dict[str, Any]] = Field(default_factory=dict, description="Settings per detector.")
    leads: LeadSettings = Field(default_factory=LeadSettings)
    handling: HandlingSettings = Field(default_factory=HandlingSettings)
    law: LawSettings = Field(default_factory=LawSettings)
    intensity: IntensitySettings = Field(default_factory=IntensitySettings)
    audit: AuditSettings = Field(default_factory=AuditSettings)
    sinks: SinkSettings = Field(default_factory=SinkSettings)
    ops: OpsSettings = Field(default_factory=OpsSettings)
    log: LogSettings = Field(default_factory=LogSettings)

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003 — pydantic-settings passes these by name
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Environment over the file's content, and nothing else."""
        return env_settings, init_settings

    @model_validator(mode="after")
    def _groups_fit(self) -> Self:
        if self.intake.queue_messages < self.intake.group_messages:
            raise ValueError("intake.queue_messages is below intake.group_messages. Raise it.")
        if self.mqtt.version == "5" and self.mqtt.receive_maximum < self.intake.group_messages:
            raise ValueError("mqtt.receive_maximum is below intake.group_messages and would stall. Raise it.")
        if self.time.old_days + OLD_DAYS_MARGIN > self.retention.history_days:
            raise ValueError(
                f"retention.history_days must exceed time.old_days by {OLD_DAYS_MARGIN}, or readings sent again would "
                "be taken for new ones. Raise it, or lower time.old_days."
            )
        return self


def load_settings(path: Path | None) -> Settings:
    """The settings of a file (None: defaults) with the environment over it.

    Raises ConfigFaults with everything that is wrong at once: syntax, unknown keys, values, files that are named and
    cannot be used (rule C1).
    """
    name = str(path) if path is not None else DEFAULTS_NAME
    environ = dict(os.environ)
    content = _read_toml(path, name)
    faults = [*_environment_faults(environ), *_file_faults(content, name, environ)]
    tables = content.get("detectors")
    settings: Settings | None = None
    try:
        settings = Settings(**content)
        tables = settings.detectors
    except ValidationError as error:
        faults = [*faults_of(error, Settings, name, environ), *faults]
    except SettingsError as error:
        faults.append(ConfigFault("environment", f"{ENV_PREFIX}…", str(error), "Lists and tables are written as JSON."))
    if tables and isinstance(tables, Mapping):
        from monitor.config.detectors import detector_faults

        faults += detector_faults(tables, name, environ)
    if settings is not None:
        from monitor.config.outlet_faults import outlet_faults

        faults += outlet_faults(settings.sinks, name)
    if settings is None or faults:
        raise ConfigFaults(faults)
    return settings


def exposures(settings: Settings) -> tuple[str, ...]:
    """What these settings leave unprotected on purpose; the start-up log and `check` name it (rule A1)."""
    found = []
    if settings.mqtt.tls == "off" and not is_loopback(settings.mqtt.host):
        found.append(f'mqtt.tls is "off": readings and password go to {settings.mqtt.host} in plaintext')
    if not is_loopback(settings.ops.host):
        found.append(f"ops.host is {settings.ops.host}: metrics and health are open to whoever reaches that address")
    return tuple(found)


def _read_toml(path: Path | None, name: str) -> dict[str, Any]:
    if path is None:
        return {}
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigFaults(
            [ConfigFault(name, "", f"cannot be read: {error.strerror}", "Name a readable file with --config.")]
        ) from error
    except UnicodeDecodeError as error:
        fault = ConfigFault(name, "", f"is not UTF-8 at byte {error.start}", "Save it as UTF-8.")
        raise ConfigFaults([fault]) from error
    except tomllib.TOMLDecodeError as error:
        raise ConfigFaults([ConfigFault(name, "", f"is not TOML: {error}", "Correct the syntax there.")]) from error


def _environment_faults(environ: Mapping[str, str]) -> Iterator[ConfigFault]:
    """Variables that name no section; unknown keys inside a section are found with the file's."""
    for name in sorted(environ):
        if name.upper().startswith(ENV_PREFIX):
            section = name[len(ENV_PREFIX) :].split("__")[0].lower()
            if section not in Settings.model_fields:
                remedy = unknown_key_remedy(section, Settings.model_fields)
                yield ConfigFault("environment", name, "unknown section", remedy)


SECRET_KEYS: Final = (
    ("mqtt", "password_file"),
    ("mqtt", "key_file"),
    ("privacy", "pseudonym_key_file"),
    *OUTLET_SECRETS,
)
READABLE_KEYS: Final = (("mqtt", "ca_file"), ("mqtt", "cert_file"), ("daemon", "register"), *OUTLET_FILES)


def _file_faults(content: Mapping[str, Any], name: str, environ: Mapping[str, str]) -> Iterator[ConfigFault]:
    """Files that are named and cannot be used; looked up before validation, so that all faults come at once."""
    for loc in SECRET_KEYS + READABLE_KEYS:
        variable = env_name(loc)
        value = environ.get(variable) or _value_at(content, loc)
        if not isinstance(value, str) or not value:
            continue
        place, key = ("environment", variable) if environ.get(variable) else (name, ".".join(loc))
        if loc in SECRET_KEYS:
            try:
                read_secret(Path(value))
            except SecretFileError as error:
                yield ConfigFault(place, key, error.problem, error.remedy)
        elif not os.access(value, os.R_OK):
            yield ConfigFault(place, key, f"{value} cannot be read", "Name something that exists and can be read.")


def _value_at(content: Mapping[str, Any], loc: Sequence[str]) -> Any:
    value: Any = content
    for part in loc:
        value = value.get(part) if isinstance(value, Mapping) else None
    return value


@dataclass(frozen=True, slots=True)
class SettingRow:
    """One line of the settings reference. `type` and `default` are as a person writes them."""

    key: str
    type: str
    default: str
    meaning: str


def settings_reference() -> list[SettingRow]:
    """Every setting, in the order of the file; list sections as `subscriptions[].topic`."""
    return list(_reference(Settings, ""))


def _reference(model: type[BaseModel], prefix: str) -> Iterator[SettingRow]:
    for name, field in model.model_fields.items():
        key = prefix + name
        section = model_of(field.annotation)
        if section is None or field.description is not None:
            default = REQUIRED if field.is_required() else written(field.get_default(call_default_factory=True))
            yield SettingRow(key, type_name(field.annotation), default, field.description or "")
        if section is not None:
            is_list = str(field.annotation).startswith("list[")
            yield from _reference(section, f"{key}[]." if is_list else f"{key}.")


def type_name(annotation: Any) -> str:
    """A type as a person writes it: `5 | 3.1.1`, `path`, `list of tables`."""
    if get_origin(annotation) is Literal:
        return " | ".join(str(choice) for choice in get_args(annotation))
    if get_origin(annotation) in (Union, UnionType):
        return " | ".join(type_name(part) for part in get_args(annotation) if part is not NoneType)
    if get_origin(annotation) is list:
        return "list of tables" if model_of(annotation) is not None else "list of strings"
    if get_origin(annotation) is dict:
        return "table"
    names = {str: "string", int: "integer", float: "number", bool: "true | false", Path: "path"}
    return names.get(annotation, "table")


def written(value: Any) -> str:
    """A default as it would stand in the file; empty where unset."""
    match value:
        case None | dict():
            return ""
        case [BaseModel(), *_]:
            return ""
        case bool():
            return str(value).lower()
        case str() | Path():
            return f'"{value}"'
        case _:
            return str(value)
