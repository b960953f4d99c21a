"""Windows straight from arrays or from a simulated county, without the daemon: for benches and accuracy tests."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping, Sequence
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from detectors.base import Context
from models.domain.channels import CHANNELS, ChannelKind
from models.domain.nights import Night, night_of_date
from models.domain.register import Register, RegisterRows
from models.domain.windows import PastNights, SlotFlag, Window
from models.learned.features import FEATURES, night_features
from models.simulated.county import County

SHANGHAI = ZoneInfo("Asia/Shanghai")
PAST_NIGHTS = 7


def window_of(
    channels: Mapping[str, NDArray[np.floating]],
    *,
    interval_s: int = 900,
    date: dt.date = dt.date(2026, 3, 2),
    meters: Sequence[str] | None = None,
) -> Window:
    """A window of (n, s) instants or means and (n, s + 1) registers."""
    instants = {
        name: np.asarray(values, dtype=np.float32)
        for name, values in channels.items()
        if CHANNELS[name].kind is not ChannelKind.REGISTER
    }
    registers = {
        name: np.asarray(values, dtype=np.float64)
        for name, values in channels.items()
        if CHANNELS[name].kind is ChannelKind.REGISTER
    }
    shapes = [v.shape for v in instants.values()] + [(v.shape[0], v.shape[1] - 1) for v in registers.values()]
    n, s = shapes[0] if shapes else (0, 86400 // interval_s)
    flags = np.zeros((n, s), dtype=np.uint8)
    for values in instants.values():
        flags[np.isfinite(values)] |= np.uint8(SlotFlag.HAS_DATA)
    for values in registers.values():
        flags[np.isfinite(values[:, 1:])] |= np.uint8(SlotFlag.HAS_DATA)
    names = tuple(meters) if meters is not None else tuple(f"m{i:04d}" for i in range(n))
    return Window(night_of_date(date, SHANGHAI), interval_s, names, instants, registers, flags)


def valley_slots(interval_s: int, slots: int) -> NDArray[np.bool_]:
    """23:00 to 07:00 for slots that begin at noon."""
    hour = (12.0 + (np.arange(slots) + 0.5) * interval_s / 3600.0) % 24.0
    return (hour >= 23.0) | (hour < 7.0)


def past_of(rows: Sequence[Mapping[str, NDArray[np.float32]]], nights: Sequence[Night]) -> PastNights:
    """The last seven nights of feature rows, padded with NaN at the old end."""
    n = len(rows[-1]["coverage"])
    missing = max(0, PAST_NIGHTS - len(rows))
    blank = np.full((n, missing), np.nan, dtype=np.float32)
    kept = rows[-PAST_NIGHTS:]
    values = {
        spec.name: np.concatenate([blank, np.stack([row[spec.name] for row in kept], axis=1)], axis=1)
        for spec in FEATURES
    }
    first = nights[-1].date
    dates = [first - dt.timedelta(days=back) for back in range(PAST_NIGHTS - 1, -1, -1)]
    return PastNights(tuple(night_of_date(d, SHANGHAI) for d in dates), values)


def judged_nights(windows: Sequence[Window], register: Register | None = None) -> Iterator[tuple[Window, Context]]:
    """Each window of consecutive nights of the same meters with its context, features pooled as the daemon pools."""
    register = register or Register(RegisterRows(), SHANGHAI)
    rows: list[Mapping[str, NDArray[np.float32]]] = []
    for position, window in enumerate(windows):
        rows.append(night_features(window, valley_slots(window.interval_s, window.n_slots)))
        nights = [w.night for w in windows[: position + 1]]
        alive = np.ones(len(window.meters), dtype=np.bool_)
        yield window, Context(register, SHANGHAI, past_of(rows, nights), alive)


def series_windows(
    series: Mapping[str, Mapping[str, NDArray[np.floating]]], interval_s: int, start: dt.date
) -> list[Window]:
    """Consecutive windows of meters from series that begin at noon of `start`: meter -> channel -> values.

    Instants and means stand at the end of their slot; a register has one value more, at the start. A channel that a
    meter lacks is NaN. The nights are those of the shortest series.
    """
    slots = 86400 // interval_s
    nights = min(
        (len(values) - (CHANNELS[name].kind is ChannelKind.REGISTER)) // slots
        for channels in series.values()
        for name, values in channels.items()
    )
    names = sorted({name for channels in series.values() for name in channels})
    windows = []
    for night in range(nights):
        stacked = {}
        for name in names:
            extra = int(CHANNELS[name].kind is ChannelKind.REGISTER)
            cut = slice(night * slots, (night + 1) * slots + extra)
            blank = np.full(slots + extra, np.nan)
            stacked[name] = np.stack([own[name][cut] if name in own else blank for own in series.values()])
        date = start + dt.timedelta(days=night)
        windows.append(window_of(stacked, interval_s=interval_s, date=date, meters=tuple(series)))
    return windows


def county_windows(county: County) -> dict[int, list[Window]]:
    """The whole nights of a county by cadence, as its meters deliver them (last value of a stamp wins)."""
    spec = county.spec
    days = [county.day(spec.start + dt.timedelta(days=d)) for d in range(spec.days)]
    factor = {m.meter: 1.0 if m.ratio_applied else m.ratio for m in county.register.meters}
    meter = np.array([m for day in days for m in day.meter], dtype=object)
    ts_ms = np.concatenate([day.ts_ms for day in days])
    interval_s = np.concatenate([day.interval_s for day in days])
    values = {name: np.concatenate([day.channels[name] for day in days]) for name in days[0].channels}
    times = np.array([factor[m] for m in meter.tolist()])
    nights = [night_of_date(spec.start + dt.timedelta(days=d), SHANGHAI) for d in range(spec.days - 1)]
    windows: dict[int, list[Window]] = {}
    for cadence_s in sorted(set(interval_s.tolist())):
        mine = interval_s == cadence_s
        names = sorted(set(meter[mine].tolist()))
        row = _rows(names, meter[mine])
        step_ms = cadence_s * 1000
        slot = (ts_ms[mine] - nights[0].start_ms) // step_ms
        total = (nights[-1].end_ms - nights[0].start_ms) // step_ms
        inside = (slot >= 0) & (slot <= total)
        grid = {}
        for name, column in values.items():
            grid[name] = np.full((len(names), total + 1), np.nan)
            grid[name][row[inside], slot[inside]] = (column[mine] * times[mine])[inside]
        windows[cadence_s] = [_cut(grid, names, night, nights[0], step_ms) for night in nights]
    return windows


def _rows(names: Sequence[str], meters: NDArray[np.object_]) -> NDArray[np.int64]:
    position = {name: i for i, name in enumerate(names)}
    return np.array([position[m] for m in meters.tolist()])


def _cut(
    grid: Mapping[str, NDArray[np.float64]], names: Sequence[str], night: Night, first: Night, step: int
) -> Window:
    a, b = (night.start_ms - first.start_ms) // step, (night.end_ms - first.start_ms) // step
    channels = {
        name: values[:, a : b + 1] if CHANNELS[name].kind is ChannelKind.REGISTER else values[:, a + 1 : b + 1]
        for name, values in grid.items()
    }
    return window_of(channels, interval_s=step // 1000, date=night.date, meters=names)
