"""Whose electricity a meter's is: its site's, a line's, another site's, by the keys the register declares."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal, localcontext
from typing import Final

from models.domain.accounts import AllocationStep, Gap, GapKind, MeterEnergy, OutputTotal, Period
from models.domain.register import Allocation, AllocationBasis
from models.law.numbers import PRECISION, shown
from models.law.units import UNITS, factor_between
from monitor.accounts.registers import Stretch

Place = tuple[str, str]
"""Site and line; line "" for the site as a whole."""

_THOUSANDTH: Final = Decimal("0.001")


@dataclass(frozen=True, slots=True)
class Part:
    """One stretch of a meter with what its register gave, and the register's rows on it (of one basis)."""

    stretch: Stretch
    energy: MeterEnergy
    rows: tuple[Allocation, ...] = ()

    @property
    def meter(self) -> str:
        return self.energy.meter

    @property
    def parent(self) -> str:
        """The meter it is metered behind, "" where there is none."""
        return self.rows[0].within if self.rows else ""


@dataclass(slots=True)
class Division:
    """What each place got: `kwh` of sites without their lines' share, and of lines; `known_ms` of `expected_ms` of
    meter time that lies between readings, by place."""

    kwh: dict[Place, Decimal] = field(default_factory=lambda: defaultdict(Decimal))
    known_ms: dict[Place, Decimal] = field(default_factory=lambda: defaultdict(Decimal))
    expected_ms: dict[Place, Decimal] = field(default_factory=lambda: defaultdict(Decimal))
    measured: set[Place] = field(default_factory=set)
    steps: list[AllocationStep] = field(default_factory=list)
    gaps: list[Gap] = field(default_factory=list)


def divided(
    parts: Sequence[Part],
    site_of: Mapping[str, str],
    outputs: Mapping[Place, Sequence[OutputTotal]],
) -> Division:
    """Divide the electricity of meters. `site_of`: the site of each line; `outputs`: what lines made in the period.

    A meter's own electricity is what its register gave less what the meters behind it gave. Shares come first, then
    what goes by metered electricity, which are shares of what the lines have by then, then what goes by output. What
    cannot be divided stays with the meter's own site, and is said.
    """
    division = Division()
    children: dict[str, list[Part]] = defaultdict(list)
    present = {part.meter: part.energy.site for part in parts}
    for part in parts:
        if part.parent in present:
            children[part.parent].append(part)
    order = {AllocationBasis.SHARE: 0, AllocationBasis.KWH: 1, AllocationBasis.OUTPUT: 2}
    with localcontext(PRECISION):
        for part in sorted(parts, key=lambda one: (order[_basis(one)], one.meter, one.stretch.first)):
            _count_time(division, part, site_of, inside=present.get(part.parent) == part.energy.site)
            own = _own(division, part, children.get(part.meter, ()))
            if own is not None:
                _divide(division, part, own, site_of, outputs)
    return division


def _basis(part: Part) -> AllocationBasis:
    return part.rows[0].basis if part.rows else AllocationBasis.SHARE


def _count_time(division: Division, part: Part, site_of: Mapping[str, str], *, inside: bool) -> None:
    """Time of the meter and of it what is known, for its targets and, unless another meter of the site counts it
    already (`inside`), for its site."""
    span = Decimal(part.stretch.end_ms - part.stretch.first_ms)
    places: set[Place] = set() if inside else {(part.energy.site, "")}
    places |= {_target(row, site_of) for row in part.rows if row.line or row.site}
    for place in places:
        division.expected_ms[place] += span
        division.known_ms[place] += span * part.energy.coverage


def _own(division: Division, part: Part, children: Sequence[Part]) -> Decimal | None:
    """What the meter's register gave without what is metered behind it; None where the register gave nothing."""
    if part.energy.kwh is None:
        return None
    own = part.energy.kwh
    within = [
        child
        for child in children
        if child.energy.kwh is not None
        and child.stretch.first < part.stretch.end
        and part.stretch.first < child.stretch.end
    ]
    for child in within:
        own -= child.energy.kwh or Decimal(0)
    if own < 0:
        division.gaps.append(
            _gap(
                part,
                GapKind.IMPLAUSIBLE,
                f"下级电表电量合计超过本表 {shown(-own)} kWh，请核对接线登记",
                f"the meters behind it gave {shown(-own)} kWh more than it did: check what is registered behind it",
            )
        )
    return own


