"""What others ask about the history while the daemon runs: DuckDB lets no second process in."""

from __future__ import annotations

from typing import Annotated, Final

import msgspec
import pyarrow as pa
from fastapi import Body, FastAPI
from fastapi.responses import JSONResponse, Response

from models.domain.register import Register
from monitor.history.span import SpanReader, SpanTooLarge
from monitor.ops.http import HEADERS

ARROW: Final = "application/vnd.apache.arrow.stream"
MAX_METERS: Final = 1000
LONGEST_MS: Final = 32 * 86_400_000


class HistoryQuestion(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Readings with stamps in (start, end], Unix ms: of meters, of a site's meters, or of all."""

    start_ms: int
    end_ms: int
    meters: tuple[str, ...] | None = None
    site: str | None = None


def meters_of(question: HistoryQuestion, register: Register | None) -> tuple[str, ...] | None:
    """The meters a question is about, None for all.

    A site's are those it ever had in the register. Raises LookupError for a site the register does not know.
    """
    if question.site is None:
        return question.meters
    rows = register.rows.meters if register is not None else ()
    meters = tuple(sorted({row.meter for row in rows if row.site == question.site}))
    if not meters:
        raise LookupError(
            f"登记簿中没有厂区 {question.site[:64]} 的电表。The register has no meter of site {question.site[:64]}."
        )
    return meters


def add_history(app: FastAPI, spans: SpanReader, register: Register) -> None:
    """The route `POST /v1/history`: a question in JSON, an Arrow stream in answer.

    413 asks for a shorter span, 503 says that another question is being answered.
    """

    @app.post("/v1/history")
    def _history(asked: Annotated[dict[str, object], Body()]) -> Response:
        try:
            question = msgspec.convert(asked, HistoryQuestion)
            if not 0 <= question.end_ms - question.start_ms <= LONGEST_MS or len(question.meters or ()) > MAX_METERS:
                return _no(422, f"at most {LONGEST_MS // 86_400_000} days and {MAX_METERS} meters at once")
            table = spans.read(question.start_ms, question.end_ms, meters=meters_of(question, register))
        except msgspec.ValidationError as error:
            return _no(422, str(error))
        except LookupError as error:
            return _no(404, str(error))
        except SpanTooLarge as error:
            return _no(413, str(error))
        except TimeoutError as error:
            return _no(503, str(error))
        return Response(as_stream(table), media_type=ARROW, headers=HEADERS)


def as_stream(table: pa.Table) -> bytes:
    """A table as an Arrow IPC stream."""
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return bytes(sink.getvalue())


def _no(status: int, why: str) -> JSONResponse:
    return JSONResponse({"error": why}, status_code=status, headers=HEADERS)
