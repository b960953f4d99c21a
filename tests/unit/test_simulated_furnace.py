"""Induction melting by the minute: the acceptance figures of the simulator, on many installations."""

from __future__ import annotations

import datetime as dt
import itertools
from dataclasses import replace
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from numpy.typing import NDArray

from models.simulated.electrical import Compensation, CompensationKind, constant_pf_q_kvar, thyristor_q_kvar
from models.simulated.furnace import FurnaceRun, run_furnace
from models.simulated.furnace_spec import Bodies, FurnaceSpec, Metal, Supply, draw_furnace
from models.simulated.seeding import stream
from models.simulated.sessions import SessionKind, SessionPlan, draw_sessions
from models.simulated.timeline import timeline

TIME = timeline(dt.date(2026, 3, 1), 15, ZoneInfo("Asia/Shanghai"))


@pytest.fixture(scope="module")
def runs() -> list[tuple[FurnaceSpec, FurnaceRun]]:
    found = []
    for seed in range(80):
        rng = stream(seed, "furnace-test")
        spec = draw_furnace(rng, legal=False)
        found.append((spec, run_furnace(spec, TIME, rng)))
    return found


def circle_r2(p_kw: NDArray[np.float64], q_kvar: NDArray[np.float64], rated_kw: float) -> float:
    """Best fit of Q = sqrt(P (Pm - P)) - Qc to the mean Q of each 4 % of power above 12 % of the rating."""
    bins = np.floor(25.0 * p_kw / rated_kw).astype(int)
    kept = [b for b in np.unique(bins) if b >= 3 and np.sum(bins == b) >= 5]
    p = np.array([p_kw[bins == b].mean() for b in kept])
    q = np.array([q_kvar[bins == b].mean() for b in kept])
    best = -np.inf
    for p_max in np.linspace(1.0, 1.3, 31) * p.max():
        circle = np.sqrt(np.maximum(p * (p_max - p), 0.0))
        error = q - circle - np.mean(q - circle)
        best = max(best, 1.0 - float(np.sum(error**2) / np.sum((q - q.mean()) ** 2)))
    return best


def test_nineteen_heats_of_twenty_last_40_to_120_minutes(runs: list[tuple[FurnaceSpec, FurnaceRun]]) -> None:
    minutes = np.array(
        [heat.end - heat.start for spec, run in runs if spec.bodies is not Bodies.POWER_SHARING for heat in run.heats]
    )
    assert len(minutes) > 2000
    assert np.mean((minutes >= 40) & (minutes <= 120)) >= 0.95


def test_ferrous_heats_take_480_to_760_kwh_a_tonne(runs: list[tuple[FurnaceSpec, FurnaceRun]]) -> None:
    kwh_per_t = np.array(
        [
            heat.energy_kwh / heat.tapped_t
            for spec, run in runs
            if spec.metal in {Metal.STEEL, Metal.IRON}
            for heat in run.heats
        ]
    )
    assert np.mean((kwh_per_t >= 480) & (kwh_per_t <= 760)) >= 0.95


def test_heats_account_for_the_energy_the_converter_draws(runs: list[tuple[FurnaceSpec, FurnaceRun]]) -> None:
    for spec, run in runs:
        if spec.bodies is Bodies.SINGLE and spec.hold_share == 0.0 and len(run.heats) > 5:
            whole = [heat for heat in run.heats if heat.end < TIME.n]
            drawn_kwh = sum(float(run.melt_kw[heat.start : heat.end].sum()) / 60.0 for heat in whole)
            assert drawn_kwh == pytest.approx(sum(heat.energy_kwh for heat in whole), rel=1e-9)


