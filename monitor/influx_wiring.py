"""The InfluxDB feed as the daemon runs it: built from settings, its cursor in the desk, its figures in metrics."""

from __future__ import annotations

import hashlib
import random
import ssl
from dataclasses import dataclass

from connectors.influx import InfluxWriter, WriteFault
from models.domain.clock import Clock
from models.domain.register import Register
from monitor.config.secret_files import read_secret
from monitor.config.settings import Settings
from monitor.influx_feed import InfluxFeed
from monitor.influx_points import Points
from monitor.metrics import HISTORY_FAULT, Metrics
from monitor.wiring import Core


@dataclass(frozen=True)
class FeedCounts:
    """Counts what the feed does."""

    metrics: Metrics

    def points_written(self, points: int) -> None:
        self.metrics.influx_points.inc(points)

    def points_refused(self, points: int) -> None:
        self.metrics.influx_refused.inc(points)

    def feed_failed(self, fault: WriteFault | None) -> None:
        self.metrics.influx_failures.labels(kind=fault if fault is not None else HISTORY_FAULT).inc()


class KeptFeed:
    """The feed, and its cursor in the desk, which the core thread alone writes."""

    def __init__(self, feed: InfluxFeed, sink: str, metrics: Metrics) -> None:
        self.feed = feed
        self._sink = sink
        self._metrics = metrics
        self._kept = feed.cursor

    def keep(self, core: Core) -> bool:
        """Write down how far the feed surely got; for the core thread. What came after that is written once more."""
        cursor = self.feed.kept_cursor
        if cursor != self._kept:
            core.desk.set_sink_cursor(self._sink, cursor)
            self._kept = cursor
        self._metrics.influx_lag_records.set(self.feed.lag_records)
        self._metrics.influx_lag_seconds.set(self.feed.lag_s)
        return False


def build_feed(settings: Settings, core: Core, register: Register, clock: Clock, metrics: Metrics) -> KeptFeed | None:
    """The feed the settings ask for, not yet started; for the core thread. Raises SecretFileError.

    Every server, organisation and bucket has a cursor of its own. One that lies behind what the history holds is where
    the feed goes on; one that lies ahead (the history was made anew) is not believed.
    """
    influx = settings.sinks.influx
    if influx is None:
        return None
    place = f"{influx.url}\x1f{influx.org}\x1f{influx.bucket}"
    sink = f"influx:{hashlib.sha256(place.encode()).hexdigest()[:16]}"
    writer = InfluxWriter(
        influx.url,
        org=influx.org,
        bucket=influx.bucket,
        token=read_secret(influx.token_file).decode(),
        allow=influx.allow,
        compress=influx.gzip,
        timeout_s=influx.timeout_s,
        tls=ssl.create_default_context(cafile=influx.ca_file) if influx.ca_file is not None else None,
    )
    feed = InfluxFeed(
        reader=core.history.reader(),
        points=Points(register, influx.channels),
        writer=writer,
        clock=clock,
        rng=random.Random(),  # noqa: S311 - jitter
        observer=FeedCounts(metrics),
        batch=influx.batch_lines,
        cursor=min(core.desk.sink_cursor(sink), core.history.cursor),
        head=core.history.cursor,
    )
    return KeptFeed(feed, sink, metrics)
