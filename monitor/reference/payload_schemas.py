"""JSON Schemas (2020-12) of what comes in and goes out, made from the channel table and the types."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from connectors.adapters.builder import MAX_INTERVAL_S, MAX_REV
from models.domain.channels import CHANNELS, ChannelSpec
from models.domain.leads import LeadState
from models.domain.readings import ID_PATTERN, YEAR_2000_MS, YEAR_2100_MS
from monitor.desk.events import CHECKPOINT_ATTRIBUTE, ChangeKind
from monitor.leads import LeadContent
from monitor.reference.report_schemas import heats_schema, output_schema

DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"
Schema = dict[str, Any]

_STAMP: Final[Schema] = {
    "description": "End of the interval: RFC 3339 with an offset, or milliseconds since 1970-01-01 UTC.",
    "oneOf": [
        {"type": "string", "format": "date-time"},
        {"type": "integer", "minimum": YEAR_2000_MS, "exclusiveMaximum": YEAR_2100_MS},
    ],
}
_FIXED: Final[Mapping[str, Schema]] = {
    "meter": {"type": "string", "pattern": ID_PATTERN, "description": "Meter id, as in the register."},
    "ts": _STAMP,
    "interval_s": {
        "type": "integer",
        "minimum": 0,
        "maximum": MAX_INTERVAL_S,
        "description": "Length of the interval in seconds; absent or 0: the register's cadence.",
    },
    "rev": {
        "type": "integer",
        "minimum": 0,
        "maximum": MAX_REV,
        "description": "Above 0: revision of a reading sent before; only from a publisher that may revise.",
    },
}
_ENVELOPE: Final[Mapping[str, Schema]] = {
    "v": {"const": 1, "description": "Version of the format."},
    "sent": {"type": "string", "description": "When the message was made; kept, not judged."},
}


def payload_schemas() -> dict[str, Schema]:
    """Every published schema by file name, without the suffix."""
    return {
        "readings": readings_schema(),
        "output": output_schema(),
        "furnace": heats_schema(),
        "status": status_schema(),
        "lead-event": lead_event_schema(),
    }


def readings_schema() -> Schema:
    """Topic `grid/v1/{publisher}/readings`, adapter `canonical`: rows, or columns of equal length."""
    fields = {**_FIXED, **{name: _channel(spec) for name, spec in CHANNELS.items()}}
    lists = {name: _column(name, nullable=name in CHANNELS) for name in fields}
    row = {"$ref": "#/$defs/row"}
    columns = {"$ref": "#/$defs/columns"}
    body: Schema = {
        "oneOf": [
            _object({**_ENVELOPE, "readings": {"type": "array", "minItems": 1, "items": row}}, ["v", "readings"]),
            _object({**_ENVELOPE, "readings": columns}, ["v", "readings"]),
            _object({**_ENVELOPE, "columns": columns}, ["v", "columns"]),
            _object({**_ENVELOPE, **lists}, ["v", "meter", "ts"]),
        ],
        "$defs": {"row": _object(fields, ["meter", "ts"]), "columns": _object(lists, ["meter", "ts"])},
    }
    return _titled("GridWarden readings, canonical form", body)


def status_schema() -> Schema:
    """Topic `grid/v1/{publisher}/status`: last will and heartbeat; the bare words online and offline do too."""
    body = {"type": "object", "properties": {"status": {"enum": ["online", "offline"]}}, "required": ["status"]}
    return _titled("GridWarden publisher status", body)


def lead_event_schema() -> Schema:
    """Topic `grid/v1/iit/{district}/leads` and the webhook: a CloudEvent 1.0 whose data is the lead."""
    (content,), definitions = msgspec.json.schema_components([LeadContent], ref_template="#/$defs/{name}")
    lead = definitions.pop("LeadContent")
    lead["properties"] |= {
        "state": {"enum": [state.value for state in LeadState]},
        "standing": {"enum": ["raised", "withdrawn"]},
        "revision": {"type": "integer", "minimum": 1},
    }
    lead["required"] = [*lead["required"], "state", "standing", "revision"]
    event = _object(
        {
            "specversion": {"const": "1.0"},
            "id": {"type": "string", "description": "Also the Idempotency-Key: a repeat carries the same one."},
            "source": {"type": "string", "description": "urn:gridwarden:{district}"},
            "type": {"enum": [change.event_type for change in ChangeKind]},
            "subject": {"type": "string", "description": "Id of the lead."},
            "time": {"type": "string", "format": "date-time", "description": "End of the lead's last night."},
            "datacontenttype": {"const": "application/json"},
            CHECKPOINT_ATTRIBUTE: {"type": "string", "description": "The newest signed checkpoint; keep it."},
            "data": content,
        },
        ["specversion", "id", "source", "type", "subject", "time", "datacontenttype", "data"],
    )
    return _titled("GridWarden lead event", event) | {"$defs": {"LeadContent": lead, **definitions}}


def _channel(spec: ChannelSpec) -> Schema:
    return {
        "type": "number",
        "minimum": spec.low,
        "maximum": spec.high,
        "description": f"{spec.meaning}, {spec.unit} ({spec.kind.value})",
    }


def _column(name: str, *, nullable: bool) -> Schema:
    item: Schema = {"$ref": f"#/$defs/row/properties/{name}"}
    return {"type": "array", "minItems": 1, "items": {"oneOf": [item, {"type": "null"}]} if nullable else item}


def _object(properties: Mapping[str, Any], required: list[str]) -> Schema:
    return {
        "type": "object",
        "properties": dict(properties),
        "required": required,
        "additionalProperties": False,
    }


def _titled(title: str, schema: Schema) -> Schema:
    return {"$schema": DIALECT, "title": title, **schema}
