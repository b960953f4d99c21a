"""What judged and what was known, kept by version: registers, detector settings, lead rules, profiles, rule packs.

A lead's revision names versions; the files here are what they stand for, so that an evidence pack of an old revision
can be made long after the settings have changed. Written once each, never changed: their names are their digests.
"""

from __future__ import annotations

import dataclasses
import hashlib
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import msgspec
import zstandard

from connectors.adapters.base import Adapter
from detectors.base import Detector, LooksBack
from models.domain.register import Register, RegisterRows
from models.law.library import Law, assemble
from monitor.config.detectors import build_detectors
from monitor.config.parts import subscribed_adapters
from monitor.config.sections import LeadSettings, SubscriptionSettings
from monitor.config.settings import Settings
from monitor.leads import canonical_json
from monitor.register.snapshot import rows_from_json, rows_to_json, version_of
from monitor.storage import disk_errors, sync_directory

ORIGINS_NAME: Final = "origins"
_SAFE: Final = re.compile(r"^[A-Za-z0-9._-]{1,80}$")
_MAX_REGISTER_BYTES: Final = 1 << 31
_MAX_PACKS_BYTES: Final = 1 << 26

AnyDetector = Detector | LooksBack


def short_digest(value: Any) -> str:
    """The version of settings in a lead: 16 hexadecimal digits of their canonical JSON's SHA-256."""
    return hashlib.sha256(msgspec.json.encode(value, order="sorted")).hexdigest()[:16]


def detectors_version(detectors: Sequence[AnyDetector]) -> str:
    """The version of detectors with their settings, as a lead names it."""
    return short_digest({detector.name: repr(detector) for detector in detectors})


def detector_tables(detectors: Sequence[AnyDetector]) -> dict[str, dict[str, Any]]:
    """Each detector's settings, from which `build_detectors` makes the same ones again."""
    return {d.name: {f.name: getattr(d, f.name) for f in dataclasses.fields(d)} for d in detectors}  # type: ignore[arg-type]


def keep_origins(
    state_dir: Path, settings: Settings, register: Register, detectors: Sequence[AnyDetector], law: Law
) -> None:
    """Keep what judges from now on, where it is not kept yet. Raises what the disk raises."""
    folder = state_dir / ORIGINS_NAME
    leads = settings.leads.model_dump(mode="json")
    small = {
        f"detectors-{detectors_version(detectors)}.json": canonical_json(detector_tables(detectors)),
        f"leads-{short_digest(leads)}.json": canonical_json(leads),
    }
    place = {"zone": register.zone.key}
    small[f"zone-{short_digest(place)}.json"] = canonical_json(place)
    for subscription in settings.subscriptions:
        if subscription.profile is not None:
            plain = subscription.model_dump(mode="json")
            small[f"profile-{short_digest(plain)}.json"] = canonical_json(plain)
    for name, content in small.items():
        if not (folder / name).is_file():
            _put(folder / name, content)
    name = f"register-{register.version}.json.zst"
    if _SAFE.match(register.version) and not (folder / name).is_file():
        _put(folder / name, zstandard.ZstdCompressor(level=6).compress(rows_to_json(register.rows)))
    name = f"law-{law.digest}.json.zst"
    if not (folder / name).is_file():
        texts = [[source, data.decode("utf-8")] for source, data in law.sources]
        _put(folder / name, zstandard.ZstdCompressor(level=6).compress(canonical_json(texts)))


def kept_law(state_dir: Path, digest: str) -> Law | None:
    """The rule packs of a digest, None where they are not kept.

    Raises LawFaults where this program no longer takes them, ValueError where the file is not those packs.
    """
    path = state_dir / ORIGINS_NAME / f"law-{digest}.json.zst"
    if not _SAFE.match(digest) or not path.is_file():
        return None
    try:
        body = zstandard.ZstdDecompressor().decompress(path.read_bytes(), max_output_size=_MAX_PACKS_BYTES)
    except zstandard.ZstdError as error:
        raise ValueError(f"{path} cannot be unpacked: {error}") from error
    law = assemble((name, text.encode()) for name, text in msgspec.json.decode(body, type=list[tuple[str, str]]))
    if law.digest != digest:
        raise ValueError(f"{path} does not hold the rule packs its name says")
    return law


def kept_register(state_dir: Path, version: str) -> RegisterRows | None:
    """The register of a version, None where it is not kept. Raises ValueError where the file is not that register."""
    path = state_dir / ORIGINS_NAME / f"register-{version}.json.zst"
    if not _SAFE.match(version) or not path.is_file():
        return None
    packed = path.read_bytes()
    try:
        if zstandard.frame_content_size(packed) > _MAX_REGISTER_BYTES:
            raise ValueError(f"{path} claims to unpack to too much")
        body = zstandard.ZstdDecompressor().decompress(packed, max_output_size=_MAX_REGISTER_BYTES)
    except zstandard.ZstdError as error:
        raise ValueError(f"{path} cannot be unpacked: {error}") from error
    if len(version) == 64 and version_of(body) != version:
        raise ValueError(f"{path} is not the register its name says")
    return rows_from_json(body)


