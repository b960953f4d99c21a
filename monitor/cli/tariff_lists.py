"""`gridwarden tariff list` and `gridwarden tariff reconcile`: for the price authority, and against what was billed."""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer
from rich.table import Table
from rich.text import Text

from monitor.cli.acting import StateDir, print_json
from monitor.cli.opening import access_to, stop
from monitor.cli.register import Json, console
from monitor.cli.tariff_flags import checked_period
from monitor.supervise import ExitCode

if TYPE_CHECKING:
    from monitor.cli.access import Access
    from monitor.tariffs.reconcile import Reconciliation

_PAGE: Final = 1000
MISMATCHES: Final = 1
"""Exit code of a reconciliation in which something differs."""


class ListFormat(StrEnum):
    """What kind of file is written."""

    XLSX = "xlsx"
    CSV = "csv"
    JSON = "json"


PeriodOption = Annotated[str, typer.Option("--period", metavar="PERIOD", help="A month, 2026-03, or a year, 2026.")]


def list_flags(
    period: PeriodOption,
    out: Annotated[Path, typer.Option("--out", metavar="FILE", help="File to write; not there yet.")],
    file_format: Annotated[
        ListFormat | None, typer.Option("--format", help="Kind of file; by the ending of FILE if left out.")
    ] = None,
    state_dir: StateDir = Path("state"),
    *,
    with_clear: Annotated[
        bool, typer.Option("--clear", help="Also list, on the second sheet, who pays no surcharge.")
    ] = False,
) -> None:
    """清单 Write the list of surcharges of a month or year for the price authority.

    What cannot be said, and what is missing, stands on a sheet of its own (CSV: FILE.other.csv).
    """
    from monitor.tariffs.listing import listing, periods_of, write_listing

    checked_period(period)
    kind = file_format or _by_ending(out)
    if out.exists():
        stop(f"{out} 已存在，请换一个文件名。{out} is already there: name another file.", ExitCode.CANNOT_CREATE)
    rows = all_flags(access_to(state_dir), period)
    found = listing((row for row in rows if row["period"] in periods_of(period)), period, with_clear=with_clear)
    try:
        written = write_listing(found, out, kind.value)
    except OSError as error:
        stop(f"{out}: {error.strerror or error}. Name a place this user may write.", ExitCode.CANNOT_CREATE)
    typer.echo(
        f"{len(found.flags)} 行应加价，合计 {found.total_cny} 元；{len(found.other)} 行其他情形；写入 "
        f"{'、'.join(str(path) for path in written)}。{len(found.flags)} flags, {found.total_cny} CNY; "
        f"{len(found.other)} others."
    )


def reconcile_billed(
    billed: Annotated[Path, typer.Option("--billed", metavar="FILE", help="What was billed: CSV or XLSX.")],
    period: PeriodOption,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="FILE", help="Also write the mismatches as CSV; not there yet.")
    ] = None,
    state_dir: StateDir = Path("state"),
    *,
    as_json: Json = False,
) -> None:
    """核对 Compare the bureau's billed class, surcharge, kWh and amount with the flags.

    Columns (Chinese or English): 统一社会信用代码 uscc, 期间 period, 加价类别 billed_class, 加价标准 surcharge,
    计费电量 kwh, 加价金额 amount. Exit code 0: all agree; 1: something differs; 65: the file is at fault.
    """
    from monitor.tariffs.billed import BilledFault, read_billed
    from monitor.tariffs.listing import listing, periods_of
    from monitor.tariffs.reconcile import reconcile, reconciliation_json

    checked_period(period)
    if out is not None and out.exists():
        stop(f"{out} 已存在，请换一个文件名。{out} is already there: name another file.", ExitCode.CANNOT_CREATE)
    try:
        rows = read_billed(billed, period)
    except BilledFault as error:
        stop(str(error), ExitCode.DATA)
    except OSError as error:
        stop(f"{billed}: {error.strerror or error}. 请给出账单文件 / name the bureau's file.", ExitCode.NO_INPUT)
    access = access_to(state_dir)
    flags: list[dict[str, Any]] = []
    for one in sorted({row.period for row in rows} | {period}):
        stored = [row for row in all_flags(access, one) if row["period"] in periods_of(one)]
        if len(one) == 4:
            of_year = listing(stored, one, with_clear=True)
            flags += [*of_year.flags, *of_year.other]
        else:
            flags += stored
    found = reconcile(rows, flags, _known(state_dir) | {row["uscc"] for row in flags}, period)
    if out is not None:
        _write(found, out)
    if as_json:
        print_json(reconciliation_json(found))
    else:
        _print(found)
    raise typer.Exit(ExitCode.OK if found.is_clean else MISMATCHES)


