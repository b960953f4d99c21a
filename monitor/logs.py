"""Structured logs on standard error: one line an event, untrusted text clipped and escaped (rule L1)."""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import MutableMapping
from typing import Any, Final, TextIO

import structlog

from monitor.config.sections import LogSettings

FIELD_CHARS: Final = 256
_UNSAFE: Final = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff]")
_UNSAFE_IN_TRACE: Final = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2066-\u2069\ufeff]")


def safe_text(text: str, limit: int = FIELD_CHARS) -> str:
    """Text without control, bidirectional or surrogate characters (escaped as \\uXXXX), at most `limit` long."""
    escaped = _UNSAFE.sub(_escape, text[: limit + 1])
    return escaped if len(escaped) <= limit else escaped[: limit - 1] + "…"


def _escape(match: re.Match[str]) -> str:
    return f"\\u{ord(match.group()):04x}"


def make_safe(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Clip and escape every text of an event; traces keep their lines."""
    for key, value in event.items():
        if isinstance(value, str):
            if key in ("exception", "stack"):
                event[key] = _UNSAFE_IN_TRACE.sub(_escape, value)
            else:
                event[key] = safe_text(value, 2000 if key == "event" else FIELD_CHARS)
        elif isinstance(value, bytes | bytearray):
            event[key] = safe_text(repr(bytes(value[:FIELD_CHARS])))
        elif not isinstance(value, bool | int | float | None) and not key.startswith("_"):
            event[key] = safe_text(repr(value))
    return event


def configure_logging(settings: LogSettings, stream: TextIO | None = None) -> None:
    """Send every logger of the process, structlog's and the standard library's, to `stream` (standard error)."""
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.ExtraAdder(),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.StackInfoRenderer(),
        structlog.processors.format_exc_info,
    ]
    renderer: structlog.typing.Processor = (
        structlog.processors.JSONRenderer(ensure_ascii=False)
        if settings.format == "json"
        else structlog.dev.ConsoleRenderer(colors=False, exception_formatter=structlog.dev.plain_traceback)
    )
    target = stream if stream is not None else sys.stderr
    handler = logging.StreamHandler(target)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, make_safe, renderer],
        )
    )
    root = logging.getLogger()
    for old in list(root.handlers):
        root.removeHandler(old)
    root.addHandler(handler)
    root.setLevel(settings.level.upper())
    for noisy in ("httpx", "httpcore", "amqtt", "transitions", "asyncio", "alembic"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            structlog.stdlib.PositionalArgumentsFormatter(),
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )
