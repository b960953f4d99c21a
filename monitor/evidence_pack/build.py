"""Making an evidence pack: a function of what is stored, so that the same state gives the same bytes."""

from __future__ import annotations

import dataclasses
import datetime as dt
import hashlib
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final
from zoneinfo import ZoneInfo

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from detectors.table import DETECTORS
from models.domain.nights import night_of_date
from models.domain.register import Register
from models.domain.windows import SlotFlag
from models.learned.features import FEATURE_VERSION
from monitor.audit.keys import former_public_keys, stored_public_key
from monitor.drawing.canvas import png_bytes, svg_bytes
from monitor.evidence_pack.curves import figure_of, mean_power_kw
from monitor.evidence_pack.desk_part import DeskPart, imported_register, read_lead
from monitor.evidence_pack.extract import site_extract
from monitor.evidence_pack.files import with_manifest
from monitor.evidence_pack.material import Entry, Material, in_nights, nights_of_rows, span_of_readings
from monitor.evidence_pack.origins import built_detectors, kept_detectors, kept_lead_rules, kept_profiles, kept_register
from monitor.evidence_pack.page import page_bytes
from monitor.evidence_pack.proof import PROOF_FILE, RECORDS_FILE, Proof, prove
from monitor.evidence_pack.rebuild import rebuild
from monitor.evidence_pack.sources import Stored
from monitor.leads import canonical_json
from monitor.register.snapshot import rows_to_json
from monitor.wiring import software_version

LEAD_FILE: Final = "lead.json"
SETTINGS_FILE: Final = "settings.json"
REGISTER_FILE: Final = "register.json"
READINGS_FILE: Final = "readings.parquet"
ROWS_FILE: Final = "features.parquet"
FINDINGS_FILE: Final = "findings.json"
GAPS_FILE: Final = "gaps.json"
KEY_FILE: Final = "checkpoint-key.pub"
MOST_JOURNAL_BYTES: Final = 512 << 20


class NoPack(RuntimeError):  # noqa: N818 - reads as the condition it names
    """A pack of this lead cannot be made; the message says why and what to do."""


@dataclasses.dataclass(frozen=True, slots=True)
class Known:
    """What judged and what was known when the lead's revision was written."""

    register: Register
    detectors: dict[str, dict[str, Any]]
    lead_rules: dict[str, Any]


def build_pack(
    state_dir: Path, lead_id: str, zone: ZoneInfo, stored: Stored, *, with_journal: bool
) -> dict[str, bytes]:
    """Every file of the pack. Raises NoPack, LookupError without such a lead, FileNotFoundError without a desk."""
    desk = read_lead(state_dir, lead_id)
    if desk is None:
        raise LookupError(lead_id)
    lead = desk.revision.content
    known = _known(state_dir, lead["versions"], zone)
    detectors = built_detectors(known.detectors)
    nights = sorted({dt.date.fromisoformat(entry["night"]) for entry in lead["nights"]})
    dates = nights_of_rows(nights, known.register, detectors.get(lead["kind"]))
    extract = site_extract(
        known.register.rows, lead["site"]["id"], lead["meters"], dates[0], nights[-1] + dt.timedelta(2)
    )
    register = Register(extract, zone, known.register.version)
    readings = stored.readings(*span_of_readings(nights, register), lead["meters"])
    registered = {row.cadence_s for meter in lead["meters"] for row in extract.meters if row.meter == meter}
    cadences = sorted({*registered, *np.unique(readings.column("interval_s").to_numpy()).tolist()})
    rows = stored.rows(dates, lead["meters"], cadences)
    material = Material(lead["kind"], detectors, register, readings, rows)
    entries = [_entry(material, desk, entry, cadences) for entry in lead["nights"]]
    figure = figure_of(material, entries)
    gaps = gaps_of(material, entries)
    files = {
        LEAD_FILE: _pretty(desk.revision.as_dict()),
        SETTINGS_FILE: _pretty(_settings(state_dir, known, zone)),
        REGISTER_FILE: rows_to_json(extract),
        READINGS_FILE: parquet_bytes(readings),
        ROWS_FILE: parquet_bytes(rows),
        FINDINGS_FILE: _pretty({"nights": [_plain(entry) for entry in entries], "beside": desk.beside}),
        GAPS_FILE: _pretty(gaps),
        "curve.svg": svg_bytes(figure),
        "curve.png": png_bytes(figure),
    }
    key = stored_public_key(state_dir)
    if key is not None:
        keys = (key, *(former for former in former_public_keys(state_dir) if former != key))
        files[KEY_FILE] = "".join(f"{each.text}\n" for each in keys).encode()
    proof = Proof()
    if with_journal:
        bodies, proof = prove(state_dir, _seqs_behind(material, entries))
        if len(bodies) > MOST_JOURNAL_BYTES:
            raise NoPack(
                f"the journal records behind {lead_id} hold {len(bodies) >> 20} MiB, more than a pack takes; "
                "make it with --without-journal, and show the journal itself where they are asked for"
            )
        files |= {RECORDS_FILE: bodies, PROOF_FILE: _pretty(proof)}
    files["index.html"] = page_bytes(material, desk, entries, gaps, files, proof)
    made_by = {"software": software_version(), "features": str(FEATURE_VERSION)}
    return with_manifest(files, lead=lead, revision=desk.revision.revision, made_by=made_by)


