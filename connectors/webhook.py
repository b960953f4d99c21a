"""Leads posted to a webhook: signed, to a checked address, within ten seconds, without following anyone elsewhere."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import ssl
from collections.abc import Iterable, Mapping
from typing import Final

import httpx

from connectors.outbound import ForbiddenAddress, Resolver, choose_address, parse_target, resolve, system_resolver
from connectors.sink import Delivered, Delivery, Refused, Unavailable

TOTAL_TIMEOUT_S: Final = 10.0
MAX_REPLY_BYTES: Final = 65_536
NOTE_CHARACTERS: Final = 200
CONTENT_TYPE: Final = "application/cloudevents+json; charset=utf-8"

_RETRY_STATUSES: Final = frozenset({408, 429})
_RETRY_AFTER_MAX_S: Final = 900.0


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
        self._target: Final = parse_target(url, allow)
        self._secret = secret
        self._key_id = key_id
        self._name = name
        self._tls = tls if tls is not None else ssl.create_default_context()
        self._resolver = resolver
        self._total_timeout_s = total_timeout_s

    @property
    def name(self) -> str:
        return self._name

    def send(self, body: bytes, idempotency_key: str, subject: str, event_type: str) -> Delivery:  # noqa: ARG002 - the protocol's arguments; the body says both
        """Post the bytes. Raises Unavailable where nothing says that they arrived for good."""
        headers = {
            "Host": self._target.authority,
            "Content-Type": CONTENT_TYPE,
            "Accept-Encoding": "identity",
            "User-Agent": "gridwarden",
            "Idempotency-Key": idempotency_key,
            "GridWarden-Key-Id": self._key_id,
            "GridWarden-Signature": sign(self._secret, body),
        }
        try:
            return asyncio.run(self._deliver(headers, body))
        except ForbiddenAddress as error:
            return Refused(str(error))
        except TimeoutError:
            raise Unavailable(f"no answer within {self._total_timeout_s:g} s") from None
        except httpx.HTTPError as error:
            raise Unavailable(f"{self._target.authority}: {type(error).__name__}") from error

    async def _deliver(self, headers: Mapping[str, str], body: bytes) -> Delivery:
        target = self._target
        async with asyncio.timeout(self._total_timeout_s):
            address = choose_address(target, await resolve(self._resolver, target.host, target.port))
            shown = f"[{address}]" if ":" in address else address
            url = f"{target.scheme}://{shown}:{target.port}{target.path}"
            async with (
                httpx.AsyncClient(verify=self._tls, trust_env=False, timeout=self._total_timeout_s) as client,
                client.stream(
                    "POST", url, content=body, headers=headers, extensions={"sni_hostname": target.host}
                ) as response,
            ):
                return _answer(response.status_code, response.headers, await _read_capped(response))


async def _read_capped(response: httpx.Response) -> bytes:
    """The reply, at most MAX_REPLY_BYTES of it; the rest is not read."""
    held = bytearray()
    async for chunk in response.aiter_raw():
        held += chunk
        if len(held) >= MAX_REPLY_BYTES:
            break
    return bytes(held[:MAX_REPLY_BYTES])


def _answer(status: int, headers: Mapping[str, str], reply: bytes) -> Delivery:
    if 200 <= status < 300:
        return Delivered()
    if 300 <= status < 400:
        return Refused(f"HTTP {status}: redirects are not followed")
    if 400 <= status < 500 and status not in _RETRY_STATUSES:
        return Refused(f"HTTP {status}: {_printable(reply)}".rstrip(": "))
    raise Unavailable(f"HTTP {status}", _retry_after_s(headers.get("Retry-After", "")))


def _retry_after_s(value: str) -> float | None:
    """Seconds asked for, capped; the date form is not honoured, since it would need a wall clock."""
    if not (value.isascii() and value.isdigit() and len(value) <= 9):
        return None
    return min(float(value), _RETRY_AFTER_MAX_S)


def _printable(reply: bytes) -> str:
    text = reply[: 4 * NOTE_CHARACTERS].decode("utf-8", "replace")
    return "".join(c if c.isprintable() else " " for c in text)[:NOTE_CHARACTERS].strip()
