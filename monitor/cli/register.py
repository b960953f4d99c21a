"""`gridwarden register`: the way of the register in and out."""

from __future__ import annotations

import contextlib
import datetime as dt
import json
from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from models.domain.clock import SystemClock
from models.domain.register import RegisterRows
from monitor.supervise import ExitCode

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine

SHOWN_FAULTS = 200
"""Faults a table shows unless all are asked for."""

_WIDTH_WHEN_PIPED = 160

app = typer.Typer(help="登记簿 Register: who is watched, with what, since when.", no_args_is_help=True)

Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


class Encoding(StrEnum):
    """Encodings of CSV files."""

    UTF_8 = "utf-8"
    GB18030 = "gb18030"


EncodingOption = Annotated[Encoding, typer.Option("--encoding", help="Of CSV files; gb18030 also reads GBK.")]


def console() -> Console:
    """Standard output; wide enough for tables where it is no terminal."""
    found = Console()
    return found if found.is_terminal else Console(width=_WIDTH_WHEN_PIPED)


def fail(message: str, code: ExitCode) -> NoReturn:
    """One line on standard error and an exit code."""
    typer.echo(message, err=True)
    raise typer.Exit(code)


def read_or_report(path: Path, encoding: str, *, as_json: bool, all_faults: bool) -> RegisterRows:
    """The rows of a register; its faults are printed and end the command with 65, a missing file with 66."""
    from monitor.register.fault_table import fault_rows, fault_table
    from monitor.register.importer import RegisterFaults, read_register

    try:
        with Console(stderr=True).status(f"{path} …"):
            return read_register(path, encoding=encoding)
    except RegisterFaults as error:
        if as_json:
            typer.echo(json.dumps({"ok": False, "faults": fault_rows(error.faults)}, ensure_ascii=False))
        else:
            shown = error.faults if all_faults else error.faults[:SHOWN_FAULTS]
            out = console()
            out.print(fault_table(shown))
            more = len(error.faults) - len(shown)
            rest = f"，另有 {more} 处未列出（--all 全部列出） / {more} more, --all lists them" if more else ""
            out.print(
                f"登记簿有 {len(error.faults)} 处错误，未导入 / {len(error.faults)} faults, nothing imported{rest}"
            )
        raise typer.Exit(ExitCode.DATA) from None
    except OSError as error:
        fail(f"{path}: {error.strerror or error}. Name an XLSX file or a directory of CSV files.", ExitCode.NO_INPUT)


@app.command()
def template(
    directory: Annotated[Path, typer.Argument(help="Where to write; made if it is not there.")],
    *,
    csv_only: Annotated[bool, typer.Option("--csv-only", help="No workbook, CSV files only.")] = False,
    as_json: Json = False,
) -> None:
    """Write an empty, explained register: a workbook and CSV files; fill in either."""
    from monitor.register.template import write_template

    try:
        written = write_template(directory, xlsx=not csv_only)
    except OSError as error:
        fail(f"{error}.", ExitCode.CANNOT_CREATE)
    if as_json:
        typer.echo(json.dumps({"written": [str(path) for path in written]}, ensure_ascii=False))
        return
    for path in written:
        typer.echo(path)