def _divide(
    division: Division,
    part: Part,
    own: Decimal,
    site_of: Mapping[str, str],
    outputs: Mapping[Place, Sequence[OutputTotal]],
) -> None:
    home: Place = (part.energy.site, "")
    rows = [row for row in part.rows if row.line or row.site]
    if not rows:
        _give(division, part, home, "own", own, f"{shown(own)} kWh")
        return
    weights = _weights(division, part, rows, site_of, outputs)
    if weights is None:
        _give(division, part, home, "own", own, f"{shown(own)} kWh")
        return
    left = own
    basis = rows[0].basis
    whole = Decimal(1) if basis is AllocationBasis.SHARE else sum((weight for _, weight in weights), Decimal(0))
    for at, (place, weight) in enumerate(weights):
        last = basis is not AllocationBasis.SHARE and at == len(weights) - 1
        kwh = left if last else (own * weight / whole).quantize(_THOUSANDTH)
        left -= kwh
        of = f"{shown(own)} × {shown(weight)}" + ("" if basis is AllocationBasis.SHARE else f" / {shown(whole)}")
        _give(division, part, place, basis.value, kwh, f"{of} = {shown(kwh)} kWh")
    if left:
        _give(division, part, home, "own", left, f"{shown(own)} - {shown(own - left)} = {shown(left)} kWh")


def _weights(
    division: Division,
    part: Part,
    rows: Sequence[Allocation],
    site_of: Mapping[str, str],
    outputs: Mapping[Place, Sequence[OutputTotal]],
) -> list[tuple[Place, Decimal]] | None:
    """The key of each target; None where it is not known or nothing."""
    places = [_target(row, site_of) for row in rows]
    match rows[0].basis:
        case AllocationBasis.SHARE:
            return [(place, Decimal(repr(row.share))) for place, row in zip(places, rows, strict=True)]
        case AllocationBasis.KWH:
            weights = [division.kwh.get(place, Decimal(0)) for place in places]
            known = all(place in division.measured for place in places)
        case AllocationBasis.OUTPUT:
            found = [_output(outputs.get(place, ())) for place in places]
            kinds = {UNITS[unit].kind for _, unit in found if unit}
            known = len(kinds) == 1 and all(unit for _, unit in found)
            base = next((unit for _, unit in found if unit), "")
            weights = [quantity * factor_between(unit, base) if known else Decimal(0) for quantity, unit in found]
    if known and sum(weights) > 0:
        return list(zip(places, weights, strict=True))
    division.gaps.append(
        _gap(
            part,
            GapKind.UNALLOCATED,
            f"分摊依据（{'产量' if rows[0].basis is AllocationBasis.OUTPUT else '电量'}）不全，未分摊，留在厂区",
            f"its key ({rows[0].basis.value} of the lines) is not known: not divided, left with the site",
        )
    )
    return None


def _output(totals: Sequence[OutputTotal]) -> tuple[Decimal, str]:
    """Output of a line over its products, which must be of one kind of unit; unit "" where it is not known."""
    if not totals or any(total.quantity is None for total in totals):
        return Decimal(0), ""
    unit = totals[0].unit
    if any(UNITS[total.unit].kind != UNITS[unit].kind for total in totals):
        return Decimal(0), ""
    return sum(
        ((total.quantity or Decimal(0)) * factor_between(total.unit, unit) for total in totals), Decimal(0)
    ), unit


def _target(row: Allocation, site_of: Mapping[str, str]) -> Place:
    return (site_of.get(row.line, ""), row.line) if row.line else (row.site, "")


def _give(division: Division, part: Part, place: Place, basis: str, kwh: Decimal, formula: str) -> None:
    division.kwh[place] += kwh
    division.measured.add(place)
    division.steps.append(AllocationStep(part.meter, place[0], place[1], basis, kwh, formula))


def _gap(part: Part, kind: GapKind, zh: str, en: str) -> Gap:
    stretch = part.stretch
    period = Period(stretch.first, max(stretch.first, stretch.end.fromordinal(stretch.end.toordinal() - 1)))
    return Gap(kind, part.meter, period.first, period.last, zh, en)
