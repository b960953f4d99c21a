"""`gridwarden restore`: a backup into an empty state directory."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer


def restore(
    backup: Annotated[Path, typer.Argument(help="The directory that `gridwarden backup` made.")],
    state: Annotated[Path, typer.Option("--state", help="State directory to fill: empty, or not there yet.")],
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Verify a backup, put it into an empty state directory and verify the stores there. Changes nothing else.

    Exit codes: 65 refused (in the way, damaged, or of a newer format), 66 no such backup, 74 a store is damaged,
    78 a store of a newer version.
    """
    from models.domain.clock import SystemClock
    from monitor.backup.restore import restore_backup

    done = restore_backup(backup, state, SystemClock())
    manifest = done.manifest
    if as_json:
        answer = {
            "state": str(state),
            "made_at_ms": manifest.made_at_ms,
            "made_by": manifest.made_by,
            "journal_head": manifest.journal_head,
            "records": done.records,
            "sealed_parts": done.sealed_parts,
        }
        typer.echo(json.dumps(answer, ensure_ascii=False))
        return
    typer.echo(f"已恢复并校验 / restored and verified: {state}")
    typer.echo(f"  {done.records} 条日志记录 journal records, {done.sealed_parts} 个封存文件 sealed files")
    typer.echo("  请让数据源补发备份之后的数据 / have publishers send again what came after the backup")
    if not manifest.keys:
        typer.echo("  备份不含密钥：请放回原处 / no secret keys in the backup: put them back where the settings say")