def all_flags(access: Access, period: str) -> Iterator[dict[str, Any]]:
    """Every flag of a period as it stands (of a year with those of its months), a page at a time."""
    seen: set[str] = set()
    offset = 0
    while page := access.flags(period=period, limit=_PAGE, offset=offset):
        for row in page:
            if row["id"] not in seen:
                seen.add(row["id"])
                yield row
        offset += len(page)


def _known(state_dir: Path) -> set[str]:
    """Enterprises of the register that was imported, if one was."""
    from monitor.desk.registers import latest_register

    latest = latest_register(state_dir)
    return set() if latest is None else {row.uscc for row in latest[1].enterprises}


def _print(found: Reconciliation) -> None:
    from monitor.tariffs.reconcile import WHY_ZH

    if found.mismatches:
        table = Table(
            "企业 Enterprise", "期间 Period", "账单 Billed", "判定 Computed", "差额 CNY", "原因 Why", expand=True
        )
        for one in found.mismatches:
            billed = f"{one.billed_class or '-'} {_text(one.billed_surcharge)} {_text(one.billed_cny)}"
            computed = f"{one.computed_class or '-'} {_text(one.computed_surcharge)} {_text(one.computed_cny)}"
            why = "；".join(WHY_ZH[reason] for reason in one.why) + f" ({', '.join(one.why)})"
            table.add_row(
                Text(f"{one.uscc} {one.name}"),
                one.period,
                Text(billed),
                Text(computed),
                _text(one.difference_cny),
                Text(why if one.row is None else f"{why}，第 {one.row} 行"),
            )
        console().print(table)
    typer.echo(
        f"{len(found.mismatches)} 处不一致，{found.agree} 行一致，差额合计 {found.difference_cny} 元。"
        f"{len(found.mismatches)} mismatches, {found.agree} rows agree."
    )


def _write(found: Reconciliation, out: Path) -> None:
    from monitor.spreadsheets import csv_table
    from monitor.tariffs.reconcile import WHY_ZH

    headings = [
        "统一社会信用代码", "企业名称", "期间", "账单行号", "账单类别", "判定类别", "账单加价", "判定加价", "账单电量",
        "判定电量", "账单金额", "判定金额", "差额（账单减判定）", "原因", "判定状态", "规则", "说明",
    ]  # fmt: skip
    with csv_table(out, headings) as write:
        for one in found.mismatches:
            why = "；".join(WHY_ZH[reason] for reason in one.why)
            write(
                [
                    one.uscc, one.name, one.period, one.row, one.billed_class, one.computed_class, one.billed_surcharge,
                    one.computed_surcharge, one.billed_kwh, one.computed_kwh, one.billed_cny, one.computed_cny,
                    one.difference_cny, why, one.status, one.rule, one.reason,
                ]
            )  # fmt: skip


def _text(value: object) -> str:
    return "-" if value is None else str(value)


def _by_ending(out: Path) -> ListFormat:
    try:
        return ListFormat(out.suffix.removeprefix(".").casefold())
    except ValueError:
        stop(f"{out.name}：请写 --format xlsx、csv 或 json。Give --format xlsx, csv or json.", ExitCode.USAGE)
