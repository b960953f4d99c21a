"""What `consumption` finds and wrongly raises: nightly lives with labelled changes, and measured loads without labels.

`python -m tests.bench.consumption --seeds 3 [--first-seed 101] [--real DIR]`. The numbers are kept in
docs/explanation/consumption.md; seeds 1 to 30 served for tuning and are not reported.
"""

from __future__ import annotations

import argparse
import datetime as dt
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from detectors.base import RECENT_NIGHTS, Context
from detectors.consumption import Consumption
from models.domain.findings import Finding, Status
from models.domain.nights import night_of_date
from models.domain.register import Meter, Register, RegisterRows
from models.domain.windows import PastNights, Window
from models.learned.changes import ChangeCode
from models.simulated.daily_life import NightlyLife, nightly_life
from models.simulated.labelled_changes import ChangeKind, LabelledChange, with_changes
from tests.support.awkward_days import AWKWARD, awkward_days
from tests.support.measured_loads import measured_loads
from tests.support.night_windows import SHANGHAI

START: Final = dt.date(2024, 1, 8)
PAST_NIGHTS: Final = 400
JUDGED_NIGHTS: Final = 364
FOUND_WITHIN: Final = 45
QUARTER_S: Final = 900
DAY_S: Final = 86_400

Rows = dict[str, NDArray[np.float32]]


@dataclass
class Tally:
    """Labels and labels found by kind, false leads by what the site is, and the weeks in which they could be."""

    labels: Counter[str] = field(default_factory=Counter)
    found: Counter[str] = field(default_factory=Counter)
    delays: list[int] = field(default_factory=list)
    repeated: int = 0
    false: Counter[str] = field(default_factory=Counter)
    ramps: int = 0
    overdrawn: int = 0
    ramp_leads: int = 0
    site_weeks: float = 0.0
    screened: int = 0
    asked: int = 0
    examples: list[str] = field(default_factory=list)

    @property
    def recall(self) -> float:
        return sum(self.found.values()) / max(sum(self.labels.values()), 1)

    @property
    def false_per_1000(self) -> float:
        return 1000.0 * sum(self.false.values()) / max(self.site_weeks, 1.0)


def rows_of(life: NightlyLife, cadence_s: int) -> Rows:
    """The nightly rows of a life as the features make them: daily readings give no quantile and no valley share."""
    daily = cadence_s == DAY_S
    columns = {
        "energy_kwh": life.energy_kwh,
        "coverage": np.where(np.isfinite(life.energy_kwh), 1.0, 0.0) if daily else life.coverage,
        "valley_share": np.full_like(life.energy_kwh, np.nan) if daily else life.valley_share,
        "power_p95_kw": np.full_like(life.peak_kw, np.nan) if daily else life.peak_kw,
    }
    return {name: values.astype(np.float32) for name, values in columns.items()}


def suspect_nights(
    rows: Rows, meters: Sequence[str], start: dt.date, cadence_s: int, register: Register, first: int, tally: Tally
) -> Iterator[tuple[dt.date, Finding]]:
    """Every SUSPECT finding from night `first` of the rows on, each night judged from what came before it."""
    detector = Consumption()
    n, total = rows["energy_kwh"].shape
    nights = [night_of_date(start + dt.timedelta(days=k), SHANGHAI) for k in range(total)]
    empty = np.zeros((n, 0), dtype=np.uint8)
    alive = np.ones(n, dtype=np.bool_)
    for at in range(first, total):
        window = Window(nights[at], cadence_s, tuple(meters), {}, {}, empty)
        recent = _past(rows, nights, at, RECENT_NIGHTS)
        context = Context(register, SHANGHAI, recent, alive, recent)
        through = detector.screen(window, context)
        tally.asked += n
        tally.screened += int(through.sum())
        if not through.any():
            continue
        long_past = _past(rows, nights, at, detector.long_nights)
        kept = {
            name: np.where(through[:, None], values, np.float32(np.nan)) for name, values in long_past.values.items()
        }
        judgement = detector.evaluate(window, replace(context, long_past=PastNights(long_past.nights, kept)))
        for finding in judgement.findings:
            if finding.status is Status.SUSPECT:
                yield nights[at].date, finding


def _past(rows: Rows, nights: Sequence[object], at: int, count: int) -> PastNights:
    since = max(0, at + 1 - count)
    return PastNights(tuple(nights[since : at + 1]), {name: values[:, since : at + 1] for name, values in rows.items()})  # type: ignore[arg-type]


