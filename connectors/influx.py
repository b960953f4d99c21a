"""Writing lines to a server with InfluxDB's v2 write API: influxdb-client over our own checked way out (rule W7)."""

from __future__ import annotations

import gzip
import io
import re
import ssl
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

import urllib3
from influxdb_client.client.exceptions import InfluxDBError
from influxdb_client.client.influxdb_client import InfluxDBClient
from influxdb_client.client.write_api import SYNCHRONOUS

from connectors.line_protocol import Lines, escaped
from connectors.outbound import ForbiddenAddress, Resolver, parse_target, system_resolver
from connectors.outbound_post import TOTAL_TIMEOUT_S, NoAnswer, Poster, Reply
from connectors.sink import Unavailable
from connectors.write_fault import WriteFault

__all__ = ["InfluxWriter", "WriteFailed", "WriteFault", "Written", "write_lines"]

PROBE: Final = f"{escaped('gridwarden_feed')} probe=1i\n".encode()
"""A line nobody can object to; the server stamps it. Written only where all lines of a batch were refused."""
SAMPLES: Final = 3

_GZIP_LEVEL: Final = 1
_DROPPED: Final = re.compile(rb"dropped[=: ]+(\d+)")
_PARTIAL: Final = b"partial write"


_BY_STATUS: Final[Mapping[int, WriteFault]] = {
    401: WriteFault.LOGIN,
    403: WriteFault.LOGIN,
    404: WriteFault.MISSING,
    408: WriteFault.BUSY,
    429: WriteFault.BUSY,
    503: WriteFault.BUSY,
}


class WriteFailed(Unavailable):
    """Nothing says that the lines were taken: write the same ones again later. The message carries no secret."""

    def __init__(self, fault: WriteFault, reason: str, reply: Reply | None = None) -> None:
        self.fault = fault
        self.dropped = _dropped(reply)
        super().__init__(reason, reply.retry_after_s if reply is not None else None)


@dataclass(frozen=True, slots=True)
class Written:
    """What became of lines the server answered for: `refused` of them will never be taken, such as `samples`."""

    lines: int
    refused: int
    samples: tuple[bytes, ...]


class InfluxWriter:
    """The synchronous write API with ready bytes. A call takes `timeout_s` at most, whatever the server does."""

    def __init__(
        self,
        url: str,
        *,
        org: str,
        bucket: str,
        token: str,
        allow: Iterable[str] = (),
        compress: bool = True,
        timeout_s: float = TOTAL_TIMEOUT_S,
        tls: ssl.SSLContext | None = None,
        resolver: Resolver = system_resolver,
    ) -> None:
        """Checks settings and touches no network; `tls` replaces the system's trust. Raises ForbiddenAddress."""
        target = parse_target(url, allow)
        context = tls if tls is not None else ssl.create_default_context()
        self._way = _CheckedWay(Poster(target, context, resolver, timeout_s), compress=compress)
        client: Any = InfluxDBClient(url=url, token=token, org=org)
        client.api_client.rest_client.pool_manager = self._way
        self._write = client.write_api(write_options=SYNCHRONOUS).write
        self._bucket = bucket
        self._place = target.authority

    def write(self, lines: bytes) -> None:
        """Write lines stamped in milliseconds; returns when the server said that it has them. Raises WriteFailed.

        A 2xx answer with a body is not one the write API gives (a proxy or a login page speaks), so that it counts as
        a failure; so does one that speaks of a partial write.
        """
        self._way.reply = None
        try:
            self._write(bucket=self._bucket, record=lines, write_precision="ms")
        except InfluxDBError:  # judged below, by its status
            pass
        except ForbiddenAddress as error:
            raise WriteFailed(WriteFault.FORBIDDEN, str(error)) from error
        except NoAnswer as error:
            fault = WriteFault.UNREACHABLE if error.in_time else WriteFault.TIMEOUT
            raise WriteFailed(fault, f"{self._place}: {error}") from error
        except Unavailable as error:
            raise WriteFailed(WriteFault.UNREACHABLE, str(error)) from error
        self._judge(self._way.reply)

    def _judge(self, reply: Reply | None) -> None:
        if reply is None:
            raise WriteFailed(WriteFault.ANSWER, f"{self._place}: no answer was read")
        status = reply.status
        if 200 <= status < 300:
            if not reply.body.strip():
                return
            fault = WriteFault.REFUSED if _PARTIAL in reply.body else WriteFault.ANSWER
        elif status in _BY_STATUS:
            fault = _BY_STATUS[status]
        elif 300 <= status < 400:
            fault = WriteFault.REDIRECT
        else:
            fault = WriteFault.REFUSED if 400 <= status < 500 else WriteFault.SERVER
        raise WriteFailed(fault, f"{self._place}: HTTP {status}: {reply.text()}".rstrip(": "), reply)


def write_lines(writer: InfluxWriter, lines: Lines, first: int, last: int, going: Callable[[], None]) -> Written:
    """Write lines `first` up to and without `last`; where the server refuses some, find them by halving.

    A refused line is given up only where the server took another line of the batch, or our probe, and so shows that
    it is the line's fault and not a setting's. `going` is called before every request and may raise to end it.
    Raises WriteFailed: whatever was written is to be written again.
    """
    open_spans, refused, samples = [(first, last)], 0, list[bytes]()
    server_takes = False
    while open_spans:
        begin, end = open_spans.pop()
        going()
        try:
            writer.write(lines.some(begin, end))
            server_takes = True
            continue
        except WriteFailed as failure:
            if failure.fault is not WriteFault.REFUSED:
                raise
            if end - begin > 1 and failure.dropped != end - begin:
                middle = (begin + end) // 2
                open_spans += [(middle, end), (begin, middle)]
                continue
        if not server_takes:
            going()
            writer.write(PROBE)
            server_takes = True
        refused += end - begin
        samples += [lines.some(begin, begin + 1).rstrip()] if len(samples) < SAMPLES else []
    return Written(last - first, refused, tuple(samples))


class _CheckedWay:
    """Stands in for influxdb-client's connection pool, which would follow redirects and wait without end."""

    def __init__(self, poster: Poster, *, compress: bool) -> None:
        self.reply: Reply | None = None
        self._poster = poster
        self._compress = compress

    def request(
        self,
        _method: str,
        url: str,
        *,
        body: bytes,
        headers: Mapping[str, str],
        **_pool_settings: Any,
    ) -> urllib3.HTTPResponse:
        """Post; the client is shown the status alone, since it takes every body for UTF-8."""
        sent = {name: value for name, value in headers.items() if name.lower() in {"authorization", "content-type"}}
        if self._compress:
            body, sent["Content-Encoding"] = gzip.compress(body, _GZIP_LEVEL, mtime=0), "gzip"
        parts = urlsplit(url)
        self.reply = self._poster.post(sent, body, f"{parts.path}?{parts.query}")
        return urllib3.HTTPResponse(body=io.BytesIO(), status=self.reply.status, preload_content=True)


def _dropped(reply: Reply | None) -> int | None:
    """How many lines a partial write says it dropped, None where it does not say."""
    found = _DROPPED.search(reply.body) if reply is not None else None
    return int(found.group(1)) if found is not None else None
