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
from monitor.commands import CommandBusy, CommandRefused, Commands, CommandUnknown
from monitor.ops.http import HEADERS, bare_app

PAGE_LIMIT: Final = 1000
COMMAND_TIMEOUT_S: Final = 60.0

Page = Annotated[int, Query(ge=1, le=PAGE_LIMIT)]
Offset = Annotated[int, Query(ge=0, le=100_000)]
Row = Mapping[str, Any]


class LocalData(Protocol):
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
        limit: int,
        offset: int,
    ) -> Sequence[Row]:
        """Leads that match every filter given."""

    def lead(self, lead_id: str) -> Row | None:
        """One lead with its trail and evidence."""

    def quarantine(
        self, *, reason: RejectReason | None, publisher: str | None, limit: int, offset: int
    ) -> Sequence[Row]:
        """Quarantine entries that match every filter given."""

    def quarantined(self, entry_id: int) -> Row | None:
        """One entry with its raw bytes."""


def local_app(data: LocalData, commands: Commands) -> FastAPI:
    """The application served on the socket."""
    app = bare_app()

    @app.get("/v1/status")
    def _status() -> JSONResponse:
        return JSONResponse(dict(data.status()), headers=HEADERS)

    @app.get("/v1/leads")
    def _leads(
        kind: LeadKind | None = None,
        state: LeadState | None = None,
        site: str | None = None,
        month: str | None = None,
        limit: Page = 100,
        offset: Offset = 0,
    ) -> JSONResponse:
        rows = data.leads(kind=kind, state=state, site=site, month=month, limit=limit, offset=offset)
        return JSONResponse({"items": [dict(row) for row in rows]}, headers=HEADERS)

    @app.get("/v1/leads/{lead_id}")
    def _lead(lead_id: str) -> JSONResponse:
        return _one(data.lead(lead_id))

    @app.get("/v1/quarantine")
    def _quarantine(
        reason: RejectReason | None = None,
        publisher: str | None = None,
        limit: Page = 100,
        offset: Offset = 0,
    ) -> JSONResponse:
        rows = data.quarantine(reason=reason, publisher=publisher, limit=limit, offset=offset)
        return JSONResponse({"items": [dict(row) for row in rows]}, headers=HEADERS)

    @app.get("/v1/quarantine/{entry_id}")
    def _quarantined(entry_id: int) -> JSONResponse:
        return _one(data.quarantined(entry_id))

    @app.post("/v1/commands/{name}")
    def _command(name: str, arguments: Annotated[dict[str, Any], Body()]) -> JSONResponse:
        try:
            return JSONResponse(commands.ask(name, arguments, timeout_s=COMMAND_TIMEOUT_S), headers=HEADERS)
        except CommandUnknown as error:
            return JSONResponse({"error": str(error)}, status_code=404, headers=HEADERS)
        except CommandRefused as error:
            return JSONResponse({"error": str(error)}, status_code=409, headers=HEADERS)
        except CommandBusy as error:
            return JSONResponse({"error": str(error), "began": error.began}, status_code=503, headers=HEADERS)

    return app


def _one(row: Row | None) -> JSONResponse:
    if row is None:
        return JSONResponse({"error": "not found"}, status_code=404, headers=HEADERS)
    return JSONResponse(dict(row), headers=HEADERS)