def kept_detectors(state_dir: Path, version: str) -> dict[str, dict[str, Any]] | None:
    """Detector settings of a version, None where they are not kept."""
    return _kept(state_dir, f"detectors-{version}.json")


def kept_lead_rules(state_dir: Path, version: str) -> dict[str, Any] | None:
    """Lead settings of a version, None where they are not kept. Raises ValueError where the file was changed."""
    rules = _kept(state_dir, f"leads-{version}.json")
    if rules is not None and short_digest(rules) != version:
        raise ValueError(f"{ORIGINS_NAME}/leads-{version}.json is not what its name says")
    return rules


def kept_profiles(state_dir: Path) -> list[dict[str, Any]]:
    """Every subscription with a payload profile that was ever set."""
    return [
        msgspec.json.decode(path.read_bytes()) for path in sorted((state_dir / ORIGINS_NAME).glob("profile-*.json"))
    ]


def kept_zones(state_dir: Path) -> list[str]:
    """Time zones that nights were ever reckoned in here; mostly one."""
    return sorted(
        str(msgspec.json.decode(path.read_bytes())["zone"]) for path in (state_dir / ORIGINS_NAME).glob("zone-*.json")
    )


def adapter_choices(profiles: Sequence[Mapping[str, Any]]) -> list[dict[str, Adapter]]:
    """The plain formats with each of the profiles in turn: a subscription's profile may have changed over time."""
    each = [subscribed_adapters([SubscriptionSettings.model_validate(profile)]) for profile in profiles]
    return each or [subscribed_adapters([])]


def built_detectors(tables: Mapping[str, Mapping[str, Any]]) -> dict[str, AnyDetector]:
    """The detectors that settings stand for, by name; those this program does not know are left out.

    Raises ValueError where settings do not fit this program's detectors.
    """
    from detectors.table import DETECTORS

    known = {name: dict(table) for name, table in tables.items() if name in DETECTORS}
    off = {name: {"enabled": False} for name in DETECTORS if name not in known}
    try:
        return {detector.name: detector for detector in build_detectors(known | off)}
    except KeyError as error:
        raise ValueError(f"a setting {error} that this program's detectors do not have") from error


def policy_of(rules: Mapping[str, Any]) -> LeadSettings:
    """Lead rules as settings. Raises ValueError."""
    return LeadSettings.model_validate(rules)


def origin_faults(state_dir: Path) -> list[tuple[str, str]]:
    """(file, what is wrong) of every kept file that is not what its name says."""
    faults: list[tuple[str, str]] = []
    folder = state_dir / ORIGINS_NAME
    for path in sorted(folder.glob("*")):
        kind, _, rest = path.name.partition("-")
        version = rest.removesuffix(".zst").removesuffix(".json")
        try:
            good = _fits(state_dir, path, kind, version)
        except (ValueError, OSError, TypeError, msgspec.MsgspecError) as error:
            faults.append((f"{ORIGINS_NAME}/{path.name}", str(error)))
        else:
            if not good:
                faults.append((f"{ORIGINS_NAME}/{path.name}", "is not what its name says: changed or put there"))
    return faults


def _fits(state_dir: Path, path: Path, kind: str, version: str) -> bool:
    match kind:
        case "register":
            return kept_register(state_dir, version) is not None
        case "law":
            return kept_law(state_dir, version) is not None
        case "detectors":
            tables = kept_detectors(state_dir, version)
            same_bytes = tables is not None and canonical_json(tables) == path.read_bytes()
            return same_bytes and detectors_version(list(built_detectors(tables or {}).values())) == version
        case "leads":
            rules = kept_lead_rules(state_dir, version)
            return rules is not None and canonical_json(rules) == path.read_bytes()
        case "profile" | "zone":
            plain = _kept(state_dir, path.name)
            return short_digest(plain) == version and canonical_json(plain) == path.read_bytes()
        case _:
            return False


def _kept(state_dir: Path, name: str) -> dict[str, Any] | None:
    path = state_dir / ORIGINS_NAME / name
    if not _SAFE.match(name) or not path.is_file():
        return None
    read: dict[str, Any] = msgspec.json.decode(path.read_bytes())
    return read


def _put(path: Path, content: bytes) -> None:
    """Whole or not at all."""
    with disk_errors(path):
        path.parent.mkdir(mode=0o700, exist_ok=True)
        unfinished = path.with_name(path.name + ".new")
        with unfinished.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        unfinished.rename(path)
        sync_directory(path.parent)
