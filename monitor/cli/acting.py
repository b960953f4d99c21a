"""How a command line act is carried out: by the running daemon, else here under the state directory's lock."""

from __future__ import annotations

import getpass
import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final
from zoneinfo import ZoneInfo

import typer

from monitor.cli.opening import stop
from monitor.supervise import ExitCode

if TYPE_CHECKING:
    from monitor.config.settings import Settings

Row = dict[str, Any]

DEFAULT_ZONE: Final = "Asia/Shanghai"

StateDir = Annotated[Path, typer.Option("--state", metavar="DIR", help="State directory of the daemon.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
By = Annotated[str | None, typer.Option("--by", metavar="NAME", help="Who does it; your login name if left out.")]
Reason = Annotated[str, typer.Option("--reason", metavar="TEXT", help="Why; kept in the audit log.")]


def act(state_dir: Path, name: str, arguments: Row, *, zone: str = DEFAULT_ZONE) -> Row:
    """Have one of `monitor.office.ACTS` carried out; `zone` is that of dates where no daemon runs to know its own.

    Raises CommandRefused where it cannot be, StoreLocked where a daemon is just starting, and what the desk raises.
    Leaves with 66 where nothing was ever recorded.
    """
    from monitor.cli.access import SocketAccess
    from monitor.desk.database import DESK_FILE, open_desk
    from monitor.office import ACTS, Office
    from monitor.ops.local_socket import SOCKET_NAME
    from monitor.storage import StateLock

    if (state_dir / SOCKET_NAME).exists():
        running = SocketAccess(state_dir)
        if running.answers():
            return running.command(name, arguments)
    if not (state_dir / DESK_FILE).is_file():
        stop(f"{state_dir} 里还没有数据。Nothing recorded in {state_dir} yet: give --state.", ExitCode.NO_INPUT)
    from models.domain.clock import SystemClock

    lock = StateLock.acquire(state_dir)
    try:
        engine = open_desk(state_dir)
        try:
            return ACTS[name](Office(engine, SystemClock(), ZoneInfo(zone)), arguments)
        finally:
            engine.dispose()
    finally:
        lock.release()


def whoever(by: str | None) -> str:
    """The name given, else the login name."""
    return by if by is not None else getpass.getuser()


def print_json(value: object) -> None:
    """Plain JSON for programs, readable for people."""
    typer.echo(json.dumps(value, ensure_ascii=False, indent=2))


def settings_of(config: Path | None) -> Settings:
    """The settings of a configuration file, or the defaults."""
    from monitor.config.settings import load_settings

    return load_settings(config)
