"""The `[detectors.NAME]` tables: a detector's fields are its settings, and `enabled` switches it off."""

from __future__ import annotations

import dataclasses
import typing
from collections.abc import Iterator, Mapping
from typing import Any, Final

from pydantic import TypeAdapter, ValidationError

from detectors.base import Detector
from detectors.table import DETECTORS, DetectorSpec
from monitor.config.faults import ConfigFault, place_of, shown, unknown_key_remedy

ENABLED: Final = "enabled"


def detector_faults(tables: Mapping[str, Any], file: str, environ: Mapping[str, str]) -> Iterator[ConfigFault]:
    """Everything that is wrong with the detectors' tables: names, keys, types, and what a detector itself refuses."""
    for name, table in tables.items():
        place, key = place_of(("detectors", name), file, environ)
        if name not in DETECTORS:
            yield ConfigFault(place, key, "unknown detector", unknown_key_remedy(name, DETECTORS))
        elif not isinstance(table, Mapping):
            yield ConfigFault(place, key, f"a table is wanted, got {shown(table)}", f"Write [detectors.{name}].")
        else:
            yield from _table_faults(name, table, file, environ)


def build_detectors(tables: Mapping[str, Mapping[str, Any]]) -> tuple[Detector, ...]:
    """The enabled detectors with their settings, in the order of the table. `tables` has passed `detector_faults`."""
    built: list[Detector] = []
    for name, spec in DETECTORS.items():
        table = dict(tables.get(name, {}))
        if TypeAdapter(bool).validate_python(table.pop(ENABLED, True)):
            types = _field_types(spec)
            built.append(spec.build(**{key: TypeAdapter(types[key]).validate_python(v) for key, v in table.items()}))
    return tuple(built)


def detector_fields(spec: DetectorSpec) -> Iterator[tuple[str, Any, Any]]:
    """(name, type, default) of each setting of a detector."""
    types = _field_types(spec)
    for field in _fields(spec):
        yield field.name, types[field.name], None if field.default is dataclasses.MISSING else field.default


def _fields(spec: DetectorSpec) -> tuple[dataclasses.Field[Any], ...]:
    return dataclasses.fields(typing.cast("Any", spec.build))


def _field_types(spec: DetectorSpec) -> dict[str, Any]:
    hints = typing.get_type_hints(spec.build)
    return {field.name: hints[field.name] for field in _fields(spec)}


def _table_faults(name: str, table: Mapping[str, Any], file: str, environ: Mapping[str, str]) -> Iterator[ConfigFault]:
    spec = DETECTORS[name]
    types: dict[str, Any] = {ENABLED: bool, **_field_types(spec)}
    values: dict[str, Any] = {}
    sound = True
    for key, value in table.items():
        place, dotted = place_of(("detectors", name, key), file, environ)
        problem: str | None = None
        if key not in types:
            yield ConfigFault(place, dotted, "unknown key", unknown_key_remedy(key, types))
            sound = False
            continue
        if isinstance(value, bool) and types[key] in (int, float):
            problem = "a number is wanted"
        else:
            try:
                values[key] = TypeAdapter(types[key]).validate_python(value)
            except ValidationError as error:
                message = error.errors(include_url=False)[0]["msg"]
                problem = message[:1].lower() + message[1:]
        if problem is not None:
            yield ConfigFault(place, dotted, f"{problem}, got {shown(value)}", "Correct the value.")
            sound = False
    values.pop(ENABLED, None)
    if sound:
        try:
            spec.build(**values)
        except ValueError as error:
            place, dotted = place_of(("detectors", name), file, environ)
            yield ConfigFault(place, dotted, str(error).rstrip("."), "Correct the value.")
