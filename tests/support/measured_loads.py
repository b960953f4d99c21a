"""The measured loads that stand beside the checkout: none of them melts."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray

FILES = {
    "steel_daewoo_15min": 900,
    "simbench_third_15min": 900,
    "tetouan_zone1_10min": 600,
    "household_1min_2007": 60,
}
INDUSTRIAL_KW = 300.0
FOLDER = Path(__file__).resolve().parents[3] / "shared" / "data"


@dataclass(frozen=True)
class MeasuredLoad:
    """A regular series of one meter that begins at a local noon; NaN where the source has a gap."""

    site: str
    interval_s: int
    power_kw: NDArray[np.float64]
    kvar: NDArray[np.float64] | None

    def to_industrial(self) -> float:
        """The factor that brings a small load's peak to the size of a small furnace; 1 for a large one."""
        return max(1.0, INDUSTRIAL_KW / float(np.nanmax(self.power_kw)))


def measured_loads(folder: Path) -> Iterator[MeasuredLoad]:
    """Every meter of the four sets."""
    for name, interval_s in FILES.items():
        table = pq.read_table(folder / f"{name}.parquet")
        sites = np.array(table["site"].to_pylist())
        seconds = table["ts"].to_numpy().astype("datetime64[s]").astype(np.int64)
        columns = {c: table[c].to_numpy().astype(np.float64) for c in ("kw", "kvar") if c in table.column_names}
        for site in sorted(set(sites.tolist())):
            mine = sites == site
            stamp = seconds[mine]
            noon = stamp[0] + (43200 - stamp[0]) % 86400
            slot = (stamp - noon) // interval_s
            kept = slot >= 0
            grids = {}
            for column, values in columns.items():
                grids[column] = np.full(int(slot.max()) + 1, np.nan)
                grids[column][slot[kept]] = values[mine][kept]
            yield MeasuredLoad(site, interval_s, grids["kw"], grids.get("kvar"))
