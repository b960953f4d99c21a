"""`gridwarden doctor`: what is wrong, what was seen, and what to do about it."""

from __future__ import annotations

import dataclasses
import json
from collections import Counter
from pathlib import Path
from typing import Annotated

import typer

_WORDS = {
    "ok": ("正常", "OK"),
    "unseen": ("未查", "unseen"),
    "warning": ("注意", "WARNING"),
    "fault": ("故障", "FAULT"),
}


def doctor(
    config: Annotated[Path | None, typer.Option("--config", "-c", help="Configuration file, TOML.")] = None,
    state: Annotated[Path | None, typer.Option("--state", help="State directory; else the configuration's.")] = None,
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Look at configuration, broker, disk, clock, versions and the daemon; each fault with its remedy.

    Changes nothing and never touches the daemon's session at the broker. Exit code 0: no fault (warnings may be
    there); 1: at least one fault.
    """
    from models.domain.clock import SystemClock
    from monitor.doctor.examine import examine
    from monitor.doctor.findings import Level

    found = list(examine(config, state, SystemClock()))
    faulty = any(one.level is Level.FAULT for one in found)
    if as_json:
        checks = [{**dataclasses.asdict(one), "level": one.level.value} for one in found]
        typer.echo(json.dumps({"ok": not faulty, "checks": checks}, ensure_ascii=False, indent=1))
        raise typer.Exit(int(faulty))
    for one in found:
        zh, en = _WORDS[one.level.value]
        typer.echo(f"[{zh} {en}] {one.check}: {one.seen}")
        if one.remedy:
            typer.echo(f"    处理 remedy: {one.remedy}")
    counts = Counter(one.level for one in found)
    typer.echo(
        f"{len(found)} 项检查 checks: {counts[Level.FAULT]} 故障 faults, {counts[Level.WARNING]} 注意 warnings, "
        f"{counts[Level.UNSEEN]} 未查 unseen"
    )
    raise typer.Exit(int(faulty))
