"""`gridwarden tariff --enterprise … --period …`: what follows for an enterprise, what stood before, and what if."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import typer

from monitor.cli.acting import print_json
from monitor.cli.law import law_or_exit
from monitor.cli.opening import access_to, stop
from monitor.supervise import ExitCode

if TYPE_CHECKING:
    from models.law.tariff_facts import TariffFacts

Row = dict[str, Any]

CAUSE_WORDS: Final = {
    "first": "首次判定 first",
    "data": "数据变化 other data",
    "law": "规则包变化 other rule packs",
    "data_and_law": "数据与规则包均变化 other data and packs",
}
_MONTHS_SHOWN: Final = 1000


def show_enterprise(
    state_dir: Path,
    enterprise: str,
    period: str,
    *,
    intensity: tuple[str | None, Decimal | None],
    as_of: dt.date | int | None,
    packs: Path | None,
    as_json: bool,
) -> None:
    """Print the flags of an enterprise in a period with every revision, or with `intensity` or `as_of` what if.

    Leaves with 64 for a period that is none, 66 where there is no flag.
    """
    uscc = enterprise.strip().upper()
    checked_period(period)
    access = access_to(state_dir)
    trail = access.flag(uscc, period)
    months = access.flags(uscc=uscc, period=period, limit=_MONTHS_SHOWN) if len(period) == 4 else []
    if not trail and not months:
        stop(
            f"没有 {uscc} 在 {period} 的判定：期间尚未结束、尚未判定，或登记簿中没有该企业。"
            f"No flag of {uscc} in {period}: the period is not over or not judged yet, or the register has no such "
            "enterprise.",
            ExitCode.NO_INPUT,
        )
    if intensity[1] is not None or as_of is not None:
        _what_if((trail or months)[-1], intensity, as_of, packs, as_json=as_json)
        return
    if as_json:
        print_json({"enterprise": uscc, "period": period, "revisions": trail, "months": _months(months)})
        return
    for line in enterprise_lines(trail, _months(months)):
        typer.echo(line)


def checked_period(period: str) -> str:
    """The period as it is; leaves with 64 where it is neither a month nor a year."""
    from models.domain.accounts import Period

    try:
        name = Period.parse(period).name
    except ValueError:
        name = ""
    if name != period or len(name) not in (4, 7):
        stop(f"--period {period}：请写 2026-03 或 2026。Write a month such as 2026-03, or a year.", ExitCode.USAGE)
    return period


def enterprise_lines(trail: list[Row], months: list[Row]) -> Iterator[str]:
    """The flags for people: each as it stands with its arithmetic, then what stood before; the months of a year."""
    for subject in ("power", "water"):
        revisions = [row for row in trail if row["subject"] == subject]
        if revisions:
            yield from _flag_lines(revisions[-1])
            yield "修订 / revisions:"
            for row in revisions:
                yield f"  {row['revision']}. {row['recorded_at']} {CAUSE_WORDS[row['cause']]}: {_short(row)}"
                yield f"     规则包 / packs {row['law_version']}"
    if months:
        yield "各月 / months:"
        for row in months:
            yield f"  {row['period']} {'水 water' if row['subject'] == 'water' else '电 power'}: {_short(row)}"
        yield f"  合计 / sum: {_total(months)} 元 CNY"


def _months(rows: list[Row]) -> list[Row]:
    return [row for row in rows if len(row["period"]) != 4]


def _flag_lines(row: Row) -> Iterator[str]:
    from monitor.tariffs.listing import STATUS_ZH

    yield f"{row['name']} {row['uscc']} {row['period']} {row['industry']}"
    yield f"结论 / verdict: {STATUS_ZH[row['status']]} / {row['status']}"
    yield f"  {row['reason_zh']}"
    yield f"  {row['reason_en']}"
    if row["rule"]:
        yield f"规则 / rule: {row['rule']} {row['rule_title']} [{row['confidence'] or '-'}]"
    for label, value in (
        ("档次 / tier", row["tier"]),
        ("加价 / surcharge, CNY/kWh", row["surcharge_cny_per_kwh"]),
        ("计费电量口径 / billing base", row["billing_base"]),
        ("计费电量 / kWh", row["kwh"]),
        ("金额 / amount, CNY", row["amount_cny"]),
        ("依据期间 / figure of", row["base_period"] or None),
    ):
        if value is not None:
            yield f"{label}: {value}"
    if row["steps"]:
        yield "计算 / calculation:"
        for number, (zh, en, formula, _, unit, document) in enumerate(row["steps"], start=1):
            cited = f" [{document}]" if document else ""
            yield f"  {number}. {zh} / {en}: {formula} {unit}{cited}".rstrip()
    yield from _listed("缺少 / missing", [f"{m['what_zh']} / {m['what_en']} ({m['where']})" for m in row["missing"]])
    yield from _listed(
        "依据 / rests on",
        [f"{c['document']} {c['clause']} [{c['confidence']}] {c['source']}" for c in row["citations"]],
    )
    yield from _listed("说明 / notes", row["notes"])


def _short(row: Row) -> str:
    from monitor.tariffs.listing import STATUS_ZH

    parts = [STATUS_ZH[row["status"]], row["status"], row["rule"] or "-"]
    if row["tier"]:
        parts.append(row["tier"])
    if row["surcharge_cny_per_kwh"] is not None:
        parts.append(f"{row['surcharge_cny_per_kwh']} × {row['kwh'] or '?'} kWh = {row['amount_cny'] or '?'}")
    return " ".join(parts)


def _total(rows: list[Row]) -> str:
    return format(sum((Decimal(row["amount_cny"]) for row in rows if row["amount_cny"] is not None), Decimal(0)), "f")


def _listed(title: str, lines: list[str]) -> Iterator[str]:
    if lines:
        yield f"{title}:"
        yield from (f"  - {line}" for line in lines)


def _what_if(
    row: Row,
    intensity: tuple[str | None, Decimal | None],
    as_of: dt.date | int | None,
    packs: Path | None,
    *,
    as_json: bool,
) -> None:
    from models.law.tariff_explain import judgement_json, judgement_lines
    from models.law.tariff_judge import judge_tariff, what_if

    law = law_or_exit(packs)
    facts = _facts(row)
    try:
        facts = what_if(facts, intensity=intensity[1], metric=intensity[0], as_of=as_of)
    except ValueError as error:
        stop(f"--intensity: {error}. 写作 METRIC=13511 / write METRIC=13511", ExitCode.USAGE)
    judged = judge_tariff(law, facts)
    if as_json:
        print_json({"what_if": True, "enterprise": row["uscc"], **judgement_json(facts, judged, None)})
        return
    typer.echo("假设，不作依据 / what if, not to be acted on")
    for line in judgement_lines(facts, judged):
        typer.echo(line)


def _facts(row: Row) -> TariffFacts:
    from monitor.tariffs.facts import facts_from

    if not row["facts"]:
        stop(
            f"{row['uscc']} 的行业不明，无法假设。The industry of {row['uscc']} is not known: declare it first.",
            ExitCode.DATA,
        )
    return facts_from(row["facts"])
