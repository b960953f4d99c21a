"""What the daemon shows to Prometheus and to whoever restarts it: `/metrics`, `/healthz`, `/readyz` (rule C6)."""

from __future__ import annotations

import logging
import secrets
from collections.abc import Callable
from typing import Final

from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from starlette.middleware.base import RequestResponseEndpoint

from monitor.supervise import State

log = logging.getLogger(__name__)

HEADERS: Final = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}


def bare_app() -> FastAPI:
    """An application without generated pages that answers errors with a correlation id and nothing else (rule W8)."""
    app = FastAPI(openapi_url=None, docs_url=None, redoc_url=None, redirect_slashes=False)

    @app.middleware("http")
    async def _guard(request: Request, proceed: RequestResponseEndpoint) -> Response:
        try:
            return await proceed(request)
        except Exception:
            correlation = secrets.token_hex(8)
            log.exception("request %s failed, correlation %s", request.url.path, correlation)
            return JSONResponse({"error": "internal", "correlation": correlation}, status_code=500, headers=HEADERS)

    return app


def ops_app(registry: CollectorRegistry, state: Callable[[], State], unready: Callable[[], tuple[str, ...]]) -> FastAPI:
    """The application: `state` is what the daemon says of itself, `unready` why it is not ready (empty: it is)."""
    app = bare_app()

    @app.get("/metrics")
    def _metrics() -> Response:
        return Response(generate_latest(registry), media_type=CONTENT_TYPE_LATEST, headers=HEADERS)

    @app.get("/healthz")
    def _healthz() -> JSONResponse:
        return JSONResponse({"status": "alive", "state": state().value}, headers=HEADERS)

    @app.get("/readyz")
    def _readyz() -> JSONResponse:
        reasons = unready()
        body = {"status": "unready" if reasons else "ready", "state": state().value, "reasons": list(reasons)}
        return JSONResponse(body, status_code=503 if reasons else 200, headers=HEADERS)

    return app
