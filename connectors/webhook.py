"""Leads posted to a webhook: signed, to a checked address, within ten seconds, without following anyone elsewhere."""

from __future__ import annotations

import hashlib
import hmac
import ssl
from collections.abc import Iterable
from typing import Final

from connectors.outbound import ForbiddenAddress, Resolver, parse_target, system_resolver
from connectors.outbound_post import TOTAL_TIMEOUT_S, Poster, Reply
from connectors.sink import Delivered, Delivery, Refused, Unavailable

CONTENT_TYPE: Final = "application/cloudevents+json; charset=utf-8"

_RETRY_STATUSES: Final = frozenset({408, 429})


def sign(secret: bytes, body: bytes) -> str:
    """Value of the `GridWarden-Signature` header: HMAC-SHA-256 over exactly the bytes of the body."""
    return "sha256=" + hmac.new(secret, body, hashlib.sha256).hexdigest()


class Webhook:
    """Sink that posts CloudEvents in structured mode.

    Headers: `GridWarden-Signature: sha256=<hex>`, `GridWarden-Key-Id`, `Idempotency-Key`. 2xx is delivered; other 4xx
    than 408 and 429, and redirects, are refused; everything else is to be tried again. The host is resolved once a
    call, every address is checked, and the connection goes to the one that was checked (rule W7).
    """

    def __init__(
        self,
        url: str,
        *,
        secret: bytes,
        key_id: str,
        allow: Iterable[str] = (),
        name: str = "webhook",
        tls: ssl.SSLContext | None = None,
        resolver: Resolver = system_resolver,
        total_timeout_s: float = TOTAL_TIMEOUT_S,
    ) -> None:
        """Checks settings and touches no network; `tls` replaces the system's trust. Raises ForbiddenAddress, or
        ValueError for an empty secret."""
        if not secret:
            raise ValueError("the webhook's secret is empty")
        context = tls if tls is not None else ssl.create_default_context()
        self._poster = Poster(parse_target(url, allow), context, resolver, total_timeout_s)
        self._secret = secret
        self._key_id = key_id
        self._name = name

    @property
    def name(self) -> str:
        return self._name

    def send(self, body: bytes, idempotency_key: str, subject: str, event_type: str) -> Delivery:  # noqa: ARG002 - the protocol's arguments; the body says both
        """Post the bytes. Raises Unavailable where nothing says that they arrived for good."""
        headers = {
            "Content-Type": CONTENT_TYPE,
            "Idempotency-Key": idempotency_key,
            "GridWarden-Key-Id": self._key_id,
            "GridWarden-Signature": sign(self._secret, body),
        }
        try:
            return answer(self._poster.post(headers, body))
        except ForbiddenAddress as error:
            return Refused(str(error))


def answer(reply: Reply) -> Delivery:
    """What a status means for a notice (rule D8). Raises Unavailable."""
    status = reply.status
    if 200 <= status < 300:
        return Delivered()
    if 300 <= status < 400:
        return Refused(f"HTTP {status}: redirects are not followed")
    if 400 <= status < 500 and status not in _RETRY_STATUSES:
        return Refused(f"HTTP {status}: {reply.text()}".rstrip(": "))
    raise Unavailable(f"HTTP {status}", reply.retry_after_s)
