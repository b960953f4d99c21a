"""Cost of the screen: a week of one plain meter, batched, one meter at a time, and as a plain loop over readings.

`python -m tests.bench.screen`. A week is seven nights of features and the pooled score at the end. A plain meter is
one that the screen stops (budget 20 us); the others of a default simulated county, which is mostly industry and a
tenth furnaces, are examined (budget 2 ms). The meters are repeated to fill the batch.
"""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from detectors.base import Context
from detectors.furnace_melt import FurnaceMelt
from models.domain.register import Register, RegisterRows
from models.domain.windows import Window
from models.learned.features import night_features
from models.simulated.county import CountySpec, build
from tests.support.naive_features import naive_rhythm
from tests.support.night_windows import SHANGHAI, county_windows, past_of, valley_slots, window_of

BATCH = 2000
ONE_BY_ONE = 40
REPEATS = 3


def week_of_windows() -> list[Window]:
    """Seven nights of the quarter-hour meters of a default county."""
    county = build(CountySpec(seed=1, start=dt.date(2026, 3, 2), days=8))
    return county_windows(county)[900]


def repeated(windows: Sequence[Window], which: NDArray[np.intp], meters: int) -> list[Window]:
    """The same nights of the chosen meters, repeated until there are `meters`."""
    index = np.resize(which, meters)
    return [
        window_of({n: v[index] for n, v in (*w.instants.items(), *w.registers.items())}, date=w.night.date)
        for w in windows
    ]


def examined(windows: Sequence[Window]) -> NDArray[np.bool_]:
    """Which meters pass the screen on any night."""
    rows = [night_features(window, None) for window in windows]
    return np.logical_or.reduce([np.isfinite(row["wiggle"]) for row in rows])


def judge_week(windows: Sequence[Window]) -> None:
    """Features of every night, then the pooled score and the findings of the last."""
    rows = [night_features(window, valley_slots(window.interval_s, window.n_slots)) for window in windows]
    past = past_of(rows, [window.night for window in windows])
    alive = np.ones(len(windows[-1].meters), dtype=np.bool_)
    FurnaceMelt().evaluate(windows[-1], Context(Register(RegisterRows(), SHANGHAI), SHANGHAI, past, alive))


def run() -> dict[str, float]:
    """Microseconds a meter-week.

    `screen_us` batched, meters the screen stops; `single_us` the same one meter at a time; `loop_us` plain loops over
    readings, rhythm features only; `examined_us` batched, meters it lets through; `mix_us` the whole county;
    `passed_share` of the county.
    """
    windows = week_of_windows()
    passed = examined(windows)
    stopped, let_through = np.flatnonzero(~passed), np.flatnonzero(passed)
    plain = repeated(windows, stopped, BATCH)
    singles = [repeated(windows, stopped[i % len(stopped)][None], 1) for i in range(ONE_BY_ONE)]
    power_kw = [np.diff(w.registers["e_imp_kwh"][:ONE_BY_ONE], axis=1) * 4.0 for w in plain]
    nights = [[night[i].tolist() for night in power_kw] for i in range(ONE_BY_ONE)]
    return {
        "screen_us": _microseconds(lambda: judge_week(plain), BATCH),
        "single_us": _microseconds(lambda: [judge_week(single) for single in singles], ONE_BY_ONE),
        "loop_us": _microseconds(lambda: [naive_rhythm(night) for meter in nights for night in meter], ONE_BY_ONE),
        "examined_us": _microseconds(_judging(repeated(windows, let_through, BATCH)), BATCH),
        "mix_us": _microseconds(_judging(repeated(windows, np.arange(len(passed)), BATCH)), BATCH),
        "passed_share": float(passed.mean()),
    }


def _judging(windows: Sequence[Window]) -> Callable[[], None]:
    return lambda: judge_week(windows)


def _microseconds(work: Callable[[], object], meters: int) -> float:
    """Best of a few runs, a meter."""
    best = float("inf")
    for _ in range(REPEATS):
        start = time.perf_counter()
        work()
        best = min(best, time.perf_counter() - start)
    return 1e6 * best / meters


if __name__ == "__main__":
    for name, value in run().items():
        print(f"{name:14s} {value:10.2f}")
