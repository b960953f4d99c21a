"""Each rule of the packs has a case here in which it speaks: a rule without one is a rule nobody has tried."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from typing import Any, Final

import pytest

from models.law.tariff_facts import Figure, Water
from models.law.tariff_rows import TariffRule
from tests.unit.tariff_cases import ALUMINIUM, LAW, figures, judged

RESTRICTED: Final[Mapping[str, Any]] = {"equipment_class": "限制类"}
ELIMINATED: Final[Mapping[str, Any]] = {"equipment_class": "淘汰类"}
NOT_COMPARABLE = (Figure(metric="comprehensive_electricity", value=Decimal(50)),)
CLINKER: Final[Mapping[str, Any]] = {
    "figures": figures("70"),
    "process": "clinker",
    "production_date": date(2010, 1, 1),
    "equipment_class": "none",
}
WATER = Water(quota_m3=Decimal(100), used_m3=Decimal(120), price_cny_per_m3=Decimal(3), rule="local-water-example")
CASES: Final[Mapping[str, tuple[tuple[int, str, str, Mapping[str, Any]], str, str | None]]] = {
    # rule: (year, industry, region, facts), status, surcharge
    "cn-diff-2004": ((2005, "cement", "CN", ELIMINATED), "flag", "0.05"),
    "cn-diff-2006": ((2009, "yellow_phosphorus", "CN", ELIMINATED), "flag", "0.20"),
    "cn-diff-2010": ((2013, "calcium_carbide", "CN", RESTRICTED), "flag", "0.10"),
    "cn-punitive-2010": ((2013, "ferroalloy", "CN-SC", {"excess_ratio": Decimal("1.01")}), "flag", "0.30"),
    "cn-diff-cement-2014": ((2015, "cement", "CN", ELIMINATED), "flag", "0.40"),
    "cn-diff-steel-2017": ((2018, "iron_and_steel", "CN", ELIMINATED), "flag", "0.50"),
    "cn-tier-steel-2017": ((2018, "iron_and_steel", "CN", {"equipment_class": "none"}), "undetermined", None),
    "cn-tier-cement-2016": ((2018, "cement", "CN", CLINKER), "undetermined", None),
    "cn-tier-cement-metric-gap": ((2023, "cement", "CN-GX", {"figures": NOT_COMPARABLE}), "needs_data", None),
    "cn-tier-aluminium-2014": ((2016, ALUMINIUM, "CN", {"figures": figures("13801")}), "flag", "0.08"),
    "cn-tier-aluminium-2022": ((2024, ALUMINIUM, "CN", {"figures": figures("13491")}), "flag", "0.03"),
    "cn-gd-punitive-2010": ((2012, "cement", "CN-GD", {"excess_ratio": Decimal("0.9")}), "flag", "0.15"),
    "cn-sd-punitive-2010": ((2012, "cement", "CN-SD", {"excess_ratio": Decimal("0.1")}), "flag", "0.05"),
    "cn-gx-punitive-2010": ((2012, "cement", "CN-GX", {"excess_ratio": Decimal("0.6")}), "flag", "0.10"),
    "cn-gz-punitive-2010": ((2012, "aluminium_profiles", "CN-GZ", {"excess_ratio": Decimal(2)}), "flag", "0.30"),
    "cn-ah-punitive-2010": ((2012, "coke", "CN-AH", {"excess_ratio": Decimal(1)}), "flag", "0.10"),
    "cn-ah-diff-2010": ((2012, "coke", "CN-AH", {"equipment_class": "列入淘汰名单逾期未淘汰"}), "flag", "0.60"),
    "cn-zj-punitive-2010": ((2012, "coke", "CN-ZJ", {"excess_ratio": Decimal(1)}), "flag", "0.10"),
    "cn-gd-diff-2010": ((2012, "electroplating", "CN-GD-PRD", RESTRICTED), "flag", "0.10"),
    "cn-gd-diff-cement-2011": ((2013, "cement", "CN-GD", RESTRICTED), "flag", "0.30"),
    "cn-cq-diff-2011": ((2013, "ferroalloy", "CN-CQ", RESTRICTED), "flag", "0.10"),
    "cn-he-steel-2017": ((2019, "iron_and_steel", "CN-HE", RESTRICTED), "flag", "0.20"),
    "cn-nm-diff-2021": ((2023, "zinc_smelting", "CN-NM", ELIMINATED), "flag", "0.45"),
    "cn-sd-coke-refining-2019": ((2020, "refining", "CN-SD", {}), "undetermined", None),
    "cn-xj-cement-2017": ((2018, "cement", "CN-XJ", {"concealed": True}), "flag", "0.25"),
    "cn-yn-aluminium-2022": ((2025, ALUMINIUM, "CN-YN", {"figures": figures("13301")}), "flag", "0.01"),
    "local-water-example": ((2024, "paper", "CN", {"water": WATER}), "needs_review", "0.6"),
    "cn-water-2017": ((2024, "paper", "CN", {"water": WATER.model_copy(update={"rule": None})}), "undetermined", None),
}
ELSEWHERE: Final = {
    # rules that speak beside another's verdict, and the text that shows it
    "cn-punitive-billing-base": ((2012, "cement", "CN-GX", {"excess_ratio": Decimal("0.6")}), "两种模式并存"),
    "cn-gx-diff-2021": ((2022, "ferroalloy", "CN-GX", RESTRICTED), "cn-gx-diff-2021"),
    "cn-fj-2020": ((2023, ALUMINIUM, "CN-FJ", {"figures": figures("13451")}), "cn-fj-2020"),
    "cn-unified-tier-2022": ((2023, ALUMINIUM, "CN", {"figures": figures("13451")}), "发改产业〔2022〕273号"),
    "cn-agent-purchase-2021": ((2023, ALUMINIUM, "CN", {"figures": figures("13451")}), "发改办价格〔2021〕809号"),
    "cn-tj": ((2023, ALUMINIUM, "CN-TJ", {"figures": figures("13451")}), "national rules apply"),
}


def test_no_rule_is_without_a_case() -> None:
    assert {*CASES, *ELSEWHERE} == set(LAW.table(TariffRule))


@pytest.mark.parametrize("rule_id", list(CASES))
def test_the_rule_speaks(rule_id: str) -> None:
    (year, industry, region, facts), status, surcharge = CASES[rule_id]
    judgement = judged(year, industry, region, **facts)
    verdict = judgement.water if LAW.table(TariffRule)[rule_id].kind == "water" else judgement.electricity
    assert verdict is not None
    assert (verdict.rule_id, verdict.status) == (rule_id, status), verdict.reason_en
    assert verdict.surcharge == (None if surcharge is None else Decimal(surcharge))
    assert verdict.citations
    assert verdict.confidence in ("V", "M", "S")
    if verdict.confidence != "V":
        assert verdict.status not in ("flag", "clear")


@pytest.mark.parametrize("rule_id", list(ELSEWHERE))
def test_the_rule_speaks_beside_another(rule_id: str) -> None:
    (year, industry, region, facts), text = ELSEWHERE[rule_id]
    judgement = judged(year, industry, region, **facts)
    own = judgement.electricity
    said = (*judgement.notes, *own.notes, *(str(cited) for cited in own.citations))
    assert any(text in one for one in said), said


def test_an_industry_no_rule_names_may_still_be_above_a_limit() -> None:
    assert judged(2024, "bakery").electricity.status == "needs_data"
