"""What others ask about the law while the daemon runs: a dry run of other packs over the history it holds."""

from __future__ import annotations

import datetime as dt
from typing import Annotated, Any, Final

import msgspec
from fastapi import Body, FastAPI
from fastapi.responses import JSONResponse, Response

from models.law.faults import LawFaults
from monitor.dry_run.service import DryRuns, PageQuestion
from monitor.ops.http import HEADERS

PLAN: Final = "/v1/law/dry-run/plan"
PAGE: Final = "/v1/law/dry-run/page"
JSON: Final = "application/json"
MOST_ENTERPRISES: Final = 200
"""Enterprises a page may ask for."""


class PlanQuestion(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Local days that periods must lie within; None: open."""

    first: dt.date | None = None
    last: dt.date | None = None


def add_dry_runs(app: FastAPI, runs: DryRuns) -> None:
    """The routes `POST /v1/law/dry-run/plan` and `/page`; 409 tells what is wrong with the packs, 503 to come again."""

    @app.post(PLAN)
    def _plan(asked: Annotated[dict[str, Any], Body()]) -> Response:
        try:
            question = msgspec.convert(asked, PlanQuestion)
            return _answer(runs.plan(question.first, question.last))
        except msgspec.ValidationError as error:
            return _no(422, str(error))
        except TimeoutError as error:
            return _no(503, str(error))

    @app.post(PAGE)
    def _page(asked: Annotated[dict[str, Any], Body()]) -> Response:
        try:
            question = msgspec.convert(asked, PageQuestion)
            if len(question.enterprises) > MOST_ENTERPRISES:
                return _no(422, f"at most {MOST_ENTERPRISES} enterprises a page")
            return _answer(runs.page(question))
        except LawFaults as error:
            return _no(409, str(error))
        except (msgspec.ValidationError, ValueError) as error:
            return _no(422, str(error))
        except TimeoutError as error:
            return _no(503, str(error))


def _answer(value: msgspec.Struct) -> Response:
    return Response(msgspec.json.encode(value), media_type=JSON, headers=HEADERS)


def _no(status: int, why: str) -> JSONResponse:
    return JSONResponse({"error": why}, status_code=status, headers=HEADERS)
