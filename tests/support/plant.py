"""A small foundry whose electricity, output and heats are known, and a core over a state directory that takes them in.

Site `works`: `main` measures everything but `aux`; `melt` is behind it and is line `L1`'s; `aux` is shared 60 : 40 by
`L1` and `L2`. Site `yard` has a meter of its own. `bureau` may revise, `plant` is a reporter of `works`.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self
from zoneinfo import ZoneInfo

from models.domain.accounts import Account, Period
from models.domain.clock import ManualClock
from models.domain.readings import RawMessage
from models.domain.register import (
    Allocation,
    Enterprise,
    Furnace,
    FurnaceKind,
    Line,
    Meter,
    Publisher,
    Register,
    RegisterRows,
    Reporter,
    Site,
)
from monitor.accounts.ledger import Ledger
from monitor.config.settings import Settings
from monitor.journal.quarantine import list_quarantine
from monitor.replay import Tally
from monitor.wiring import Core, open_core

ZONE = ZoneInfo("Asia/Shanghai")
USCC, OTHER = "91330100MA0000001X", "91330100MA0000002X"
MARCH = Period.month(2026, 3)
APRIL = Period.month(2026, 4)
HOUR_MS = 3_600_000
KW = {"main": 1000.0, "melt": 800.0, "aux": 100.0, "yard": 50.0}
NOW_MS = int(dt.datetime(2026, 5, 4, tzinfo=ZONE).timestamp()) * 1000


def midnight_ms(date: dt.date) -> int:
    """Unix ms at which a local date begins."""
    return int(dt.datetime(date.year, date.month, date.day, tzinfo=ZONE).timestamp()) * 1000


def register(**sheets: Any) -> Register:
    """The foundry's register; a sheet given by name takes the place of its own."""
    rows: dict[str, Any] = {
        "enterprises": (Enterprise(uscc=USCC, name="铸造厂"), Enterprise(uscc=OTHER, name="邻厂")),
        "sites": (Site(site="works", uscc=USCC), Site(site="yard", uscc=USCC), Site(site="next", uscc=OTHER)),
        "meters": (
            *(
                Meter(meter=meter, site="yard" if meter == "yard" else "works", publisher="bureau", cadence_s=3600)
                for meter in KW
            ),
            Meter(meter="next", site="next", publisher="bureau", cadence_s=3600),
        ),
        "lines": (Line(line="L1", site="works", product="灰铸铁件"), Line(line="L2", site="works", product="灰铸铁件")),
        "furnaces": (
            Furnace(furnace="F1", site="works", kind=FurnaceKind.MEDIUM_FREQUENCY, rated_kw=2000.0, capacity_t=3.0),
        ),
        "publishers": (
            Publisher(publisher="bureau", may_revise=True),
            Publisher(publisher="plant"),
            Publisher(publisher="stranger", may_revise=True),
        ),
        "allocations": (
            Allocation(meter="melt", line="L1", within="main"),
            Allocation(meter="aux", line="L1", share=0.6),
            Allocation(meter="aux", line="L2", share=0.4),
        ),
        "reporters": (Reporter(site="works", publisher="plant"),),
    }
    return Register(RegisterRows(**(rows | sheets)), ZONE, "v1")


def register_readings(
    kw: Mapping[str, float] = KW, first: dt.date = MARCH.first, end: dt.date = MARCH.end, *, start_kwh: float = 1000.0
) -> list[dict[str, Any]]:
    """Hourly registers from midnight to midnight, both included."""
    start_ms = midnight_ms(first)
    hours = (midnight_ms(end) - start_ms) // HOUR_MS
    return [
        {"meter": meter, "ts": start_ms + hour * HOUR_MS, "e_imp_kwh": round(start_kwh + power * hour, 3)}
        for meter, power in kw.items()
        for hour in range(hours + 1)
    ]


def output_row(line: str = "L1", quantity: float | None = 700, **more: Any) -> dict[str, Any]:
    """What a line made in March."""
    row = {
        "line": line,
        "from": "2026-03-01",
        "to": "2026-03-31",
        "product": "灰铸铁件",
        "quantity": quantity,
        "unit": "t",
    }
    row |= more
    return {name: value for name, value in row.items() if value is not None}


def heat_row(hour: int, **more: Any) -> dict[str, Any]:
    """An hour's heat of F1 that begins `hour` hours into March: 2 t tapped at 600 kWh a tonne."""
    start_ms = midnight_ms(MARCH.first) + hour * HOUR_MS
    row = {
        "furnace": "F1",
        "start": start_ms,
        "end": start_ms + HOUR_MS,
        "energy_kwh": 1200,
        "charged_t": 2.1,
        "tapped_t": 2.0,
        "product": "HT250",
    }
    return row | more


def readings(rows: Sequence[Mapping[str, Any]], *, publisher: str = "bureau", received_ms: int = NOW_MS) -> RawMessage:
    """A message on the topic of readings."""
    return _message("readings", "canonical", {"v": 1, "readings": list(rows)}, publisher, received_ms)


def output(*rows: Mapping[str, Any], publisher: str = "bureau", received_ms: int = NOW_MS) -> RawMessage:
    """A message on the topic of output."""
    return _message("output", "output", {"v": 1, "outputs": list(rows)}, publisher, received_ms)


def heats(*rows: Mapping[str, Any], publisher: str = "bureau", received_ms: int = NOW_MS) -> RawMessage:
    """A message on the topic of heats."""
    return _message("furnace", "furnace", {"v": 1, "heats": list(rows)}, publisher, received_ms)


def _message(topic: str, adapter: str, document: Any, publisher: str, received_ms: int) -> RawMessage:
    body = json.dumps(document, ensure_ascii=False).encode()
    return RawMessage(f"grid/v1/{publisher}/{topic}", body, received_ms, publisher, adapter)


@dataclass
class Plant:
    """A core over a state directory; `crash` ends it without an orderly stop of the pipeline and opens it again."""

    state_dir: Path
    table: Register = field(default_factory=register)
    core: Core = field(init=False)
    _stack: contextlib.ExitStack = field(init=False)

    def __post_init__(self) -> None:
        self._open()

    def _open(self) -> None:
        tally = Tally()
        self._stack = contextlib.ExitStack()
        self.core = self._stack.enter_context(
            open_core(
                settings=Settings(),
                state_dir=self.state_dir,
                register=self.table,
                source=tally,
                observer=tally,
                clock=ManualClock(NOW_MS),
            )
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def feed(self, *messages: RawMessage) -> Self:
        """Take messages in, a commit group each."""
        for message in messages:
            self.core.pipeline.take_in([message])
        return self

    def rest(self) -> Self:
        """Put everything into the stores."""
        self.core.pipeline.close()
        return self

    def crash(self) -> Self:
        """Everything that is in memory only is lost."""
        self._stack.close()
        self._open()
        return self

    def ledger(self) -> Ledger:
        """The ledger over this core's stores."""
        return Ledger(self.core.engine, self.core.history.registers(ZONE), ZONE)

    def account(self, period: Period = MARCH, uscc: str = USCC) -> Account:
        """The account as the stores have it."""
        self.rest()
        return self.ledger().account(uscc, period, self.table)

    def refusals(self) -> list[tuple[str, str]]:
        """Reason and detail of what stands in quarantine, oldest first."""
        found = list_quarantine(self.state_dir, limit=1000)
        return [(str(row["reason"]), str(row["detail"])) for row in reversed(found)]
