"""The part of a register that belongs to one meter, site or enterprise, and its rows as plain data."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import fields
from typing import Any

import msgspec

from models.domain.register import SHEETS, RegisterRows


def row_counts(rows: RegisterRows) -> dict[str, int]:
    """Rows per sheet."""
    return {name: len(getattr(rows, name)) for name in SHEETS}


def on_date(rows: RegisterRows, on: dt.date) -> RegisterRows:
    """The rows that are valid on a date."""
    return RegisterRows(**{name: tuple(r for r in getattr(rows, name) if r.valid_on(on)) for name in SHEETS})


def about_meter(rows: RegisterRows, meter: str) -> RegisterRows:
    """A meter's rows with its site, enterprise, furnaces, lines, publisher and feeder; not its neighbours."""
    meters = tuple(row for row in rows.meters if row.meter == meter)
    return _around(rows, {row.site for row in meters}, meters={meter})


def about_site(rows: RegisterRows, site: str) -> RegisterRows:
    """A site's rows with everything that stands there, its enterprise, publishers and feeders."""
    return _around(rows, {row.site for row in rows.sites if row.site == site})


def about_enterprise(rows: RegisterRows, uscc: str) -> RegisterRows:
    """An enterprise's rows with all of its sites and what stands there."""
    found = _around(rows, {row.site for row in rows.sites if row.uscc == uscc})
    enterprises = tuple(row for row in rows.enterprises if row.uscc == uscc)
    return RegisterRows(**{**_sheets(found), "enterprises": enterprises})


def _around(rows: RegisterRows, sites: set[str], meters: set[str] | None = None) -> RegisterRows:
    site_rows = tuple(row for row in rows.sites if row.site in sites)
    owners = {row.uscc for row in site_rows}
    meter_rows = tuple(row for row in rows.meters if row.site in sites and (meters is None or row.meter in meters))
    feeders = {row.feeder for row in meter_rows}
    kept = {row.meter for row in meter_rows}
    reporters = tuple(row for row in rows.reporters if row.site in sites and meters is None)
    publishers = {row.publisher for row in meter_rows} | {row.publisher for row in reporters}
    return RegisterRows(
        enterprises=tuple(row for row in rows.enterprises if row.uscc in owners),
        sites=site_rows,
        meters=meter_rows,
        feeders=tuple(row for row in rows.feeders if row.feeder in feeders),
        furnaces=tuple(row for row in rows.furnaces if row.site in sites),
        lines=tuple(row for row in rows.lines if row.site in sites),
        publishers=tuple(row for row in rows.publishers if row.publisher in publishers),
        allocations=tuple(row for row in rows.allocations if row.meter in kept or row.site in sites),
        reporters=reporters,
        declared=tuple(row for row in rows.declared if row.uscc in owners),
    )


def _sheets(rows: RegisterRows) -> dict[str, Any]:
    return {field.name: getattr(rows, field.name) for field in fields(rows)}


def plain(rows: RegisterRows) -> dict[str, list[dict[str, Any]]]:
    """Rows as JSON knows them, sheets without rows left out."""
    sheets: dict[str, list[dict[str, Any]]] = msgspec.to_builtins(_sheets(rows))
    return {name: found for name, found in sheets.items() if found}


def changes(before: RegisterRows, after: RegisterRows) -> Mapping[str, tuple[int, int]]:
    """Per sheet that differs: how many rows are new and how many are gone; a changed row counts once in each."""
    told = {}
    for name in SHEETS:
        old, new = set(getattr(before, name)), set(getattr(after, name))
        if old != new:
            told[name] = (len(new - old), len(old - new))
    return told
