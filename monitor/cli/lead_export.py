"""`gridwarden leads export`: leads as a file for a spreadsheet or another program."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from models.domain.leads import LeadKind, LeadState
from monitor.cli.acting import StateDir
from monitor.cli.opening import access_to, stop
from monitor.supervise import ExitCode

if TYPE_CHECKING:
    from monitor.cli.access import Access

_PAGE: Final = 500


class ExportFormat(StrEnum):
    """What kind of file is written."""

    CSV = "csv"
    XLSX = "xlsx"
    JSON = "json"


def export(
    out: Annotated[Path, typer.Option("--out", metavar="FILE", help="File to write; not there yet.")],
    file_format: Annotated[
        ExportFormat | None, typer.Option("--format", help="Kind of file; by the ending of FILE if left out.")
    ] = None,
    state_dir: StateDir = Path("state"),
    month: Annotated[str | None, typer.Option(metavar="YYYY-MM", help="Only leads of this month.")] = None,
    since: Annotated[str | None, typer.Option(metavar="DATE", help="Only with a last night from this day on.")] = None,
    kind: Annotated[LeadKind | None, typer.Option(help="Only leads of this kind.")] = None,
    lead_state: Annotated[LeadState | None, typer.Option(help="Only leads in this state.")] = None,
    district: Annotated[
        str | None, typer.Option(metavar="ID", help="Only enterprises the imported register puts into this district.")
    ] = None,
) -> None:
    """导出 Write leads as CSV or XLSX with Chinese headings, or as JSON, whole or not at all."""
    chosen = file_format or _by_ending(out)
    if out.exists():
        stop(f"{out} 已存在，请换一个文件名。{out} is already there: name another file.", ExitCode.CANNOT_CREATE)
    if since is not None:
        _checked_day(since)
    filters = {"month": month, "since": since, "kind": kind, "state": lead_state}
    given = {name: str(value) for name, value in filters.items() if value is not None}
    leads = all_leads(access_to(state_dir), given)
    if district is not None:
        leads = of_district(leads, district, state_dir)
    try:
        count = _write(leads, chosen, out)
    except OSError as error:
        stop(f"{out}: {error.strerror or error}. Name a place this user may write.", ExitCode.CANNOT_CREATE)
    typer.echo(f"{count} 条线索写入 {out}。{count} lead(s) written to {out}.")


def _write(leads: Iterator[dict[str, Any]], chosen: ExportFormat, out: Path) -> int:
    from monitor.lead_sheet import COLUMNS, row_of
    from monitor.spreadsheets import csv_table, written_beside, xlsx_table

    count = 0
    if chosen is ExportFormat.JSON:
        listed = list(leads)
        with written_beside(out) as part:
            part.write_text(json.dumps(listed, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")
        return len(listed)
    headings = [column.heading for column in COLUMNS]
    table = (
        csv_table(out, headings)
        if chosen is ExportFormat.CSV
        else xlsx_table(out, headings, title="线索", widths=[column.width for column in COLUMNS])
    )
    with table as write:
        for lead in leads:
            write(row_of(lead))
            count += 1
    return count


def all_leads(access: Access, filters: dict[str, str]) -> Iterator[dict[str, Any]]:
    """Every lead that fits, a page at a time; one that moves between pages meanwhile comes once."""
    seen: set[str] = set()
    offset = 0
    while page := access.leads(**filters, limit=_PAGE, offset=offset):
        for lead in page:
            if lead["id"] not in seen:
                seen.add(lead["id"])
                yield lead
        offset += len(page)


def of_district(leads: Iterator[dict[str, Any]], district: str, state_dir: Path) -> Iterator[dict[str, Any]]:
    """Leads of enterprises that the imported register puts into a district on the lead's last night."""
    from monitor.desk.registers import latest_register

    latest = latest_register(state_dir)
    if latest is None:
        stop(
            f"{state_dir} 中没有导入的登记簿，无法按区县筛选。"
            f"{state_dir} holds no imported register to tell districts by: `gridwarden register import`.",
            ExitCode.NO_INPUT,
        )
    rows = [row for row in latest[1].enterprises if row.district == district]
    for lead in leads:
        uscc = (lead["enterprise"] or {}).get("uscc")
        night = dt.date.fromisoformat(lead["last_night"])
        if any(row.uscc == uscc and row.valid_on(night) for row in rows):
            yield lead


def _by_ending(out: Path) -> ExportFormat:
    try:
        return ExportFormat(out.suffix.removeprefix(".").casefold())
    except ValueError:
        stop(f"{out.name}：请写 --format csv、xlsx 或 json。Give --format csv, xlsx or json.", ExitCode.USAGE)


def _checked_day(text: str) -> None:
    try:
        dt.date.fromisoformat(text)
    except ValueError:
        stop(f"--since {text} 不是日期，请写 YYYY-MM-DD。--since takes YYYY-MM-DD.", ExitCode.USAGE)
