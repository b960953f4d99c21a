"""Leads to chat groups and telephones: apprise shapes the messages, our own checked way out carries them (rule W7).

apprise by itself would follow redirects, resolve names as it likes and take any HTTP 200 for success, although WeCom,
DingTalk and Feishu answer 200 to requests they refuse. So its plugins' `requests.post` is ours, and we judge.
"""

from __future__ import annotations

import importlib
import logging
import ssl
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final
from urllib.parse import urlsplit

import msgspec
import requests
from apprise.plugins.base import NotifyBase

from connectors.notice_text import NotALead, render
from connectors.outbound import ForbiddenAddress, Resolver, parse_target, system_resolver
from connectors.outbound_post import TOTAL_TIMEOUT_S, Poster, Reply
from connectors.sink import Delivered, Delivery, Refused, Unavailable
from connectors.webhook import answer


@dataclass(frozen=True, slots=True)
class Service:
    """One way to tell people: a class of apprise's, and the one host it may call.

    `code`: field of a JSON reply that is 0 where the message was taken; `busy`: its values that mean "later".
    `max_bytes`: room for a text; `short` where it goes to a telephone.
    """

    plugin: str
    host: str
    code: str | None = None
    busy: frozenset[int] = frozenset()
    max_bytes: int | None = None
    short: bool = False


SERVICES: Final[Mapping[str, Service]] = MappingProxyType(
    {
        "wecombot": Service("NotifyWeComBot", "qyapi.weixin.qq.com", "errcode", frozenset({-1, 45009, 45033}), 2000),
        "dingtalk": Service("NotifyDingTalk", "oapi.dingtalk.com", "errcode", frozenset({-1, 130101, 410100}), 19_000),
        "feishu": Service("NotifyFeishu", "open.feishu.cn", "code", frozenset({9499, 11232, 99991400}), 19_000),
        "twilio": Service("NotifyTwilio", "api.twilio.com", short=True),
        "bulksms": Service("NotifyBulkSMS", "api.bulksms.com", short=True),
    }
)
"""The schemas of apprise URLs that may be used; each is the name of its plugin's module."""

_FORBIDDEN_WORDS: Final = frozenset({"verify", "redirect", "cto", "rto"})


class _Sending(threading.local):
    """The sink whose call a thread is in."""

    post: Callable[[str, bytes, dict[str, str]], Reply] | None = None


_SENDING: Final = _Sending()


class Chat:
    """Sink for one apprise URL, which is a secret: it is never shown, logged or put into a reason.

    Delivered is what the service itself says it took. Refused: it never will (a wrong key, a wrong number). Where a
    notice goes to several numbers and one cannot be reached, all are told again.
    """

    def __init__(
        self,
        url: str,
        *,
        name: str = "apprise",
        tls: ssl.SSLContext | None = None,
        resolver: Resolver = system_resolver,
        ports: Mapping[str, int] = MappingProxyType({}),
        total_timeout_s: float = TOTAL_TIMEOUT_S,
    ) -> None:
        """Touches no network. `tls`, `resolver` and `ports` (by host) let a test stand in for a service. Raises
        ValueError, which does not repeat the URL."""
        schema = url.partition("://")[0].strip().lower()
        if schema not in SERVICES:
            raise ValueError(f"the apprise URL must begin with one of: {', '.join(f'{s}://' for s in SERVICES)}")
        if _FORBIDDEN_WORDS & {word.partition("=")[0].lower() for word in urlsplit(url).query.split("&")}:
            raise ValueError("the apprise URL sets verification, redirects or timeouts. Leave these out.")
        logging.getLogger("apprise").setLevel(logging.CRITICAL)  # it logs URLs, and they are secrets
        self._service = SERVICES[schema]
        self._plugin = _plugin(schema, self._service.plugin, url)
        self._name = name
        self._tls = tls if tls is not None else ssl.create_default_context()
        self._resolver = resolver
        self._ports = dict(ports)
        self._total_timeout_s = total_timeout_s

    @property
    def name(self) -> str:
        return self._name

    def send(self, body: bytes, idempotency_key: str, subject: str, event_type: str) -> Delivery:  # noqa: ARG002 - the protocol's arguments; the body says all
        """Tell people. Raises Unavailable where the service did not say that it took the message."""
        try:
            text = render(body, self._service.max_bytes)
        except NotALead as error:
            return Refused(str(error))
        judged: list[Delivery | Unavailable] = []

        def post(url: str, content: bytes, headers: dict[str, str]) -> Reply:
            try:
                reply = self._poster(url).post(headers, content, _path(url))
                judged.append(self._judge(reply))
            except ForbiddenAddress as error:
                judged.append(Refused(str(error)))
                raise requests.ConnectionError("forbidden") from None
            except Unavailable as error:
                judged.append(error)
                raise requests.ConnectionError("unavailable") from None
            return reply

        _SENDING.post = post
        try:
            if self._service.short:
                self._plugin.notify(body=text.short)
            else:
                self._plugin.notify(title=text.title, body=text.body)
        finally:
            _SENDING.post = None
        return _together(judged)

    def _poster(self, url: str) -> Poster:
        """Only the service's own host, over TLS."""
        target = parse_target(url, ())
        if target.scheme != "https" or target.host != self._service.host or target.port != 443:
            raise ForbiddenAddress("the plugin calls another host than the service's own")
        port = self._ports.get(target.host)
        if port is not None:
            target = parse_target(f"https://{target.host}:{port}/", [f"{target.host}:{port}"])
        return Poster(target, self._tls, self._resolver, self._total_timeout_s)

    def _judge(self, reply: Reply) -> Delivery:
        """What the service says. Raises Unavailable."""
        delivery = answer(Reply(reply.status, reply.headers, b""))
        if self._service.code is None or not isinstance(delivery, Delivered):
            return delivery
        try:
            code = msgspec.json.decode(reply.body)[self._service.code]
        except (msgspec.DecodeError, KeyError, TypeError):
            raise Unavailable(f"{self._service.host}: HTTP 200 without an answer of the service") from None
        if code == 0:
            return Delivered()
        shown = f"{self._service.host}: {self._service.code} {code!r:.40}"
        if code in self._service.busy:
            raise Unavailable(shown)
        return Refused(shown)


