"""The configuration of a mosquitto on this machine, where it can be read: it says what a connection cannot show."""

from __future__ import annotations

import itertools
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_MAX_BYTES: Final = 1 << 20
NO_FILE: Final = Path("-")
"""Stands for a mosquitto that was started without a configuration file: every setting is its default."""


@dataclass(frozen=True, slots=True)
class BrokerFile:
    """One running mosquitto: its configuration file and the last value of each setting in it."""

    path: Path
    values: Mapping[str, str]
    ports: frozenset[int]

    def number(self, name: str, default: int) -> int:
        """A numeric setting, or mosquitto's default."""
        value = self.values.get(name, "")
        return int(value) if value.isascii() and value.isdigit() else default

    def flag(self, name: str, *, default: bool) -> bool:
        """A yes-or-no setting, or mosquitto's default."""
        return {"true": True, "false": False}.get(self.values.get(name, ""), default)


def mosquitto_on(port: int, proc: Path = Path("/proc")) -> BrokerFile | None:
    """The mosquitto of this machine that serves a port; None where there is none whose configuration can be read."""
    for folder in sorted(proc.glob("[0-9]*")):
        try:
            command = (folder / "cmdline").read_bytes().decode("utf-8", "replace").split("\0")
            where = (folder / "cwd").resolve(strict=False)
        except OSError:
            continue
        if not command or Path(command[0]).name != "mosquitto":
            continue
        found = _of_command(command[1:], where)
        if found is not None and port in found.ports:
            return found
    return None


def read_broker_file(path: Path) -> BrokerFile | None:
    """A configuration with the files it includes; None where it cannot be read."""
    values: dict[str, str] = {}
    ports: set[int] = set()
    if not _read_into(path, values, ports, depth=0):
        return None
    return BrokerFile(path, values, frozenset(ports or {1883}))


def _of_command(arguments: list[str], where: Path) -> BrokerFile | None:
    ports = {int(value) for flag, value in itertools.pairwise(arguments) if flag == "-p" and value.isdigit()}
    for flag, value in itertools.pairwise(arguments):
        if flag in ("-c", "--config-file"):
            return read_broker_file(where / value)
    return BrokerFile(NO_FILE, {"allow_anonymous": "true"}, frozenset(ports or {1883}))


def _read_into(path: Path, values: dict[str, str], ports: set[int], *, depth: int) -> bool:
    try:
        with path.open(encoding="utf-8", errors="replace") as file:
            lines = file.read(_MAX_BYTES).splitlines()
    except OSError:
        return False
    for line in lines:
        try:
            name, *rest = shlex.split(line, comments=True) or [""]
        except ValueError:
            name, *rest = line.split()
        value = rest[0] if rest else ""
        if name == "include_dir" and depth == 0:
            for more in sorted(Path(value).glob("*.conf")):
                _read_into(more, values, ports, depth=1)
        elif name in ("listener", "port") and value.isdigit():
            ports.add(int(value))
        elif name:
            values[name] = value
    return True
