"""The rows of the house as a whole: a district on one machine, its memory, a start, a lead's way out, new packs."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from rich.table import Table

from tests.bench import capacity, law, lead_out, restart
from tests.bench.capacity import Capacity
from tests.bench.law import Rejudged
from tests.bench.lead_out import LeadOut
from tests.bench.restart import Restart

CAPACITY: Final = "capacity"
RESTART: Final = "restart"
LEAD: Final = "lead"
LAW: Final = "law"
NAMES: Final = (CAPACITY, RESTART, LEAD, LAW)
METERS: Final = 100_000
"""Meters of the capacity row where nothing else is asked: its budgets are shares of those for a million."""
_QUICK_METERS: Final = 5_000
_QUICK_DAYS: Final = 2
_QUICK_ENTERPRISES: Final = 100

Told = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table; `met` is None where there is no budget."""

    title: str
    measured: str
    budget: str = ""
    met: bool | None = None


@dataclass(frozen=True, slots=True)
class House:
    """What was measured, by name."""

    measured: Mapping[str, Capacity | Restart | LeadOut | Rejudged]

    def rows(self) -> list[Row]:
        """Every line there is."""
        found: list[Row] = []
        for one in self.measured.values():
            match one:
                case Capacity():
                    found += _capacity_rows(one)
                case Restart():
                    found += _restart_rows(one)
                case LeadOut():
                    found += _lead_rows(one)
                case Rejudged():
                    found += _law_rows(one)
        return found

    @property
    def met(self) -> bool:
        """Whether no budget was missed."""
        return all(row.met is not False for row in self.rows())

    def report(self) -> dict[str, Any]:
        """Everything, for `--json`."""
        return {name: dataclasses.asdict(one) for name, one in self.measured.items()}


def measure(chosen: Sequence[str], meters: int, *, quick: bool, told: Told) -> House:
    """The rows of these names; with `quick` small ones, to see that they work."""
    measured: dict[str, Capacity | Restart | LeadOut | Rejudged] = {}
    if CAPACITY in chosen:
        measured[CAPACITY] = capacity.measure(_QUICK_METERS if quick else meters, told)
    if RESTART in chosen:
        size = (_QUICK_METERS, _QUICK_DAYS) if quick else (restart.METERS, restart.DAYS)
        measured[RESTART] = restart.measure(*size, told)
    if LEAD in chosen:
        measured[LEAD] = lead_out.measure(_QUICK_METERS if quick else lead_out.METERS, told)
    if LAW in chosen:
        measured[LAW] = law.measure(_QUICK_ENTERPRISES if quick else law.SOME, told)
    return House(measured)


def table(house: House) -> Table:
    """The rows with their verdicts."""
    shown = Table(title="The house as a whole")
    for heading in ("", "measured", "budget", ""):
        shown.add_column(heading, justify="left" if not heading else "right", no_wrap=True)
    for row in house.rows():
        verdict = "" if row.met is None else "[green]met[/green]" if row.met else "[red]missed[/red]"
        shown.add_row(row.title, row.measured, row.budget, verdict)
    return shown


def _capacity_rows(one: Capacity) -> list[Row]:
    wave_s, judge_s = one.share(capacity.WAVE_BUDGET_S), one.share(capacity.JUDGE_BUDGET_S)
    rows = [
        Row(
            f"wave of {one.meters:,} meters x 3 channels absorbed, Arrow",
            f"{one.wave_s:.2f} s",
            f"≤ {wave_s:.4g} s",
            one.wave_s <= wave_s,
        ),
        Row("the same as column JSON", f"{one.json_wave_s:.2f} s", f"≤ {wave_s:.4g} s", one.json_wave_s <= wave_s),
        Row("the first wave a new state directory takes", f"{one.first_wave_s:.2f} s"),
        Row("start with that register and no readings", f"{one.start_s:.1f} s"),
        Row(
            f"night of {one.meters:,} meters judged, intake going on",
            f"{one.night_s:.1f} s",
            f"≤ {judge_s:.4g} s",
            one.night_s <= judge_s,
        ),
        Row("processor time of that, the wave taken in meanwhile included", f"{one.judge_cpu_s:.1f} s"),
        Row("intake meanwhile", f"{one.intake_per_s:,.0f} readings/s"),
        Row(
            f"slices of judging: median, 99 %, longest (of {one.slices:,})",
            f"{one.slice_p50_ms:.0f}, {one.slice_p99_ms:.0f}, {one.slice_max_ms:.0f} ms",
        ),
        Row(
            "the same in processor time: 99 %, longest",
            f"{one.slice_cpu_p99_ms:.0f}, {one.slice_cpu_max_ms:.0f} ms",
        ),
        Row(
            f"slices over {capacity.SLICE_BUDGET_MS:.0f} ms; in processor time",
            f"{one.long_slices:,}; {one.long_cpu_slices:,}",
        ),
        Row(
            "bytes a slot, flags included",
            f"{one.bytes_per_slot:.2f}",
            f"≤ {capacity.SLOT_BUDGET_BYTES}",
            one.bytes_per_slot <= capacity.SLOT_BUDGET_BYTES,
        ),
        Row("memory: rings", f"{one.rings_mib:,.0f} MiB"),
        Row("memory: DuckDB's cache, bounded by history.memory_limit", f"{one.cache_mib:,.0f} MiB"),
    ]
    if one.meters == capacity.LARGE:
        met = one.peak_mib <= capacity.RSS_BUDGET_MIB
        rows.append(Row("memory: the rest", f"{one.rest_mib:,.0f} MiB"))
        rows.append(Row("memory: resident at its peak", f"{one.peak_mib:,.0f} MiB", "≤ 12,288 MiB", met))
    else:
        limit = capacity.REST_BUDGET_MIB
        rows.append(Row("memory: the rest", f"{one.rest_mib:,.0f} MiB", f"≤ {limit:.0f} MiB", one.rest_mib <= limit))
        rows.append(Row("memory: resident at its peak", f"{one.peak_mib:,.0f} MiB"))
    return rows


def _restart_rows(one: Restart) -> list[Row]:
    title = f"start after kill -9, {one.meters:,} meters, {one.rows:,} readings: ready"
    return [
        Row(title, f"{one.ready_s:.1f} s", f"≤ {restart.BUDGET_S:.0f} s", one.ready_s <= restart.BUDGET_S),
        Row("processor time until then, all threads", f"{one.cpu_s:.1f} s"),
        Row("resident after it", f"{one.rss_mib:,.0f} MiB"),
    ]


def _lead_rows(one: LeadOut) -> list[Row]:
    title = f"lead out at a night's close, {one.meters:,} meters, {one.notices} notices: 95 %"
    return [
        Row(title, f"{one.p95_s:.2f} s", f"≤ {lead_out.BUDGET_S:.0f} s", one.p95_s <= lead_out.BUDGET_S),
        Row(
            "the first notice of a night, the middle one, the slowest",
            f"{one.first_s:.2f}, {one.median_s:.2f}, {one.worst_s:.2f} s",
        ),
    ]


def _law_rows(one: Rejudged) -> list[Row]:
    title = (
        f"{law.ENTERPRISES:,} enterprises x {len(law.MONTHS)} months again under new packs, from {one.enterprises:,}"
    )
    return [
        Row(title, f"{one.projected_s:.1f} s", f"≤ {law.BUDGET_S:.0f} s", one.met),
        Row("processor time of that, one core", f"{one.projected_cpu_s:.1f} s"),
    ]
