"""A year of a district's enterprises judged again under new packs: limits and surcharges, against the budget of 60 s.

`python -m tests.bench.law [--enterprises N]`. One meter and one line an enterprise, its register read at the ends of
months; a tenth make aluminium, a tenth cement, a tenth are listed ferroalloy plants, the rest are of other trades.
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from models.domain.accounts import Period
from models.domain.clock import ManualClock
from models.domain.readings import RawMessage
from models.domain.register import (
    Allocation,
    Declared,
    Enterprise,
    Line,
    Meter,
    Publisher,
    Register,
    RegisterRows,
    Site,
)
from monitor.collector import collector_spared
from monitor.config.law_sections import LawSettings
from monitor.config.settings import Settings
from monitor.replay import Tally
from monitor.wiring import Core, open_core
from tests.bench.stopwatch import Cost, Stopwatch
from tests.support.plant import ZONE, midnight_ms

ENTERPRISES: Final = 10_000
"""Enterprises of the budget."""

SOME: Final = 1_000
"""Enterprises of the row of `make bench`."""

BUDGET_S: Final = 60.0
YEAR: Final = 2025
MONTHS: Final = tuple(Period.month(YEAR, month) for month in range(1, 13))
END: Final = dt.date(YEAR + 1, 1, 1)
CHUNK: Final = 1000
_PACK: Final = """
[pack]
id = "bench"
version = "2025.1"
title_zh = "试行"
title_en = "trial"

[[rule]]
id = "bench-trial"
replaces = "cn-diff-2010"
doc_no = "trial"
title_zh = "差别电价试行"
region = "CN"
kind = "differential"
effective_from = "2010-06-01"
industries = ["ferroalloy"]
basis = "equipment_class"
tiers = [{ class = "限制类", surcharge = 0.12 }, { class = "淘汰类", surcharge = 0.30 }]
source = "bench"
confidence = "V"
"""
_PRODUCTS: Final = {0: ("C3216", "electrolytic_aluminium", 13_296.0), 1: ("C3011", "clinker", 61.0)}


@dataclass(frozen=True, slots=True)
class Rejudged:
    """What so many enterprises took: taken in, judged at first, and judged again under new packs."""

    enterprises: int
    intake: Cost
    first_limits: Cost
    first_surcharges: Cost
    limits: Cost
    surcharges: Cost

    @property
    def projected_s(self) -> float:
        """Seconds in which as many as the budget is for would be judged again, by the wall."""
        return (self.limits.wall_s + self.surcharges.wall_s) * ENTERPRISES / self.enterprises

    @property
    def projected_cpu_s(self) -> float:
        """The same in processor time, of one core."""
        return (self.limits.cpu_s + self.surcharges.cpu_s) * ENTERPRISES / self.enterprises

    @property
    def met(self) -> bool:
        """Whether the budget is."""
        return self.projected_s <= BUDGET_S


def register(enterprises: int) -> Register:
    """So many enterprises of Guangxi."""
    numbers = range(enterprises)
    lines, allocations, declared, owners = [], [], [], []
    for n in numbers:
        trade, product, _ = _PRODUCTS.get(n % 10, ("C3140" if n % 10 == 2 else "C1810", "", 0.0))
        owners.append(Enterprise(uscc=uscc_of(n), name=f"企业{n}", trade=trade, district="450100"))
        if product:
            lines.append(Line(line=f"L{n}", site=f"S{n}", product=product))
            allocations.append(Allocation(meter=f"M{n}", line=f"L{n}"))
            declared.append(Declared(uscc=uscc_of(n), fact="plant", value="existing"))
        elif n % 10 == 2:
            declared.append(Declared(uscc=uscc_of(n), fact="equipment_class", value="限制类"))
            declared.append(Declared(uscc=uscc_of(n), fact="billing_base", value="production_electricity"))
    rows = RegisterRows(
        enterprises=tuple(owners),
        sites=tuple(Site(site=f"S{n}", uscc=uscc_of(n)) for n in numbers),
        meters=tuple(Meter(meter=f"M{n}", site=f"S{n}", publisher="bureau", cadence_s=86_400) for n in numbers),
        lines=tuple(lines),
        allocations=tuple(allocations),
        publishers=(Publisher(publisher="bureau", may_revise=True),),
        declared=tuple(declared),
    )
    return Register(rows, ZONE, "bench")


def uscc_of(number: int) -> str:
    """A code of the right shape."""
    return f"91450100MA{number:07d}X"


def messages(enterprises: int) -> Iterator[RawMessage]:
    """Registers at the ends of the months, then the output of each."""
    for edge in (dt.date(YEAR, 1, 1), *(month.end for month in MONTHS)):
        hours = (edge - dt.date(YEAR, 1, 1)).days * 24
        for start in range(0, enterprises, CHUNK):
            some = range(start, min(start + CHUNK, enterprises))
            rows = [{"meter": f"M{n}", "ts": midnight_ms(edge), "e_imp_kwh": 1000.0 + 100.0 * hours} for n in some]
            yield _message("readings", "canonical", {"v": 1, "readings": rows})
    for month in MONTHS:
        rows = [
            {
                "line": f"L{n}",
                "from": f"{month.first}",
                "to": f"{month.last}",
                "product": _PRODUCTS[n % 10][1],
                "quantity": round(2400.0 * month.days / _PRODUCTS[n % 10][2], 6),
                "unit": "t",
            }
            for n in range(enterprises)
            if n % 10 in _PRODUCTS
        ]
        for start in range(0, len(rows), CHUNK):
            yield _message("output", "output", {"v": 1, "outputs": rows[start : start + CHUNK]})


def _message(topic: str, adapter: str, document: Any) -> RawMessage:
    body = json.dumps(document).encode()
    return RawMessage(f"grid/v1/bureau/{topic}", body, midnight_ms(END), "bureau", adapter)


def measure(enterprises: int, told: Callable[[str], None] = lambda _: None) -> Rejudged:
    """What judging the year took at first, and again under new packs, as the daemon's one thread does it."""
    table = register(enterprises)
    with tempfile.TemporaryDirectory(prefix="gridwarden-law-") as scratch:
        state, packs = Path(scratch) / "state", Path(scratch) / "packs"
        packs.mkdir()
        (packs / "bench.toml").write_text(_PACK, encoding="utf-8")
        told(f"a year of {enterprises:,} enterprises taken in and judged")
        with _opened(state, table, Settings()) as core, collector_spared():
            watch = Stopwatch()
            for message in messages(enterprises):
                core.pipeline.take_in([message])
            core.pipeline.close()
            intake = watch.cost()
            first_limits, first_surcharges = _judge(core)
        told(f"a year of {enterprises:,} enterprises judged again under new packs")
        with _opened(state, table, Settings(law=LawSettings(packs_dir=packs))) as core, collector_spared():
            limits, surcharges = _judge(core)
            listed = enterprises // 10 * len(MONTHS)
            if core.flags.changes < listed:
                raise RuntimeError(f"{core.flags.changes} revisions, {listed} were to come")
        return Rejudged(enterprises, intake, first_limits, first_surcharges, limits, surcharges)


