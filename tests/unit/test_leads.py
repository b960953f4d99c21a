"""A lead is a function of a set of findings, and asks for a check instead of giving a verdict."""

from __future__ import annotations

import dataclasses
import datetime as dt
import random
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.domain.findings import Status
from models.domain.leads import LeadKind, lead_id
from monitor.lead_texts import LAWFUL, WORDINGS, Bilingual, Facts, summary_of
from monitor.leads import (
    LeadContent,
    LeadPolicy,
    NightFinding,
    canonical_json,
    derive_lead,
    month_bounds,
    months_touched,
    next_month,
    previous_month,
    verdict_sha256,
)
from tests.support.desk_parts import finding, moved, night, register

REGISTER = register()


def derived(
    findings: list[NightFinding],
    month: str = "2026-01",
    *,
    kind: LeadKind = LeadKind.FURNACE_MELT,
    policy: LeadPolicy | None = None,
    site: str = "S0",
) -> LeadContent | None:
    return derive_lead(kind, site, month, findings, REGISTER, policy or LeadPolicy(), {"software": "1"})


def test_one_night_holds_a_furnace_lead_and_a_second_within_the_window_raises_it() -> None:
    assert derived([finding(0)]) is None
    lead = derived([finding(0), finding(6)])
    assert lead is not None
    assert [entry.night for entry in lead.nights] == [night(0).date, night(6).date]
    assert lead.id == lead_id(LeadKind.FURNACE_MELT, "S0", "2026-01")
    assert lead.end_ms == night(6).end_ms


def test_two_nights_a_week_apart_are_not_within_the_window() -> None:
    assert derived([finding(0), finding(7)]) is None


def test_two_meters_in_one_night_are_one_night() -> None:
    assert derived([finding(0, "M0"), finding(0, "M1")]) is None


def test_a_sealed_site_needs_one_night() -> None:
    lead = derived([finding(3, "M6", detector="sealed_site")], kind=LeadKind.SEALED_SITE, site="S3")
    assert lead is not None
    assert lead.enterprise is not None
    assert (lead.enterprise.status, lead.enterprise.since) == ("closed", dt.date(2025, 6, 1))


@pytest.mark.parametrize("status", [Status.DECLARED, Status.CLEAR, Status.UNDETERMINED, Status.INHIBITED])
def test_only_suspect_nights_count(status: Status) -> None:
    assert derived([finding(0), finding(1, status=status), finding(2, status=status)]) is None


def test_a_suspect_night_of_last_month_completes_this_months_hold_and_is_named() -> None:
    findings = [finding(11), finding(12)]
    assert (night(11).month, night(12).month) == ("2026-01", "2026-02")
    assert derived(findings, "2026-01") is None
    lead = derived(findings, "2026-02")
    assert lead is not None
    assert lead.first_night == night(11).date


def test_the_strongest_night_speaks_and_mismatch_is_the_largest() -> None:
    strong = moved(finding(1, "M1"), score=0.95, mismatch=0.2, probability=0.7, measures={"p_max_kw": 950.0})
    lead = derived([finding(0, mismatch=0.9), strong])
    assert lead is not None
    assert (lead.score, lead.probability, lead.mismatch) == (0.95, 0.7, 0.9)
    assert lead.measures == {"p_max_kw": 950.0}
    assert lead.reasons == strong.finding.reasons
    assert lead.meters == ("M0", "M1")


def test_a_site_the_register_does_not_know_still_makes_a_lead() -> None:
    findings = [NightFinding(finding(k).finding, "X9", "00", night(k).end_ms) for k in (0, 1)]
    lead = derived(findings, site="X9")
    assert lead is not None
    assert lead.enterprise is None
    assert lead.site.name is None
    assert "X9" in lead.summary.zh


def test_a_version_alone_is_no_new_verdict() -> None:
    findings = [finding(0), finding(1)]
    policy = LeadPolicy()
    one, two = (
        derive_lead(LeadKind.FURNACE_MELT, "S0", "2026-01", findings, REGISTER, policy, {"software": version})
        for version in "12"
    )
    assert one is not None
    assert two is not None
    assert one != two
    assert verdict_sha256(one.as_dict()) == verdict_sha256(two.as_dict())


def slow_lead_nights(nights: set[int], first: int, last: int, hold: int, window: int) -> set[int] | None:
    """Which nights a lead of the days [first, last] names, day by day."""
    for today in range(first, last + 1):
        if today not in nights:
            continue
        held = [day for day in range(today - window + 1, today + 1) if day in nights]
        if len(held) >= hold:
            earlier = {day for day in held if day < first}
            return earlier | {day for day in nights if first <= day <= last}
    return None