def judge_life(seed: int, sites: int, cadence_s: int, tally: Tally, *, share: float = 0.5) -> None:
    """One county of nightly lives over a year after a past of 400 nights."""
    life = nightly_life(seed, START, PAST_NIGHTS + JUDGED_NIGHTS, sites)
    first = START + dt.timedelta(days=PAST_NIGHTS)
    life, labels = with_changes(
        seed, life, first + dt.timedelta(days=30), first + dt.timedelta(days=JUDGED_NIGHTS - FOUND_WITHIN), share
    )
    meters = [f"m{i:04d}" for i in range(sites)]
    register = Register(
        RegisterRows(
            meters=tuple(
                Meter(meter=meter, site=meter, publisher="P", cadence_s=cadence_s, contract_kva=round(float(kva), 1))
                for meter, kva in zip(meters, life.contract_kva, strict=True)
            )
        ),
        SHANGHAI,
    )
    leads: dict[str, dict[str, tuple[dt.date, Finding]]] = {meter: {} for meter in meters}
    rows = rows_of(life, cadence_s)
    for night, finding in suspect_nights(rows, meters, START, cadence_s, register, PAST_NIGHTS, tally):
        leads[finding.meter].setdefault(f"{night:%Y-%m}", (night, finding))
    truth = {label.site: label for label in labels}
    for site, meter in enumerate(meters):
        _count(tally, truth.get(site), f"seed {seed} {meter} {life.trade[site]}", life.trade[site], leads[meter])
    tally.site_weeks += sites * JUDGED_NIGHTS / 7.0


def _count(
    tally: Tally, label: LabelledChange | None, who: str, trade: str, leads: dict[str, tuple[dt.date, Finding]]
) -> None:
    nights = sorted(leads.values(), key=lambda lead: lead[0])
    hits: list[tuple[dt.date, Finding]] = []
    if label is not None:
        reach = label.night + dt.timedelta(days=FOUND_WITHIN)
        hits = [lead for lead in nights if label.night <= lead[0] <= reach]
        if label.kind is ChangeKind.RESTART:
            begin = label.night - dt.timedelta(days=int(label.strength))
            nights = [lead for lead in nights if not begin <= lead[0] < label.night]
    rest = [lead for lead in nights if lead not in hits]
    if label is not None and label.kind is ChangeKind.SLOW_RAMP:
        tally.ramps += 1
        tally.ramp_leads += bool(hits)
        rest = nights
    elif label is not None:
        tally.labels[label.kind] += 1
        if hits:
            tally.found[label.kind] += 1
            tally.delays.append((hits[0][0] - label.night).days)
            tally.repeated += len(hits) > 1
        else:
            tally.examples.append(f"missed {who} {label}")
    for night, finding in rest:
        if label is not None and night >= label.night and finding.reasons[0].code == ChangeCode.OVERDRAW:
            tally.overdrawn += 1
            continue
        tally.false[f"{trade} {finding.reasons[0].code}"] += 1
        tally.examples.append(f"false {who} {night} {finding.score} {finding.reasons[0].en} [{label}]")


def judge_measured(folder: Path, scale: float = 1.0) -> Iterator[tuple[str, int, int, list[str]]]:
    """(site and cadence, weeks judged, leads, what they say) of each measured load, sub-daily and as daily energy."""
    for load in measured_loads(folder):
        slots = DAY_S // load.interval_s
        nights = len(load.power_kw) // slots
        power_kw = load.power_kw[: nights * slots].reshape(nights, slots) * scale
        known = np.isfinite(power_kw)
        coverage = known.mean(axis=1)
        energy = np.where(known, power_kw, 0.0).sum(axis=1) * 24.0 / slots
        hour = (12.0 + (np.arange(slots) + 0.5) * load.interval_s / 3600.0) % 24.0
        valley = (hour >= 23.0) | (hour < 7.0)
        share = np.where(known & valley, power_kw, 0.0).sum(axis=1) * 24.0 / slots / np.maximum(energy, 1e-9)
        peak = np.array(
            [np.quantile(row[np.isfinite(row)], 0.95) if np.isfinite(row).any() else np.nan for row in power_kw]
        )
        energy[coverage <= 0.0] = np.nan
        life = NightlyLife(
            start=dt.date(2018, 1, 1),
            trade=(),
            energy_kwh=energy[None, :],
            valley_share=share[None, :],
            peak_kw=peak[None, :],
            coverage=coverage[None, :],
            contract_kva=np.zeros(1),
            works=np.ones((1, nights)),
        )
        for cadence_s, name in ((QUARTER_S, "15 min"), (DAY_S, "daily")):
            leads: dict[str, str] = {}
            register = Register(RegisterRows(), SHANGHAI)
            rows = rows_of(life, cadence_s)
            for night, finding in suspect_nights(rows, ["m"], life.start, cadence_s, register, 28, Tally()):
                leads.setdefault(f"{night:%Y-%m}", f"{night} {finding.score} {finding.reasons[0].en}")
            yield f"{load.site} {name}", (nights - 28) // 7, len(leads), list(leads.values())


