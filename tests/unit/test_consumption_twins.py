"""The numerics of `consumption` over many meters say what their slow twins say of one."""

from __future__ import annotations

import datetime as dt

import numpy as np
import pytest

from models.domain.holidays import day_facts
from models.learned.changes import LevelLimits, ShareLimits, level_change, night_share_change
from models.learned.own_past import NightRows, own_past
from models.simulated.daily_life import nightly_life
from models.simulated.labelled_changes import with_changes
from tests.support.slow_consumption import slow_level_change, slow_night_share_change, slow_past

START = dt.date(2024, 3, 4)
SITES = 24
SPAN = 28
LEVEL = LevelLimits(1.5, 0.6, 6, 12, SPAN, 1.5)
SHARE = ShareLimits(0.1, 1.3, 6, SPAN, 1.5)


def columns(nights: int, first: int) -> NightRows:
    """Lives with a change in every working site within the last six weeks, and no past at all in the first three."""
    life = nightly_life(77, START, nights, SITES)
    last = START + dt.timedelta(days=nights - 9)
    life, _ = with_changes(77, life, last - dt.timedelta(days=28), last, 1.0)
    energy = life.energy_kwh.copy()
    energy[:3, : nights - 20] = np.nan
    return NightRows(*(values[:, first:] for values in (energy, life.valley_share, life.peak_kw, life.coverage)))


@pytest.mark.parametrize(("nights", "first"), [(420, 20), (730, 330), (350, 0), (420, 385)])
def test_many_meters_are_judged_as_one_by_one(nights: int, first: int) -> None:
    rows = columns(nights, first)
    days = day_facts([START + dt.timedelta(days=k) for k in range(first, nights)])
    past = own_past(rows, days, settled=SPAN)
    levels = level_change(past, LEVEL, np.full(SITES, 24.0))
    shares = night_share_change(past, SHARE, np.full(SITES, 5.0))
    if nights == 420 and first == 20:
        assert len(levels) >= 4
    for site in range(SITES):
        one = slow_past(
            NightRows(rows.energy_kwh[site], rows.valley_share[site], rows.peak_kw[site], rows.coverage[site]),
            days,
            settled=SPAN,
        )
        if one is None:
            assert site not in levels
            assert site not in shares
            continue
        np.testing.assert_allclose(past.log_level[site], one.log_level, rtol=1e-12, atol=1e-12)
        np.testing.assert_array_equal(past.at_work[site], one.at_work)
        np.testing.assert_array_equal(past.censored[site], one.censored)
        np.testing.assert_array_equal(past.rest[site], one.rest)
        for found, slow in (
            (levels.get(site), slow_level_change(one, LEVEL, 24.0)),
            (shares.get(site), slow_night_share_change(one, SHARE, 5.0)),
        ):
            assert (found is None) == (slow is None), (site, found, slow)
            if found is None or slow is None:
                continue
            assert (found.code, found.onset, found.nights_before, found.nights_after) == (
                slow.code, slow.onset, slow.nights_before, slow.nights_after,
            )  # fmt: skip
            assert [found.before, found.after, found.ratio, found.usual] == pytest.approx(
                [slow.before, slow.after, slow.ratio, slow.usual]
            )
