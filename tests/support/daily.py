"""A district of meters that are read once a day, at the hours bureaus do it, and a detector that looks back far."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from typing import ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from detectors.base import Context
from models.domain.findings import Finding, Judgement, Reason, Status
from models.domain.register import Enterprise, EnterpriseStatus, Meter, Publisher, Register, RegisterRows, Site
from models.domain.windows import Window
from monitor.following import Following
from tests.support.district import CLOSED, OPEN, ZONE, District, Reading

BEGIN = dt.date(2026, 1, 5)
RESTART = dt.date(2026, 3, 9)
DAY_S = 86_400
HOURS = {"shut": 24.0, "idle": 24.0, "still": 32.0, "runs": 24.0 - 1 / 3600.0, "coarse": 32.0, "mean": 24.0}
"""Hour, from the midnight a day begins with, at which each meter's day is stamped."""


def daily_register() -> Register:
    """Closed: `shut` (which starts again), `idle` (lights and guards of a large plant), `still` (its register stands).
    Operating: `runs`, `mean`, `coarse` (registered at 15 minutes, read once a day) and `dead`, which never speaks."""
    contracts = {"shut": 1000.0, "idle": 2500.0}
    cadences = {"coarse": 900}
    names = ("shut", "idle", "still", "runs", "mean", "coarse", "dead")
    closed = {"shut", "idle", "still"}
    return Register(
        RegisterRows(
            enterprises=(
                Enterprise(uscc=OPEN, name="某某金属制品有限公司", trade="3391"),
                Enterprise(uscc=CLOSED, name="停产公司", status=EnterpriseStatus.CLOSED, since=dt.date(2025, 6, 1)),
            ),
            sites=tuple(Site(site=name, uscc=CLOSED if name in closed else OPEN, name=name) for name in names),
            meters=tuple(
                Meter(
                    meter=name,
                    site=name,
                    publisher="bureau",
                    cadence_s=cadences.get(name, DAY_S),
                    contract_kva=contracts.get(name),
                )
                for name in names
            ),
            publishers=(Publisher(publisher="bureau", may_revise=True),),
        ),
        ZONE,
        version="daily",
    )


def day_kwh(meter: str, day: dt.date) -> float:
    """What a meter draws on a date."""
    number = (day - BEGIN).days
    match meter:
        case "shut":
            hours = 4.0 if day >= RESTART else 0.0
            return 60.0 + number % 5 + 300.0 * hours
        case "idle":
            return 330.0 + 40.0 * (number % 7 == 6)
        case "still":
            return 0.0
        case _:
            return (9000.0 if day.weekday() < 6 else 2500.0) + 37.0 * (number % 11)


def daily(days: int, meters: Iterable[str] = tuple(HOURS)) -> list[Reading]:
    """Registers (a mean of the day for `mean`) of so many days, in event-time order."""
    rows = []
    for meter in meters:
        register_kwh = 5000.0
        for number in range(days):
            day = BEGIN + dt.timedelta(days=number)
            kwh = day_kwh(meter, day)
            register_kwh += kwh
            begins = dt.datetime(day.year, day.month, day.day, tzinfo=ZONE)
            stamp_ms = int(begins.timestamp() * 1000) + round(HOURS[meter] * 3_600_000)
            values = {"p_mean_kw": round(kwh / 24.0, 3)} if meter == "mean" else {"e_imp_kwh": round(register_kwh, 2)}
            rows.append(Reading(meter, stamp_ms, values, DAY_S))
    return sorted(rows, key=lambda r: (r.ts_ms, r.meter))


class Recall:
    """A detector whose every finding tells how much of the far past it was given."""

    name: ClassVar[str] = "furnace_melt"
    needs: ClassVar[frozenset[str]] = frozenset({"e_imp_kwh"})
    recent_features: ClassVar[tuple[str, ...]] = ("energy_kwh",)
    long_features: ClassVar[tuple[str, ...]] = ("energy_kwh", "coverage")
    long_nights: ClassVar[int] = 60

    def screen(self, window: Window, context: Context) -> NDArray[np.bool_]:
        """Meters that drew anything in five weeks."""
        drawn: NDArray[np.bool_] = np.nansum(context.recent.values["energy_kwh"], axis=1) > 1000.0
        return drawn

    def evaluate(self, window: Window, context: Context) -> Judgement:
        """SUSPECT wherever the screen let a meter through."""
        n = len(window.meters)
        score = np.zeros(n)
        status = [Status.CLEAR] * n
        findings = []
        past = context.long_past
        for i in range(n if past is not None else 0):
            if past is None or np.isnan(past.values["coverage"][i]).all():
                continue
            known = np.isfinite(past.values["energy_kwh"][i])
            sums = (
                float(np.nansum(past.values["energy_kwh"][i])),
                float(np.nansum(context.recent.values["energy_kwh"][i])),
            )
            score[i] = round(float(known.mean()), 4)
            status[i] = Status.SUSPECT
            measures = {"known": float(known.sum()), "long_kwh": sums[0], "recent_kwh": sums[1]}
            reason = Reason("known", float(known.sum()), "night", "已知夜数", "nights known")
            findings.append(
                Finding(
                    self.name,
                    window.meters[i],
                    window.night.date,
                    Status.SUSPECT,
                    float(score[i]),
                    None,
                    0.0,
                    (reason,),
                    measures,
                )
            )
        return Judgement(self.name, window.meters, score, np.full(n, np.nan), status, tuple(findings))


class DailyDistrict(District):
    """The daily meters, judged by the usual detectors but for `Recall` in place of the furnaces'."""

    def open(self) -> Self:
        super().open()
        pipeline = self.pipeline
        pipeline.judge.detectors = [d for d in pipeline.judge.detectors if d.name != Recall.name] + [Recall()]
        pipeline.agenda.following = Following(len(pipeline.roster.ids), Recall.long_nights)
        pipeline.late_every_s = 6 * 3600.0
        return self