def gaps_of(material: Material, entries: Sequence[Entry]) -> list[dict[str, Any]]:
    """Stretches of the lead's nights without a reading, or with readings that contradict each other."""
    found: list[dict[str, Any]] = []
    for entry in entries:
        night = night_of_date(entry.night, material.register.zone)
        window = material.window(entry.meter, entry.interval_s, night)
        power_kw, _ = mean_power_kw(window)
        conflict = (window.flags[0] & np.uint8(SlotFlag.CONFLICT)) != 0
        for what, mask in (("no_reading", np.isnan(power_kw) & ~conflict), ("contradiction", conflict)):
            edges = np.flatnonzero(np.diff(np.concatenate(([False], mask, [False])).astype(np.int8)))
            ends = [night.start_ms, *window.end_ms().tolist()]
            found += [
                {
                    "night": entry.night.isoformat(),
                    "meter": entry.meter,
                    "what": what,
                    "from": _local(ends[first], material.register.zone),
                    "to": _local(ends[end], material.register.zone),
                    "slots": end - first,
                }
                for first, end in zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True)
            ]
    return found


def parquet_bytes(table: pa.Table) -> bytes:
    """A table as Parquet; the same rows give the same bytes with the same libraries."""
    out = io.BytesIO()
    pq.write_table(table.replace_schema_metadata(None), out, compression="zstd", store_schema=False)
    return out.getvalue()


def _known(state_dir: Path, versions: Mapping[str, str], zone: ZoneInfo) -> Known:
    rows = kept_register(state_dir, versions["register"])
    if rows is None:
        rows = imported_register(state_dir, versions["register"])
    detectors = kept_detectors(state_dir, versions["detectors"])
    rules = kept_lead_rules(state_dir, versions["leads"])
    missing = [
        name for name, there in (("register", rows), ("detectors", detectors), ("leads", rules)) if there is None
    ]
    if rows is None or detectors is None or rules is None:
        raise NoPack(
            f"{', '.join(missing)} {', '.join(versions[name][:16] for name in missing)} of the lead's revision are not "
            f"kept in {state_dir}/origins: an older version wrote it. Start the daemon once; leads are judged anew "
            "where readings arrive"
        )
    return Known(Register(rows, zone, versions["register"]), detectors, rules)


def _entry(material: Material, desk: DeskPart, night: Mapping[str, Any], cadences: Sequence[int]) -> Entry:
    """A night of the lead, at the cadence whose readings have the digest that the lead names."""
    date, meter = dt.date.fromisoformat(night["night"]), str(night["meter"])
    recorded = desk.findings.get((date, meter))
    row = material.register.meter(meter, date)
    home = row.cadence_s if row is not None else cadences[0]
    entry = Entry(
        night=date,
        meter=meter,
        interval_s=home,
        digest=night["digest"],
        end_ms=recorded.end_ms if recorded is not None else night_of_date(date, material.register.zone).end_ms,
        provisional=recorded.provisional if recorded is not None else False,
        recorded=recorded,
    )
    for interval_s in (home, *(cadence for cadence in cadences if cadence != home)):
        candidate = dataclasses.replace(entry, interval_s=interval_s)
        if any(rebuilt.digest == entry.digest for rebuilt in rebuild(material, [candidate])):
            return candidate
    return entry


def _seqs_behind(material: Material, entries: Sequence[Entry]) -> list[int]:
    """Journal records that brought readings of the lead's nights."""
    keep = in_nights(material, entries)
    seqs: list[int] = np.unique(material.readings.column("seq").to_numpy()[keep]).tolist()
    return seqs


def _settings(state_dir: Path, known: Known, zone: ZoneInfo) -> dict[str, Any]:
    return {
        "zone": zone.key,
        "detectors": {name: known.detectors[name] for name in sorted(known.detectors)},
        "lead_rules": known.lead_rules,
        "profiles": kept_profiles(state_dir),
        "names": {name: {"zh": spec.zh, "en": spec.en} for name, spec in DETECTORS.items() if name in known.detectors},
    }


def _plain(entry: Entry) -> dict[str, Any]:
    body = canonical_json(entry.recorded) if entry.recorded is not None else None
    return {
        "night": entry.night.isoformat(),
        "meter": entry.meter,
        "interval_s": entry.interval_s,
        "digest": entry.digest,
        "end_ms": entry.end_ms,
        "provisional": entry.provisional,
        "finding": entry.recorded,
        "finding_sha256": None if body is None else hashlib.sha256(body).hexdigest(),
    }


def _local(ms: int, zone: ZoneInfo) -> str:
    return dt.datetime.fromtimestamp(ms / 1000.0, zone).isoformat(timespec="minutes")


def _pretty(value: object) -> bytes:
    return msgspec.json.format(canonical_json(value), indent=2) + b"\n"
