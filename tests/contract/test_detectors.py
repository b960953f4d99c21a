"""What every row of DETECTORS keeps, whatever it is given."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace
from functools import cache
from itertools import pairwise

import numpy as np
import pytest

from detectors.base import RECENT_NIGHTS, Context, LooksBack
from detectors.table import DETECTORS
from models.domain.channels import CHANNELS
from models.domain.findings import Judgement, Status
from models.domain.leads import LeadKind
from models.domain.nights import nights_before
from models.domain.register import Enterprise, EnterpriseStatus, Meter, Register, RegisterRows, Site
from models.domain.windows import PastNights, Window
from models.learned.features import FEATURES, night_features
from models.simulated.county import CountySpec, build
from tests.support.night_windows import SHANGHAI, county_windows, past_of, valley_slots, window_of

NAMES = sorted(DETECTORS)
SLOTS = 96


@cache
def county_week(cadence_s: int = 900) -> tuple[tuple[Window, ...], Register]:
    county = build(CountySpec(seed=5, start=dt.date(2026, 3, 2), days=6))
    return tuple(county_windows(county)[cadence_s]), Register(county.register, SHANGHAI)


def context_of(windows: tuple[Window, ...], register: Register | None = None) -> Context:
    rows = [night_features(w, valley_slots(w.interval_s, w.n_slots)) for w in windows]
    past = past_of(rows, [w.night for w in windows])
    alive = np.ones(len(windows[-1].meters), dtype=np.bool_)
    return Context(register or Register(RegisterRows(), SHANGHAI), SHANGHAI, past, alive)


def looking_back(context: Context) -> Context:
    """The same rows as five weeks and as the long past, NaN before the nights there are."""
    nights = nights_before(context.past.nights[-1], RECENT_NIGHTS, SHANGHAI)
    missing = RECENT_NIGHTS - len(context.past.nights)
    recent = PastNights(
        nights,
        {
            name: np.pad(values, ((0, 0), (missing, 0)), constant_values=np.nan)
            for name, values in context.past.values.items()
        },
    )
    return replace(context, past=recent, recent=recent, long_past=recent)


def judged(name: str, window: Window, context: Context) -> Judgement:
    detector = DETECTORS[name].build()
    if isinstance(detector, LooksBack):
        context = looking_back(context)
        assert detector.screen(window, replace(context, long_past=None)).shape == (len(window.meters),)
    return detector.evaluate(window, context)


def evaluate(name: str, windows: tuple[Window, ...], register: Register | None = None) -> Judgement:
    return judged(name, windows[-1], context_of(windows, register))


def taken(window: Window, at: list[int]) -> Window:
    return replace(
        window,
        meters=tuple(window.meters[i] for i in at),
        instants={name: values[at] for name, values in window.instants.items()},
        registers={name: values[at] for name, values in window.registers.items()},
        flags=window.flags[at],
    )


def facts(judgement: Judgement) -> dict[str, tuple[bytes, Status, object]]:
    findings = {f.meter: f for f in judgement.findings}
    return {
        meter: (judgement.score[i].tobytes(), judgement.status[i], findings.get(meter))
        for i, meter in enumerate(judgement.meters)
    }


@pytest.mark.parametrize("name", NAMES)
def test_a_row_names_its_detector_its_channels_and_its_lead(name: str) -> None:
    row = DETECTORS[name]
    detector = row.build()
    assert detector.name == name
    assert row.needs == detector.needs
    assert row.needs <= set(CHANNELS)
    assert row.lead is None or row.lead is LeadKind(name)
    assert row.zh
    assert row.en
    assert row.doc


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    "window",
    [
        pytest.param(window_of({"p_kw": np.full((3, SLOTS), np.nan)}), id="all_missing"),
        pytest.param(window_of({}), id="no_channel_no_meter"),
        pytest.param(window_of({"p_kw": np.full((1, SLOTS), 500.0)}), id="one_constant_meter"),
        pytest.param(window_of({"e_imp_kwh": np.zeros((2, SLOTS + 1))}), id="register_stands_still"),
        pytest.param(window_of({"p_kw": np.full((2, 24), 7.0)}, interval_s=3600), id="hourly"),
        pytest.param(window_of({"p_mean_kw": np.full((2, 1), 7.0)}, interval_s=86400), id="daily"),
        pytest.param(window_of({"p_kw": np.full((2, 1440), -4.0)}, interval_s=60), id="export_every_minute"),
        pytest.param(window_of({"q_kvar": np.ones((2, SLOTS))}), id="no_active_power"),
    ],
)
def test_degenerate_windows_give_an_answer_for_every_meter(name: str, window: Window) -> None:
    judgement = evaluate(name, (window,))
    assert tuple(judgement.meters) == window.meters
    assert len(judgement.status) == len(judgement.score) == len(judgement.probability) == len(window.meters)
    assert judgement.score.dtype == np.float64


@pytest.mark.parametrize("name", NAMES)
def test_no_load_is_clear(name: str) -> None:
    window = window_of({"p_kw": np.zeros((4, SLOTS)), "e_imp_kwh": np.full((4, SLOTS + 1), 1234.5)})
    judgement = evaluate(name, (window, window, window))
    assert set(judgement.status) == {Status.CLEAR}
    assert judgement.findings == ()


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("cadence_s", [60, 900])
def test_scores_and_findings_are_well_formed(name: str, cadence_s: int) -> None:
    windows, register = county_week(cadence_s)
    judgement = evaluate(name, windows, register)
    known = judgement.score[np.isfinite(judgement.score)]
    assert ((known >= 0.0) & (known <= 1.0)).all()
    np.testing.assert_array_equal(known, np.round(known, 4))
    for finding in judgement.findings:
        position = judgement.meters.index(finding.meter)
        assert finding.status is judgement.status[position]
        assert finding.score == judgement.score[position]
        assert 0.0 <= finding.mismatch <= 1.0
        assert finding.reasons
        for reason in finding.reasons:
            assert np.isfinite(reason.value), reason
            assert reason.zh != reason.en
            assert "illegal" not in reason.en.lower()
            assert not set("违法非法") & set(reason.zh)
        for measure in finding.measures.values():
            assert measure == float(f"{measure:.6g}")


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("cadence_s", [60, 900])
def test_cutting_the_meters_into_chunks_changes_nothing(name: str, cadence_s: int) -> None:
    windows, register = county_week(cadence_s)
    whole = facts(evaluate(name, windows, register))
    n = len(windows[0].meters)
    edges = [0, 1, 5, n // 2, n]
    parts: dict[str, tuple[bytes, Status, object]] = {}
    for low, high in pairwise(edges):
        parts |= facts(evaluate(name, tuple(taken(w, list(range(low, high))) for w in windows), register))
    assert parts == whole


@pytest.mark.parametrize("name", NAMES)
def test_the_order_of_the_meters_changes_nothing(name: str) -> None:
    windows, register = county_week()
    order = np.random.default_rng(1).permutation(len(windows[0].meters)).tolist()
    shuffled = tuple(taken(w, order) for w in windows)
    assert facts(evaluate(name, shuffled, register)) == facts(evaluate(name, windows, register))


@pytest.mark.parametrize("name", NAMES)
def test_nothing_given_is_changed(name: str) -> None:
    windows, register = county_week()
    context = context_of(windows, register)
    window = windows[-1]
    held = [*window.instants.values(), *window.registers.values(), window.flags, *context.past.values.values()]
    before = [values.tobytes() for values in held]
    for values in held:
        values.flags.writeable = False
    try:
        first = facts(judged(name, window, context))
        assert facts(judged(name, window, context)) == first
    finally:
        for values in held:
            values.flags.writeable = True
    assert [values.tobytes() for values in held] == before


@pytest.mark.parametrize("name", NAMES)
def test_past_nights_that_do_not_exist_are_no_evidence(name: str) -> None:
    windows, register = county_week()
    window = windows[-1]
    past = PastNights(
        nights=nights_before(window.night, 7, SHANGHAI),
        values={spec.name: np.full((len(window.meters), 7), np.nan, dtype=np.float32) for spec in FEATURES},
    )
    context = Context(register, SHANGHAI, past, np.ones(len(window.meters), dtype=np.bool_))
    judgement = judged(name, window, context)
    if name != "sealed_site":
        assert Status.SUSPECT not in judgement.status


@pytest.mark.parametrize("cadence_s", [60, 900])
def test_features_are_there_for_every_meter_at_six_digits(cadence_s: int) -> None:
    windows, _ = county_week(cadence_s)
    features = night_features(windows[0], None)
    assert tuple(features) == tuple(spec.name for spec in FEATURES)
    for name, values in features.items():
        assert values.dtype == np.float32, name
        assert values.shape == (len(windows[0].meters),), name
        known = values[np.isfinite(values)]
        np.testing.assert_array_equal(known, np.array([f"{v:.6g}" for v in known.tolist()], dtype=np.float32))


def test_the_sealed_status_reaches_the_detector() -> None:
    register = Register(
        RegisterRows(
            enterprises=(Enterprise(uscc="U", name="甲", status=EnterpriseStatus.CLOSED, since=dt.date(2026, 1, 1)),),
            sites=(Site(site="S", uscc="U"),),
            meters=(Meter(meter="m0000", site="S", publisher="P", contract_kva=800.0),),
        ),
        SHANGHAI,
    )
    window = window_of({"p_mean_kw": np.full((1, SLOTS), 400.0)})
    judgement = evaluate("sealed_site", (window,), register)
    assert list(judgement.status) == [Status.SUSPECT]
