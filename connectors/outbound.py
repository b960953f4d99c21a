"""Where the daemon may call out to: checked once in the configuration, and again at every call (rule W7)."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import socket
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from connectors.sink import Unavailable

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Resolver = Callable[[str, int], list[str]]

_NAT64: Final = ipaddress.ip_network("64:ff9b::/96")
_DEFAULT_PORTS: Final = {"https": 443, "http": 80}


class ForbiddenAddress(ValueError):  # noqa: N818 - reads as the condition it names
    """A URL, or an address its host resolves to, that the configuration does not allow."""


@dataclass(frozen=True, slots=True)
class Target:
    """A checked URL. `listed`: its host:port stands in the allow list, so that it may be a private address."""

    scheme: str
    host: str
    port: int
    path: str
    listed: bool

    @property
    def authority(self) -> str:
        """The Host header: the port only where it is not the scheme's own."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _DEFAULT_PORTS[self.scheme] else f"{host}:{self.port}"


def parse_target(url: str, allow: Iterable[str]) -> Target:
    """Check a URL of the configuration without touching the network.

    https always; plain http only to a loopback name or address whose host:port is in `allow`. No user name, no
    fragment. Raises ForbiddenAddress.
    """
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise ForbiddenAddress("the URL cannot be read. Write https://host[:port]/path.") from None
    host = (parts.hostname or "").lower()
    if parts.scheme not in _DEFAULT_PORTS or not host or not url.isascii() or any(c <= " " for c in url):
        raise ForbiddenAddress("the URL is not http(s) with a host, in ASCII. Write https://host[:port]/path.")
    if parts.username is not None or parts.password is not None or parts.fragment:
        raise ForbiddenAddress("the URL carries a user name, password or fragment. Leave them out.")
    if port is None:
        port = _DEFAULT_PORTS[parts.scheme]
    shown = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    listed = shown in {entry.lower() for entry in allow}
    if parts.scheme == "http" and not (listed and _is_loopback_name(host)):
        raise ForbiddenAddress(f"plain http is for this machine only, with {shown!r} in the allow list. Use https.")
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return Target(parts.scheme, host, port, path, listed)


def choose_address(target: Target, addresses: Iterable[str]) -> str:
    """The address to connect to, after every one of them was checked. Raises ForbiddenAddress or Unavailable."""
    found = [ipaddress.ip_address(address.partition("%")[0]) for address in addresses]
    if not found:
        raise Unavailable(f"{target.host} has no address")
    for address in found:
        plain = _unwrapped(address)
        if target.scheme == "http" and not plain.is_loopback:
            raise ForbiddenAddress(f"{target.host} does not resolve to this machine alone")
        if not target.listed and not _is_public(plain):
            raise ForbiddenAddress(f"{target.host} resolves to a private address and is not in the allow list")
    return str(found[0])


def system_resolver(host: str, port: int) -> list[str]:
    """All addresses of a host, as text, in the system's order. Raises OSError."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


async def resolve(resolver: Resolver, host: str, port: int) -> list[str]:
    """Ask a blocking resolver in a thread of its own, which may be left behind when the caller's time is up.

    Raises Unavailable when the host cannot be resolved.
    """
    loop = asyncio.get_running_loop()
    answer: asyncio.Future[list[str] | OSError] = loop.create_future()

    def settle(result: list[str] | OSError) -> None:
        if not answer.done():
            answer.set_result(result)

    def ask() -> None:
        result: list[str] | OSError
        try:
            result = resolver(host, port)
        except OSError as error:
            result = error
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
            loop.call_soon_threadsafe(settle, result)

    threading.Thread(target=ask, name="resolve", daemon=True).start()
    result = await answer
    if isinstance(result, OSError):
        raise Unavailable(f"{host} cannot be resolved: {result.strerror or type(result).__name__}")
    return result


def _is_loopback_name(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _is_public(address: Address) -> bool:
    return address.is_global and not address.is_multicast


def _unwrapped(address: Address) -> Address:
    """The IPv4 address that an IPv6 one merely carries: it is that which decides."""
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is not None:
            return address.ipv4_mapped
        if address.sixtofour is not None:
            return address.sixtofour
        if address in _NAT64:
            return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return address
