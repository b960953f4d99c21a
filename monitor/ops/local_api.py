"""The local API: what the command line asks a running daemon, over a Unix socket that only its owner may open.

Questions are answered from read-only connections; what changes something is a command, carried out by the core thread.
The socket lies in the state directory, mode 0600.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Final, Protocol

from fastapi import Body, FastAPI, Query
from fastapi.responses import JSONResponse

from models.domain.leads import LeadKind, LeadState
from models.domain.readings import RejectReason
from models.domain.register import Register
from monitor.commands import CommandBusy, CommandRefused, Commands, CommandUnknown, NotThere
from monitor.dry_run.service import DryRuns
from monitor.history.span import SpanReader
from monitor.ops.flags_api import FlagData, add_flags
from monitor.ops.history_api import add_history
from monitor.ops.http import HEADERS, bare_app
from monitor.ops.law_api import add_dry_runs

PAGE_LIMIT: Final = 1000
COMMAND_TIMEOUT_S: Final = 60.0

Page = Annotated[int, Query(ge=1, le=PAGE_LIMIT)]
Offset = Annotated[int, Query(ge=0, le=100_000)]
Row = Mapping[str, Any]


class LocalData(FlagData, Protocol):
    """Where the answers come from; rows are plain JSON values, newest first."""

    def status(self) -> Row:
        """State, lags, counts."""

    def leads(
        self,
        *,
        kind: LeadKind | None,
        state: LeadState | None,
        site: str | None,
        month: str | None,
        since: str | None,
        limit: int,
        offset: int,
    ) -> Sequence[Row]:
        """Leads that match every filter given."""

    def lead(self, lead_id: str) -> Row | None:
        """One lead with its trail and evidence."""

    def quarantine(
        self, *, reason: RejectReason | None, publisher: str | None, resolved: bool | None, limit: int, offset: int
    ) -> Sequence[Row]:
        """Quarantine entries that match every filter given."""

    def quarantined(self, entry_id: int) -> Row | None:
        """One entry with its raw bytes."""

    def silences(self, *, ended: bool) -> Sequence[Row]:
        """Silences, those that are over only if asked for."""

    def notices(self, *, limit: int) -> Sequence[Row]:
        """Notices that wait for a person, oldest first."""


def local_app(
    data: LocalData,
    commands: Commands,
    history: tuple[SpanReader, Register] | None = None,
    dry_runs: DryRuns | None = None,
) -> FastAPI:
    """The application served on the socket; with `history` it answers about readings, with `dry_runs` about packs."""
    app = bare_app()
    _add_quarantine(app, data)
    _add_handling(app, data)
    add_flags(app, data)
    if history is not None:
        add_history(app, *history)
    if dry_runs is not None:
        add_dry_runs(app, dry_runs)

    @app.get("/v1/status")
    def _status() -> JSONResponse:
        return JSONResponse(dict(data.status()), headers=HEADERS)

    @app.get("/v1/leads")
    def _leads(
        kind: LeadKind | None = None,
        state: LeadState | None = None,
        site: str | None = None,
        month: str | None = None,
        since: str | None = None,
        limit: Page = 100,
        offset: Offset = 0,
    ) -> JSONResponse:
        rows = data.leads(kind=kind, state=state, site=site, month=month, since=since, limit=limit, offset=offset)
        return JSONResponse({"items": [dict(row) for row in rows]}, headers=HEADERS)

    @app.get("/v1/leads/{lead_id}")
    def _lead(lead_id: str) -> JSONResponse:
        return _one(data.lead(lead_id))

    @app.post("/v1/commands/{name}")
    def _command(name: str, arguments: Annotated[dict[str, Any], Body()]) -> JSONResponse:
        try:
            return JSONResponse(commands.ask(name, arguments, timeout_s=COMMAND_TIMEOUT_S), headers=HEADERS)
        except CommandUnknown as error:
            return JSONResponse({"error": str(error)}, status_code=404, headers=HEADERS)
        except CommandRefused as error:
            told = {"error": str(error), "not_there": isinstance(error, NotThere)}
            return JSONResponse(told, status_code=409, headers=HEADERS)
        except CommandBusy as error:
            return JSONResponse({"error": str(error), "began": error.began}, status_code=503, headers=HEADERS)

    return app


def _add_quarantine(app: FastAPI, data: LocalData) -> None:
    """What was refused."""

    @app.get("/v1/quarantine")
    def _quarantine(
        reason: RejectReason | None = None,
        publisher: str | None = None,
        resolved: bool | None = None,  # noqa: FBT001 - a query parameter
        limit: Page = 100,
        offset: Offset = 0,
    ) -> JSONResponse:
        rows = data.quarantine(reason=reason, publisher=publisher, resolved=resolved, limit=limit, offset=offset)
        return JSONResponse({"items": [dict(row) for row in rows]}, headers=HEADERS)

    @app.get("/v1/quarantine/{entry_id}")
    def _quarantined(entry_id: int) -> JSONResponse:
        return _one(data.quarantined(entry_id))


def _add_handling(app: FastAPI, data: LocalData) -> None:
    """What people look at before they act: silences, and notices that wait for them."""

    @app.get("/v1/silences")
    def _silences(ended: bool = False) -> JSONResponse:  # noqa: FBT001, FBT002 - a query parameter
        return JSONResponse({"items": [dict(row) for row in data.silences(ended=ended)]}, headers=HEADERS)

    @app.get("/v1/notices")
    def _notices(limit: Page = 100) -> JSONResponse:
        return JSONResponse({"items": [dict(row) for row in data.notices(limit=limit)]}, headers=HEADERS)


def _one(row: Row | None) -> JSONResponse:
    if row is None:
        return JSONResponse({"error": "not found"}, status_code=404, headers=HEADERS)
    return JSONResponse(dict(row), headers=HEADERS)