@app.command("import")
def import_(
    path: Annotated[Path, typer.Argument(help="An XLSX file, or a directory of CSV files.")],
    state: Annotated[Path, typer.Option("--state", help="State directory of the daemon; it must be stopped.")],
    *,
    encoding: EncodingOption = Encoding.UTF_8,
    allow_empty: Annotated[
        bool, typer.Option("--allow-empty", help="Let an empty register replace one that is not.")
    ] = False,
    all_faults: Annotated[bool, typer.Option("--all", help="List every fault, not the first 200.")] = False,
    pseudonymise: Annotated[
        bool, typer.Option("--pseudonymise", help="Replace customers' names, addresses and credit codes.")
    ] = False,
    key_file: Annotated[
        Path | None, typer.Option("--key-file", help="Key of the pseudonyms, mode 0600; made where there is none.")
    ] = None,
    mapping: Annotated[
        Path | None, typer.Option("--mapping", help="File that leads back to the names; else KEY_FILE.mapping.json.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Check a register and keep it as the newest version. Faults: exit code 65, and nothing is changed."""
    from monitor.register.show import changes, row_counts

    rows = read_or_report(path, encoding.value, as_json=as_json, all_faults=all_faults)
    if pseudonymise:
        rows = _pseudonymous(rows, state, key_file, mapping)
    elif key_file is not None or mapping is not None:
        fail("--key-file and --mapping belong to --pseudonymise; give it too", ExitCode.USAGE)
    counts = row_counts(rows)
    version, before = _store(state, rows, allow_empty=allow_empty)
    changed = changes(before or RegisterRows(), rows)
    if as_json:
        told = {name: {"new": new, "gone": gone} for name, (new, gone) in changed.items()}
        typer.echo(json.dumps({"ok": True, "version": version, "rows": counts, "changes": told}))
        return
    table = Table("表 Sheet", "行 Rows", "新增 New", "移除 Gone")
    for name, count in counts.items():
        new, gone = changed.get(name, (0, 0))
        table.add_row(name, str(count), str(new), str(gone))
    out = console()
    out.print(table)
    out.print(f"已导入，版本 / imported as version {version[:12]}")
    if not any(counts.values()):
        out.print("注意：登记簿为空，所有电表都将是未知电表 / the register is empty: every meter will be unknown")


def _pseudonymous(rows: RegisterRows, state: Path, key_file: Path | None, mapping: Path | None) -> RegisterRows:
    """The rows without names; what leads back is written where the office keeps it, never into the state directory."""
    from monitor.register.pseudonyms import Pseudonymiser, add_to_mapping

    if key_file is None:
        fail("--pseudonymise needs --key-file FILE, the key the office keeps; it is made if not there", ExitCode.USAGE)
    kept = mapping if mapping is not None else key_file.with_name(key_file.name + ".mapping.json")
    for path in (key_file, kept):
        if path.absolute().resolve().is_relative_to(state.absolute().resolve()):
            fail(f"{path} lies in the state directory; keep it elsewhere, out of its backups", ExitCode.USAGE)
    try:
        pseudonymiser = Pseudonymiser.open(key_file)
        replaced = pseudonymiser.rows(rows)
        entries = add_to_mapping(kept, pseudonymiser.mapping)
    except OSError as error:
        fail(f"{error.filename or kept}: {error.strerror or error}. Name a place this user may write.", ExitCode.IO)
    typer.echo(f"假名对照表 / mapping of {entries} pseudonyms: {kept}", err=True)
    return replaced


@app.command()
def reveal(
    pseudonym: Annotated[str, typer.Argument(help="A pseudonym, or a whole text in which some stand.")],
    mapping: Annotated[Path, typer.Option("--mapping", help="The file that `register import --pseudonymise` wrote.")],
) -> None:
    """Say whom a pseudonym stands for. Nothing is written or logged; exit code 66 where it is not in the mapping."""
    from monitor.register.pseudonyms import read_mapping, revealed

    clear, found = revealed(pseudonym, read_mapping(mapping))
    if not found:
        fail(f"{mapping} has no {pseudonym}; was it made with another key?", ExitCode.NO_INPUT)
    typer.echo(clear)


def _store(state: Path, rows: RegisterRows, *, allow_empty: bool) -> tuple[str, RegisterRows | None]:
    """Keep the rows under the directory's lock; (version, the rows in force before)."""
    from monitor.config.sections import LogSettings
    from monitor.desk.database import DeskError, SchemaTooNew, open_desk
    from monitor.logs import configure_logging
    from monitor.storage import StateLock, StoreLocked

    configure_logging(LogSettings(level="warning", format="console"))
    try:
        state.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = StateLock.acquire(state)
    except StoreLocked as error:
        fail(f"{error}. The daemon imports what its setting daemon.register names when it starts.", ExitCode.TEMPORARY)
    except OSError as error:
        fail(f"{state}: {error.strerror or error}. Name a directory this user may write.", ExitCode.CANNOT_CREATE)
    try:
        with _disposed(open_desk(state)) as engine, engine.begin() as connection:
            return _replace(connection, rows, allow_empty=allow_empty)
    except SchemaTooNew as error:
        fail(str(error), ExitCode.CONFIG)
    except DeskError as error:
        fail(str(error), ExitCode.IO)
    finally:
        lock.release()


def _replace(connection: Connection, rows: RegisterRows, *, allow_empty: bool) -> tuple[str, RegisterRows | None]:
    from monitor.desk.database import DeskError
    from monitor.desk.registers import newest_register, put_register

    try:
        newest = newest_register(connection)
    except DeskError as error:
        typer.echo(f"{error} It is replaced now.", err=True)
        newest = None
    before = None if newest is None else newest[1]
    if before not in (None, RegisterRows()) and rows == RegisterRows() and not allow_empty:
        fail("the register is empty and the one in force is not; --allow-empty replaces it", ExitCode.DATA)
    return put_register(connection, rows, SystemClock().wall_ms()), before


@contextlib.contextmanager
def _disposed(engine: Engine) -> Iterator[Engine]:
    try:
        yield engine
    finally:
        engine.dispose()


@app.command()
def export(
    path: Annotated[
        Path, typer.Argument(help="A file that ends in .xlsx, or a directory for CSV files; not there yet.")
    ],
    state: Annotated[Path, typer.Option("--state", help="State directory: the version in force.")],
) -> None:
    """Write the register in force to files: to correct it there and import it again."""
    from monitor.register.export import write_csv, write_xlsx

    _, rows = _register(state, None, Encoding.UTF_8, as_json=False)
    if path.exists():
        fail(f"{path} is already there; name another file or directory", ExitCode.CANNOT_CREATE)
    try:
        written = [write_xlsx(rows, path)] if path.suffix.casefold() == ".xlsx" else write_csv(rows, path)
    except OSError as error:
        fail(f"{path}: {error}. Name a place this user may write.", ExitCode.CANNOT_CREATE)
    for file in written:
        typer.echo(file)


@app.command()
def show(
    *,
    state: Annotated[Path | None, typer.Option("--state", help="State directory: the version in force.")] = None,
    register: Annotated[Path | None, typer.Option("--register", help="A register's files instead.")] = None,
    meter: Annotated[str | None, typer.Option("--meter", help="Only what belongs to this meter.")] = None,
    site: Annotated[str | None, typer.Option("--site", help="Only what belongs to this site.")] = None,
    uscc: Annotated[str | None, typer.Option("--uscc", help="Only what belongs to this enterprise.")] = None,
    on: Annotated[str | None, typer.Option("--on", help="Only rows valid on this day, YYYY-MM-DD.")] = None,
    encoding: EncodingOption = Encoding.UTF_8,
    as_json: Json = False,
) -> None:
    """Show the register: a summary, or the rows of one meter, site or enterprise."""
    from monitor.register.show import on_date, plain, row_counts

    if (state is None) == (register is None):
        fail("name either --state DIR or --register PATH", ExitCode.USAGE)
    if sum(subject is not None for subject in (meter, site, uscc)) > 1:
        fail("name one of --meter, --site and --uscc", ExitCode.USAGE)
    version, rows = _register(state, register, encoding, as_json=as_json)
    day = _day(on)
    if day is not None:
        rows = on_date(rows, day)
    head: dict[str, Any] = {"version": version, "on": on}
    if meter is site is uscc is None:
        counts = row_counts(rows)
        if as_json:
            typer.echo(json.dumps({**head, "rows": counts}))
        else:
            _print_rows(head, {"sheets": [{"sheet": name, "rows": count} for name, count in counts.items()]})
        return
    found = plain(_about(rows, meter, site, uscc))
    if not found:
        subject = meter or site or uscc
        fail(f"the register has no {subject}" + (f" on {on}" if on else ""), ExitCode.NO_INPUT)
    if as_json:
        typer.echo(json.dumps({**head, "sheets": found}, ensure_ascii=False))
    else:
        _print_rows(head, found)


def _about(rows: RegisterRows, meter: str | None, site: str | None, uscc: str | None) -> RegisterRows:
    from monitor.register.show import about_enterprise, about_meter, about_site

    if meter is not None:
        return about_meter(rows, meter)
    if site is not None:
        return about_site(rows, site)
    return about_enterprise(rows, (uscc or "").upper())


def _register(
    state: Path | None, register: Path | None, encoding: Encoding, *, as_json: bool
) -> tuple[str, RegisterRows]:
    from monitor.register.snapshot import rows_to_json, version_of

    if register is not None:
        rows = read_or_report(register, encoding.value, as_json=as_json, all_faults=False)
        return version_of(rows_to_json(rows)), rows
    if state is None:
        raise typer.Exit(ExitCode.USAGE)
    from monitor.desk.database import DeskError
    from monitor.desk.registers import latest_register

    try:
        latest = latest_register(state)
    except DeskError as error:
        fail(str(error), ExitCode.IO)
    if latest is None:
        fail(f"{state} holds no register yet; import one with `gridwarden register import`", ExitCode.NO_INPUT)
    return latest


def _day(on: str | None) -> dt.date | None:
    if on is None:
        return None
    try:
        return dt.date.fromisoformat(on)
    except ValueError:
        fail(f"--on {on} is not a day; write YYYY-MM-DD", ExitCode.USAGE)


def _print_rows(head: dict[str, Any], sheets: dict[str, list[dict[str, Any]]]) -> None:
    out = console()
    day = f"，{head['on']} 有效 / valid on {head['on']}" if head["on"] else ""
    out.print(f"登记簿版本 / register version {head['version'][:12]}{day}")
    for name, rows in sheets.items():
        filled = [key for key in rows[0] if any(row[key] not in (None, "") for row in rows)]
        table = Table(title=name, title_justify="left")
        for key in filled:
            table.add_column(key, overflow="fold")
        for row in rows:
            table.add_row(*(Text("" if row[key] is None else str(row[key])) for key in filled))
        out.print(table)