def test_p_and_q_lie_on_the_circle_for_thyristor_supplies_and_not_for_diode_supplies(
    runs: list[tuple[FurnaceSpec, FurnaceRun]],
) -> None:
    fits: dict[Supply, list[float]] = {Supply.THYRISTOR: [], Supply.DIODE: []}
    for spec, run in runs:
        if spec.bodies is not Bodies.POWER_SHARING and run.heats:
            fits[spec.supply].append(circle_r2(run.curve.p_kw, run.curve.q_kvar, spec.rated_kw))
    assert np.median(fits[Supply.THYRISTOR]) > 0.9
    assert min(fits[Supply.THYRISTOR]) > 0.8
    assert np.median(fits[Supply.DIODE]) < 0.3
    assert max(fits[Supply.DIODE]) < 0.5


def test_without_overlap_the_circle_is_exact() -> None:
    p_kw = np.linspace(50.0, 1000.0, 40)
    q_kvar = thyristor_q_kvar(p_kw, p_max_kw=1050.0, overlap_deg=0.0)
    np.testing.assert_allclose(q_kvar**2, p_kw * (1050.0 - p_kw), rtol=1e-9)


def test_power_never_exceeds_what_the_converter_can_give(runs: list[tuple[FurnaceSpec, FurnaceRun]]) -> None:
    for spec, run in runs:
        assert np.isfinite(run.curve.p_kw).all()
        assert np.isfinite(run.curve.q_kvar).all()
        assert run.melt_kw.min() >= 0.0
        assert run.melt_kw.max() <= spec.p_max_kw


def test_a_sharing_supply_stays_nearly_flat_where_a_single_body_dips_to_nothing() -> None:
    plan = SessionPlan(SessionKind.VALLEY_NIGHT, active_share=1.0, stops_a_month=0.0)
    base = replace(draw_furnace(stream(5, "share"), legal=False), plan=plan, hold_share=0.0)
    lowest = {}
    for bodies in Bodies:
        run = run_furnace(replace(base, bodies=bodies), TIME, stream(6, "share"))
        night = run.melt_kw[TIME.day_start[5] + 60 : TIME.day_start[5] + 5 * 60]
        lowest[bodies] = float(night.min() / night.max())
    assert lowest[Bodies.POWER_SHARING] > 0.8
    assert lowest[Bodies.SINGLE] < 0.1


def test_cooling_pumps_outlast_the_last_tap(runs: list[tuple[FurnaceSpec, FurnaceRun]]) -> None:
    spec, run = next((s, r) for s, r in runs if s.plan.kind is SessionKind.DAY and r.heats)
    ends = np.array([heat.end for heat in run.heats])
    last = int(ends[np.flatnonzero(np.diff(ends) > 600)[0]])
    after_kw = (run.curve.p_kw - run.melt_kw)[last + 30]
    assert after_kw == pytest.approx(0.03 * spec.rated_kw, rel=0.01)


@pytest.mark.parametrize("kind", list(SessionKind))
def test_sessions_follow_each_other_without_overlap(kind: SessionKind) -> None:
    sessions = draw_sessions(SessionPlan(kind, active_share=0.9), TIME, stream(3, kind.value))
    assert sessions
    for session in sessions:
        assert session.start < session.last_start
    for one, other in itertools.pairwise(sessions):
        assert one.last_start < other.start


def test_compensation_lowers_the_reactive_power_as_it_says() -> None:
    p_kw = np.full(60, 800.0)
    q_kvar = constant_pf_q_kvar(p_kw, 0.75)
    fixed = Compensation(CompensationKind.FIXED, 200.0).net_q_kvar(p_kw, q_kvar)
    np.testing.assert_allclose(fixed, q_kvar - 200.0)
    stepped = Compensation(CompensationKind.STEPPED, 600.0, 12, 0.95).net_q_kvar(p_kw, q_kvar)
    assert abs(stepped[-1] - 800.0 * np.tan(np.arccos(0.95))) <= 600.0 / 12
    svg = Compensation(CompensationKind.SVG, 900.0, target_pf=0.98).net_q_kvar(p_kw, q_kvar)
    np.testing.assert_allclose(p_kw / np.hypot(p_kw, svg), 0.98, rtol=1e-6)
