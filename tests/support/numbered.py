"""A publisher of numbered readings that knows which of them the broker took, and the audit of what became of them.

Every reading carries its number in `e_imp_kwh`; meter and stamp follow from it. Some readings and some whole messages
are refusable on purpose: these must be in the quarantine, once, and all others in the history, once.
"""

from __future__ import annotations

import io
import json
import random
import threading
import time
from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa
import pyarrow.ipc
from paho.mqtt.client import Client, MQTTMessageInfo, MQTTv5
from paho.mqtt.enums import CallbackAPIVersion

from models.domain.clock import SystemClock
from models.domain.leads import LeadKind
from models.domain.nights import night_of_stamp
from monitor.desk.database import read_desk
from monitor.desk.queries import MAX_ROWS, list_leads
from monitor.history.history import History
from monitor.journal.journal import Journal
from monitor.journal.quarantine import list_quarantine
from tests.support.house_checker import faults_of_house
from tests.support.register_dirs import BUREAU, meter_id

CADENCE_MS: Final = 900_000
ARROW_TOPIC: Final = f"grid/v1/{BUREAU}/arrow"
ROWS_TOPIC: Final = f"grid/v1/{BUREAU}/readings"
SENTINEL: Final = "sentinel"
SUBSCRIPTIONS: Final = [
    {"topic": "grid/v1/+/readings", "adapter": "canonical"},
    {"topic": "grid/v1/+/arrow", "adapter": "arrow"},
]
ZONE: Final = ZoneInfo("Asia/Shanghai")
_DAY_MS: Final = 86_400_000
_FUTURE_MS: Final = 4_070_908_800_000
_WAITING: Final = 500


@dataclass(frozen=True)
class Numbering:
    """Reading n: meter n modulo `meters`, the slots one after the other from `start_ms` on."""

    meters: int
    start_ms: int

    def meter(self, number: int) -> str:
        return meter_id(number % self.meters)

    def ts_ms(self, number: int) -> int:
        return self.start_ms + number // self.meters * CADENCE_MS

    def months(self, numbers: int) -> set[str]:
        """Local months of the whole nights that so many readings cover."""
        last_ms = self.ts_ms(numbers) - 36 * 3_600_000
        return {night_of_stamp(ms, ZONE).date.strftime("%Y-%m") for ms in range(self.start_ms, last_ms, _DAY_MS)}


@dataclass
class Sent:
    """Numbers of readings the broker has acknowledged, by where they must end; `tried` is one past the last number."""

    good: list[int] = field(default_factory=list)
    bad: list[int] = field(default_factory=list)
    garbage: list[int] = field(default_factory=list)
    tried: int = 0


class NumberedPublisher(threading.Thread):
    """Publishes a seeded mix at QoS 1, `rate` messages a second, until `finish`; then `sent` is complete."""

    def __init__(self, port: int, numbering: Numbering, seed: int, *, rate: float = 1000.0) -> None:
        super().__init__(name="numbered-publisher", daemon=True)
        self.sent = Sent()
        self.failure: Exception | None = None
        self._numbering = numbering
        self._rng = random.Random(seed)
        self._rate = rate
        self._ending = threading.Event()
        self._garbage = 0
        self._waiting: deque[tuple[MQTTMessageInfo, list[int], list[int], list[int]]] = deque()
        self._client = Client(CallbackAPIVersion.VERSION2, client_id=f"numbered-{seed}", protocol=MQTTv5)
        self._client.max_inflight_messages_set(_WAITING)
        self._client.connect("127.0.0.1", port)
        self._client.loop_start()

    def run(self) -> None:
        try:
            began_s, count = time.monotonic(), 0
            while not self._ending.is_set():
                self._publish_one()
                count += 1
                ahead_s = began_s + count / self._rate - time.monotonic()
                if ahead_s > 0:
                    time.sleep(ahead_s)
            info = self._client.publish(f"grid/v1/{SENTINEL}/readings", b"the end", qos=1)
            while self._waiting:
                self._settle()
            info.wait_for_publish(30)
        except (OSError, ValueError, RuntimeError) as error:
            self.failure = error
        finally:
            self._client.disconnect()
            self._client.loop_stop()

    def finish(self) -> Sent:
        """Stop publishing, wait until the broker has taken everything, and return what it took."""
        self._ending.set()
        self.join(60)
        assert self.failure is None, self.failure
        assert not self.is_alive(), "the broker did not acknowledge what was published"
        return self.sent

    def _publish_one(self) -> None:
        draw = self._rng.random()
        if draw < 0.85:
            self._rows(1)
        elif draw < 0.90:
            self._rows(100)
        elif draw < 0.94:
            self._columns(100)
        elif draw < 0.97:
            self._arrow(100)
        else:
            self._refusable()

    def _take(self, count: int) -> list[int]:
        first = self.sent.tried
        self.sent.tried += count
        return list(range(first, first + count))

    def _rows(self, count: int) -> None:
        numbers = self._take(count)
        bad = [number for number in numbers if self._rng.random() < 0.01]
        rows = [self._row(number) for number in numbers]
        for number in bad:
            rows[number - numbers[0]] |= self._rng.choice([{"meter": f"X{number}"}, {"ts": _FUTURE_MS}])
        good = [number for number in numbers if number not in bad]
        self._publish(ROWS_TOPIC, json.dumps({"v": 1, "readings": rows}).encode(), good, bad, [])

    def _row(self, number: int) -> dict[str, Any]:
        at = self._numbering
        return {"meter": at.meter(number), "ts": at.ts_ms(number), "e_imp_kwh": float(number), "p_kw": 200.0}

    def _table(self, numbers: Sequence[int]) -> dict[str, list[Any]]:
        rows = [self._row(number) for number in numbers]
        return {name: [row[name] for row in rows] for name in rows[0]}

    def _columns(self, count: int) -> None:
        numbers = self._take(count)
        body = json.dumps({"v": 1, "readings": self._table(numbers)}).encode()
        self._publish(ROWS_TOPIC, body, numbers, [], [])

    def _arrow(self, count: int) -> None:
        numbers = self._take(count)
        table = pa.table(self._table(numbers))
        buffer = io.BytesIO()
        with pa.ipc.new_stream(buffer, table.schema) as stream:
            stream.write_table(table)
        self._publish(ARROW_TOPIC, buffer.getvalue(), numbers, [], [])

    def _refusable(self) -> None:
        self._garbage += 1
        mark = b"garbage %d;" % self._garbage
        shapes = (mark, b'{"v":1,"readings":["' + mark, b"\xff\x00" + mark, b'{"v":2,"note":"' + mark + b'"}')
        self._publish(ROWS_TOPIC, self._rng.choice(shapes), [], [], [self._garbage])

    def _publish(self, topic: str, body: bytes, good: list[int], bad: list[int], garbage: list[int]) -> None:
        while len(self._waiting) >= _WAITING:
            self._settle()
        self._waiting.append((self._client.publish(topic, body, qos=1), good, bad, garbage))

    def _settle(self) -> None:
        info, good, bad, garbage = self._waiting.popleft()
        info.wait_for_publish(30)
        if info.is_published():
            self.sent.good += good
            self.sent.bad += bad
            self.sent.garbage += garbage


