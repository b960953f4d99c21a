"""Logs: one line an event, nothing a sender writes can forge or flood one."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator

import pytest
import structlog

from monitor.config.settings import LogSettings
from monitor.logs import FIELD_CHARS, configure_logging, safe_text


@pytest.fixture
def stream() -> Iterator[io.StringIO]:
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield io.StringIO()
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()


def records(stream: io.StringIO) -> list[dict[str, object]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_both_kinds_of_logger_write_one_json_object_a_line(stream: io.StringIO) -> None:
    configure_logging(LogSettings(), stream)
    logging.getLogger("a.b").warning("%d readings", 3, extra={"publisher": "p1"})
    structlog.get_logger("c").info("started", port=9321)
    first, second = records(stream)
    assert (first["event"], first["level"], first["logger"], first["publisher"]) == (
        "3 readings",
        "warning",
        "a.b",
        "p1",
    )
    assert (second["event"], second["port"]) == ("started", 9321)
    assert str(first["timestamp"]).endswith("Z")


@pytest.mark.parametrize("form", ["json", "console"])
def test_untrusted_text_cannot_break_a_line_or_flood_it(stream: io.StringIO, form: str) -> None:
    configure_logging(LogSettings.model_validate({"format": form}), stream)
    hostile = "a\nlevel=critical\x1b[2J\u202e\u2028" + "x" * 100_000
    logging.getLogger("t").error("topic %s", "b\r\nforged", extra={"topic": hostile, "raw": b"\x00" * 5000})
    (line,) = stream.getvalue().splitlines()
    assert len(line) < 2500
    assert not set("\x1b\u202e\u2028\x00") & set(line)


def test_a_trace_stays_inside_its_line(stream: io.StringIO) -> None:
    configure_logging(LogSettings(), stream)
    try:
        int("bad\x1bvalue")
    except ValueError:
        logging.getLogger("t").exception("failed")
    (record,) = records(stream)
    assert "ValueError" in str(record["exception"])
    assert "\x1b" not in str(record["exception"])


def test_the_level_is_the_least_that_is_shown(stream: io.StringIO) -> None:
    configure_logging(LogSettings(level="error"), stream)
    logging.getLogger("t").warning("quiet")
    structlog.get_logger("t").warning("quiet")
    assert stream.getvalue() == ""


def test_safe_text_keeps_chinese_and_clips() -> None:
    assert safe_text("关停企业") == "关停企业"
    assert len(safe_text("\n" * 1000)) == FIELD_CHARS
    assert safe_text("\ud800") == "\\ud800"
