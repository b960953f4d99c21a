"""One POST to a checked address: resolved once, no redirects, a limit on the whole time and on the reply (rule W7)."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import httpx

from connectors.outbound import Resolver, Target, choose_address, resolve
from connectors.sink import Unavailable

TOTAL_TIMEOUT_S: Final = 10.0
MAX_REPLY_BYTES: Final = 65_536
NOTE_CHARACTERS: Final = 200

_RETRY_AFTER_MAX_S: Final = 900.0


class NoAnswer(Unavailable):
    """The whole time was up, or the connection broke, before an answer was complete. `in_time` is False for the
    first."""

    def __init__(self, reason: str, *, in_time: bool) -> None:
        self.in_time = in_time
        super().__init__(reason)


@dataclass(frozen=True, slots=True)
class Reply:
    """What came back; `body` is at most MAX_REPLY_BYTES of it. Header names are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def retry_after_s(self) -> float | None:
        """Seconds the other side asked for, capped; the date form is not honoured, since it needs a wall clock."""
        value = self.headers.get("retry-after", "")
        if not (value.isascii() and value.isdigit() and len(value) <= 9):
            return None
        return min(float(value), _RETRY_AFTER_MAX_S)

    def text(self, limit: int = NOTE_CHARACTERS) -> str:
        """The start of the body, printable."""
        text = self.body[: 4 * limit].decode("utf-8", "replace")
        return "".join(c if c.isprintable() else " " for c in text)[:limit].strip()


@dataclass(frozen=True)
class Poster:
    """Posts to one checked target; a call opens a connection of its own and closes it."""

    target: Target
    tls: ssl.SSLContext
    resolver: Resolver
    total_timeout_s: float = TOTAL_TIMEOUT_S

    def post(self, headers: Mapping[str, str], body: bytes, path: str | None = None) -> Reply:
        """Post the bytes, to the target's own path where none is given. Raises ForbiddenAddress, or Unavailable
        (`NoAnswer`) where nothing says what became of them."""
        try:
            return asyncio.run(self._post(headers, body, self.target.path if path is None else path))
        except TimeoutError:
            raise NoAnswer(f"no answer within {self.total_timeout_s:g} s", in_time=False) from None
        except httpx.HTTPError as error:
            raise NoAnswer(f"{self.target.authority}: {type(error).__name__}", in_time=True) from error

    async def _post(self, headers: Mapping[str, str], body: bytes, path: str) -> Reply:
        target = self.target
        own = {"Host": target.authority, "Accept-Encoding": "identity", "User-Agent": "gridwarden"}
        async with asyncio.timeout(self.total_timeout_s):
            address = choose_address(target, await resolve(self.resolver, target.host, target.port))
            shown = f"[{address}]" if ":" in address else address
            async with (
                httpx.AsyncClient(verify=self.tls, trust_env=False, timeout=self.total_timeout_s) as client,
                client.stream(
                    "POST",
                    f"{target.scheme}://{shown}:{target.port}{path}",
                    content=body,
                    headers={**headers, **own},
                    extensions={"sni_hostname": target.host},
                ) as response,
            ):
                kept = {name.lower(): value for name, value in response.headers.items()}
                return Reply(response.status_code, kept, await _read_capped(response))


async def _read_capped(response: httpx.Response) -> bytes:
    """The reply, at most MAX_REPLY_BYTES of it; the rest is not read."""
    held = bytearray()
    async for chunk in response.aiter_raw():
        held += chunk
        if len(held) >= MAX_REPLY_BYTES:
            break
    return bytes(held[:MAX_REPLY_BYTES])
