"""The simulated county: its register, its truth, and day by day the readings its meters deliver."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field
from functools import cached_property
from typing import Final
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from models.domain.register import RegisterRows
from models.simulated.metering import SiteReadings, read_meter
from models.simulated.population import draw_sites
from models.simulated.register_rows import declares_furnace, register_rows, special_days
from models.simulated.site import SiteLoad, simulate_site
from models.simulated.spec import CountySpec, SiteSpec
from models.simulated.timeline import Timeline, midnight_ms, timeline

__all__ = ["County", "CountySpec", "DayReadings", "SiteTruth", "build"]

_LEAD_IN_DAYS: Final = 1
_CHANNELS: Final = ("p_kw", "q_kvar", "e_imp_kwh")


@dataclass(frozen=True, slots=True)
class DayReadings:
    """Readings that arrive on one local day, in arrival order: columns of equal length n.

    `ts_ms` is the end of the interval, `arrival_ms` when the publisher sends it; channels are NaN where absent.
    Values are wire values: secondary ones for a meter whose ratio is not applied.
    """

    meter: list[str]
    publisher: list[str]
    ts_ms: NDArray[np.int64]
    arrival_ms: NDArray[np.int64]
    interval_s: NDArray[np.int32]
    channels: dict[str, NDArray[np.float64]]

    def __len__(self) -> int:
        return len(self.ts_ms)


@dataclass(frozen=True, slots=True)
class SiteTruth:
    """What is true of a site. `furnace_share`: furnace peak over the site's 99th percentile, 0 where nothing melts.

    `declared` says that the register names a furnace at the site; `supply`, `bodies` and `session` are "" without an
    induction melting furnace.
    """

    site: str
    meters: tuple[str, ...]
    load_class: str
    has_furnace: bool
    declared: bool
    furnace_share: float
    supply: str
    bodies: str
    session: str
    sealed_restart_night: dt.date | None
    faults: tuple[str, ...]


@dataclass(frozen=True)
class County:
    """A county of one seed. Curves are made when first asked for and then kept: about 40 bytes a reading."""

    spec: CountySpec
    sites: tuple[SiteSpec, ...]
    register: RegisterRows
    _readings: dict[int, SiteReadings] = field(default_factory=dict, repr=False, compare=False)
    _shares: dict[int, float] = field(default_factory=dict, repr=False, compare=False)

    @cached_property
    def timeline(self) -> Timeline:
        """The simulated minutes: a day of lead-in, so that the first night is whole, then the span."""
        first = self.spec.start - dt.timedelta(days=_LEAD_IN_DAYS)
        days = self.spec.days + _LEAD_IN_DAYS
        holidays, _ = special_days(first, days)
        return timeline(first, days, ZoneInfo(self.spec.zone), frozenset(holidays))

    @cached_property
    def truth(self) -> tuple[SiteTruth, ...]:
        """The truth of every site, in the order of `sites`. Simulates the furnace sites if nothing has yet."""
        return tuple(self._truth(spec) for spec in self.sites)

    def site_load(self, number: int) -> SiteLoad:
        """The true load of a site by minute of `timeline`; not kept."""
        return simulate_site(self.sites[number], self.timeline, self.spec.seed)

    def day(self, date: dt.date) -> DayReadings:
        """What arrives on a local day of the span; the last day also brings what is still under way then.

        Raises ValueError for a date outside the span.
        """
        last = self.spec.start + dt.timedelta(days=self.spec.days - 1)
        if not self.spec.start <= date <= last:
            raise ValueError(f"{date} is not in the simulated span {self.spec.start} to {last}")
        zone = ZoneInfo(self.spec.zone)
        from_ms = midnight_ms(date, zone)
        to_ms = midnight_ms(date + dt.timedelta(days=1), zone) if date < last else 1 << 62
        parts = [self._part(spec, from_ms, to_ms) for spec in self.sites]
        numbers = np.repeat(np.arange(len(parts)), [len(part.ts_ms) for part in parts])
        arrival_ms = np.concatenate([part.arrival_ms for part in parts])
        order = np.argsort(arrival_ms, kind="stable")
        numbers = numbers[order]
        meters = np.array([spec.meter.meter for spec in self.sites], dtype=object)
        publishers = np.array([spec.meter.publisher for spec in self.sites], dtype=object)
        intervals = np.array([spec.meter.interval_s for spec in self.sites], dtype=np.int32)
        return DayReadings(
            meter=meters[numbers].tolist(),
            publisher=publishers[numbers].tolist(),
            ts_ms=np.concatenate([part.ts_ms for part in parts])[order],
            arrival_ms=arrival_ms[order],
            interval_s=intervals[numbers],
            channels={name: np.concatenate([getattr(part, name) for part in parts])[order] for name in _CHANNELS},
        )

    def _part(self, spec: SiteSpec, from_ms: int, to_ms: int) -> SiteReadings:
        whole = self._site_readings(spec)
        a, b = np.searchsorted(whole.arrival_ms, [from_ms, to_ms]).tolist()
        return SiteReadings(
            whole.ts_ms[a:b], whole.arrival_ms[a:b], whole.p_kw[a:b], whole.q_kvar[a:b], whole.e_imp_kwh[a:b]
        )

    def _site_readings(self, spec: SiteSpec) -> SiteReadings:
        known = self._readings.get(spec.number)
        if known is None:
            load = self.site_load(spec.number)
            from_minute = int(self.timeline.day_start[_LEAD_IN_DAYS])
            known = read_meter(spec, load, self.timeline, from_minute, self.spec.seed)
            self._readings[spec.number] = known
            self._shares[spec.number] = load.furnace_share()
        return known

    def _truth(self, spec: SiteSpec) -> SiteTruth:
        furnace = spec.furnace
        if furnace is not None:
            self._site_readings(spec)
        return SiteTruth(
            site=spec.site,
            meters=(spec.meter.meter,),
            load_class=spec.load_class.value,
            has_furnace=furnace is not None,
            declared=declares_furnace(self.spec, spec),
            furnace_share=round(self._shares.get(spec.number, 0.0), 4),
            supply=furnace.supply.value if furnace is not None else "",
            bodies=furnace.bodies.value if furnace is not None else "",
            session=furnace.plan.kind.value if furnace is not None else "",
            sealed_restart_night=spec.restart_night,
            faults=tuple(kind.value for kind in spec.meter.faults),
        )


def build(spec: CountySpec) -> County:
    """The county of a specification. Cheap: load curves are made when they are asked for."""
    sites = draw_sites(spec)
    return County(spec, sites, register_rows(spec, sites))
