"""`gridwarden history`: the readings themselves, as a curve in the terminal or as a file."""

from __future__ import annotations

import contextlib
import datetime as dt
from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final
from zoneinfo import ZoneInfo

import typer

from monitor.cli.acting import DEFAULT_ZONE, AsJson, StateDir, print_json
from monitor.cli.opening import stop
from monitor.supervise import ExitCode

if TYPE_CHECKING:
    import pyarrow as pa

    from monitor.ops.history_api import HistoryQuestion

app = typer.Typer(help="历史 History: a meter's curve, or readings as a file.", no_args_is_help=True)

Since = Annotated[str, typer.Option("--from", metavar="TIME", help="YYYY-MM-DD or YYYY-MM-DDTHH:MM, local; exclusive.")]
Until = Annotated[str, typer.Option("--to", metavar="TIME", help="The same; a day alone means to its end.")]
Zone = Annotated[str, typer.Option(help="Time zone of the times given and shown (IANA name).")]
Out = Annotated[Path, typer.Option("--out", metavar="FILE", help="File to write; not there yet.")]

_DAY_S: Final = 86_400
_HOURS: Final = "0           6           12          18       24h"
"""Above the 48 half hours of a day."""


class TableFormat(StrEnum):
    """What kind of file is written."""

    PARQUET = "parquet"
    CSV = "csv"
    XLSX = "xlsx"


@app.command("curve")
def curve_command(
    meter: Annotated[str, typer.Option(help="Meter.")],
    since: Since,
    until: Until,
    state_dir: StateDir = Path("state"),
    channel: Annotated[str | None, typer.Option(help="Channel; active power if left out.")] = None,
    csv_file: Annotated[Path | None, typer.Option("--csv", metavar="FILE", help="Write the values as CSV too.")] = None,
    svg: Annotated[Path | None, typer.Option("--svg", metavar="FILE", help="Draw the nights as SVG.")] = None,
    png: Annotated[Path | None, typer.Option("--png", metavar="FILE", help="Draw the nights as PNG.")] = None,
    zone: Zone = DEFAULT_ZONE,
    as_json: AsJson = False,  # noqa: FBT002 - a command-line switch
) -> None:
    """曲线 One channel of one meter, a line a day with its numbers. Gaps and contradictions show as `·` and `×`."""
    from monitor.cli.history_access import history_of, in_pieces
    from monitor.curves import Curve, curve_of

    question, local = _question(since, until, zone, meters=(meter,))
    for path in (csv_file, svg, png):
        _not_there(path)
    with history_of(state_dir, local) as ask:
        curve: Curve | None = curve_of(list(in_pieces(ask, question)), channel)
    if curve is None:
        of = f"{meter} 的 {channel}" if channel else meter
        stop(f"没有 {of} 的量测。No readings of {meter}{f', {channel}' if channel else ''} there.", ExitCode.NO_INPUT)
    if as_json:
        print_json({"meter": meter, **curve.as_dict(local)})
    else:
        _print_curve(meter, curve, local)
    if csv_file is not None:
        from monitor.spreadsheets import csv_table

        with csv_table(csv_file, ("时间 ts", f"{curve.channel} ({curve.unit})", "状态 state")) as write:
            for stamp, value, state in curve.rows(local):
                write((stamp, value, state))
    if svg is not None or png is not None:
        _draw(meter, curve, local, svg, png)


