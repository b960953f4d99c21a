"""Chat groups through apprise's own plugins, against TLS servers that stand in for WeCom, DingTalk and Feishu."""

from __future__ import annotations

import json
import logging
import ssl
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from connectors.chat import SERVICES, Chat
from connectors.notice_text import render
from connectors.sink import Delivered, Delivery, Refused, Unavailable
from tests.support.certificates import Certificates
from tests.support.chat_service import GOOD, SECRET, URLS, Service
from tests.support.lead_event import LEAD_ID, lead_event


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    made = Service(Certificates(tmp_path / "certificates"))
    yield made
    made.shutdown()
    made.server_close()


def sent(sink: Chat) -> Delivery | str:
    """What became of the event; the reason where it is to be tried again."""
    try:
        return sink.send(lead_event(), "k1", LEAD_ID, "t")
    except Unavailable as error:
        return str(error)


@pytest.mark.parametrize("schema", list(URLS))
def test_people_are_told_what_where_and_how_to_see_it(service: Service, schema: str) -> None:
    service.says(*GOOD[schema])
    assert sent(service.sink(schema)) == Delivered()
    ((path, headers, body),) = service.got
    assert headers["Host"].partition(":")[0] == SERVICES[schema].host
    text = json.dumps(json.loads(body), ensure_ascii=False) if schema != "twilio" else body.decode()
    assert LEAD_ID in text
    if not SERVICES[schema].short:
        assert "疑似感应炉熔炼" in text
        assert f"gridwarden leads show {LEAD_ID}" in text
    if schema == "wecombot":
        assert path == f"/cgi-bin/webhook/send?key={SECRET}-bbbb-cccc"
        assert len(json.loads(body)["text"]["content"].encode()) <= 2048


@pytest.mark.parametrize(
    ("schema", "status", "reply", "again"),
    [
        ("wecombot", 200, {"errcode": 93000, "errmsg": "invalid webhook url"}, False),
        ("wecombot", 200, {"errcode": 45009, "errmsg": "api freq out of limit"}, True),
        ("wecombot", 200, b"<html>", True),
        ("wecombot", 200, b"\xff\xfe", True),
        ("wecombot", 200, [], True),
        ("dingtalk", 200, {"errcode": 310000, "errmsg": "sign not match"}, False),
        ("dingtalk", 200, {"errcode": 130101}, True),
        ("feishu", 200, {"code": 19001}, False),
        ("feishu", 400, {"code": 9499}, False),
        ("bulksms", 401, {}, False),
        ("wecombot", 302, b"", False),
        ("wecombot", 429, b"", True),
        ("wecombot", 503, b"", True),
        ("feishu", 500, b"x" * 1_000_000, True),
    ],
)
def test_what_a_service_says_decides(service: Service, schema: str, status: int, reply: Any, *, again: bool) -> None:
    service.says(status, reply)
    said = sent(service.sink(schema))
    assert isinstance(said, str if again else Refused)
    assert SECRET not in str(said)


def test_silence_ends_in_time(service: Service) -> None:
    service.says(*GOOD["feishu"])
    service.wait_s = 3.0
    began_s = time.monotonic()
    assert sent(service.sink("feishu", total_timeout_s=0.7)) == "no answer within 0.7 s"
    assert time.monotonic() - began_s < 2.0


def test_a_service_must_prove_who_it_is(service: Service) -> None:
    service.says(*GOOD["wecombot"])
    service.trust = ssl.create_default_context()
    assert isinstance(sent(service.sink("wecombot")), str)
    assert not service.got


def test_a_host_that_resolves_into_the_house_is_not_called() -> None:
    sink = Chat(URLS["wecombot"], resolver=lambda _h, _p: ["10.0.0.9"])
    assert isinstance(sent(sink), Refused)


@pytest.mark.parametrize(
    "url", ["json://localhost/canary0f3a", "mailto://u:canary0f3a@x.cn", "canary0f3a", "wecombot://canary0f3a?verify=no",
            "wecombot://canary0f3a?redirect=yes", "twilio://canary0f3a"],
)  # fmt: skip
def test_other_urls_are_refused_without_being_repeated(url: str) -> None:
    with pytest.raises(ValueError, match="apprise URL") as refused:
        Chat(url)
    assert "canary" not in str(refused.value)


def test_the_url_is_never_logged(service: Service, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "apprise.plugins")
    service.says(*GOOD["dingtalk"])
    sent(service.sink("dingtalk"))
    service.says(500, b"")
    sent(service.sink("dingtalk"))
    assert "abcdef0123456789" not in "".join(r.getMessage() for r in caplog.records if r.name.startswith("apprise"))


def test_a_text_gets_shorter_where_there_is_little_room() -> None:
    full, less = render(lead_event()), render(lead_event(), 900)
    assert "请核查：" in full.body
    assert "请核查：" not in less.body
    assert len(f"{less.title}\n{less.body}".encode()) <= 900
    assert f"gridwarden leads show {LEAD_ID}" in render(lead_event(), 100).body
    assert render(lead_event()) == full
