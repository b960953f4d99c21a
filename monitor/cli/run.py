"""`gridwarden run`: the daemon."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from monitor.cli.opening import register_in_force, stop
from monitor.supervise import ExitCode


def run(
    config: Annotated[Path | None, typer.Option("--config", "-c", help="Configuration file, TOML.")] = None,
) -> None:
    """Receive readings from the broker, judge them night by night and hand out leads, until SIGTERM or Ctrl-C.

    Exit codes: 0 asked to stop, 65 register at fault, 66 register missing, 69 a port or socket cannot be used,
    70 a part failed (start it again: start-up is recovery), 74 a store is damaged, 75 another process owns the
    state directory, 78 configuration at fault, no register, or a store of a newer version.
    """
    from models.domain.clock import SystemClock
    from monitor.config.settings import load_settings
    from monitor.daemon import Daemon
    from monitor.desk.database import DeskError
    from monitor.logs import configure_logging
    from monitor.storage import StoreDamaged, StoreError, StoreLocked, StoreNewer
    from monitor.supervise import InvariantBrokenError
    from monitor.systemd import ServiceManager

    service = ServiceManager.from_environment(os.environ)
    settings = load_settings(config)
    configure_logging(settings.log)
    daemon = Daemon(settings, register_in_force(settings), SystemClock(), service=service)
    daemon.supervisor.catch_signals()
    try:
        code = daemon.run()
    except StoreLocked as error:
        stop(str(error), ExitCode.TEMPORARY)
    except StoreNewer as error:
        stop(str(error), ExitCode.CONFIG)
    except StoreDamaged as error:
        stop(str(error), ExitCode.IO)
    except (StoreError, DeskError, InvariantBrokenError) as error:
        stop(str(error), ExitCode.SOFTWARE)
    except OSError as error:
        stop(f"cannot listen or open: {error}", ExitCode.UNAVAILABLE)
    raise typer.Exit(code)
