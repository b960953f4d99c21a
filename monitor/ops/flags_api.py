"""Tariff flags over the local API: as they stand, and the revisions of one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Final, Protocol

from fastapi import FastAPI, Query
from fastapi.responses import JSONResponse

from monitor.ops.http import HEADERS
from monitor.tariffs.flag import FlagStatus

PAGE_LIMIT: Final = 1000
PERIOD: Final = r"^20[0-9]{2}(-(0[1-9]|1[0-2]))?$"

Row = Mapping[str, Any]


class FlagData(Protocol):
    """Where the answers come from; rows are plain JSON values."""

    def flags(
        self, *, uscc: str | None, period: str | None, status: str | None, limit: int, offset: int
    ) -> Sequence[Row]:
        """Flags that match every filter given, by period and enterprise."""

    def flag(self, uscc: str, period: str) -> Sequence[Row]:
        """Every revision of an enterprise's flags in a period."""


def add_flags(app: FastAPI, data: FlagData) -> None:
    """`GET /v1/flags` and `GET /v1/flags/{uscc}/{period}`."""

    @app.get("/v1/flags")
    def _flags(
        uscc: str | None = None,
        period: Annotated[str | None, Query(pattern=PERIOD)] = None,
        status: FlagStatus | None = None,
        limit: Annotated[int, Query(ge=1, le=PAGE_LIMIT)] = PAGE_LIMIT,
        offset: Annotated[int, Query(ge=0, le=10_000_000)] = 0,
    ) -> JSONResponse:
        wanted = None if status is None else status.value
        rows = data.flags(uscc=uscc, period=period, status=wanted, limit=limit, offset=offset)
        return JSONResponse({"items": [dict(row) for row in rows]}, headers=HEADERS)

    @app.get("/v1/flags/{uscc}/{period}")
    def _flag(uscc: str, period: str) -> JSONResponse:
        return JSONResponse({"items": [dict(row) for row in data.flag(uscc, period)]}, headers=HEADERS)
