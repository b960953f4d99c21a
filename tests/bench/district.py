"""A district of any size for the benchmarks: its register, and waves of readings with the shapes of a simulated county.

The curves of one county's sites are repeated, each meter with a size of its own. Of a thousand meters two have a
furnace that nobody declared, three belong to plants that are closed, five are silent: a district, not an industrial
park, so that what is found is as rare as it would be.
"""

from __future__ import annotations

import datetime as dt
import io
import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.ipc
from numpy.typing import NDArray

from models.domain.nights import Night, night_of_date
from models.domain.register import Enterprise, EnterpriseStatus, Meter, Publisher, Register, RegisterRows, Site
from models.learned.features import night_features
from models.simulated.county import CountySpec, build
from models.simulated.spec import LoadClass
from tests.support.night_windows import SHANGHAI, county_windows, window_of

PUBLISHER: Final = "bureau"
TOPIC: Final = f"grid/v1/{PUBLISHER}/readings"
STEP_MS: Final = 900_000
BATCH: Final = 1000
FIRST_NIGHT: Final = dt.date(2026, 3, 2)
FURNACES: Final = 0.002
CLOSED: Final = 0.003
SILENT: Final = 0.005
_CURVES: Final = 4096
_LONG_AGO: Final = dt.date(2020, 1, 1)
_SEALED: Final = frozenset({LoadClass.CLOSED, LoadClass.POWER_CUT, LoadClass.RESTARTED})


