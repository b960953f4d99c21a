"""Lines a second into a real line-protocol server: our feed's path, and influxdb-client's own Point objects.

`python -m tests.bench.influx`. Both write the same readings of three channels to VictoriaMetrics on loopback, in
requests of 10,000 lines, compressed, in the same run; ours reads them from the history first. Then: what the core
thread's flushes into the history take beside the feed, and without it.
"""

from __future__ import annotations

import random
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
from influxdb_client import InfluxDBClient, Point  # type: ignore[attr-defined]
from influxdb_client.client.write_api import SYNCHRONOUS

from connectors.influx import InfluxWriter, WriteFault
from models.domain.clock import SystemClock
from models.domain.register import Meter, Publisher, Register, RegisterRows
from monitor.history.history import History, HistoryRows
from monitor.influx_feed import InfluxFeed
from monitor.influx_points import Points
from tests.support.line_server import LineServer
from tests.support.stores import MARCH_MS

METERS = 5000
WAVES = 60
BATCH = 10_000
POINTS = 50_000
FLUSHES = 40


class _Silent:
    def points_written(self, points: int) -> None: ...

    def points_refused(self, points: int) -> None: ...

    def feed_failed(self, fault: WriteFault | None) -> None: ...


def wave(seq: int) -> HistoryRows:
    """One reading of every meter."""
    zeros, at = np.zeros(METERS, dtype=np.int32), np.arange(METERS, dtype=np.float64)
    return HistoryRows(
        [f"M{m:05d}" for m in range(METERS)],
        np.full(METERS, MARCH_MS + seq * 900_000, dtype=np.int64),
        zeros + 900,
        zeros,
        np.full(METERS, seq, dtype=np.int64),
        zeros.astype(np.uint8),
        {"p_kw": at * 0.731 + seq, "q_kvar": at * 0.21, "e_imp_kwh": at * 1000.37 + seq * 0.25},
    )


def register() -> Register:
    """The meters, of one publisher."""
    meters = tuple(Meter(meter=f"M{m:05d}", site=f"S{m // 10}", publisher="bureau") for m in range(METERS))
    return Register(RegisterRows(meters=meters, publishers=(Publisher(publisher="bureau"),)), ZoneInfo("Asia/Shanghai"))


def feed(history: History, url: str) -> InfluxFeed:
    """Our feed from the first record on."""
    place = url.removeprefix("http://")
    writer = InfluxWriter(url, org="o", bucket="b", token="t", allow=[place])
    return InfluxFeed(
        reader=history.reader(),
        points=Points(register()),
        writer=writer,
        clock=SystemClock(),
        rng=random.Random(1),
        observer=_Silent(),
        batch=BATCH,
        cursor=0,
    )


def encoded(history: History) -> float:
    """Lines a second of reading and encoding alone."""
    reader, points, after, lines = history.reader(), Points(register()), 0, 0
    began_s = time.perf_counter()
    while (slice_ := reader.next(after)) is not None:
        lines += len(points.lines(slice_))
        after = slice_.seq
    reader.close()
    return lines / (time.perf_counter() - began_s)


def written(history: History, url: str) -> float:
    """Lines a second of the whole feed."""
    made = feed(history, url)
    began_s = time.perf_counter()
    made.start()
    while made.cursor < history.cursor:
        time.sleep(0.01)
    took_s = time.perf_counter() - began_s
    made.stop(5.0)
    return history.cursor * METERS / took_s


def by_points(url: str) -> float:
    """Lines a second of Point objects in the client's synchronous API."""
    rows = [wave(seq) for seq in range(1, POINTS // METERS + 1)]

    point: Any = Point

    def points() -> Iterator[Point]:
        for row in rows:
            for i, meter in enumerate(row.meter):
                yield (
                    point("reading2")
                    .tag("meter", meter)
                    .tag("site", f"S{i // 10}")
                    .tag("publisher", "bureau")
                    .tag("cadence_s", "900")
                    .field("p_kw", float(row.channels["p_kw"][i]))
                    .field("q_kvar", float(row.channels["q_kvar"][i]))
                    .field("e_imp_kwh", float(row.channels["e_imp_kwh"][i]))
                    .time(int(row.ts_ms[i]), "ms")
                )

    with InfluxDBClient(url=url, token="t", org="o", enable_gzip=True) as client:
        write = client.write_api(write_options=SYNCHRONOUS)
        began_s, held = time.perf_counter(), list[Point]()
        for made in points():
            held.append(made)
            if len(held) == BATCH:
                write.write(bucket="b", record=held, write_precision="ms")
                held = []
        return POINTS / (time.perf_counter() - began_s)


def flushes_ms(history: History) -> tuple[float, float]:
    """Median and longest time of a flush of one wave, ms."""
    took = []
    for _ in range(FLUSHES):
        rows = wave(history.cursor + 1)
        began_s = time.perf_counter()
        history.append(rows, cursor=history.cursor + 1)
        took.append(1000.0 * (time.perf_counter() - began_s))
        time.sleep(0.02)
    return float(np.median(took)), max(took)


def main() -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory() as folder, LineServer(Path(folder) / "server") as server:
        history = History.open(Path(folder) / "state")
        for seq in range(1, WAVES + 1):
            history.append(wave(seq), cursor=seq)
        read, fed, points = encoded(history), written(history, server.url), by_points(server.url)
        print(f"read and encoded  {read:12,.0f} lines/s")
        print(f"fed               {fed:12,.0f} lines/s, {fed / points:.1f} x Point objects")
        print(f"Point objects     {points:12,.0f} lines/s")
        alone = flushes_ms(history)
        ended = threading.Event()

        def busy() -> None:
            while not ended.is_set():
                encoded(history)

        thread = threading.Thread(target=busy)
        thread.start()
        beside = flushes_ms(history)
        ended.set()
        thread.join()
        print(f"a flush of {METERS} rows: median {alone[0]:.1f} ms, longest {alone[1]:.1f} ms")
        print(f"beside a feed without pause: median {beside[0]:.1f} ms, longest {beside[1]:.1f} ms")
        history.close()


if __name__ == "__main__":
    main()
