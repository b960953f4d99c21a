"""What several commands need at their start: settings, the register, and one clear line when either fails."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, NoReturn
from zoneinfo import ZoneInfo

import typer

from monitor.supervise import ExitCode

if TYPE_CHECKING:
    from models.domain.register import Register
    from monitor.cli.access import Access
    from monitor.config.settings import Settings

SHOWN_FAULTS = 20


def stop(message: str, code: ExitCode) -> NoReturn:
    """Say why on standard error and leave."""
    typer.echo(message, err=True)
    raise typer.Exit(code)


def register_from(path: Path, zone: ZoneInfo) -> Register:
    """The register of a workbook or directory; leaves with code 65 and every fault, or 66 where there is none."""
    from monitor.register.importer import RegisterFaults, load_register

    try:
        return load_register(path, zone)
    except RegisterFaults as error:
        shown = [str(fault) for fault in error.faults[:SHOWN_FAULTS]]
        more = len(error.faults) - len(shown)
        if more > 0:
            shown.append(f"… {more} more; `gridwarden check --register {path}` lists them all")
        stop("\n".join(shown), ExitCode.DATA)
    except OSError as error:
        stop(f"register {path}: {error.strerror or error}", ExitCode.NO_INPUT)


def register_in_force(settings: Settings) -> Register:
    """The register the settings name, else the newest one imported into the state directory; leaves without one."""
    from models.domain.register import Register
    from monitor.collector import collector_paused
    from monitor.desk.registers import latest_register

    zone = ZoneInfo(settings.daemon.zone)
    with collector_paused():
        if settings.daemon.register is not None:
            return _pseudonymous(settings, register_from(settings.daemon.register, zone))
        latest = latest_register(settings.daemon.state_dir)
    if latest is None:
        stop(
            f"no register: import one with `gridwarden register import PATH --state {settings.daemon.state_dir}`, "
            "or name its files in daemon.register",
            ExitCode.CONFIG,
        )
    version, rows = latest
    return Register(rows, zone, version)


def _pseudonymous(settings: Settings, register: Register) -> Register:
    """The register without names, where the settings ask for it."""
    from models.domain.register import Register
    from monitor.register.pseudonyms import Pseudonymiser
    from monitor.register.snapshot import rows_to_json, version_of

    key_file = settings.privacy.pseudonym_key_file
    if key_file is None:
        return register
    rows = Pseudonymiser.open(key_file).rows(register.rows)
    return Register(rows, register.zone, version_of(rows_to_json(rows)))


def access_to(state_dir: Path) -> Access:
    """What is recorded in a state directory, whether a daemon runs there or not; leaves with 66 where nothing is."""
    from monitor.cli.access import open_access

    if not state_dir.is_dir():
        stop(f"没有状态目录 {state_dir}。No state directory {state_dir}: give it with --state.", ExitCode.NO_INPUT)
    try:
        return open_access(state_dir)
    except FileNotFoundError as error:
        stop(f"{state_dir} 里还没有数据。Nothing recorded in {state_dir} yet: {error}", ExitCode.NO_INPUT)