def _judge(core: Core) -> tuple[Cost, Cost]:
    watch = Stopwatch()
    core.intensity.finish(midnight_ms(END))
    limits = watch.cost()
    watch = Stopwatch()
    core.flags.finish(midnight_ms(END))
    return limits, watch.cost()


def _opened(state: Path, table: Register, settings: Settings) -> Any:
    tally = Tally()
    return open_core(
        settings=settings,
        state_dir=state,
        register=table,
        source=tally,
        observer=tally,
        clock=ManualClock(midnight_ms(END)),
        sinks=("file",),
    )


def main() -> int:
    """Measure and print; exit code 1 where the budget of judging again was missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--enterprises", type=int, default=ENTERPRISES)
    enterprises = parser.parse_args().enterprises
    found = measure(enterprises)
    for name in ("intake", "first_limits", "first_surcharges", "limits", "surcharges"):
        cost: Cost = getattr(found, name)
        print(f"{name:>18}: {cost.wall_s:8.1f} s wall {cost.cpu_s:8.1f} s CPU")
    verdict = "met" if found.met else "missed"
    print(f"{ENTERPRISES:,} enterprises x {len(MONTHS)} months again under new packs, projected:", end=" ")
    print(f"{found.projected_s:.1f} s, {found.projected_cpu_s:.1f} s CPU; budget {BUDGET_S:.0f} s: {verdict}")
    return 0 if found.met else 1


if __name__ == "__main__":
    sys.exit(main())