def judge_awkward(seed: int, sites: int) -> tuple[float, Counter[tuple[str, str]]]:
    """Site-weeks of each kind of awkward daily series, and leads by (kind, code): all of them wrong or unwanted."""
    names = sorted(AWKWARD)
    series = [awkward_days(name, seed, sites, START, PAST_NIGHTS + JUDGED_NIGHTS) for name in names]
    energy = np.concatenate(series).astype(np.float32)
    rows = {
        "energy_kwh": energy,
        "coverage": np.isfinite(energy).astype(np.float32),
        "valley_share": np.full_like(energy, np.nan),
        "power_p95_kw": energy / np.float32(24.0),
    }
    meters = [f"{name} {site}" for name in names for site in range(sites)]
    register = Register(RegisterRows(), SHANGHAI)
    leads: dict[tuple[str, str], tuple[str, str]] = {}
    for night, finding in suspect_nights(rows, meters, START, DAY_S, register, PAST_NIGHTS, Tally()):
        code = finding.reasons[0].code
        leads.setdefault((finding.meter, f"{night:%Y-%m}"), (finding.meter.split(" ")[0], code))
    return sites * JUDGED_NIGHTS / 7.0, Counter(leads.values())


def report(tally: Tally) -> str:
    """The figures as text."""
    lines = [
        f"{kind:14s} {tally.found[kind]:4d} of {count:4d} ({tally.found[kind] / count:.2f})"
        for kind, count in sorted(tally.labels.items())
    ]
    delay = float(np.median(tally.delays)) if tally.delays else float("nan")
    lines.append(f"recall {tally.recall:.3f}, found after {delay:.0f} nights (median), {tally.repeated} in two months")
    lines.append(f"slow ramps with a lead: {tally.ramp_leads} of {tally.ramps}")
    lines.append(f"later leads of a labelled site that really draws more than its contract: {tally.overdrawn}")
    lines.append(
        f"false leads {sum(tally.false.values())} in {tally.site_weeks:.0f} site-weeks ({tally.false_per_1000:.2f} per "
        f"1000): {dict(tally.false.most_common())}"
    )
    lines.append(f"the screen let {100.0 * tally.screened / max(tally.asked, 1):.1f} % of meter-nights through")
    return "\n".join(lines)


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--first-seed", type=int, default=101)
    parser.add_argument("--sites", type=int, default=150)
    parser.add_argument("--examples", action="store_true", help="print every miss and every false lead")
    parser.add_argument("--awkward", type=int, default=40, metavar="SITES", help="sites of each awkward kind; 0: none")
    parser.add_argument("--real", type=Path, default=None, help="folder of the measured loads")
    arguments = parser.parse_args()
    for cadence_s, name in ((QUARTER_S, "15 min"), (DAY_S, "daily")):
        tally = Tally()
        for seed in range(arguments.first_seed, arguments.first_seed + arguments.seeds):
            judge_life(seed, arguments.sites, cadence_s, tally)
        print(f"--- {name}\n{report(tally)}")
        if arguments.examples:
            print("\n".join(tally.examples))
    if arguments.awkward:
        weeks_each, by_kind = judge_awkward(arguments.first_seed, arguments.awkward)
        count = sum(by_kind.values())
        print(f"--- awkward daily series\n{1000.0 * count / (weeks_each * len(AWKWARD)):.2f} leads per 1000 site-weeks")
        for (kind, code), number in sorted(by_kind.items()):
            print(f"{kind:16s} {code:12s} {number:3d} ({1000.0 * number / weeks_each:.2f} per 1000 of its kind)")
    if arguments.real is not None:
        weeks = Counter[str]()
        leads = Counter[str]()
        for site, judged, raised, texts in judge_measured(arguments.real):
            cadence = site.split(" ", 1)[1]
            weeks[cadence] += judged
            leads[cadence] += raised
            for text in texts:
                print(f"{site:32s} {text}")
        for cadence, count in weeks.items():
            print(f"measured loads, {cadence}: {leads[cadence]} leads in {count} site-weeks")


if __name__ == "__main__":
    main()
