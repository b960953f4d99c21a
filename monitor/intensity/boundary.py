"""What of an enterprise's energy belongs to one product: all of it, that of its own lines or sites, or none can say."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from models.domain.accounts import Account, MeterEnergy, SiteAccount
from models.domain.production import FuelUse
from models.domain.register import Register
from models.law.numbers import shown, signed
from models.law.steps import Step
from monitor.lead_texts import Bilingual

MOST_METER_STEPS: Final = 40
"""Meters shown one by one in the calculation; with more, their sum alone is."""

_FUELS_OF_NO_LINE: Final = Bilingual(
    "部分燃料未分到生产线", "some fuels are told of the site or enterprise, not of a line"
)
_FUELS_OF_NO_SITE: Final = Bilingual("部分燃料未分到厂区", "some fuels are told of the enterprise, not of a site")

Names = Callable[[str], str]
"""A product's name in the packs for the name a report or the register uses."""


@dataclass(frozen=True, slots=True)
class Boundary:
    """The energy of one product. `kwh` None: no reading to base it on.

    `own`: it is metered for the product's own lines, so that it may stand for the process alone. `short_kwh` and
    `short_fuels` say what of the product's energy is not in here: whatever follows is a lower bound.
    """

    kwh: Decimal | None
    coverage: Decimal
    fuels: tuple[FuelUse, ...]
    fuels_told: bool
    own: bool
    sites: tuple[str, ...]
    lines: tuple[str, ...]
    meters: tuple[str, ...]
    steps: tuple[Step, ...]
    short_kwh: tuple[Bilingual, ...] = ()
    short_fuels: tuple[Bilingual, ...] = ()


def boundary_of(
    account: Account, product: str, register: Register, named: Names, *, process: bool = False
) -> Boundary | None:
    """The energy that went into `product`; None where several products share it and nothing says how.

    One product: everything. Several: the lines that make it alone, else the sites that do. Where the `process` alone
    is asked for, lines with electricity of their own come first.
    """
    made = {named(total.product) for total in account.output if total.quantity is None or total.quantity}
    only = made <= {product}
    if only and not process:
        return _whole(account)
    lines = [entry for entry in account.sites if entry.line]
    by_line = _alone(lines, product, lambda entry: _line_products(entry, register, account, named))
    if by_line and (not only or all(entry.electricity.kwh is not None for entry in by_line)):
        return _of_lines(account, by_line)
    if only:
        return _whole(account)
    sites = [entry for entry in account.sites if not entry.line]
    by_site = _alone(sites, product, lambda entry: _site_products(entry.site, account, named))
    return _of_sites(account, by_site) if by_site else None


def _whole(account: Account) -> Boundary:
    meters = tuple(one.meter for one in account.meters)
    sites = tuple(dict.fromkeys(entry.site for entry in account.sites))
    steps = [*_meter_steps(account.meters), *_allocation_steps(account, lambda step: step.basis != "own")]
    if account.electricity.kwh is not None:
        steps.append(_sum_step([one.kwh for one in account.meters if one.kwh is not None], account.electricity.kwh))
    return Boundary(
        kwh=account.electricity.kwh,
        coverage=account.electricity.coverage,
        fuels=tuple(total.use for total in account.fuels),
        fuels_told=bool(account.fuels),
        own=False,
        sites=sites,
        lines=(),
        meters=meters,
        steps=tuple(steps),
    )


def _of_lines(account: Account, entries: Sequence[SiteAccount]) -> Boundary:
    lines = tuple(entry.line for entry in entries)
    meters = tuple(dict.fromkeys(step.meter for step in account.allocation if step.line in lines))
    used = [one for one in account.meters if one.meter in meters]
    steps = [*_meter_steps(used), *_allocation_steps(account, lambda step: step.line in lines)]
    short_kwh: tuple[Bilingual, ...] = ()
    of_lines = sum((entry.electricity.kwh or Decimal(0) for entry in account.sites if entry.line), Decimal(0))
    if account.electricity.kwh is not None and account.electricity.kwh > of_lines:
        rest = shown(account.electricity.kwh - of_lines)
        short_kwh = (
            Bilingual(
                f"{rest} kWh 共用电量未分摊到生产线", f"{rest} kWh of shared electricity are not divided among lines"
            ),
        )
    short_fuels = (_FUELS_OF_NO_LINE,) if any(not total.line for total in account.fuels) else ()
    return _joined(entries, entries, meters, steps, short_kwh, short_fuels, own=True)


