"""Judging a lead's nights again from its material alone, by the program's own windows, features and detectors."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from detectors.base import MOST_NIGHTS, RECENT_NIGHTS, Context, Detector, LooksBack
from models.domain.calendar import valley_mask
from models.domain.findings import Finding
from models.domain.nights import Night, night_of_date, nights_before
from models.domain.windows import PastNights, Window
from models.learned.features import night_features
from monitor.evidence import readings_digest
from monitor.evidence_pack.material import FEATURE_NAMES, Entry, Floats, Material
from monitor.jobs import POOL_NIGHTS
from monitor.lookback import rows_digest

RELATIVE = 1e-6
"""How far numbers may lie apart on another machine or with other versions of the libraries."""


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """One night judged again: the digest and the finding (None: nothing was found) as they come out now.

    `row_faults` are nightly rows that come out otherwise than stored; `from_rows` counts nights taken from stored rows.
    """

    entry: Entry
    digest: str
    finding: Finding | None
    window: Window
    row_faults: tuple[str, ...]
    from_rows: int


def rebuild(material: Material, entries: Sequence[Entry]) -> list[Rebuilt]:
    """Every entry judged again; those whose detector this program does not have are left out."""
    detector = material.detectors.get(material.detector)
    if detector is None:
        return []
    return [_rebuilt(material, detector, entry) for entry in entries]


def _rebuilt(material: Material, detector: Detector | LooksBack, entry: Entry) -> Rebuilt:
    zone = material.register.zone
    night = night_of_date(entry.night, zone)
    until_ms = entry.end_ms if entry.provisional else None
    window = material.window(entry.meter, entry.interval_s, night, until_ms=until_ms)
    nights = nights_before(night, POOL_NIGHTS, zone)
    rows, faults = _rows(material, entry, nights, window)
    if isinstance(detector, LooksBack):
        finding, digest, counted = _look_back(material, detector, entry, night, rows)
        return Rebuilt(entry, digest, finding, window, tuple(faults), counted)
    past = PastNights(nights, {n: np.concatenate([row[n] for row in rows])[None, :] for n in FEATURE_NAMES})
    alive = np.array([_alive(material, entry, rows[-1])], dtype=np.bool_)
    judged = detector.evaluate(window, Context(material.register, zone, past, alive))
    finding = next((found for found in judged.findings if found.meter == entry.meter), None)
    return Rebuilt(entry, readings_digest(window, 0), finding, window, tuple(faults), 0)


def _rows(
    material: Material, entry: Entry, nights: Sequence[Night], tonight: Window
) -> tuple[list[dict[str, Floats]], list[str]]:
    """The nightly rows of a night and those it pools, from readings; and which of them are not what is stored."""
    rows: list[dict[str, Floats]] = []
    faults: list[str] = []
    for night in nights:
        own = night.date == entry.night
        window = tonight if own else material.window(entry.meter, entry.interval_s, night)
        computed = night_features(window, valley_mask(material.register, night, entry.interval_s))
        stored = material.row(entry.interval_s, entry.meter, night.date)
        silent = bool(computed["coverage"][0] == 0.0)
        if stored is None:
            known = own and not silent
            row = computed if known or (own and entry.provisional) else _nothing()
            if own and silent and not entry.provisional:
                row = {**computed, "coverage": np.array([np.nan], dtype=np.float32)}
        else:
            if silent and np.isnan(stored["coverage"]):
                computed = {**computed, "coverage": np.array([np.nan], dtype=np.float32)}
            faults += _differences(night.date, computed, stored)
            row = computed
        rows.append(row)
    if rows[-1]["coverage"][0] == 0.0:
        for night, row in zip(nights[:-1], rows[:-1], strict=True):
            heard = np.float32(material.heard_elsewhere(entry.interval_s, entry.meter, night.date))
            row["coverage"] = np.fmax(row["coverage"], heard)
    return rows, faults


def _look_back(
    material: Material, detector: LooksBack, entry: Entry, night: Night, pooled: Sequence[dict[str, Floats]]
) -> tuple[Finding | None, str, int]:
    """Finding, digest and the number of nights taken from stored rows. The last week is that of the readings."""
    zone = material.register.zone
    others = [d for d in material.detectors.values() if isinstance(d, LooksBack)]
    names = sorted({"coverage"}.union(*(other.recent_features for other in others)))
    near = _overlaid(material, entry, nights_before(night, RECENT_NIGHTS, zone), names, pooled)
    far = nights_before(night, min(detector.long_nights, MOST_NIGHTS), zone)
    wrap_kwh = material.roster.rows.wraps(night.date, np.array([material.roster.index[entry.meter]], dtype=np.int32))
    window = Window(night, entry.interval_s, (entry.meter,), {}, {}, np.zeros((1, 0), dtype=np.uint8), wrap_kwh)
    pasts: list[PastNights] = []
    mine: Context | None = None
    for other in others:
        recent = PastNights(near.nights, {name: near.values[name] for name in other.recent_features})
        alive = np.ones(1, dtype=np.bool_)
        context = Context(material.register, zone, recent, alive, recent, None)
        if bool(other.screen(window, context)[0]):
            nights = nights_before(night, min(other.long_nights, MOST_NIGHTS), zone)
            long_past = _overlaid(material, entry, nights, other.long_features, pooled)
            pasts.append(long_past)
            context = Context(material.register, zone, recent, alive, recent, long_past)
        if other.name == detector.name:
            mine = context
    judged = detector.evaluate(window, mine) if mine is not None else None
    finding = next((f for f in judged.findings if f.meter == entry.meter), None) if judged is not None else None
    stored = sum(material.row(entry.interval_s, entry.meter, each.date) is not None for each in far[:-POOL_NIGHTS])
    return finding, rows_digest(window, 0, near.values, pasts), stored


def _overlaid(
    material: Material, entry: Entry, nights: Sequence[Night], names: Sequence[str], pooled: Sequence[dict[str, Floats]]
) -> PastNights:
    """Stored rows, the last nights replaced by those that come out of the readings where they are stored at all."""
    past = material.stored_past(entry.interval_s, entry.meter, nights, names)
    for back, row in enumerate(reversed(pooled), start=1):
        if back <= len(nights) and material.row(entry.interval_s, entry.meter, nights[-back].date) is not None:
            for name in names:
                past.values[name][0, -back] = row[name][0]
    return past


def _alive(material: Material, entry: Entry, tonight: dict[str, Floats]) -> bool:
    """Whether the meter's source was heard that night: a silent night of a source that was heard has a row."""
    if tonight["coverage"][0] > 0.0:
        return True
    stored = material.row(entry.interval_s, entry.meter, entry.night)
    return stored is not None and bool(np.isfinite(stored["coverage"]))


def _nothing() -> dict[str, Floats]:
    return {name: np.full(1, np.nan, dtype=np.float32) for name in FEATURE_NAMES}


def _differences(date: dt.date, computed: dict[str, Floats], stored: dict[str, np.float32]) -> list[str]:
    """What of a row comes out otherwise than it is stored."""
    found = []
    for name in FEATURE_NAMES:
        now, then = float(computed[name][0]), float(stored[name])
        if not near(now, then):
            found.append(f"{date} {name}: {now:.6g}, stored {then:.6g}")
    return found


def near(now: float, then: float) -> bool:
    """Equal within what machines and versions may differ by; NaN equals NaN."""
    return (np.isnan(now) and np.isnan(then)) or abs(now - then) <= RELATIVE * max(1.0, abs(now), abs(then))
