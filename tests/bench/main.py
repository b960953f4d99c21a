"""`make bench`: speed against the budgets of the design, with the bare ceiling and a plain alternative beside it.

`python -m tests.bench.main [--quick] [--json FILE] [--only one,rows,columns,arrow,screen,capacity,restart,lead,law]
[--meters N]`. The exit code is 1 where a ratio, a cost, a time or a size missed its budget, unless `--quick`, whose
figures are too few to judge by; rates depend on the machine.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import platform
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from rich.console import Console
from rich.table import Table

from tests.bench import house, live, screen
from tests.bench.house import House
from tests.bench.live import Measured
from tests.bench.loads import LOADS

REPEATS: Final = 3
SCREEN: Final = "screen"
SCREEN_BUDGETS_US: Final = {"screen_us": 20.0, "examined_us": 2000.0}
_WIDTH: Final = 130
_QUICK_SHARE: Final = 10

Told = Callable[[str], None]


def measure_live(chosen: Sequence[str], *, quick: bool, told: Told) -> list[Measured]:
    """The loads of these names; with `quick` a tenth of the messages, once."""
    loads = [load for load in LOADS if load.name in chosen]
    if quick:
        loads = [dataclasses.replace(load, messages=load.messages // _QUICK_SHARE) for load in loads]
    return [live.measure(load, 1 if quick else REPEATS, told) for load in loads]


def live_table(measured: Sequence[Measured]) -> Table:
    """Rates, costs and ratios of the live loads."""
    table = Table(title="Live through mosquitto, QoS 1: from the broker to journal, window and history")
    for heading in ("", "", "readings/s", "CPU µs", "of ceiling", "budget", "", "budget/s", ""):
        table.add_column(heading, justify="right" if heading else "left", no_wrap=True)
    for row in measured:
        for name, title in live.TITLES.items():
            cells = [
                row.load.title if name == "ours" else "",
                title,
                f"{row.rate(name):,.0f}",
                f"{row.cpu_us(name):.2f}",
            ]
            cells.append(f"{row.ratio(name):.2f}")
            if name == "ours":
                cells += [
                    f"≥ {row.load.ratio}",
                    _verdict(row.ratio_met),
                    f"≥ {row.load.rate:,}",
                    _verdict(row.rate_met),
                ]
            table.add_row(*cells)
        table.add_section()
    table.caption = (
        "readings by the wall; processor time a reading, all threads of the process; medians of alternating runs"
    )
    return table


def screen_table(costs: Mapping[str, float]) -> Table:
    """Costs of judging one meter for a week."""
    table = Table(title="Judging one plain meter for a week")
    table.add_column("")
    table.add_column("µs", justify="right")
    table.add_column("budget", justify="right")
    table.add_column("")
    titles = {
        "screen_us": "screen, in batches",
        "single_us": "screen, one meter at a time",
        "loop_us": "plain loops over readings, rhythm features only",
        "examined_us": "screen and examination, in batches",
        "mix_us": "a whole county, in batches",
    }
    for name, title in titles.items():
        limit = SCREEN_BUDGETS_US.get(name)
        verdict = ["", ""] if limit is None else [f"≤ {limit:,.0f}", _verdict(costs[name] <= limit)]
        table.add_row(title, f"{costs[name]:,.1f}", *verdict)
    return table


def report(measured: Sequence[Measured], costs: Mapping[str, float] | None, whole: House) -> dict[str, Any]:
    """Everything measured, for `--json`."""
    rows = [
        {
            "load": dataclasses.asdict(row.load),
            "bytes_per_reading": row.payload_bytes / row.load.readings,
            "readings_per_s": {name: row.rate(name) for name in row.costs},
            "cpu_us_per_reading": {name: row.cpu_us(name) for name in row.costs},
            "ratio_to_ceiling": {name: row.ratio(name) for name in row.costs},
            "ratio_met": row.ratio_met,
            "rate_met": row.rate_met,
            "runs": {name: [dataclasses.asdict(cost) for cost in runs] for name, runs in row.costs.items()},
        }
        for row in measured
    ]
    machine = {"cores": os.cpu_count(), "machine": platform.machine(), "python": platform.python_version()}
    return {"machine": machine, "live": rows, "screen": costs, "house": whole.report()}


def main() -> int:
    """Measure, print, and say by the exit code whether the budgets were met."""
    parser = argparse.ArgumentParser(description=__doc__)
    names = [*(load.name for load in LOADS), SCREEN, *house.NAMES]
    parser.add_argument("--quick", action="store_true", help="a tenth of the messages, once: to see that it works")
    parser.add_argument("--json", type=Path, default=None, metavar="FILE", help="write everything measured")
    parser.add_argument("--only", default=",".join(names), help=f"some of {','.join(names)}")
    parser.add_argument("--meters", type=int, default=house.METERS, help="of the capacity row; 1000000 is the budget's")
    arguments = parser.parse_args()
    chosen = arguments.only.split(",")
    if not set(chosen) <= set(names):
        parser.error(f"--only takes some of {','.join(names)}")
    console = Console()
    console.width = max(console.width, _WIDTH)
    with console.status("measuring") as status:
        measured = measure_live(chosen, quick=arguments.quick, told=status.update)
        status.update("screen and examination")
        costs = screen.run() if SCREEN in chosen else None
        whole = house.measure(chosen, arguments.meters, quick=arguments.quick, told=status.update)
    if measured:
        console.print(live_table(measured))
    if costs is not None:
        console.print(screen_table(costs))
    if whole.measured:
        console.print(house.table(whole))
    if arguments.json is not None:
        arguments.json.write_text(json.dumps(report(measured, costs, whole), indent=1) + "\n")
    met = all(row.ratio_met for row in measured) and all(
        costs is None or costs[name] <= limit for name, limit in SCREEN_BUDGETS_US.items()
    )
    met = met and whole.met
    return 0 if met or arguments.quick else 1


def _verdict(met: bool) -> str:
    return "[green]met[/green]" if met else "[red]missed[/red]"


if __name__ == "__main__":
    sys.exit(main())
