"""The `gridwarden` command: its sub-commands, and what an error becomes (exit codes after sysexits)."""

from __future__ import annotations

import importlib
import importlib.metadata
import importlib.util
import os
import sys
from typing import Annotated, Final

import typer

from monitor.config.faults import ConfigFaults
from monitor.supervise import ExitCode

DISTRIBUTION: Final = "gridwarden"
COMMANDS: Final = ("run", "demo", "check", "replay", "simulate", "peers", "backup", "restore", "doctor", "verify")
GROUPS: Final = ("register", "leads", "notices", "quarantine", "history", "law", "intensity", "output", "tariff")

app = typer.Typer(
    name=DISTRIBUTION,
    help="Watches a district's electricity for furnace melting and other leads an office should check.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def version() -> str:
    """The installed version; `unknown` when run from a tree that is not installed."""
    try:
        return importlib.metadata.version(DISTRIBUTION)
    except importlib.metadata.PackageNotFoundError:
        return "unknown"


def _print_version(wanted: bool) -> None:  # noqa: FBT001 — typer hands an option's value over by position
    if wanted:
        typer.echo(f"{DISTRIBUTION} {version()}")
        raise typer.Exit


@app.callback()
def _options(
    _version: Annotated[  # noqa: FBT002 — typer reads options from defaults
        bool, typer.Option("--version", help="Print the version.", callback=_print_version, is_eager=True)
    ] = False,
) -> None:
    pass


def _add_commands() -> None:
    """Module `monitor.cli.NAME` holds the function NAME of a command, or the typer application `app` of a group."""
    for name in COMMANDS:
        if importlib.util.find_spec(f"monitor.cli.{name}") is not None:
            app.command(name)(getattr(importlib.import_module(f"monitor.cli.{name}"), name))
    for name in GROUPS:
        if importlib.util.find_spec(f"monitor.cli.{name}") is not None:
            app.add_typer(importlib.import_module(f"monitor.cli.{name}").app, name=name)


_add_commands()


def exit_code_of(error: Exception) -> ExitCode | None:
    """The exit code of a fault whose message is all a user needs; None: a fault of ours, shown with its traceback."""
    from models.law.faults import LawFaults
    from monitor.cli.access import AccessError
    from monitor.commands import CommandRefused, NotThere
    from monitor.config.secret_files import SecretFileError
    from monitor.desk.database import DeskError, SchemaTooNew
    from monitor.storage import StoreError, StoreLocked, StoreNewer

    match error:
        case ConfigFaults() | LawFaults() | SecretFileError() | StoreNewer() | SchemaTooNew():
            return ExitCode.CONFIG
        case StoreLocked():
            return ExitCode.TEMPORARY
        case StoreError() | DeskError():
            return ExitCode.IO
        case AccessError():
            return ExitCode.UNAVAILABLE
        case NotThere():
            return ExitCode.NO_INPUT
        case CommandRefused():
            return ExitCode.DATA
        case _:
            return None


def main() -> None:
    """Run the command line; no traceback for what the user can put right."""
    try:
        app(prog_name=DISTRIBUTION)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(ExitCode.OK)
    except Exception as error:
        code = exit_code_of(error)
        if code is None:
            raise
        typer.echo(str(error), err=True)
        sys.exit(code)


if __name__ == "__main__":
    main()
