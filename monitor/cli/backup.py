"""`gridwarden backup`: a verified copy of everything, beside the running daemon or without one."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from monitor.cli.opening import stop
from monitor.supervise import ExitCode

if TYPE_CHECKING:
    from monitor.backup.make import Owner


def backup(
    out: Annotated[
        Path, typer.Option("--out", help="The backup to make; where this is a directory, a dated one inside it.")
    ],
    config: Annotated[Path | None, typer.Option("--config", "-c", help="Configuration file, TOML.")] = None,
    state: Annotated[Path | None, typer.Option("--state", help="State directory; else the configuration's.")] = None,
    *,
    keep: Annotated[
        int | None,
        typer.Option("--keep", min=1, help="Of the dated backups in --out, keep so many; remove older ones."),
    ] = None,
    with_keys: Annotated[
        bool, typer.Option("--with-keys", help="Copy the secret keys too; without them, keep those elsewhere.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Back up journal, desk, history and register, verified, while the daemon goes on. Never overwrites anything.

    Exit codes: 65 refused (what is wrong is said), 74 a store is damaged, 75 the state directory is in use.
    """
    from models.domain.clock import SystemClock
    from monitor.backup.make import dated_name, drop_old, drop_unfinished, make_backup
    from monitor.backup.manifest import MANIFEST_NAME
    from monitor.config.settings import load_settings
    from monitor.wiring import software_version

    settings = load_settings(config)
    state_dir = state if state is not None else settings.daemon.state_dir
    clock, district = SystemClock(), settings.daemon.district
    inside = out.is_dir() and not (out / MANIFEST_NAME).exists()
    if keep is not None and not inside:
        stop(f"--keep needs --out to be a directory of backups that is there already; {out} is not", ExitCode.USAGE)
    target = out / dated_name(district, clock.wall_ms()) if inside else out
    with contextlib.ExitStack() as stack:
        owner = stack.enter_context(_owner(state_dir))
        if keep is not None:
            drop_unfinished(out, district)
        made = make_backup(
            state_dir, target, owner, clock, district=district, version=software_version(), with_keys=with_keys
        )
    gone = drop_old(out, district, keep) if keep is not None else []
    if as_json:
        answer = {
            "backup": str(made.path),
            "files": len(made.manifest.files),
            "bytes": made.bytes,
            "journal_head": made.manifest.journal_head,
            "records": made.records,
            "keys": made.manifest.keys,
            "removed": [str(path) for path in gone],
        }
        typer.echo(json.dumps(answer, ensure_ascii=False))
        return
    typer.echo(f"已备份并校验 / backed up and verified: {made.path}")
    size = f"{made.bytes / 1e6:,.1f} MB"
    typer.echo(f"  {len(made.manifest.files)} 个文件 files, {size}, {made.records} 条日志记录 journal records")
    if not made.manifest.keys:
        typer.echo(
            "  不含密钥：请另行妥善保管 / without secret keys: keep those safe elsewhere (--with-keys copies them)"
        )
    for path in gone:
        typer.echo(f"  已删除旧备份 / removed the older {path}")


def _owner(state_dir: Path) -> contextlib.AbstractContextManager[Owner]:
    """The daemon that runs there, or the directory itself under its lock."""
    from monitor.backup.make import RunningDaemon, StoppedState
    from monitor.cli.access import SocketAccess
    from monitor.cli.opening import access_to

    access = access_to(state_dir)
    if isinstance(access, SocketAccess):
        return RunningDaemon.held(state_dir, access.command)
    return StoppedState.held(state_dir)
