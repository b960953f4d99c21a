"""Findings in the desk: replaced night by night, read back for the leads they make."""

from __future__ import annotations

import dataclasses
import datetime as dt
import hashlib
import math
from collections.abc import Iterator, Sequence
from typing import Any, Final

import msgspec
import sqlalchemy as sa

from models.domain.findings import Status
from monitor.desk.schema import FINDINGS
from monitor.leads import NightFinding, canonical_json

_DECODER: Final = msgspec.json.Decoder(NightFinding)
CHUNK: Final = 500
"""Ids bound in one statement."""

Key = tuple[str, str]


def chunked(ids: Sequence[str]) -> Iterator[Sequence[str]]:
    """Slices of at most CHUNK ids."""
    for start in range(0, len(ids), CHUNK):
        yield ids[start : start + CHUNK]


def replace_findings(
    connection: sa.Connection,
    night: dt.date,
    judged: Sequence[str],
    detectors: Sequence[str],
    findings: Sequence[NightFinding],
) -> set[Key]:
    """Make `findings` all there is of (judged meters, night, detectors); rows that did not change are not written.

    Returns every (detector, site) that has, or had, a finding there. Raises ValueError for a finding outside of what
    was judged and for numbers that are not finite (rule S7).
    """
    wanted = _rows(night, judged, detectors, findings)
    touched = {(row["detector"], row["site"]) for row in wanted.values()}
    stale: list[dict[str, str]] = []
    for meters in chunked(judged):
        query = sa.select(FINDINGS.c.meter, FINDINGS.c.detector, FINDINGS.c.site, FINDINGS.c.sha256).where(
            FINDINGS.c.night == night.isoformat(), FINDINGS.c.meter.in_(meters), FINDINGS.c.detector.in_(detectors)
        )
        for meter, detector, site, sha256 in connection.execute(query):
            touched.add((detector, site))
            row = wanted.get((meter, detector))
            if row is not None and row["sha256"] == sha256 and row["site"] == site:
                del wanted[meter, detector]
            else:
                stale.append({"b_meter": meter, "b_detector": detector})
    if stale:
        connection.execute(
            sa.delete(FINDINGS).where(
                FINDINGS.c.night == night.isoformat(),
                FINDINGS.c.meter == sa.bindparam("b_meter"),
                FINDINGS.c.detector == sa.bindparam("b_detector"),
            ),
            stale,
        )
    if wanted:
        connection.execute(sa.insert(FINDINGS), list(wanted.values()))
    return touched


def suspects_of(
    connection: sa.Connection, detectors: Sequence[str], sites: Sequence[str], first: dt.date, last: dt.date
) -> dict[Key, list[NightFinding]]:
    """Suspect findings by (detector, site) from night `first` to `last`, both included."""
    found: dict[Key, list[NightFinding]] = {}
    for some in chunked(sites):
        query = sa.select(FINDINGS.c.body).where(
            FINDINGS.c.detector.in_(detectors),
            FINDINGS.c.site.in_(some),
            FINDINGS.c.night.between(first.isoformat(), last.isoformat()),
            FINDINGS.c.status == Status.SUSPECT.value,
        )
        for (body,) in connection.execute(query).all():
            item = _DECODER.decode(body)
            found.setdefault((item.finding.detector, item.site), []).append(item)
    return found


def _rows(
    night: dt.date, judged: Sequence[str], detectors: Sequence[str], findings: Sequence[NightFinding]
) -> dict[Key, dict[str, Any]]:
    meters, names = set(judged), set(detectors)
    rows: dict[Key, dict[str, Any]] = {}
    for item in findings:
        finding = item.finding
        if finding.night != night or finding.meter not in meters or finding.detector not in names:
            raise ValueError(
                f"finding of {finding.detector} on meter {finding.meter}, night {finding.night}, is not among the "
                f"meters and detectors judged for {night}"
            )
        if (finding.meter, finding.detector) in rows:
            raise ValueError(f"two findings of {finding.detector} on meter {finding.meter} for {night}")
        body = canonical_json(_checked(item))
        rows[finding.meter, finding.detector] = {
            "night": night.isoformat(),
            "meter": finding.meter,
            "detector": finding.detector,
            "site": item.site,
            "status": finding.status.value,
            "score": float(finding.score),
            "body": body,
            "sha256": hashlib.sha256(body).hexdigest(),
        }
    return rows


def _checked(item: NightFinding) -> NightFinding:
    """The finding with plain finite floats: a measure that could not be computed is left out, anything else raises."""
    finding = item.finding
    numbers = [finding.score, finding.mismatch, *(reason.value for reason in finding.reasons)]
    if not all(math.isfinite(number) for number in numbers):
        raise ValueError(f"finding of {finding.detector} on meter {finding.meter} has a number that is not finite")
    probability = finding.probability
    known = probability is not None and math.isfinite(probability)
    plain = dataclasses.replace(
        finding,
        score=float(finding.score),
        mismatch=float(finding.mismatch),
        probability=float(probability) if probability is not None and known else None,
        reasons=tuple(dataclasses.replace(reason, value=float(reason.value)) for reason in finding.reasons),
        measures={name: float(value) for name, value in finding.measures.items() if math.isfinite(value)},
    )
    return dataclasses.replace(item, finding=plain)
