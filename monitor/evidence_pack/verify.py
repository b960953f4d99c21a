"""Verifying a pack on any machine: are the files those that were made, and does the same answer come out of them?"""

from __future__ import annotations

import datetime as dt
import hashlib
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from models.domain.findings import Finding
from models.domain.leads import LeadKind
from models.domain.register import Register
from models.learned.features import FEATURE_VERSION
from monitor.audit.keys import PublicKey
from monitor.config.parts import lead_policy
from monitor.evidence_pack.build import (
    FINDINGS_FILE,
    KEY_FILE,
    LEAD_FILE,
    READINGS_FILE,
    REGISTER_FILE,
    ROWS_FILE,
    SETTINGS_FILE,
)
from monitor.evidence_pack.files import PackUnreadable, file_faults, manifest_of
from monitor.evidence_pack.material import Entry, Material, in_nights
from monitor.evidence_pack.origins import adapter_choices, built_detectors, detectors_version, policy_of
from monitor.evidence_pack.proof import PROOF_FILE, RECORDS_FILE, Proof, Unproven, check_proof, unfounded, unproven
from monitor.evidence_pack.rebuild import Rebuilt, near, rebuild
from monitor.leads import NightFinding, canonical_json, derive_lead, verdict_sha256
from monitor.register.snapshot import rows_from_json
from monitor.wiring import software_version

MOST_NAMED = 20
"""Faults of one sort that are named one by one."""


class Outcome(StrEnum):
    """What became of one night."""

    SAME = "same"
    DIFFERS = "differs"
    NOT_COMPARED = "not_compared"


@dataclass(frozen=True, slots=True)
class NightVerdict:
    """One night of the lead: `faults` say what differs, `note` what was not compared and why."""

    night: dt.date
    meter: str
    outcome: Outcome
    score_then: float | None
    score_now: float | None
    faults: tuple[str, ...] = ()
    note: str = ""


@dataclass(slots=True)
class PackVerdict:
    """What `verify` found. `same`: every file is as made, and everything that can be compared came out the same.

    `unproven`: readings that no packed journal record vouches for; they are compared with the lead's digests alone.
    """

    lead: str
    revision: int
    content_sha256: str
    files: list[str] = field(default_factory=list)
    chain: list[str] = field(default_factory=list)
    nights: list[NightVerdict] = field(default_factory=list)
    lead_faults: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    records: int = 0
    key: str = ""
    unproven: Unproven = field(default_factory=Unproven)

    @property
    def same(self) -> bool:
        return not (self.files or self.chain or self.lead_faults) and all(
            night.outcome is not Outcome.DIFFERS for night in self.nights
        )


class _Night(msgspec.Struct, frozen=True):
    night: dt.date
    meter: str
    interval_s: int
    digest: str
    end_ms: int
    provisional: bool
    finding: NightFinding | None
    finding_sha256: str | None


class _Findings(msgspec.Struct, frozen=True):
    nights: tuple[_Night, ...]


def verify_pack(files: Mapping[str, bytes], key: PublicKey | None = None) -> PackVerdict:
    """Check every file, the chain, and judge every night again. `key` is one to trust; else the pack's own.

    Raises PackUnreadable where there is nothing to compare.
    """
    manifest = manifest_of(files)
    verdict = PackVerdict(manifest.lead, manifest.revision, manifest.content_sha256)
    verdict.files = file_faults(files, manifest)
    try:
        lead = msgspec.json.decode(files[LEAD_FILE], type=dict[str, Any])
        settings = msgspec.json.decode(files[SETTINGS_FILE], type=dict[str, Any])
        register = _register(files, settings, lead["lead"]["versions"])
        detectors = built_detectors(settings["detectors"])
        material = Material(
            lead["lead"]["kind"], detectors, register, _table(files, READINGS_FILE), _table(files, ROWS_FILE)
        )
        entries = [
            Entry(n.night, n.meter, n.interval_s, n.digest, n.end_ms, n.provisional, n.finding)
            for n in msgspec.json.decode(files[FINDINGS_FILE], type=_Findings).nights
        ]
        _compare_versions(verdict, lead["lead"]["versions"], detectors_version(list(detectors.values())))
        _check_chain(verdict, files, material, settings, key, in_nights(material, entries))
        _check_lead(verdict, manifest.lead, manifest.revision, manifest.versions, lead, entries)
        rebuilt = rebuild(material, entries)
        _compare_nights(verdict, material, lead, entries, rebuilt)
        _compare_lead(verdict, lead, register, settings, rebuilt)
    except (KeyError, TypeError, ValueError, IndexError, OSError, msgspec.MsgspecError, pa.ArrowException) as error:
        if isinstance(error, PackUnreadable) and not verdict.files:
            raise
        verdict.lead_faults.append(f"nothing can be computed again: {type(error).__name__}: {error}")
    return verdict


