"""`gridwarden output`: production, fuels and heats from files, and what was reported."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final
from zoneinfo import ZoneInfo

import typer

from monitor.cli.acting import AsJson, StateDir, print_json, settings_of
from monitor.cli.opening import access_to, register_in_force, stop
from monitor.supervise import ExitCode

if TYPE_CHECKING:
    from monitor.accounts.importer import FileMessage
    from monitor.config.settings import Settings

Row = dict[str, Any]
Command = Callable[[str, Row], Row]

app = typer.Typer(help="产量、能源和炉次 Production, fuels and heats.", no_args_is_help=True)

_SHOWN: Final = 50
_Config = Annotated[
    Path | None, typer.Option("--config", "-c", help="Configuration, TOML; its state directory and time zone count.")
]


class Kind(StrEnum):
    """What a list may be limited to."""

    OUTPUT = "output"
    HEAT = "heat"


@app.command("import")
def import_(
    files: Annotated[list[Path], typer.Argument(help="XLSX, or CSV named output, fuels or heats (产量, 能源, 炉次).")],
    publisher: Annotated[str, typer.Option("--publisher", metavar="ID", help="Whose report it is.")],
    state_dir: StateDir = Path("state"),
    config: _Config = None,
    encoding: Annotated[str, typer.Option(help="Encoding of CSV files, such as gb18030.")] = "utf-8",
    as_json: AsJson = False,  # noqa: FBT002 - a command-line switch
) -> None:
    """导入 Take production, fuels and heats from files, the way a publisher's messages go.

    A file with a fault is not imported at all: every fault is listed with sheet, row and column. What the register
    or the rule packs refuse is listed too and waits in the quarantine; the rest is taken. The same file again changes
    nothing.

    Exit codes: 65 something was refused, 66 a file cannot be read, 75 a daemon is just starting.
    """
    settings = settings_of(config)
    zone = ZoneInfo(settings.daemon.zone)
    messages = [message for path in files for message in _read(path, zone, encoding)]
    results = []
    with _core(state_dir if config is None else settings.daemon.state_dir, config, settings) as command:
        for message in messages:
            arguments = {"publisher": publisher, "topic": message.topic, "payload": message.payload.decode()}
            results.append((message, command("output_import", arguments)))
    taken = sum(int(result["taken"]) for _, result in results)
    refused = [_placed(message, one) for message, result in results for one in result["refused"]]
    if as_json:
        print_json({"taken": taken, "refused": refused})
    else:
        typer.echo(f"已收下 {taken} 条。Taken: {taken}.")
        for one in refused[:_SHOWN]:
            typer.echo(f"  {'; '.join(one['places'][:3])}: {one['reason']} {one['detail']}", err=True)
        if len(refused) > _SHOWN:
            typer.echo(f"  … 另有 and {len(refused) - _SHOWN} more: gridwarden quarantine list", err=True)
    if refused:
        raise typer.Exit(ExitCode.DATA)


@app.command("list")
def list_(
    state_dir: StateDir = Path("state"),
    config: _Config = None,
    kind: Annotated[Kind | None, typer.Option("--kind", help="Only these.")] = None,
    subject: Annotated[
        str | None, typer.Option("--subject", metavar="ID", help="Of one enterprise, site, line or furnace.")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="At most so many.")] = 50,
    as_json: AsJson = False,  # noqa: FBT002 - a command-line switch
) -> None:
    """列出 What was reported, every revision, the newest first."""
    settings = settings_of(config)
    where = state_dir if config is None else settings.daemon.state_dir
    items = _listed(where, {"kind": kind, "subject": subject, "limit": limit})
    if as_json:
        print_json(items)
        return
    if not items:
        typer.echo("还没有报送。Nothing was reported yet.")
    for item in items:
        typer.echo(_line(item))


def _read(path: Path, zone: ZoneInfo, encoding: str) -> list[FileMessage]:
    from rich.console import Console

    from monitor.accounts.importer import read_file
    from monitor.register.fault_table import fault_table
    from monitor.register.faults import RegisterFaults

    try:
        return read_file(path, zone, encoding=encoding)
    except RegisterFaults as error:
        Console(stderr=True).print(fault_table(error.faults[:_SHOWN]))
        stop(
            f"{path}: {len(error.faults)} 处错误，未导入。{len(error.faults)} faults; nothing was imported.",
            ExitCode.DATA,
        )
    except OSError as error:
        stop(f"{path}: {error.strerror or error}", ExitCode.NO_INPUT)
    except LookupError as error:
        stop(f"--encoding {encoding}: {error}", ExitCode.USAGE)


@contextlib.contextmanager
def _core(state_dir: Path, config: Path | None, settings: Settings) -> Iterator[Command]:
    """Through the running daemon, else in a core of our own over the state directory."""
    from monitor.cli.access import SocketAccess
    from monitor.ops.local_socket import SOCKET_NAME

    if (state_dir / SOCKET_NAME).exists():
        running = SocketAccess(state_dir)
        if running.answers():
            yield running.command
            return
    if config is None:
        stop(
            "守护进程未运行：请用 --config 指明配置。The daemon is stopped: name its configuration with --config.",
            ExitCode.USAGE,
        )
    from models.domain.clock import SystemClock
    from monitor.accounts.requests import output_import
    from monitor.outlets import sink_names
    from monitor.replay import Tally
    from monitor.wiring import open_core

    tally = Tally()
    with open_core(
        settings=settings,
        state_dir=state_dir,
        register=register_in_force(settings),
        source=tally,
        observer=tally,
        clock=SystemClock(),
        sinks=sink_names(settings),
    ) as core:
        yield lambda _, arguments: output_import(core, arguments)
        core.pipeline.close()


def _listed(state_dir: Path, arguments: Row) -> list[Row]:
    from monitor.accounts import report_rows
    from monitor.accounts.requests import told
    from monitor.cli.access import SocketAccess
    from monitor.desk.database import read_desk

    access = access_to(state_dir)
    if isinstance(access, SocketAccess):
        items: list[Row] = access.command("output_list", arguments)["items"]
        return items
    engine = read_desk(state_dir)
    try:
        with engine.connect() as connection:
            found = report_rows.newest(
                connection, arguments["limit"], kind=arguments["kind"], subject=arguments["subject"]
            )
        return [told(report) for report in found]
    finally:
        engine.dispose()


def _placed(message: FileMessage, refusal: Row) -> Row:
    """A refusal with the places in the file of the rows it is about."""
    rows = refusal["rows"] or range(len(message.places))
    return {"places": [message.places[row] for row in rows], "reason": refusal["reason"], "detail": refusal["detail"]}


def _line(item: Row) -> str:
    from monitor.cli.quarantine import printable

    rev = f" rev {item['rev']}" if item["rev"] else ""
    void = " 作废 void" if item["void"] else ""
    if item["kind"] == Kind.HEAT:
        tonnes = f", {item['tapped_t']} t" if item["tapped_t"] is not None else ""
        what = f"炉次 heat {item['furnace']} {item['start_ms']}: {item['energy_kwh']} kWh{tonnes}"
    else:
        subject = item["line"] or item["site"] or item["uscc"]
        made = f"{item['product']} {item['quantity']} {item['unit']}" if item["product"] else "无产量 no output"
        fuels = ", ".join(f"{use['fuel']} {use['quantity']} {use['unit']}" for use in item["fuels"])
        what = f"{subject} {item['first']}..{item['last']}: {made}" + (f"; {fuels}" if fuels else "")
    return printable(f"{what}{rev}{void}  [{item['publisher']}]")
