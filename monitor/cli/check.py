"""`gridwarden check`: every fault of the configuration and of the register, at once."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table
from rich.text import Text

from monitor.cli.register import SHOWN_FAULTS, Encoding, EncodingOption, Json, console
from monitor.config.faults import ConfigFault
from monitor.supervise import ExitCode

if TYPE_CHECKING:
    from models.domain.register import RegisterRows
    from models.law.faults import LawFault
    from models.law.library import Law
    from monitor.config.law_sections import LawSettings
    from monitor.config.settings import Settings
    from monitor.register.faults import CellFault


def check(
    *,
    config: Annotated[Path | None, typer.Option("--config", "-c", help="Configuration file, TOML.")] = None,
    register: Annotated[
        Path | None, typer.Option("--register", help="Register to check; else the one the configuration names.")
    ] = None,
    encoding: EncodingOption = Encoding.UTF_8,
    as_json: Json = False,
) -> None:
    """Check configuration, rule packs and register.

    Exit code 78: configuration or rule packs at fault; 65: register at fault; 0: all is well.
    """
    from monitor.config.settings import exposures
    from monitor.register.show import row_counts

    settings, config_faults = _settings(config)
    named = settings.daemon.register if settings is not None else _named_register(config)
    rows, register_faults, missing = _rows(register if register is not None else named, encoding.value)
    if settings is not None and rows is not None:
        config_faults = _unknown_publishers(settings, rows, str(config or ""))
    law, law_faults = _law(settings.law) if settings is not None else (None, ())
    code = ExitCode.CONFIG if law_faults else _exit_code(config_faults, register_faults, missing)
    if as_json:
        answer = {
            "ok": code is ExitCode.OK,
            "config": [asdict(fault) for fault in config_faults],
            "register": [asdict(fault) for fault in register_faults],
            "law": [asdict(fault) for fault in law_faults],
            "law_version": None if law is None else law.version,
            "missing": missing,
            "rows": None if rows is None else row_counts(rows),
        }
        typer.echo(json.dumps(answer, ensure_ascii=False))
    else:
        _print(config_faults, register_faults, missing)
        for law_fault in law_faults:
            typer.echo(str(law_fault))
        if law_faults:
            typer.echo(f"规则包有 {len(law_faults)} 处错误 / {len(law_faults)} faults in the rule packs")
        if code is ExitCode.OK:
            checked = "配置和登记簿 / configuration and register" if rows is not None else "配置 / configuration"
            typer.echo(f"没有错误 / no faults: {checked}")
            typer.echo(_what_was_read(rows))
            if law is not None:
                typer.echo(f"规则包 / rule packs: {law.version}")
        for exposure in exposures(settings) if settings is not None else ():
            typer.echo(f"注意 note: {exposure}")
    raise typer.Exit(code)


def _what_was_read(rows: RegisterRows | None) -> str:
    """The rows by sheet, so that an empty register is seen before every meter is unknown."""
    from monitor.register.columns import SPECS
    from monitor.register.show import row_counts

    if rows is None:
        return "未指定登记簿，将使用上次导入的 / no register named: `run` takes the one imported last"
    counts = row_counts(rows)
    if not any(counts.values()):
        return "注意：登记簿为空，所有电表都将是未知电表 / the register is empty: every meter will be unknown"
    return "登记簿 / register: " + ", ".join(f"{SPECS[name].label_zh} {name} {counts[name]}" for name in counts)


def _settings(config: Path | None) -> tuple[Settings | None, Sequence[ConfigFault]]:
    from monitor.config.settings import ConfigFaults, load_settings

    try:
        return load_settings(config), ()
    except ConfigFaults as error:
        return None, error.faults


def _law(settings: LawSettings) -> tuple[Law | None, Sequence[ConfigFault | LawFault]]:
    """The rule packs the settings ask for, or what is wrong with them."""
    from models.law.faults import LawFaults
    from monitor.config.faults import ConfigFaults
    from monitor.rule_packs import law_in_force

    try:
        return law_in_force(settings), ()
    except (ConfigFaults, LawFaults) as error:
        return None, error.faults


def _named_register(config: Path | None) -> Path | None:
    """The register a faulty configuration names, so that both are told at once; None where it is not there to read."""
    try:
        named = tomllib.loads(config.read_text(encoding="utf-8"))["daemon"]["register"] if config is not None else None
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return Path(named) if isinstance(named, str) and Path(named).exists() else None


def _rows(path: Path | None, encoding: str) -> tuple[RegisterRows | None, Sequence[CellFault], str | None]:
    """The register's rows, its faults, and why it could not be opened."""
    from monitor.register.importer import RegisterFaults, read_register

    if path is None:
        return None, (), None
    try:
        return read_register(path, encoding=encoding), (), None
    except RegisterFaults as error:
        return None, error.faults, None
    except OSError as error:
        return None, (), f"{path}: {error.strerror or error}. Name an XLSX file or a directory of CSV files."


def _unknown_publishers(settings: Settings, rows: RegisterRows, file: str) -> list[ConfigFault]:
    """Subscriptions whose fixed publisher the register does not have: every reading of theirs would be refused."""
    known = {row.publisher for row in rows.publishers}
    return [
        ConfigFault(
            file,
            f"subscriptions.{index}.publisher",
            f"the register has no publisher {subscription.publisher}",
            f"It has: {', '.join(sorted(known)[:10]) or 'none'}. Correct the name or add it to publishers.",
        )
        for index, subscription in enumerate(settings.subscriptions)
        if subscription.publisher and subscription.publisher not in known
    ]


def _exit_code(
    config_faults: Sequence[ConfigFault], register_faults: Sequence[CellFault], missing: str | None
) -> ExitCode:
    if config_faults:
        return ExitCode.CONFIG
    if register_faults:
        return ExitCode.DATA
    return ExitCode.OK if missing is None else ExitCode.NO_INPUT


def _print(config_faults: Sequence[ConfigFault], register_faults: Sequence[CellFault], missing: str | None) -> None:
    from monitor.register.fault_table import fault_table

    out = console()
    if config_faults:
        table = Table("文件 File", "键 Key", "问题 Problem", "处理 Remedy", show_lines=True, expand=True)
        for fault in config_faults:
            table.add_row(*(Text(part) for part in (fault.file, fault.key, fault.problem, fault.remedy)))
        out.print(table)
        out.print(f"配置有 {len(config_faults)} 处错误 / {len(config_faults)} faults of configuration")
    if register_faults:
        shown = register_faults[:SHOWN_FAULTS]
        out.print(fault_table(shown))
        more = len(register_faults) - len(shown)
        rest = f"，另有 {more} 处见 --json / {more} more with --json" if more else ""
        out.print(f"登记簿有 {len(register_faults)} 处错误 / {len(register_faults)} faults of the register{rest}")
    if missing is not None:
        typer.echo(missing, err=True)