def _together(judged: list[Delivery | Unavailable]) -> Delivery:
    """One answer for all the calls of a notice. Raises Unavailable."""
    if not judged:
        raise Unavailable("apprise sent nothing")
    for said in judged:
        if isinstance(said, Unavailable):
            raise said
    return next((said for said in judged if isinstance(said, Refused)), Delivered())


def _path(url: str) -> str:
    parts = urlsplit(url)
    return (parts.path or "/") + (f"?{parts.query}" if parts.query else "")


class _CheckedRequests:
    """What a plugin finds under the name `requests`: its `post` goes our way, and there is nothing else to call."""

    codes = requests.codes
    RequestException = requests.RequestException

    @staticmethod
    def post(
        url: str,
        data: Any = None,
        *,
        json: Any = None,
        headers: Mapping[str, str] | None = None,
        params: Mapping[str, str] | None = None,
        auth: Any = None,
        **_settings: Any,
    ) -> requests.Response:
        """As `requests.post`; what concerns trust, time and redirects is not the plugin's to say."""
        made = requests.Request("POST", url, data=data, json=json, headers=headers, params=params, auth=auth).prepare()
        if _SENDING.post is None:
            raise requests.ConnectionError("no sink is sending")
        body: Any = made.body or b""
        content = body if isinstance(body, bytes) else str(body).encode()
        sent = {
            name: str(value) for name, value in made.headers.items() if name.lower() not in {"content-length", "host"}
        }
        reply = _SENDING.post(str(made.url), content, sent)
        response = requests.Response()
        response.status_code, response._content = reply.status, reply.body  # noqa: SLF001 - it has no constructor
        return response


def _plugin(schema: str, name: str, url: str) -> NotifyBase:
    """The plugin for a URL, with our `requests` in its module: for the whole process, where nothing else uses it.

    Loading this one alone, and not all of apprise's, keeps what the others would bring out of the house. Raises
    ValueError, which does not repeat the URL.
    """
    module: Any = importlib.import_module(f"apprise.plugins.{schema}")
    module.requests = _CheckedRequests
    kind = getattr(module, name)
    incomplete = f"the apprise URL is not a complete {schema} URL. See the how-to on sending leads on."
    try:
        settings = kind.parse_url(url)
        plugin: NotifyBase | None = kind(**settings) if settings else None
    except (TypeError, ValueError, KeyError):
        raise ValueError(incomplete) from None
    if plugin is None:
        raise ValueError(incomplete)
    return plugin