@given(
    nights=st.sets(st.integers(0, 44), max_size=12),
    hold=st.integers(1, 4),
    window=st.integers(4, 10),
    seed=st.integers(0, 1000),
)
def test_any_order_gives_the_same_bytes_and_the_nights_of_the_slow_twin(
    nights: set[int], hold: int, window: int, seed: int
) -> None:
    policy = LeadPolicy(hold_nights={LeadKind.FURNACE_MELT: hold}, hold_window_nights=window)
    findings = [finding(day, meter, score=0.5 + day % 3 / 10) for day in nights for meter in ("M0", "M1")]
    others = [finding(day, "M2") for day in nights] + [finding(day, detector="quality") for day in nights]
    shuffled = findings + others
    random.Random(seed).shuffle(shuffled)
    for month, first, last in (("2026-01", -19, 11), ("2026-02", 12, 39)):
        one, two = derived(findings, month, policy=policy), derived(shuffled, month, policy=policy)
        expected = slow_lead_nights(nights, first, last, hold, window)
        if expected is None:
            assert one is None
            assert two is None
            continue
        assert one is not None
        assert two is not None
        assert canonical_json(one.as_dict()) == canonical_json(two.as_dict())
        assert {entry.night for entry in one.nights} == {night(day).date for day in expected}


@given(offset=st.integers(0, 400), window=st.integers(1, 60))
def test_a_night_touches_exactly_the_months_its_window_reaches(offset: int, window: int) -> None:
    policy = LeadPolicy(hold_nights={}, hold_window_nights=window)
    date = night(offset).date
    slow = {f"{date + dt.timedelta(days=k):%Y-%m}" for k in range(window)}
    assert list(months_touched(date, policy)) == sorted(slow)


def test_months_follow_each_other_over_the_year() -> None:
    assert (next_month("2025-12"), previous_month("2026-01")) == ("2026-01", "2025-12")
    assert month_bounds("2028-02") == (dt.date(2028, 2, 1), dt.date(2028, 2, 29))


def test_a_hold_longer_than_its_window_is_refused() -> None:
    with pytest.raises(ValueError, match="hold_window_nights"):
        LeadPolicy(hold_nights={LeadKind.FURNACE_MELT: 8}, hold_window_nights=7)


FACTS = Facts(Bilingual("某公司", "Some Co."), 3, dt.date(2026, 1, 1), dt.date(2026, 1, 3), ("M1", "M2"))


@pytest.mark.parametrize("kind", list(LeadKind))
def test_texts_ask_for_a_check_and_never_accuse(kind: LeadKind) -> None:
    wording, summary = WORDINGS[kind], summary_of(kind, FACTS)
    said = [wording.title, summary, *wording.checks]
    chinese, english = " ".join(text.zh for text in said), " ".join(text.en for text in said)
    assert "疑似" in summary.zh
    assert "请核查" in summary.zh
    assert summary.zh.endswith(wording.limits.zh)
    assert summary.en.endswith(wording.limits.en)
    assert (wording.limits == LAWFUL) is (kind is LeadKind.FURNACE_MELT)
    assert not re.search("非法|违法|违规|地条钢|犯罪|偷|窃", chinese)
    assert not re.search(r"illegal|unlawful|illicit|crim|guilt|stolen|theft|violat", english, re.IGNORECASE)
    assert wording.checks
    assert not re.search(r"[{}]", summary.zh + summary.en)


def test_a_lead_of_an_unfinished_night_says_that_it_is_provisional() -> None:
    last = dataclasses.replace(finding(1), provisional=True)
    lead = derived([finding(0), last])
    assert lead is not None
    assert lead.provisional
    assert "暂定" in lead.summary.zh
    over = derived([finding(0), finding(1)])
    assert over is not None
    assert not over.provisional
    assert "暂定" not in over.summary.zh


def test_a_long_list_of_meters_is_cut() -> None:
    facts = Facts(FACTS.who, 1, FACTS.first_night, FACTS.last_night, tuple(f"M{k}" for k in range(9)))
    assert "M4…" in summary_of(LeadKind.METER_SILENT, facts).zh


def test_canonical_json_sorts_keys_and_keeps_floats_short() -> None:
    assert canonical_json({"b": 0.1, "a": {"z": 1, "y": "炉"}}) == '{"a":{"y":"炉","z":1},"b":0.1}'.encode()
