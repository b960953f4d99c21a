"""The part of the register that a lead's site rests on."""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections.abc import Iterable
from typing import TypeVar

from models.domain.register import Dated, RegisterRows

R = TypeVar("R", bound=Dated)


def site_extract(rows: RegisterRows, site: str, meters: Iterable[str], first: dt.date, last: dt.date) -> RegisterRows:
    """The rows about a site and the lead's meters that were valid at any time from `first` to `last`.

    Its enterprises, all its meters with their publishers and feeders, furnaces and lines, and the whole calendar.
    """
    named = set(meters)

    def then(of: Iterable[R]) -> tuple[R, ...]:
        return tuple(r for r in of if r.valid_from <= last and (r.valid_to is None or r.valid_to > first))

    mine = then(m for m in rows.meters if m.site == site or m.meter in named)
    sites = then(s for s in rows.sites if s.site in {site, *(m.site for m in mine)})
    owners = {s.uscc for s in sites}
    feeders = {m.feeder for m in mine if m.feeder}
    return dataclasses.replace(
        rows,
        enterprises=then(e for e in rows.enterprises if e.uscc in owners),
        sites=sites,
        meters=mine,
        feeders=then(f for f in rows.feeders if f.feeder in feeders),
        furnaces=then(f for f in rows.furnaces if f.site == site),
        lines=then(line for line in rows.lines if line.site == site),
        publishers=then(p for p in rows.publishers if p.publisher in {m.publisher for m in mine}),
    )
