"""JSON Schemas of output and heats. Words of register and rule packs are not in them: the daemon checks those."""

from __future__ import annotations

from typing import Any, Final

from connectors.adapters import heats, output
from connectors.adapters.builder import MAX_REV
from connectors.adapters.fields import MAX_ROWS
from connectors.adapters.output import MAX_FUELS
from connectors.adapters.strict import MAX_FIELDS
from models.domain.production import MAX_DECIMALS, MAX_QUANTITY, MAX_TEXT
from models.domain.readings import ID_PATTERN, YEAR_2000_MS, YEAR_2100_MS

Schema = dict[str, Any]

_ID: Final[Schema] = {"type": "string", "pattern": ID_PATTERN}
_TEXT: Final[Schema] = {"type": "string", "minLength": 1, "maxLength": MAX_TEXT}
_QUANTITY: Final[Schema] = {
    "type": "number",
    "minimum": 0,
    "maximum": int(MAX_QUANTITY),
    "description": f"Taken digit by digit, at most {MAX_DECIMALS} decimals.",
}
_DATE: Final[Schema] = {"type": "string", "format": "date"}
_REV: Final[Schema] = {
    "type": "integer",
    "minimum": 0,
    "maximum": MAX_REV,
    "description": "Above 0: revision of a report sent before; only from a publisher that may revise.",
}
_STAMP: Final[Schema] = {
    "description": "RFC 3339 with an offset, or milliseconds since 1970-01-01 UTC.",
    "oneOf": [
        {"type": "string", "format": "date-time"},
        {"type": "integer", "minimum": YEAR_2000_MS, "exclusiveMaximum": YEAR_2100_MS},
    ],
}
_VOID: Final[Schema] = {
    "type": "boolean",
    "description": "True takes the earlier report back: rev above 0, and no quantities.",
}
_FUEL: Final[dict[str, Schema]] = {
    "fuel": _ID | {"description": "Id of a factor: gridwarden law list."},
    "quantity": _QUANTITY,
    "unit": _TEXT,
    "kj_per_unit": _QUANTITY | {"description": "Measured calorific value per unit, kJ; with value_source."},
    "kgce_per_unit": _QUANTITY | {"description": "Or measured kgce per unit; with value_source."},
    "value_source": _TEXT | {"description": "Whose value it is, such as a laboratory report."},
    "recovered": {"type": "boolean", "description": "It left the plant and is taken off."},
}
_OUTPUT: Final[dict[str, Schema]] = {
    "enterprise": {"type": "string", "description": "Unified social credit code; or site, or line."},
    "site": _ID,
    "line": _ID,
    "from": _DATE | {"description": "First local day."},
    "to": _DATE | {"description": "Last local day, part of the period."},
    "product": _TEXT | {"description": "Product of the rule packs or of the line; with quantity and unit."},
    "quantity": _QUANTITY,
    "unit": _TEXT,
    "fuels": {"type": "array", "maxItems": MAX_FUELS, "items": {"$ref": "#/$defs/fuel"}},
    "facts": {
        "type": "object",
        "maxProperties": MAX_FIELDS,
        "propertyNames": {"pattern": "^[a-z][a-z0-9_]{0,63}$"},
        "additionalProperties": {"oneOf": [{"type": "boolean"}, {"type": "number"}, _TEXT]},
    },
    "rev": _REV,
    "void": _VOID,
}
_HEAT: Final[dict[str, Schema]] = {
    "furnace": _ID,
    "start": _STAMP,
    "end": _STAMP,
    "energy_kwh": _QUANTITY,
    "charged_t": _QUANTITY,
    "tapped_t": _QUANTITY,
    "product": _TEXT,
    "rev": _REV,
    "void": _VOID,
}


def output_schema() -> Schema:
    """Topic `grid/v1/{publisher}/output`, adapter `output`."""
    row = _object({name: _OUTPUT[name] for name in output.FIELDS}, ["from", "to"])
    row["oneOf"] = [{"required": [name]} for name in ("enterprise", "site", "line")]
    fuel = _object({name: _FUEL[name] for name in output.FUEL_FIELDS}, ["fuel", "quantity", "unit"])
    return _message("GridWarden output reports", "outputs", "report", {"report": row, "fuel": fuel})


def heats_schema() -> Schema:
    """Topic `grid/v1/{publisher}/furnace`, adapter `furnace`."""
    row = _object({name: _HEAT[name] for name in heats.FIELDS}, ["furnace", "start", "end"])
    return _message("GridWarden heats of furnaces", "heats", "heat", {"heat": row})


def _message(title: str, name: str, row: str, definitions: Schema) -> Schema:
    rows = {"type": "array", "minItems": 1, "maxItems": MAX_ROWS, "items": {"$ref": f"#/$defs/{row}"}}
    envelope: Schema = {
        "v": {"const": 1, "description": "Version of the format."},
        "sent": {"type": "string", "description": "When the message was made; kept, not judged."},
        name: rows,
    }
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": title,
        **_object(envelope, ["v", name]),
        "$defs": definitions,
    }


def _object(properties: dict[str, Schema], required: list[str]) -> Schema:
    return {"type": "object", "properties": properties, "required": required, "additionalProperties": False}
