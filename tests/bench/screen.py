"""Cost of the screen: a week of one plain meter, batched, one meter at a time, and as a plain loop over readings.

`python -m tests.bench.screen`. The week is seven nights of features and the pooled score at the end; the budget is
20 us a meter-week batched (design §9). The load is a default simulated county, repeated to fill the batch.
"""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Sequence

import numpy as np

from detectors.base import Context
from detectors.furnace_melt import FurnaceMelt
from models.domain.register import Register, RegisterRows
from models.domain.windows import Window
from models.learned.features import night_features
from models.learned.melting import weigh_evidence
from models.simulated.county import CountySpec, build
from tests.support.naive_features import naive_rhythm
from tests.support.night_windows import SHANGHAI, county_windows, past_of, valley_slots, window_of

BATCH = 2000
ONE_BY_ONE = 40
REPEATS = 3


def week_of_windows(meters: int) -> list[Window]:
    """Seven nights of `meters` plain quarter-hour meters."""
    county = build(CountySpec(seed=1, start=dt.date(2026, 3, 2), days=8))
    windows = []
    for window in county_windows(county)[900]:
        times = -(-meters // len(window.meters))
        channels = {
            name: np.tile(values, (times, 1))[:meters]
            for name, values in (*window.instants.items(), *window.registers.items())
        }
        windows.append(window_of(channels, date=window.night.date))
    return windows


def judge_week(windows: Sequence[Window]) -> None:
    """Features of every night, then the pooled score and the findings of the last."""
    rows = [night_features(window, valley_slots(window.interval_s, window.n_slots)) for window in windows]
    past = past_of(rows, [window.night for window in windows])
    alive = np.ones(len(windows[-1].meters), dtype=np.bool_)
    FurnaceMelt().evaluate(windows[-1], Context(Register(RegisterRows(), SHANGHAI), SHANGHAI, past, alive))


def one_meter(windows: Sequence[Window], meter: int) -> list[Window]:
    """The same nights of one meter."""
    return [
        window_of({n: v[meter : meter + 1] for n, v in (*w.instants.items(), *w.registers.items())}, date=w.night.date)
        for w in windows
    ]


def run() -> dict[str, float]:
    """Microseconds a meter-week: `batched_us`, `single_us`, `loop_us` (rhythm features only), `examine_us` a meter."""
    windows = week_of_windows(BATCH)
    judge_week(windows)
    batched = min(_seconds(lambda: judge_week(windows)) for _ in range(REPEATS)) / BATCH
    singles = [one_meter(windows, i) for i in range(ONE_BY_ONE)]
    single = _seconds(lambda: [judge_week(single) for single in singles]) / ONE_BY_ONE
    power_kw = [np.diff(w.registers["e_imp_kwh"][:ONE_BY_ONE], axis=1) * 4.0 for w in windows]
    loop = _seconds(lambda: [[naive_rhythm(night[i].tolist()) for night in power_kw] for i in range(ONE_BY_ONE)])
    rows = [night_features(window, None) for window in windows]
    past = past_of(rows, [window.night for window in windows])
    one = {name: values[:1] for name, values in past.values.items()}
    examine = _seconds(lambda: weigh_evidence(one))
    return {
        "batched_us": 1e6 * batched,
        "single_us": 1e6 * single,
        "loop_us": 1e6 * loop / ONE_BY_ONE,
        "examine_us": 1e6 * examine,
    }


def _seconds(work: object) -> float:
    start = time.perf_counter()
    work()  # type: ignore[operator]
    return time.perf_counter() - start


if __name__ == "__main__":
    for name, value in run().items():
        print(f"{name:12s} {value:10.1f}")
