"""What an office would want to hear of, put into a nightly life at a known night: the truth of the accuracy bench."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from models.simulated.daily_life import NightlyLife, Trade
from models.simulated.seeding import stream


class ChangeKind(StrEnum):
    """A labelled change; SLOW_RAMP is growth over months and no lead is wanted."""

    STEP_UP = "step_up"
    STEP_DOWN = "step_down"
    STOP = "stop"
    NIGHT_SHIFT = "night_shift"
    WEEKEND_WORK = "weekend_work"
    RESTART = "restart"
    OVERDRAW = "overdraw"
    SLOW_RAMP = "slow_ramp"


WANTED = tuple(kind for kind in ChangeKind if kind is not ChangeKind.SLOW_RAMP)

_DAY_TRADES = (Trade.ONE_SHIFT,)
_WORKING = (Trade.ONE_SHIFT, Trade.TWO_SHIFT, Trade.CONTINUOUS, Trade.WORKSHOP, Trade.COLD_STORE, Trade.SOLAR)
_IDLE_LEVEL = 0.02


@dataclass(frozen=True, slots=True)
class LabelledChange:
    """Site `site` does something else from night `night` on; `strength` is the factor, or the share of the day."""

    site: int
    kind: ChangeKind
    night: dt.date
    strength: float


def with_changes(
    seed: int, life: NightlyLife, first: dt.date, last: dt.date, share: float
) -> tuple[NightlyLife, tuple[LabelledChange, ...]]:
    """The life with a change in about `share` of its working sites, each on a night between `first` and `last`."""
    rng = stream(seed, "changes")
    labels: list[LabelledChange] = []
    for site, trade in enumerate(life.trade):
        if trade not in _WORKING or rng.random() >= share:
            continue
        kinds = [k for k in ChangeKind if k is not ChangeKind.NIGHT_SHIFT or trade in _DAY_TRADES]
        if not _rests(life, site):
            kinds.remove(ChangeKind.WEEKEND_WORK)
        night = first + dt.timedelta(days=int(rng.integers(0, (last - first).days + 1)))
        life, label = _change(rng, life, site, ChangeKind(rng.choice(kinds)), night)
        labels.append(label)
    return life, tuple(labels)


def _rests(life: NightlyLife, site: int) -> bool:
    sundays = np.array([date.weekday() == 6 for date in life.dates])
    return float(np.median(life.works[site][sundays])) < 0.5


def _change(
    rng: np.random.Generator, life: NightlyLife, site: int, kind: ChangeKind, night: dt.date
) -> tuple[NightlyLife, LabelledChange]:
    at = (night - life.start).days
    energy = life.energy_kwh[site].copy()
    share = life.valley_share[site].copy()
    peak = life.peak_kw[site].copy()
    works = life.works[site]
    after = np.arange(len(energy)) >= at
    working = after & (works > 0.3)
    strength = 1.0
    if kind is ChangeKind.STEP_UP:
        strength = float(np.exp(rng.uniform(np.log(1.6), np.log(5.0))))
        energy[working] *= strength
        peak[working] *= strength
    elif kind is ChangeKind.STEP_DOWN:
        strength = rng.uniform(0.2, 0.55)
        energy[working] *= strength
        peak[working] *= strength
    elif kind is ChangeKind.STOP:
        strength = rng.uniform(0.01, 0.08)
        energy[after] = _standby(rng, energy, strength)[after]
        peak[after] = energy[after] / 12.0
    elif kind is ChangeKind.NIGHT_SHIFT:
        strength = rng.uniform(0.4, 1.0)
        added = strength * energy * (works > 0.3)
        share[working] = ((share * energy + 0.75 * added) / np.maximum(energy + added, 1e-9))[working]
        energy[working] += added[working]
    elif kind is ChangeKind.WEEKEND_WORK:
        weekend = np.array([date.weekday() >= 5 for date in life.dates]) & after & (works < 0.6)
        usual = float(np.nanmedian(energy[at - 60 : at][works[at - 60 : at] > 0.8]))
        strength = rng.uniform(0.85, 1.05)
        does = weekend & (rng.random(len(energy)) < 0.95)
        energy[does] = usual * strength * np.exp(rng.normal(0.0, 0.06, int(does.sum())))
        energy[np.isnan(life.energy_kwh[site])] = np.nan
    elif kind is ChangeKind.RESTART:
        strength = float(rng.integers(45, 240))
        idle = (np.arange(len(energy)) < at) & (np.arange(len(energy)) >= at - strength)
        energy[idle] = _standby(rng, energy, _IDLE_LEVEL)[idle]
        peak[idle] = energy[idle] / 12.0
    elif kind is ChangeKind.OVERDRAW:
        strength = rng.uniform(1.15, 1.6)
        before = slice(at - 60, at)
        wanted = strength * life.contract_kva[site]
        factor = max(1.2, wanted / max(float(np.nanmedian(peak[before][works[before] > 0.8])), 1e-9))
        energy[working] *= factor
        peak[working] *= factor
    else:
        strength = rng.uniform(1.5, 2.5)
        ramp = np.clip((np.arange(len(energy)) - at) / rng.uniform(90.0, 150.0), 0.0, 1.0)
        energy *= strength**ramp
        peak *= strength**ramp
    changed = life.cut(site, energy_kwh=energy, valley_share=share, peak_kw=peak)
    return changed, LabelledChange(site, kind, night, round(float(strength), 3))


def _standby(rng: np.random.Generator, energy: np.ndarray, level: float) -> np.ndarray:
    usual = float(np.nanmedian(energy[energy > 0.0]))
    quiet = level * usual * np.exp(rng.normal(0.0, 0.1, len(energy)))
    return np.where(np.isfinite(energy), quiet, np.nan)
