"""All checks in order, over whatever of configuration and state is there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from models.domain.clock import Clock
from monitor.config.faults import ConfigFaults
from monitor.config.parts import mqtt_connection
from monitor.config.settings import Settings, exposures, load_settings
from monitor.doctor.broker import check_broker
from monitor.doctor.findings import Finding, fault, ok, warning
from monitor.doctor.host import check_ballast, check_clock, check_disk, check_versions, read_constraints
from monitor.doctor.state import (
    check_backup,
    check_checkpoint,
    check_daemon,
    check_notices,
    check_quarantine,
    growth_bytes_a_day,
    newest_recorded_ms,
)

CONSTRAINTS = Path(__file__).parents[2] / "constraints.txt"


def examine(config: Path | None, state: Path | None, clock: Clock) -> Iterator[Finding]:
    """Every check; a faulty configuration is told whole, and what does not need it is checked all the same."""
    settings: Settings | None = None
    try:
        settings = load_settings(config)
    except ConfigFaults as error:
        for one in error.faults:
            where = f"{one.file}: {one.key}" if one.key else one.file
            yield fault("config", f"{where}: {one.problem}", one.remedy)
    else:
        yield ok("config", f"{config or 'defaults'}: no faults, and secret files have mode 0600 or stricter")
        yield from _exposed(settings)
    state_dir = state or (settings.daemon.state_dir if settings is not None else None)
    now_ms = clock.wall_ms()
    status = running_status(state_dir) if state_dir is not None else None
    if settings is not None:
        yield from check_broker(settings, mqtt_connection(settings), daemon_runs=status is not None)
    known_ms = None
    if state_dir is not None:
        yield from check_disk(state_dir, growth_bytes_a_day(state_dir))
        known_ms = newest_recorded_ms(state_dir)
    yield from check_clock(now_ms, known_ms, settings.daemon.zone if settings is not None else "Asia/Shanghai")
    yield from check_versions(read_constraints(CONSTRAINTS))
    if state_dir is not None and settings is not None:
        yield from _state(settings, state_dir, status, now_ms)


def _state(settings: Settings, state_dir: Path, status: Mapping[str, Any] | None, now_ms: int) -> Iterator[Finding]:
    yield from check_daemon(settings, state_dir, status)
    if not state_dir.is_dir():
        return
    if status is not None:
        yield check_ballast(state_dir)
    yield check_backup(settings, state_dir, now_ms)
    yield check_checkpoint(settings, state_dir, now_ms, running=status is not None)
    yield from check_notices(state_dir)
    yield from check_quarantine(state_dir, now_ms)


def _exposed(settings: Settings) -> Iterator[Finding]:
    """Our own listeners and what is sent in plaintext on purpose."""
    found = [said for said in exposures(settings) if said.startswith("ops.")]
    for said in found:
        yield warning(
            "ours.plaintext", said, 'Set ops.host = "127.0.0.1", or put a proxy with TLS and a login in front of it.'
        )
    if not found:
        yield ok("ours.plaintext", f"metrics and health listen on {settings.ops.host} only; commands on a Unix socket")


def running_status(state_dir: Path) -> Mapping[str, Any] | None:
    """What the daemon of a state directory says of itself; None where none answers."""
    import httpx

    from monitor.cli.access import AccessError, SocketAccess

    if not state_dir.is_dir():
        return None
    access = SocketAccess(state_dir)
    try:
        return access.status() if access.answers() else None
    except (OSError, AccessError, httpx.HTTPError):
        return None