def _of_sites(account: Account, entries: Sequence[SiteAccount]) -> Boundary:
    sites = {entry.site for entry in entries}
    used = [one for one in account.meters if one.site in sites]
    steps = [*_meter_steps(used), *_allocation_steps(account, lambda step: step.site in sites and step.basis != "own")]
    short_fuels = (_FUELS_OF_NO_SITE,) if any(not total.site for total in account.fuels) else ()
    burning = [entry for entry in account.sites if entry.site in sites]
    return _joined(entries, burning, tuple(one.meter for one in used), steps, (), short_fuels, own=False)


def _joined(
    entries: Sequence[SiteAccount],
    burning: Sequence[SiteAccount],
    meters: tuple[str, ...],
    steps: list[Step],
    short_kwh: tuple[Bilingual, ...],
    short_fuels: tuple[Bilingual, ...],
    *,
    own: bool,
) -> Boundary:
    parts = [entry.electricity.kwh for entry in entries]
    known = [part for part in parts if part is not None]
    kwh = sum(known, Decimal(0)) if len(known) == len(parts) else None
    if kwh is not None:
        steps.append(_sum_step(known, kwh))
    fuels = [total for entry in burning for total in entry.fuels]
    return Boundary(
        kwh=kwh,
        coverage=min(entry.electricity.coverage for entry in entries),
        fuels=tuple(total.use for total in fuels),
        fuels_told=bool(fuels),
        own=own,
        sites=tuple(dict.fromkeys(entry.site for entry in entries)),
        lines=tuple(entry.line for entry in entries if entry.line),
        meters=meters,
        steps=tuple(steps),
        short_kwh=short_kwh,
        short_fuels=short_fuels,
    )


def _alone(
    entries: Sequence[SiteAccount], product: str, products: Callable[[SiteAccount], set[str]]
) -> list[SiteAccount]:
    """The entries that make the product and nothing else; none where one makes it beside another."""
    makers = [(entry, products(entry)) for entry in entries]
    mine = [(entry, made) for entry, made in makers if product in made]
    return [entry for entry, _ in mine] if all(made == {product} for _, made in mine) else []


def _site_products(site: str, account: Account, named: Names) -> set[str]:
    return {named(total.product) for entry in account.sites if entry.site == site for total in entry.output}


def _line_products(entry: SiteAccount, register: Register, account: Account, named: Names) -> set[str]:
    told = {named(total.product) for total in entry.output}
    row = register.line(entry.line, account.period.last)
    return told or ({named(row.product)} if row is not None and row.product else set())


def _meter_steps(meters: Sequence[MeterEnergy]) -> list[Step]:
    if len(meters) > MOST_METER_STEPS:
        return []
    return [_meter_step(one) for one in meters if one.kwh is not None]


def _meter_step(one: MeterEnergy) -> Step:
    kwh = one.kwh or Decimal(0)
    plain = one.start_kwh is not None and one.end_kwh is not None and one.end_kwh - one.start_kwh == kwh
    formula = f"{shown(one.end_kwh)} - {shown(one.start_kwh)} = {shown(kwh)}" if plain else shown(kwh)  # type: ignore[arg-type]
    return Step(f"电表 {one.meter} 电量", f"electricity of meter {one.meter}", formula, kwh, "kWh")


def _allocation_steps(account: Account, wanted: Callable[..., bool]) -> list[Step]:
    return [
        Step(
            f"电表 {step.meter} 分摊到 {step.line or step.site}",
            f"share of meter {step.meter} for {step.line or step.site}",
            step.formula.removesuffix(" kWh"),
            step.kwh,
            "kWh",
        )
        for step in account.allocation
        if wanted(step)
    ]


def _sum_step(parts: Sequence[Decimal], total: Decimal) -> Step:
    adds_up = 1 < len(parts) <= MOST_METER_STEPS and sum(parts, Decimal(0)) == total
    text = shown(parts[0]) + "".join(f" {signed(part)}" for part in parts[1:]) + " = " if adds_up else ""
    return Step("本产品用电", "electricity of the product", f"{text}{shown(total)}", total, "kWh")
