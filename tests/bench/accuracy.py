"""What `furnace_melt` finds and wrongly raises, on simulated counties and on measured loads without any furnace.

`python -m tests.bench.accuracy --seeds 20 [--real DIR]`. A lead needs the finding on two of the last seven nights.
"""

from __future__ import annotations

import argparse
import datetime as dt
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from detectors.furnace_melt import FurnaceMelt
from models.domain.findings import Status
from models.domain.register import Register
from models.domain.windows import Window
from models.simulated.county import CountySpec, SiteTruth, build
from tests.support.measured_loads import MeasuredLoad, measured_loads
from tests.support.night_windows import SHANGHAI, county_windows, judged_nights, series_windows

START = dt.date(2026, 3, 2)
HOLD_NIGHTS = 2
MAJOR_SHARE = 0.6
SCALES = (1.0, 5.0, 20.0)


@dataclass
class Tally:
    """Sites and sites with a lead by kind; `scores` the highest score a site without furnace reached."""

    sites: Counter[str] = field(default_factory=Counter)
    leads: Counter[str] = field(default_factory=Counter)
    site_weeks: float = 0.0

    def add(self, kind: str, *, lead: bool) -> None:
        self.sites[kind] += 1
        self.leads[kind] += lead


def suspect_nights(windows: Sequence[Window], register: Register | None = None) -> dict[str, NDArray[np.bool_]]:
    """For each meter the nights on which the detector says SUSPECT."""
    detector = FurnaceMelt()
    nights = [
        [status is Status.SUSPECT for status in detector.evaluate(window, context).status]
        for window, context in judged_nights(windows, register)
    ]
    return dict(zip(windows[0].meters, np.array(nights).T, strict=True))


def has_lead(suspect: NDArray[np.bool_]) -> bool:
    """Two findings within seven nights, at any time."""
    return any(int(suspect[max(0, end - 7) : end].sum()) >= HOLD_NIGHTS for end in range(1, len(suspect) + 1))


def judge_county(seed: int, tally: Tally, nights: int = 7) -> None:
    """One default county of `nights` whole nights."""
    county = build(CountySpec(seed=seed, start=START, days=nights + 1))
    register = Register(county.register, SHANGHAI)
    truth = {truth.meters[0]: truth for truth in county.truth}
    for windows in county_windows(county).values():
        for meter, suspect in suspect_nights(windows, register).items():
            site = truth[meter]
            tally.add(kind_of(site), lead=has_lead(suspect))
            if not site.has_furnace:
                tally.site_weeks += nights / 7.0


def kind_of(site: SiteTruth) -> str:
    """What a site counts as in the table."""
    if not site.has_furnace:
        return site.load_class
    if site.declared:
        return "furnace declared"
    size = "major" if site.furnace_share >= MAJOR_SHARE else "minor"
    return f"furnace {size} {site.supply} {site.bodies}"


def as_fed(load: MeasuredLoad, scale: float) -> dict[str, dict[str, NDArray[np.floating]]]:
    """The same load as three meters: by its means, by instants, and by a register with instants beside it."""
    power_kw = load.power_kw * scale
    beside = {} if load.kvar is None else {"q_kvar": load.kvar * scale}
    register_kwh = np.concatenate([[0.0], np.cumsum(np.nan_to_num(power_kw))]) * (load.interval_s / 3600.0)
    register_kwh[1:][np.isnan(power_kw)] = np.nan
    name = f"{load.site}.x{scale:.4g}"
    return {
        f"{name}.mean": {"p_mean_kw": power_kw, **beside},
        f"{name}.instant": {"p_kw": power_kw, **beside},
        f"{name}.register": {"e_imp_kwh": register_kwh, "p_kw": power_kw, **beside},
    }


def judge_measured(folder: Path, scales: Sequence[float] = SCALES) -> dict[str, tuple[int, int]]:
    """(nights, nights with SUSPECT) of each measured load, way of feeding and scale up from industrial size."""
    judged: dict[str, tuple[int, int]] = {}
    loads = list(measured_loads(folder))
    for interval_s in sorted({load.interval_s for load in loads}):
        series: dict[str, dict[str, NDArray[np.floating]]] = {}
        for load in loads:
            if load.interval_s == interval_s:
                for scale in scales:
                    series |= as_fed(load, scale * load.to_industrial())
        for meter, suspect in suspect_nights(series_windows(series, interval_s, START)).items():
            judged[meter] = (len(suspect), int(suspect.sum()))
    return judged


def report(tally: Tally) -> str:
    """The table as text."""
    lines = [f"{'kind':38s} {'sites':>6s} {'leads':>6s} {'share':>6s}"]
    lines += [
        f"{kind:38s} {count:6d} {tally.leads[kind]:6d} {tally.leads[kind] / count:6.2f}"
        for kind, count in sorted(tally.sites.items())
    ]
    majors = [kind for kind in tally.sites if kind.startswith("furnace major")]
    found, furnaces = sum(tally.leads[k] for k in majors), sum(tally.sites[k] for k in majors)
    false = sum(count for kind, count in tally.leads.items() if not kind.startswith("furnace"))
    rate = 1000.0 * false / max(tally.site_weeks, 1.0)
    lines.append(f"found {found} of {furnaces} undeclared major furnaces ({found / max(furnaces, 1):.3f})")
    lines.append(f"false leads {false} in {tally.site_weeks:.0f} site-weeks ({rate:.2f} per 1000)")
    return "\n".join(lines)


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--first-seed", type=int, default=1)
    parser.add_argument("--real", type=Path, default=None, help="folder of the measured loads")
    arguments = parser.parse_args()
    tally = Tally()
    for seed in range(arguments.first_seed, arguments.first_seed + arguments.seeds):
        judge_county(seed, tally)
    print(report(tally))
    if arguments.real is not None:
        judged = judge_measured(arguments.real)
        for meter, (nights, suspect) in judged.items():
            print(f"{meter:44s} nights {nights:4d} suspect {suspect:3d}")
        print(f"measured loads: {sum(s for _, s in judged.values())} suspect nights on {len(judged)} meters")


if __name__ == "__main__":
    main()