def closed_site_months(state_dir: Path) -> set[str]:
    """Months that have the lead of the closed site."""
    return {month for kind, _, month in _leads(state_dir) if kind == LeadKind.SEALED_SITE}


def all_in(state_dir: Path) -> bool:
    """Whether the publisher's last message, and so everything before it, has been committed."""
    return bool(list_quarantine(state_dir, publisher=SENTINEL, limit=1))


@dataclass(frozen=True)
class Audit:
    """What an inspection of a stopped daemon's stores found; no `faults`: nothing lost, invented or repeated."""

    faults: tuple[str, ...]
    stored: int
    redelivered: int
    leads: int


def audit(state_dir: Path, sent: Sent, numbering: Numbering) -> Audit:
    """Hold the stores against what the broker acknowledged, and against each other."""
    bad, garbage, redelivered = _quarantined(state_dir)
    history = History.open(state_dir)
    try:
        table = history.read(0, 1 << 45)
    finally:
        history.close()
    numbers = table.column("e_imp_kwh").to_numpy().astype(np.int64)
    meters = table.column("meter").cast(pa.string()).to_pylist()
    stamps = table.column("ts_ms").to_numpy()
    faults = [
        *_compared("history", Counter(numbers.tolist()), sent.good, sent.tried),
        *_compared("quarantined readings", bad, sent.bad, sent.tried),
        *_compared("quarantined messages", garbage, sent.garbage, 1 << 40),
    ]
    wrong = [
        number
        for number, meter, ts_ms in zip(numbers.tolist(), meters, stamps.tolist(), strict=True)
        if (meter, ts_ms) != (numbering.meter(number), numbering.ts_ms(number))
    ]
    if wrong:
        faults.append(f"{len(wrong)} readings stand under another meter or stamp, the first is {wrong[0]}")
    faults += faults_of_house(state_dir, settled=False)
    return Audit(tuple(faults), len(numbers), redelivered, len(_leads(state_dir)))


def _compared(where: str, found: Counter[int], wanted: Sequence[int], tried: int) -> list[str]:
    lost = sorted(set(wanted) - found.keys())
    twice = sorted(number for number, times in found.items() if times > 1)
    strange = sorted(found.keys() - set(wanted))
    invented = [number for number in found if not 0 <= number < tried]
    told = (("lost", lost), ("repeated", twice), ("misplaced", strange), ("invented", invented))
    return [f"{where}: {word} {len(some)}, such as {some[:3]}" for word, some in told if some]


def _quarantined(state_dir: Path) -> tuple[Counter[int], Counter[int], int]:
    """Numbers of refused readings, of refused messages, and how many messages the broker delivered again."""
    bad: Counter[int] = Counter()
    garbage: Counter[int] = Counter()
    redelivered = 0
    journal = Journal.open(state_dir, SystemClock())
    try:
        for entry in journal.read(0):
            redelivered += sum(message.dup for message in entry.messages)
            for rejection in entry.rejections:
                message = entry.messages[rejection.message]
                if message.publisher == SENTINEL:
                    continue
                if rejection.rows:
                    rows = json.loads(message.payload)["readings"]
                    bad.update(int(rows[row]["e_imp_kwh"]) for row in rejection.rows)
                else:
                    garbage[int(message.payload.partition(b"garbage ")[2].partition(b";")[0])] += 1
    finally:
        journal.close()
    return bad, garbage, redelivered


def _leads(state_dir: Path) -> Counter[tuple[str, str, str]]:
    engine = read_desk(state_dir)
    try:
        leads = list_leads(engine, limit=MAX_ROWS, now_ms=0)
        return Counter((lead["kind"], lead["site"]["id"], lead["month"]) for lead in leads)
    finally:
        engine.dispose()
