"""The page of commands, read from the command line itself."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Sequence
from enum import Enum
from pathlib import Path
from typing import Any, Final

from typer.main import get_command

from monitor.cli.main import DISTRIBUTION, app

_HEAD: Final = ("argument or option", "default", "meaning")
_PLACEHOLDERS: Final = {Path: "PATH", int: "N", float: "NUMBER", dt.datetime: "YYYY-MM-DD"}
_SHELL_OPTIONS: Final = frozenset({"--help", "--install-completion", "--show-completion"})


def commands() -> Iterator[tuple[str, Any]]:
    """Every command that does something, as it is written after `gridwarden`, in the order of the help."""
    yield from _below((), get_command(app))


def command_lines() -> Iterator[str]:
    """The page below its heading: a section a command."""
    for name, command in commands():
        arguments = "".join(f" {shown(param)[0]}" for param in command.params if param.param_type_name == "argument")
        yield from ("", f"## `{DISTRIBUTION} {name}{arguments}`", "", *_paragraphs(command.help or ""), "")
        rows = [shown(param) for param in command.params if not _SHELL_OPTIONS & set(param.opts)]
        yield from _table(rows)


def shown(param: Any) -> tuple[str, str, str]:
    """How a parameter is written, its default, and what it means."""
    if param.param_type_name == "argument":
        return (param.metavar or str(param.name).upper(), "required" if param.required else "", param.help or "")
    name = ", ".join(param.opts)
    takes = "" if param.is_flag else f" {_value(param)}"
    return (f"{name}{takes}", "required" if param.required else _default(param.default), param.help or "")


def _below(path: tuple[str, ...], command: Any) -> Iterator[tuple[str, Any]]:
    for name, child in getattr(command, "commands", {}).items():
        if hasattr(child, "commands"):
            yield from _below((*path, name), child)
        else:
            yield " ".join((*path, name)), child


def _value(param: Any) -> str:
    kind = param.type_descriptor.annotation
    if isinstance(kind, type) and issubclass(kind, Enum):
        return "\\|".join(str(member.value) for member in kind)
    return str(param.metavar or _PLACEHOLDERS.get(kind, "TEXT"))


def _default(value: object) -> str:
    if value is None or value is False or value == ():
        return ""
    if isinstance(value, Enum):
        return f"`{value.value}`"
    return f"`{value.as_posix() if isinstance(value, Path) else value}`"


def _paragraphs(text: str) -> Iterator[str]:
    for line in text.strip().splitlines():
        yield line.strip()


def _table(rows: Sequence[tuple[str, str, str]]) -> Iterator[str]:
    if not rows:
        return
    yield f"| {' | '.join(_HEAD)} |"
    yield "|" + "---|" * len(_HEAD)
    for name, default, meaning in rows:
        yield f"| `{name}` | {default} | {meaning} |"
