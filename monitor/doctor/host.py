"""Checks of the machine: disk, clock, time zones, versions."""

from __future__ import annotations

import ctypes
import importlib.metadata
import os
import platform
import re
import shutil
import sqlite3
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from monitor.doctor.findings import Finding, fault, ok, unseen, warning
from monitor.storage import BALLAST_BYTES, BALLAST_NAME

GIB: Final = 1 << 30
LEAST_FREE_BYTES: Final = GIB
FEW_DAYS: Final = 30
LAST_DAYS: Final = 3
FIXED_WAL_RESET: Final = (3, 51, 3)
NETWORK_FILE_SYSTEMS: Final = frozenset(
    {"nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "fuse.sshfs", "glusterfs", "ceph"}
)
MOUNTS: Final = Path("/proc/self/mounts")
MEMORY_FILE_SYSTEMS: Final = frozenset({"tmpfs", "ramfs", "devtmpfs"})
_UNSYNCHRONISED: Final = 0x0040
_TIME_ERROR: Final = 5
_STATUS_LONGS: Final = 5
"""`status` of `struct timex` stands after the words modes (padded), offset, freq, maxerror and esterror."""
_REQUIREMENT: Final = re.compile(r"^([A-Za-z0-9._-]+)")


def check_disk(state_dir: Path, growth_bytes: float | None) -> Iterator[Finding]:
    """Room and how long it lasts at `growth_bytes` a day (None: not known yet), local disk, ballast, modes."""
    if not state_dir.is_dir():
        yield fault(
            "disk.state",
            f"there is no state directory {state_dir}",
            "Correct daemon.state_dir or --state; the first `gridwarden run` or `register import` makes it.",
        )
        return
    free = shutil.disk_usage(state_dir).free
    days = None if not growth_bytes else free / growth_bytes
    seen = f"{free / GIB:.1f} GiB free at {state_dir}" + (f", enough for {days:,.0f} days" if days is not None else "")
    make_room = (
        f"Make room on that disk (`du -sh {state_dir}/* | sort -h` shows what is large), give it a larger one, or "
        "lower [retention]; docs/reference/disk-sizes.md says how much is needed."
    )
    if free < LEAST_FREE_BYTES or (days is not None and days < LAST_DAYS):
        yield fault("disk.free", seen, make_room)
    elif days is not None and days < FEW_DAYS:
        yield warning("disk.free", seen, make_room)
    else:
        yield ok("disk.free", seen)
    kind = file_system_of(state_dir, MOUNTS)
    if kind in NETWORK_FILE_SYSTEMS:
        yield fault(
            "disk.local",
            f"{state_dir} lies on a network file system ({kind}), where a lock and an fsync may not hold",
            "Stop the daemon, move the state directory to a disk of this machine and set daemon.state_dir.",
        )
    elif kind in MEMORY_FILE_SYSTEMS:
        yield warning(
            "disk.local",
            f"{state_dir} lies in memory ({kind}): everything in it is lost when the machine restarts",
            "Stop the daemon, move the state directory to a disk of this machine and set daemon.state_dir.",
        )
    else:
        yield ok("disk.local", f"file system {kind or 'unknown'}")
    mode = state_dir.stat().st_mode & 0o777
    if mode & 0o077:
        yield warning(
            "disk.mode",
            f"{state_dir} has mode {mode:04o}: others of this machine may read what is in it",
            f"Run: chmod 700 {state_dir}",
        )
    if state_dir.stat().st_uid != os.geteuid():
        yield unseen(
            "disk.owner",
            f"{state_dir} belongs to another user (uid {state_dir.stat().st_uid})",
            f"Run doctor as that user: sudo -u '#{state_dir.stat().st_uid}' gridwarden doctor …",
        )


def check_ballast(state_dir: Path) -> Finding:
    """Whether the reserve of a running daemon is there."""
    ballast = state_dir / BALLAST_NAME
    if ballast.is_file() and ballast.stat().st_size == BALLAST_BYTES:
        return ok("disk.ballast", f"{BALLAST_BYTES >> 20} MiB in reserve")
    return warning(
        "disk.ballast",
        f"the reserve of {BALLAST_BYTES >> 20} MiB is not there: the disk was full",
        "Make room, then restart the daemon: it takes its reserve again.",
    )


def file_system_of(path: Path, mounts: Path) -> str:
    """Kind of the file system a path lies on, empty where it is not known."""
    best, kind = "", ""
    try:
        lines = mounts.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return ""
    real = str(path.resolve())
    for line in lines:
        fields = line.split(" ")
        if len(fields) < 3:
            continue
        point = fields[1].replace("\\040", " ")
        if (real == point or real.startswith(point.rstrip("/") + "/")) and len(point) >= len(best):
            best, kind = point, fields[2]
    return kind


def check_clock(wall_ms: int, newest_known_ms: int | None, zone: str) -> Iterator[Finding]:
    """Whether the clock is set from elsewhere, is not behind what is stored, and knows the zone.

    `newest_known_ms`: the latest moment something was recorded here, Unix ms.
    """
    synchronised = clock_synchronised()
    if synchronised is None:
        yield unseen(
            "clock.synchronised", "the kernel does not say whether the clock is set from elsewhere", "Run: timedatectl"
        )
    elif synchronised:
        yield ok("clock.synchronised", "the kernel says the clock is set from elsewhere")
    else:
        yield warning(
            "clock.synchronised",
            "the clock is not set from elsewhere: it drifts, and right readings are refused as being of the future",
            "Run: timedatectl set-ntp true (or configure chrony with a time server of your network). In a container, "
            "do so on its host.",
        )
    if newest_known_ms is not None and wall_ms < newest_known_ms - 120_000:
        yield fault(
            "clock.behind",
            f"the clock is {(newest_known_ms - wall_ms) / 1000:,.0f} s behind what was recorded here",
            "Set the clock (`timedatectl set-time` or a time server), then restart the daemon.",
        )
    try:
        ZoneInfo(zone)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        yield fault("clock.zone", f"no time zone data for {zone}", "Install the system package tzdata.")
    else:
        yield ok("clock.zone", f"time zone {zone} is known")


def clock_synchronised() -> bool | None:
    """What the kernel says (adjtimex); None where it does not say."""
    if not sys.platform.startswith("linux"):
        return None
    buffer = ctypes.create_string_buffer(512)
    try:
        state = int(ctypes.CDLL(None).adjtimex(buffer))
    except (OSError, AttributeError):
        return None
    if state < 0:
        return None
    status = ctypes.c_int.from_buffer(buffer, _STATUS_LONGS * ctypes.sizeof(ctypes.c_long)).value
    return state != _TIME_ERROR and not status & _UNSYNCHRONISED


def check_versions(constraints: Mapping[str, str] | None = None) -> Iterator[Finding]:
    """Python, SQLite, and whether the installed packages are those the distribution asks for."""
    yield ok("versions.python", f"Python {platform.python_version()}, gridwarden {_version('gridwarden') or 'unknown'}")
    if sqlite3.sqlite_version_info < FIXED_WAL_RESET:
        yield ok(
            "versions.sqlite",
            f"SQLite {sqlite3.sqlite_version}, which has the WAL-reset race; harmless here: one connection writes and "
            "checkpoints. Never open the state's files with another program that writes",
        )
    else:
        yield ok("versions.sqlite", f"SQLite {sqlite3.sqlite_version}")
    wrong = [
        f"{name} {found or 'missing'} (tested with {wanted})"
        for name, wanted in (constraints or {}).items()
        if (found := _version(name)) != wanted
    ]
    missing = [name for name in required() if _version(name) is None]
    if missing:
        yield fault(
            "versions.packages",
            f"not installed: {', '.join(missing)}",
            "Run: make install (or pip install --constraint constraints.txt gridwarden) in its private environment.",
        )
    elif wrong:
        yield warning(
            "versions.packages",
            f"other than tested: {'; '.join(wrong[:5])}{' …' if len(wrong) > 5 else ''}",
            "Run: pip install --constraint constraints.txt gridwarden in its private environment.",
        )
    else:
        yield ok("versions.packages", f"duckdb {_version('duckdb')}, numpy {_version('numpy')}, all that is required")


def required() -> list[str]:
    """Names of the packages the distribution requires to run."""
    try:
        lines = importlib.metadata.requires("gridwarden") or []
    except importlib.metadata.PackageNotFoundError:
        return []
    names = [match.group(1) for line in lines if "extra ==" not in line and (match := _REQUIREMENT.match(line))]
    return sorted(names)


def read_constraints(path: Path) -> dict[str, str]:
    """Exact versions by package of a constraints file; empty where it is not there."""
    if not path.is_file():
        return {}
    pairs = (line.split("==") for line in path.read_text(encoding="utf-8").splitlines() if "==" in line)
    needed = {name.lower().replace("_", "-") for name in required()}
    return {
        name.strip(): version.strip() for name, version in pairs if name.strip().lower().replace("_", "-") in needed
    }


def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None
