"""Declared output held against the electricity: what melting physically takes, what heats say, what the register has.

Every figure compared with comes from the rule packs with its citation; where there is none, nothing is said.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from types import MappingProxyType
from typing import Final

from models.domain.accounts import Account, HeatGroup
from models.domain.findings import Reason
from models.domain.leads import LeadKind
from models.domain.register import Furnace, FurnaceKind, Register
from models.law.conditions import Facts, FactValue
from models.law.furnaces import FurnaceFinding, judge_furnace
from models.law.library import Law
from models.law.numbers import shown
from models.law.process_rows import ProcessRange
from models.law.units import UNITS, factor_between
from monitor.intensity.concerns import Concern
from monitor.intensity.declared import known_of

MELTING: Final = frozenset({FurnaceKind.MEDIUM_FREQUENCY, FurnaceKind.MAINS_FREQUENCY, FurnaceKind.ARC})
"""Kinds of furnace that melt batch by batch; heating, holding and smelting of ore are others."""

LEAST_COVERAGE: Final = Decimal("0.98")
"""Share of readings below which missing electricity could itself explain that there is too little of it."""

_FOUNDRY: Final = ("3391", "3392")
"""Trades of GB/T 4754 that cast iron and steel, and non-ferrous metals."""

_MELTED: Final = frozenset({"casting", "ingot", "billet", "alloy_melt"})
_MATERIALS: Final[Mapping[str, frozenset[str]]] = MappingProxyType(
    {
        "cast_iron": frozenset({"cast_iron", "ductile_iron"}),
        "ordinary_carbon": frozenset({"steel"}),
        "stainless": frozenset({"steel"}),
        "tool_die": frozenset({"steel"}),
    }
)
_KINDS: Final[Mapping[FurnaceKind, str]] = MappingProxyType(
    {FurnaceKind.MEDIUM_FREQUENCY: "medium_frequency", FurnaceKind.MAINS_FREQUENCY: "line_frequency"}
)
_PURPOSES: Final[Mapping[str, str]] = MappingProxyType(
    {"铸件": "casting", "castings": "casting", "钢锭": "ingot", "钢坯": "billet", "钢材": "rolled_steel"}
)
_RAISED: Final = frozenset({"suspected", "eliminated_class"})
"""Outcomes of the furnace rules that are worth a look; `revived` is told by the readings themselves."""


def own_concerns(account: Account, register: Register, law: Law, *, margin: float, heats_min: int) -> list[Concern]:
    """What one enterprise's own figures say against each other, and its registered equipment. `margin`: a share."""
    facts = known_of(account, register, law).facts
    furnaces = _furnaces(account, register)
    return [
        *_floor(account, register, law, facts, furnaces),
        *_heats(account, law, facts, furnaces, Decimal(repr(margin)), heats_min),
        *_melted(account, register, facts, furnaces),
        *_equipment(account, register, law, facts, furnaces),
    ]


def output_t(account: Account) -> Decimal | None:
    """All output told by mass, tonnes; None where there is none or some is contradictory."""
    masses = [total for total in account.output if total.unit in UNITS and UNITS[total.unit].kind == "mass"]
    if not masses or any(total.quantity is None for total in masses):
        return None
    return sum(((total.quantity or Decimal(0)) * factor_between(total.unit, "t") for total in masses), Decimal(0))


def _furnaces(account: Account, register: Register) -> list[Furnace]:
    sites = sorted({row.site for row in register.sites_of(account.uscc) if row.valid_on(account.period.last)})
    return [furnace for site in sites for furnace in register.furnaces_at(site, account.period.last)]


def _product(furnace: Furnace, facts: Facts) -> FactValue | None:
    return _PURPOSES.get(furnace.purpose.strip().lower(), facts.get("furnace_product"))


def _makes_melt(account: Account, register: Register, facts: Facts, melting: Sequence[Furnace]) -> bool:
    """Whether what the enterprise declares is what its furnaces melt."""
    enterprise = register.enterprise(account.uscc, account.period.last)
    foundry = enterprise is not None and enterprise.trade.lstrip("C").startswith(_FOUNDRY)
    return bool(melting) and (foundry or all(_product(one, facts) in _MELTED for one in melting))