def _register(files: Mapping[str, bytes], settings: Mapping[str, Any], versions: Mapping[str, str]) -> Register:
    try:
        zone = ZoneInfo(settings["zone"])
    except ZoneInfoNotFoundError as error:
        raise ValueError(f"this machine does not know the time zone {settings['zone']}") from error
    return Register(rows_from_json(files[REGISTER_FILE]), zone, versions["register"])


def _table(files: Mapping[str, bytes], name: str) -> pa.Table:
    return pq.read_table(io.BytesIO(files[name]))


def _compare_versions(verdict: PackVerdict, versions: Mapping[str, str], detectors: str) -> None:
    if versions["software"] != software_version():
        verdict.notes.append(f"made by software {versions['software']}, compared by {software_version()}")
    if versions["features"] != str(FEATURE_VERSION):
        verdict.notes.append(
            f"nightly features were of version {versions['features']}, this program computes {FEATURE_VERSION}: "
            "rows and scores may differ for that reason; digests of readings are compared all the same"
        )
    if versions["detectors"] != detectors:
        said = f"the packed settings make the detectors {detectors}, the lead names {versions['detectors']}"
        if versions["software"] == software_version():
            verdict.lead_faults.append(f"{SETTINGS_FILE}: {said}: they are not those the lead was judged by")
        else:
            verdict.notes.append(
                f"{said}: this version's detectors have other settings, or the packed ones were changed"
            )


def _check_chain(
    verdict: PackVerdict,
    files: Mapping[str, bytes],
    material: Material,
    settings: Mapping[str, Any],
    key: PublicKey | None,
    own: NDArray[np.bool_],
) -> None:
    packed = [PublicKey.from_text(line) for line in files.get(KEY_FILE, b"").decode("ascii", "replace").splitlines()]
    if key is not None and packed and key not in packed:
        given = f"is not the one given, {key.fingerprint}"
        verdict.chain.append(f"{KEY_FILE}: the pack's key {packed[0].fingerprint} {given}")
    trusted = [key] if key is not None else packed
    verdict.key = trusted[0].fingerprint if trusted else ""
    if PROOF_FILE not in files:
        verdict.notes.append("the pack holds no journal records: the chain was not compared")
        verdict.unproven = unproven(Proof(), material.readings, own)
        return
    proof = msgspec.json.decode(files[PROOF_FILE], type=Proof)
    verdict.unproven = unproven(proof, material.readings, own)
    bodies = files.get(RECORDS_FILE, b"")
    found = check_proof(proof, bodies, trusted)
    verdict.records = found.records
    verdict.chain += found.faults
    if found.uncovered:
        verdict.notes.append(f"{found.uncovered} of {found.records} journal records are under no signed checkpoint yet")
    missing = unfounded(proof, bodies, material.readings, material.roster, adapter_choices(settings["profiles"]))
    verdict.chain += missing[:MOST_NAMED]
    if len(missing) > MOST_NAMED:
        verdict.chain.append(f"and {len(missing) - MOST_NAMED} more readings that no packed message says")


def _check_lead(
    verdict: PackVerdict,
    lead_id: str,
    revision: int,
    versions: Mapping[str, str],
    stored: Mapping[str, Any],
    entries: Sequence[Entry],
) -> None:
    """The lead's own digest, and that manifest and findings speak of the same lead."""
    lead = stored["lead"]
    if hashlib.sha256(canonical_json(lead)).hexdigest() != stored["sha256"]:
        verdict.lead_faults.append(f"{LEAD_FILE}: the revision does not fit the digest it was recorded with")
    if (lead["id"], stored["revision"], lead["versions"]) != (lead_id, revision, dict(versions)):
        verdict.lead_faults.append(f"{LEAD_FILE}: it is not the lead and revision that the manifest names")
    named = [(entry["night"], entry["meter"], entry["digest"]) for entry in lead["nights"]]
    if named != [(entry.night.isoformat(), entry.meter, entry.digest) for entry in entries]:
        verdict.lead_faults.append(f"{FINDINGS_FILE}: its nights are not those of the lead")