@dataclass(frozen=True)
class District:
    """`n` meters of one publisher at a quarter of an hour. Slot k of the curves ends (k + 1) intervals after noon.

    `closed_share` of them belong to closed plants, which draw `closed_kw` more than their standby.
    """

    n: int
    closed_share: float = CLOSED
    closed_kw: float = 0.0

    @cached_property
    def ids(self) -> list[str]:
        """Meter ids in order."""
        return [f"33012{number:07d}" for number in range(self.n)]

    @cached_property
    def silent(self) -> NDArray[np.bool_]:
        """(n,) Meters that never report."""
        return np.random.default_rng(3).random(self.n) < SILENT

    @cached_property
    def _curve_of(self) -> NDArray[np.int32]:
        """(n,) Row of the curves that each meter follows."""
        rng = np.random.default_rng(4)
        plain, furnaces, closed = self._county[1:]
        draw = rng.random(self.n)
        chosen = plain[rng.integers(len(plain), size=self.n)]
        chosen = np.where(draw < FURNACES, furnaces[rng.integers(len(furnaces), size=self.n)], chosen)
        shut = closed[rng.integers(len(closed), size=self.n)]
        return np.where(draw >= 1.0 - self.closed_share, shut, chosen).astype(np.int32)

    @cached_property
    def _size(self) -> NDArray[np.float64]:
        return np.random.default_rng(5).uniform(0.7, 1.4, self.n)

    @cached_property
    def _county(self) -> tuple[dict[str, NDArray[np.float64]], NDArray[np.intp], NDArray[np.intp], NDArray[np.intp]]:
        """(curves of a week by channel; rows of plain loads, of undeclared furnaces, of closed plants)."""
        county = build(CountySpec(seed=1, start=FIRST_NIGHT, days=8))
        windows = county_windows(county)[900]
        truth = {truth.meters[0]: truth for truth in county.truth}
        sites = [truth[meter] for meter in windows[0].meters]
        curves = {
            name: np.nan_to_num(np.concatenate([w.instants[name] for w in windows], axis=1).astype(np.float64))
            for name in ("p_kw", "q_kvar")
        }
        counts = [np.nan_to_num(w.registers["e_imp_kwh"][:, 1:]) for w in windows]
        curves["e_imp_kwh"] = np.maximum.accumulate(np.concatenate(counts, axis=1), axis=1)
        sealed = np.array([site.load_class in _SEALED for site in sites])
        furnace = np.array([site.has_furnace and not site.declared for site in sites])
        plain = ~sealed & ~np.array([site.has_furnace for site in sites])
        return curves, np.flatnonzero(plain), np.flatnonzero(furnace), np.flatnonzero(sealed)

    @cached_property
    def closed(self) -> NDArray[np.bool_]:
        """(n,) Meters of plants that the register names closed."""
        return np.isin(self._curve_of, self._county[3])

    def register(self) -> Register:
        """Meters, each with a site and an enterprise of its own."""
        closed = self.closed.tolist()
        meters = tuple(
            Meter(meter=m, site=f"S{m}", publisher=PUBLISHER, contract_kva=1000.0, valid_from=_LONG_AGO)
            for m in self.ids
        )
        sites = tuple(Site(site=f"S{m}", uscc=f"91{m}", valid_from=_LONG_AGO) for m in self.ids)
        enterprises = tuple(
            Enterprise(
                uscc=f"91{m}",
                name=f"Plant {m}",
                trade="1710",
                status=EnterpriseStatus.CLOSED if shut else EnterpriseStatus.OPERATING,
                valid_from=_LONG_AGO,
            )
            for m, shut in zip(self.ids, closed, strict=True)
        )
        publishers = (Publisher(publisher=PUBLISHER, valid_from=_LONG_AGO),)
        rows = RegisterRows(meters=meters, sites=sites, enterprises=enterprises, publishers=publishers)
        return Register(rows, SHANGHAI, version="bench")

    def values(self, slot: int) -> dict[str, NDArray[np.float64]]:
        """What every meter reports at the end of slot `slot`, counted from noon of the first night; channels (n,)."""
        curves = self._county[0]
        length = curves["p_kw"].shape[1]
        week, column = divmod(slot, length)
        noise = np.random.default_rng(slot + 1000).uniform(0.98, 1.02, self.n)
        once = {name: values[:, column][self._curve_of] * self._size for name, values in curves.items()}
        if self.closed_kw:
            once["p_kw"] += self.closed_kw * self.closed
            once["e_imp_kwh"] += self.closed_kw * 0.25 * (slot + 1) * self.closed
        a_week = curves["e_imp_kwh"][:, -1] - curves["e_imp_kwh"][:, 0]
        e_imp_kwh = once["e_imp_kwh"] + week * a_week[self._curve_of] * self._size
        return {
            "p_kw": (once["p_kw"] * noise).round(2),
            "q_kvar": (once["q_kvar"] * noise).round(2),
            "e_imp_kwh": e_imp_kwh.round(2),
        }

    def features(self, back: int) -> dict[str, NDArray[np.float32]]:
        """Feature rows of a whole night of the curves, each meter's at its own size; (n,)."""
        curves = self._county[0]
        length = curves["p_kw"].shape[1] // 96
        cut = slice((-back % length) * 96, (-back % length) * 96 + 96)
        opened = np.concatenate([curves["e_imp_kwh"][:, cut][:, :1], curves["e_imp_kwh"][:, cut]], axis=1)
        window = window_of({"p_kw": curves["p_kw"][:, cut], "q_kvar": curves["q_kvar"][:, cut], "e_imp_kwh": opened})
        rows = night_features(window, None)
        size = self._size.astype(np.float32)
        scaled = {name for name in rows if name.endswith(("_kw", "_kwh", "_kvar"))}
        return {
            name: column[self._curve_of] * (size if name in scaled else np.float32(1.0))
            for name, column in rows.items()
        }

    def arrow_wave(self, slot: int, ts_ms: int, batch: int = BATCH) -> Iterator[bytes]:
        """One wave as Arrow messages of about `batch` readings."""
        values, heard = self.values(slot), ~self.silent
        for start in range(0, self.n, batch):
            mine = np.flatnonzero(heard[start : start + batch]) + start
            table = pa.table(
                {
                    "meter": self._names.take(pa.array(mine)),
                    "ts": pa.array(np.full(len(mine), ts_ms), pa.timestamp("ms", tz="UTC")),
                    "p_kw": values["p_kw"][mine].astype(np.float32),
                    "q_kvar": values["q_kvar"][mine].astype(np.float32),
                    "e_imp_kwh": values["e_imp_kwh"][mine],
                }
            )
            buffer = io.BytesIO()
            with pa.ipc.new_stream(buffer, table.schema) as stream:
                stream.write_table(table)
            yield buffer.getvalue()

    def json_wave(self, slot: int, ts_ms: int) -> Iterator[bytes]:
        """One wave as column JSON of `BATCH` readings a message."""
        values, heard = self.values(slot), ~self.silent
        for start in range(0, self.n, BATCH):
            mine = np.flatnonzero(heard[start : start + BATCH]) + start
            body = {
                "meter": self._names.take(pa.array(mine)).to_pylist(),
                "ts": [ts_ms] * len(mine),
                **{name: column[mine].tolist() for name, column in values.items()},
            }
            yield json.dumps({"v": 1, "readings": body}, separators=(",", ":")).encode()

    @cached_property
    def _names(self) -> pa.Array:
        return pa.array(self.ids, pa.string())


def night(number: int) -> Night:
    """The night `number` nights after the first."""
    return night_of_date(FIRST_NIGHT + dt.timedelta(days=number), SHANGHAI)
