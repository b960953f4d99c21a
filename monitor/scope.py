"""The part of the register that belongs to this daemon's districts; what lies elsewhere is known and not served.

A site's district is that of the enterprise it belongs to. A meter is ours where its site was ours at any time its row
holds: a site that moved from one district to another stays visible to both.
"""

from __future__ import annotations

import dataclasses
import logging
from collections import defaultdict
from collections.abc import Collection

from models.domain.register import Dated, Elsewhere, Register, RegisterRows
from monitor.config.faults import ConfigFault, ConfigFaults
from monitor.config.settings import Settings

log = logging.getLogger(__name__)

EVERY = "*"


def served_districts(settings: Settings) -> frozenset[str] | None:
    """District ids this daemon serves; None: all."""
    named = settings.scope.districts
    if EVERY in named:
        return None
    if named:
        return frozenset(named)
    return frozenset({settings.daemon.district}) if "district" in settings.daemon.model_fields_set else None


def scoped(register: Register, settings: Settings) -> Register:
    """The register without other districts' enterprises, sites, meters, furnaces and lines; same version.

    Raises ConfigFaults where none of its meters is ours: a district that is misspelt must not refuse everything.
    """
    districts = served_districts(settings)
    if districts is None:
        return register
    serve_unassigned = settings.scope.unassigned == "serve"
    of_site = districts_of_sites(register.rows)
    ours = {site for site, found in of_site.items() if _is_ours(found, districts, serve_unassigned=serve_unassigned)}
    rows = register.rows
    meters = tuple(row for row in rows.meters if row.site in ours)
    if rows.meters and not meters:
        known = sorted({row.district for row in rows.enterprises if row.district})
        raise ConfigFaults(
            [
                ConfigFault(
                    "settings",
                    "scope.districts" if settings.scope.districts else "daemon.district",
                    f"no meter of the register belongs to {', '.join(sorted(districts))}",
                    f"The register has {', '.join(known[:10]) or 'none'}. Name one of these in scope.districts.",
                )
            ]
        )
    served = {row.meter for row in meters}
    away = {
        row.meter: ", ".join(sorted(of_site.get(row.site, set()) - {""})) or "no district"
        for row in rows.meters
        if row.meter not in served
    }
    if away:
        log.info("%d meters of other districts are not served; ours: %s", len(away), ", ".join(sorted(districts)))
    companies = {row.uscc for row in rows.sites if row.site in ours}
    kept = dataclasses.replace(
        rows,
        enterprises=tuple(row for row in rows.enterprises if row.uscc in companies),
        sites=tuple(row for row in rows.sites if row.site in ours),
        meters=meters,
        furnaces=tuple(row for row in rows.furnaces if row.site in ours),
        lines=tuple(row for row in rows.lines if row.site in ours),
        allocations=tuple(row for row in rows.allocations if row.meter in served),
        reporters=tuple(row for row in rows.reporters if row.site in ours),
        declared=tuple(row for row in rows.declared if row.uscc in companies),
    )
    elsewhere = Elsewhere(away, ignored=settings.scope.others == "ignore")
    return Register(kept, register.zone, register.version, elsewhere)


def districts_of_sites(rows: RegisterRows) -> dict[str, set[str]]:
    """Every district each site was ever in; "" stands for an enterprise without one."""
    owners = defaultdict(list)
    for row in rows.enterprises:
        owners[row.uscc].append(row)
    found: dict[str, set[str]] = defaultdict(set)
    for site in rows.sites:
        mine = [owner.district for owner in owners.get(site.uscc, ()) if _overlap(site, owner)]
        found[site.site].update(mine or [""])
    for meter in rows.meters:
        if not found.get(meter.site):
            found[meter.site].add("")
    return dict(found)


def sites_in(rows: RegisterRows, district: str) -> frozenset[str]:
    """The sites that were ever in a district."""
    return frozenset(site for site, found in districts_of_sites(rows).items() if district in found)


def _is_ours(found: Collection[str], districts: frozenset[str], *, serve_unassigned: bool) -> bool:
    return any(district in districts if district else serve_unassigned for district in found)


def _overlap(one: Dated, other: Dated) -> bool:
    return (one.valid_to is None or other.valid_from < one.valid_to) and (
        other.valid_to is None or one.valid_from < other.valid_to
    )