def _ranges(law: Law, facts: Facts, furnaces: Iterable[Furnace]) -> list[ProcessRange]:
    """Verified ranges of the kinds of furnace, of the declared metal where it is declared."""
    kinds = {furnace.kind.value for furnace in furnaces}
    wanted = _MATERIALS.get(str(facts.get("furnace_material", "")))
    return [
        row
        for row in law.table(ProcessRange).values()
        if row.enforceable and kinds & set(row.furnace_kinds) and (wanted is None or row.material in wanted)
    ]


def _floor(account: Account, register: Register, law: Law, facts: Facts, furnaces: Sequence[Furnace]) -> list[Concern]:
    """More output than the whole plant's electricity could have melted."""
    melting = [furnace for furnace in furnaces if furnace.kind in MELTING]
    tonnes, kwh = output_t(account), account.electricity.kwh
    ranges = _ranges(law, facts, melting)
    if not tonnes or kwh is None or account.electricity.coverage < LEAST_COVERAGE or not ranges:
        return []
    if not _makes_melt(account, register, facts, melting):
        return []
    least = min(ranges, key=lambda row: row.floor or row.low)
    needed = least.floor or least.low
    actual = kwh / tonnes
    if actual >= needed:
        return []
    formula = f"{shown(kwh)} kWh / {shown(tonnes)} t = {shown(actual)} kWh/t"
    most = kwh / needed
    reasons = (
        Reason(
            "output_too_high",
            float(actual),
            "kWh/t",
            f"{account.period.name} 申报产量 {shown(tonnes)} t，全厂用电仅够 {shown(most)} t：{formula}，"
            f"低于{least.process_zh}至少所需 {shown(needed)} kWh/t",
            f"{account.period.name} {shown(tonnes)} t are declared, the whole plant's electricity is enough for "
            f"{shown(most)} t: {formula}, below the {shown(needed)} kWh/t that {least.process_en} takes at least",
        ),
        _cited(least),
    )
    strength = min(1.0, 0.5 + float(1 - actual / needed))
    return [Concern(LeadKind.OUTPUT_MISMATCH, round(strength, 4), reasons, measures={"kwh_per_t": float(actual)})]


def _heats(
    account: Account, law: Law, facts: Facts, furnaces: Sequence[Furnace], margin: Decimal, heats_min: int
) -> list[Concern]:
    """Heats of a furnace whose electricity per tapped tonne no melting of its kind takes."""
    found: list[Concern] = []
    for furnace in furnaces:
        ranges = _ranges(law, facts, [furnace])
        for group in account.heats.groups:
            if group.furnace == furnace.furnace and ranges and group.heats - group.odd >= heats_min:
                found += _heat_group(account, furnace, group, ranges, margin)
    return found


def _heat_group(
    account: Account, furnace: Furnace, group: HeatGroup, ranges: Sequence[ProcessRange], margin: Decimal
) -> list[Concern]:
    actual = group.kwh_per_tapped_t
    if actual is None or not group.tapped_t:
        return []
    low, high = min(ranges, key=lambda row: row.floor or row.low), max(ranges, key=lambda row: row.high)
    least, most = low.floor or low.low, high.high * (1 + margin)
    if least <= actual <= most:
        return []
    row, bound, zh, en = (low, least, "低于", "below") if actual < least else (high, high.high, "高于", "above")
    tonnes_zh, tonnes_en = ("偏多", "too many") if actual < least else ("偏少", "too few")
    formula = f"{shown(group.energy_kwh)} kWh / {shown(group.tapped_t)} t = {shown(actual)} kWh/t"
    reasons = (
        Reason(
            "heats_out_of_range",
            float(actual),
            "kWh/t",
            f"{account.period.name} 炉 {furnace.furnace} {group.heats} 炉次：{formula}，{zh}{row.process_zh}的 "
            f"{shown(bound)} kWh/t，申报出炉吨数可能{tonnes_zh}",
            f"{account.period.name} furnace {furnace.furnace}, {group.heats} heats: {formula}, {en} the "
            f"{shown(bound)} kWh/t of {row.process_en}: perhaps {tonnes_en} tonnes are declared",
        ),
        _cited(row),
    )
    away = 1 - actual / least if actual < least else actual / most - 1
    strength = round(min(1.0, 0.5 + float(away)), 4)
    return [Concern(LeadKind.OUTPUT_MISMATCH, strength, reasons, (furnace.site,), {"kwh_per_tapped_t": float(actual)})]


