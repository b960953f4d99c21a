"""A register of any number of meters as a directory of CSV, with one closed enterprise."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from models.simulated.identities import draw_uscc
from tests.support.register_files import save_csv

BUREAU = "bureau1"
CLOSED_SITE = "S-closed"
CLOSED_METER = "M00000"
CLOSED_SINCE = "2024-01-01"


def meter_id(number: int) -> str:
    """Id of the meter with a number; number 0 stands at the closed site."""
    return f"M{number:05d}"


def register_dir(folder: Path, meters: int, *, cadence_s: int = 900) -> Path:
    """Write a register of `meters` meters of one publisher: the first at a closed site, ten at each other one."""
    rng = np.random.default_rng(1)
    closed, running = draw_uscc(rng, "330122"), draw_uscc(rng, "330122")
    sites = [CLOSED_SITE, *(f"S{number:04d}" for number in range((meters + 8) // 10))]
    where = [0, *(1 + number // 10 for number in range(meters - 1))]
    site_rows: list[list[object]] = [
        [site, closed if site == CLOSED_SITE else running, f"厂区 {site}"] for site in sites
    ]
    meter_rows: list[list[object]] = [
        [meter_id(n), sites[at], BUREAU, cadence_s, 1000, "2020-01-01"] for n, at in enumerate(where)
    ]
    return save_csv(
        {
            "enterprises": [
                ["uscc", "name", "trade", "status", "since"],
                [closed, "某某关停铸造有限公司", "C3391", "关停", CLOSED_SINCE],
                [running, "某某机械有限公司", "C3484", "在产", None],
            ],
            "sites": [
                ["site", "uscc", "name"],
                *site_rows,
            ],
            "meters": [
                ["meter", "site", "publisher", "cadence_s", "contract_kva", "valid_from"],
                *meter_rows,
            ],
            "publishers": [["publisher", "may_revise"], [BUREAU, "否"]],
        },
        folder,
    )