def _compare_nights(
    verdict: PackVerdict,
    material: Material,
    lead: Mapping[str, Any],
    entries: Sequence[Entry],
    rebuilt: Sequence[Rebuilt],
) -> None:
    withdrawn = lead["change"] == "withdrawn"
    if len(rebuilt) != len(entries):
        verdict.notes.append(f"this program has no detector {material.detector}: the nights were not judged again")
        verdict.nights = [
            NightVerdict(e.night, e.meter, Outcome.NOT_COMPARED, _score(e), None, note="no such detector here")
            for e in entries
        ]
        return
    verdict.nights = [_night(one, withdrawn=withdrawn) for one in rebuilt]
    from_rows = max((one.from_rows for one in rebuilt), default=0)
    if from_rows:
        verdict.notes.append(
            f"up to {from_rows} earlier nights were taken from packed feature rows; the last seven come from readings"
        )


def _night(one: Rebuilt, *, withdrawn: bool) -> NightVerdict:
    entry = one.entry
    then = entry.recorded.finding if entry.recorded is not None else None
    now = one.finding
    scores = (then.score if then is not None else None, now.score if now is not None else None)
    if withdrawn:
        note = "the lead was withdrawn: what it said then is not compared with the readings of now"
        return NightVerdict(entry.night, entry.meter, Outcome.NOT_COMPARED, *scores, note=note)
    if entry.provisional and one.digest != entry.digest:
        note = "provisional: the night was not over, it is judged again at its end"
        return NightVerdict(entry.night, entry.meter, Outcome.NOT_COMPARED, *scores, note=note)
    faults = [] if one.digest == entry.digest else [f"readings have the digest {one.digest}, not {entry.digest}"]
    faults += [f"feature row {fault}" for fault in one.row_faults[:MOST_NAMED]]
    faults += differences(then, now)
    outcome = Outcome.DIFFERS if faults else Outcome.SAME
    return NightVerdict(entry.night, entry.meter, outcome, *scores, tuple(faults))


def differences(then: Finding | None, now: Finding | None) -> list[str]:
    """What of a finding comes out otherwise: numbers within 1e-6, words exactly."""
    if then is None or now is None:
        if then is now:
            return []
        return ["nothing is found now" if now is None else "a finding comes out now, none was recorded"]
    faults = [
        f"{name} is {getattr(now, name)}, was {getattr(then, name)}"
        for name in ("score", "probability", "mismatch")
        if not _same_number(getattr(now, name), getattr(then, name))
    ]
    if now.status is not then.status:
        faults.append(f"status is {now.status}, was {then.status}")
    if [reason.code for reason in now.reasons] != [reason.code for reason in then.reasons]:
        faults.append(f"reasons are {[r.code for r in now.reasons]}, were {[r.code for r in then.reasons]}")
    else:
        faults += [
            f"reason {a.code} is {a.value} {a.unit}, was {b.value} {b.unit}"
            for a, b in zip(now.reasons, then.reasons, strict=True)
            if not _same_number(a.value, b.value) or (a.unit, a.zh, a.en) != (b.unit, b.zh, b.en)
        ]
    names = {*now.measures, *then.measures}
    faults += [
        f"measure {name} is {now.measures.get(name)}, was {then.measures.get(name)}"
        for name in sorted(names)
        if not _same_number(now.measures.get(name), then.measures.get(name))
    ]
    return faults


def _compare_lead(
    verdict: PackVerdict,
    stored: Mapping[str, Any],
    register: Register,
    settings: Mapping[str, Any],
    rebuilt: Sequence[Rebuilt],
) -> None:
    """Derive the lead from the nights as judged now, and compare it whole."""
    lead = stored["lead"]
    if stored["change"] == "withdrawn" or any(n.outcome is not Outcome.SAME for n in verdict.nights) or not rebuilt:
        return
    found = [
        NightFinding(one.finding, lead["site"]["id"], one.digest, one.entry.end_ms, one.entry.provisional)
        for one in rebuilt
        if one.finding is not None
    ]
    policy = lead_policy(policy_of(settings["lead_rules"]))
    content = derive_lead(
        LeadKind(lead["kind"]), lead["site"]["id"], lead["month"], found, register, policy, lead["versions"]
    )
    if content is None:
        verdict.lead_faults.append("the nights, judged again, make no lead under the packed rules")
        return
    now = {**content.as_dict(), "previous": lead["previous"]}
    if verdict_sha256(now) != verdict_sha256(lead):
        changed = sorted(k for k in now if k != "versions" and canonical_json(now[k]) != canonical_json(lead.get(k)))
        verdict.lead_faults.append(f"the lead, derived again, says something else: {', '.join(changed)}")


def _score(entry: Entry) -> float | None:
    return entry.recorded.finding.score if entry.recorded is not None else None


def _same_number(now: float | None, then: float | None) -> bool:
    if now is None or then is None:
        return now is then
    return near(now, then)