def _melted(account: Account, register: Register, facts: Facts, furnaces: Sequence[Furnace]) -> list[Concern]:
    """More output declared than all registered furnaces tapped by their own heats."""
    melting = [furnace for furnace in furnaces if furnace.kind in MELTING]
    heard = {line.furnace for line in account.heats.lines}
    tonnes = output_t(account)
    if not tonnes or not {furnace.furnace for furnace in melting} <= heard or not account.heats.groups:
        return []
    whole = account.heats.groups[0]
    if not _makes_melt(account, register, facts, melting) or whole.odd or whole.tapped_t is None:
        return []
    if tonnes <= whole.tapped_t:
        return []
    excess = tonnes - whole.tapped_t
    formula = f"{shown(tonnes)} t - {shown(whole.tapped_t)} t = {shown(excess)} t"
    reason = Reason(
        "output_above_tapped",
        float(excess),
        "t",
        f"{account.period.name} 申报产量比全部炉次的出炉量还多：{formula}，炉次或产量申报不全或有误",
        f"{account.period.name} more output is declared than all heats tapped: {formula}; heats or output are "
        "incomplete or wrong",
    )
    strength = round(min(1.0, 0.5 + float(excess / tonnes)), 4)
    return [Concern(LeadKind.OUTPUT_MISMATCH, strength, (reason,), measures={"excess_t": float(excess)})]


def _equipment(
    account: Account, register: Register, law: Law, facts: Facts, furnaces: Sequence[Furnace]
) -> list[Concern]:
    """Registered furnaces that fall under a verified rule of suspected or eliminated equipment."""
    enterprise = register.enterprise(account.uscc, account.period.last)
    foundry = enterprise is not None and enterprise.trade.lstrip("C").startswith(_FOUNDRY)
    found: list[Concern] = []
    for furnace in furnaces:
        asked = furnace_facts(furnace, facts, foundry=foundry)
        found += [
            _equipment_concern(furnace, finding)
            for finding in judge_furnace(law, asked, on=account.period.last).findings
            if finding.enforceable and finding.rule.outcome in _RAISED
        ]
    return found


def furnace_facts(furnace: Furnace, facts: Facts, *, foundry: bool) -> dict[str, FactValue]:
    """What the register says of one furnace, over what is declared of the enterprise's furnaces as a whole."""
    mine: dict[str, FactValue] = dict(facts)
    mine["furnace_kind"] = _KINDS.get(furnace.kind, "other")
    mine["declared_foundry"] = foundry
    if furnace.capacity_t is not None:
        mine["rated_capacity_t"] = Decimal(repr(furnace.capacity_t))
    product = _product(furnace, facts)
    if product is not None:
        mine["furnace_product"] = product
    return mine


def _equipment_concern(furnace: Furnace, finding: FurnaceFinding) -> Concern:
    rule = finding.rule
    reasons = [
        Reason(
            "furnace_rule",
            1.0,
            "1",
            f"炉 {furnace.furnace}：{rule.outcome_zh}（{rule.id}：{rule.condition_zh}）",
            f"furnace {furnace.furnace}: {rule.outcome_en} ({rule.id}: {rule.condition_en})",
        )
    ]
    reasons += [
        Reason(
            "catalogue",
            1.0,
            "1",
            f"目录：{item.catalogue_zh} {item.edition} {item.equipment_class}：{item.text_zh or item.text_en}",
            f"catalogue: {item.catalogue_zh} {item.edition} {item.equipment_class}: {item.text_en}",
        )
        for item in finding.items
    ]
    reasons += [Reason("citation", 0.0, "1", f"依据：{one}", f"rests on: {one}") for one in finding.citations]
    return Concern(LeadKind.RESTRICTED_EQUIPMENT, 1.0, tuple(reasons), (furnace.site,))


def _cited(row: ProcessRange) -> Reason:
    span = f"{shown(row.low)}-{shown(row.high)} {row.unit}"
    least_zh = f"，理论最低 {shown(row.floor)}" if row.floor is not None else ""
    least_en = f", at least {shown(row.floor)}" if row.floor is not None else ""
    return Reason(
        "process_range",
        float(row.high),
        row.unit,
        f"依据：{row.process_zh} {span}{least_zh} [{row.confidence}] {row.source}",
        f"rests on: {row.process_en} {span}{least_en} [{row.confidence}] {row.source}",
    )
