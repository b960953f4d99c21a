"""How long a lead takes: from the message that moves the watermark past a night's end to the office's webhook.

The real daemon, mosquitto, a webhook on loopback. Closed plants of the district draw power, so every night's close
makes leads or changes them, and every change is a notice of its own. Nights are those of a zone in which it is past
noon now, so that the last one has just ended; the ones before are sent as a bureau catches up.
"""

from __future__ import annotations

import datetime as dt
import http.server
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from zoneinfo import ZoneInfo

import numpy as np

from models.domain.clock import SystemClock
from models.domain.nights import Night, night_of_stamp, nights_before
from monitor.desk.registers import store_register
from tests.bench.district import STEP_MS, District
from tests.bench.restart import from_desk, wait_ready
from tests.bench.sending import Sender
from tests.support.broker import Broker, free_port
from tests.support.daemon_process import DaemonProcess

METERS: Final = 2000
NIGHTS: Final = 4
BUDGET_S: Final = 2.0
_LATENESS_MS: Final = 1_800_000
_PARTS: Final = 5
"""Messages of the wave that ends a night; with the one in the middle more than half of the meters have reported."""
_QUIET_S: Final = 2.0
_LONGEST_S: Final = 120.0


@dataclass(frozen=True, slots=True)
class LeadOut:
    """Seconds from the moving message to each notice of a night, all nights together; `first_s` is the median of the
    nights' first notices."""

    meters: int
    notices: int
    first_s: float
    median_s: float
    p95_s: float
    worst_s: float


def measure(meters: int, told: Callable[[str], None]) -> LeadOut:
    """Close `NIGHTS` nights one after the other."""
    district, now_ms = District(meters, closed_share=20.0 / meters, closed_kw=150.0), SystemClock().wall_ms()
    zone = past_noon(now_ms)
    last = night_of_stamp(now_ms - _LATENESS_MS, zone)
    nights = nights_before(last, NIGHTS + 1, zone)[:-1]
    with (
        tempfile.TemporaryDirectory(prefix="gridwarden-bench-") as name,
        Broker(Path(name) / "broker") as broker,
        TimedOffice() as office,
    ):
        folder, port = Path(name), free_port()
        secret = folder / "secret"
        secret.write_text("a secret of the office\n")
        secret.chmod(0o600)
        settings = {
            "daemon.zone": zone.key,
            "ops.port": port,
            "subscriptions": [{"topic": "grid/v1/+/readings", "adapter": "arrow"}],
            "sinks.webhook": {
                "url": f"http://{office.address}/leads",
                "secret_file": secret,
                "allow": [office.address],
            },
        }
        daemon = from_desk(DaemonProcess(folder, folder, broker.port, settings))
        daemon.state_dir.mkdir(mode=0o700)
        store_register(daemon.state_dir, district.register().rows, now_ms)
        with daemon, Sender(broker.port) as sender:
            wait_ready(daemon, port)
            took_s: list[float] = []
            first_s: list[float] = []
            first_ms = nights[0].start_ms
            for night in nights:
                told(f"lead out: the night of {night.date}, {meters:,} meters")
                closed_s = _close(night, district, sender, office, first_ms)
                took_s += closed_s
                first_s.append(min(closed_s))
    return LeadOut(
        meters=meters,
        notices=len(took_s),
        first_s=float(np.median(first_s)),
        median_s=float(np.median(took_s)),
        p95_s=float(np.quantile(took_s, 0.95)),
        worst_s=max(took_s),
    )


def _close(night: Night, district: District, sender: Sender, office: TimedOffice, first_ms: int) -> list[float]:
    """Send a night; the seconds from the message that ends it to each notice."""
    end_ms = night.end_ms + _LATENESS_MS
    begin_ms = night.start_ms if night.start_ms == first_ms else night.start_ms + _LATENESS_MS + STEP_MS
    for ts_ms in range(begin_ms, end_ms, STEP_MS):
        for payload in district.arrow_wave((ts_ms - first_ms) // STEP_MS, ts_ms):
            sender.send(payload)
    wave = list(district.arrow_wave((end_ms - first_ms) // STEP_MS, end_ms, -(-district.n // _PARTS)))
    for payload in wave[: _PARTS // 2]:
        sender.send(payload)
    office.wait_quiet(_QUIET_S)
    known = len(office.at_s)
    began_s = time.perf_counter()
    sender.send(wave[_PARTS // 2])
    until_s = began_s + _LONGEST_S
    while len(office.at_s) == known and time.perf_counter() < until_s:
        time.sleep(0.01)
    for payload in wave[_PARTS // 2 + 1 :]:
        sender.send(payload)
    office.wait_quiet(_QUIET_S)
    return [at_s - began_s for at_s in office.at_s[known:]]


def past_noon(now_ms: int) -> ZoneInfo:
    """A zone of whole hours in which it is between 12:40 and 13:40."""
    utc = dt.datetime.fromtimestamp(now_ms / 1000.0, dt.UTC)
    ahead = (12 if utc.minute >= 40 else 13) - utc.hour
    ahead -= 24 if ahead > 12 else 0
    return ZoneInfo(f"Etc/GMT{-ahead:+d}" if ahead else "Etc/GMT")


class TimedOffice(http.server.ThreadingHTTPServer):
    """A webhook on loopback that keeps the moment at which each notice had come; a context manager."""

    daemon_threads = True

    def __init__(self) -> None:
        self.at_s: list[float] = []
        at_s = self.at_s

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                self.rfile.read(int(self.headers["Content-Length"]))
                at_s.append(time.perf_counter())
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_args: Any) -> None:
                """Quiet."""

        super().__init__(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def address(self) -> str:
        """host:port."""
        return f"127.0.0.1:{self.server_address[1]}"

    def wait_quiet(self, quiet_s: float) -> None:
        """Until nothing has come for so long."""
        since_s = time.perf_counter()
        while time.perf_counter() - max(since_s, self.at_s[-1] if self.at_s else 0.0) < quiet_s:
            time.sleep(0.05)

    def server_close(self) -> None:
        self.shutdown()
        super().server_close()