@app.command("export")
def export_command(
    since: Since,
    until: Until,
    out: Out,
    file_format: Annotated[
        TableFormat | None, typer.Option("--format", help="Kind of file; by the ending of FILE if left out.")
    ] = None,
    state_dir: StateDir = Path("state"),
    meter: Annotated[list[str] | None, typer.Option(help="This meter; may be given again.")] = None,
    site: Annotated[str | None, typer.Option(help="All meters this site ever had in the register.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="All meters.")] = False,  # noqa: FBT002
    zone: Zone = DEFAULT_ZONE,
) -> None:
    """导出 Readings as they are stored, a row each: numbers as numbers, times local with their offset."""
    from monitor.cli.history_access import history_of, in_pieces

    if bool(meter) + (site is not None) + everything != 1:
        stop("请写 --meter、--site 或 --all 之一。Name --meter, --site or --all.", ExitCode.USAGE)
    chosen = file_format or _by_ending(out)
    question, local = _question(since, until, zone, meters=tuple(meter) if meter else None, site=site)
    _not_there(out)
    try:
        with history_of(state_dir, local) as ask:
            count = _write(in_pieces(ask, question), chosen, out, local)
    except LookupError as error:
        stop(str(error.args[0]), ExitCode.NO_INPUT)
    except ValueError as error:
        stop(str(error), ExitCode.DATA)
    except OSError as error:
        if error.errno is None:
            raise
        stop(f"{out}: {error.strerror or error}. Name a place this user may write.", ExitCode.CANNOT_CREATE)
    typer.echo(f"{count} 条量测写入 {out}。{count} reading(s) written to {out}.")


def _write(pieces: Iterator[pa.Table], chosen: TableFormat, out: Path, zone: ZoneInfo) -> int:
    from monitor.reading_files import write_parquet, write_rows
    from monitor.spreadsheets import csv_table, xlsx_table

    if chosen is TableFormat.PARQUET:
        return write_parquet(pieces, out, zone)
    if chosen is TableFormat.CSV:
        return write_rows(pieces, lambda headings: csv_table(out, headings), zone)
    return write_rows(pieces, lambda headings: xlsx_table(out, headings, title="量测"), zone)


def _question(
    since: str, until: str, zone: str, *, meters: tuple[str, ...] | None = None, site: str | None = None
) -> tuple[HistoryQuestion, ZoneInfo]:
    from zoneinfo import ZoneInfoNotFoundError

    from monitor.ops.history_api import HistoryQuestion

    try:
        local = ZoneInfo(zone)
    except (ZoneInfoNotFoundError, ValueError):
        stop(f"时区 {zone} 不存在。No time zone {zone}: write an IANA name such as Asia/Shanghai.", ExitCode.USAGE)
    start_ms, end_ms = _instant_ms(since, local, day_end=False), _instant_ms(until, local, day_end=True)
    if end_ms <= start_ms:
        stop("--to 须晚于 --from。--to must lie after --from.", ExitCode.USAGE)
    return HistoryQuestion(start_ms, end_ms, meters, site), local


def _instant_ms(text: str, zone: ZoneInfo, *, day_end: bool) -> int:
    """A local day or time as Unix milliseconds; a day alone is its beginning, or its end."""
    try:
        moment = dt.datetime.fromisoformat(text)
    except ValueError:
        stop(f"{text} 不是时间，请写 YYYY-MM-DD 或 YYYY-MM-DDTHH:MM。{text} is no time.", ExitCode.USAGE)
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=zone)
    if day_end and len(text) == len("2026-01-01"):
        moment = (moment.replace(tzinfo=None) + dt.timedelta(days=1)).replace(tzinfo=zone)
    return round(moment.timestamp() * 1000)


def _by_ending(out: Path) -> TableFormat:
    try:
        return TableFormat(out.suffix.removeprefix(".").casefold())
    except ValueError:
        stop(f"{out.name}：请写 --format parquet、csv 或 xlsx。Give --format parquet, csv or xlsx.", ExitCode.USAGE)


def _not_there(path: Path | None) -> None:
    if path is not None and path.exists():
        stop(f"{path} 已存在，请换一个文件名。{path} is already there: name another file.", ExitCode.CANNOT_CREATE)


def _print_curve(meter: str, curve: Any, zone: ZoneInfo) -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    console = Console()
    title = f"{meter}  {curve.channel}（{curve.unit}），每 {curve.interval_s} 秒 every {curve.interval_s} s"
    table = Table(title=escape(title), title_justify="left")
    daily = curve.interval_s >= _DAY_S
    table.show_lines = not daily
    table.add_column("日 day" if daily else "日 day\n有值 values", no_wrap=True)
    if not daily:
        table.add_column(_HOURS, no_wrap=True)
    table.add_column("值 value" if daily else "最小 min\n均值 mean\n最大 max", justify="right", no_wrap=True)
    for day in curve.days(zone):
        numbers = ["-"] if day.known == 0 else [f"{x:,.2f}" for x in (day.lowest, day.mean, day.highest)]
        if daily:
            table.add_row(day.date.isoformat(), numbers[0])
        else:
            table.add_row(f"{day.date}\n{day.known}/{day.expected}", day.line, "\n".join(numbers))
    console.print(table)
    if curve.n_contested:
        console.print(f"× {curve.n_contested} 个时标有互相矛盾的值 stamps with values that contradict each other")


def _draw(meter: str, curve: Any, zone: ZoneInfo, svg: Path | None, png: Path | None) -> None:
    from monitor.cli.history_drawing import nights_of
    from monitor.drawing.canvas import png_bytes, svg_bytes
    from monitor.drawing.curve import draw_nights
    from monitor.spreadsheets import written_beside

    figure = draw_nights(nights_of(meter, curve, zone))
    for path, render in ((svg, svg_bytes), (png, png_bytes)):
        if path is not None:
            with contextlib.ExitStack() as stack:
                stack.enter_context(written_beside(path)).write_bytes(render(figure))
