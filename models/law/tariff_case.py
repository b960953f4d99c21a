"""One enterprise and period as the kinds of surcharge look at it, and the words they share."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from typing import Final

from models.law.changed import replace
from models.law.rows import RowId
from models.law.steps import Citation, Missing
from models.law.tariff_book import Shelf, TariffBook, live
from models.law.tariff_facts import TariffFacts
from models.law.tariff_parts import RuleKind
from models.law.tariff_rows import TariffRule
from models.law.tariff_verdict import KIND_WORDS, Preview, TariffVerdict
from models.law.verdict import LimitVerdict

UNVERIFIED: Final = (
    "依据未经核实，只作预览，不得执行",
    "what it rests on is not verified: a preview, not to be billed",
)
NOTICE: Final = "the text of the notice"


@dataclass(frozen=True, slots=True)
class TariffCase:
    """`on`: the day whose rules are asked; `limit`: the verdict on the limit that punitive pricing follows."""

    book: TariffBook
    facts: TariffFacts
    chain: tuple[RowId, ...]
    on: date
    limit: LimitVerdict | None = None

    def shelf(self, kind: RuleKind) -> Shelf:
        """The rules of a kind that concern the case, innermost region first."""
        return self.book.shelf(kind, self.facts.region, self.facts.industry)

    def live(self, rule: TariffRule) -> bool:
        """Whether a rule is in force on the day, and was known when it was decided."""
        return live(rule, self.on, self.facts.decision_date)

    def frameworks(self) -> Iterator[TariffRule]:
        """The frameworks in force that concern the case."""
        return (rule for rule in self.shelf("framework").rules if rule.effective_from is None or self.live(rule))


def cite_rule(rule: TariffRule) -> Citation:
    """The citation of a rule."""
    return Citation(rule.doc_no, rule.title_zh, rule.source, rule.confidence)


def wants(kind: RuleKind, rule: TariffRule | None, missing: Missing, *, asked: bool = False) -> TariffVerdict:
    """The verdict where a fact of the plant is missing; `asked`: whether the facts speak of the kind at all."""
    zh, en = KIND_WORDS[kind]
    return TariffVerdict(
        kind,
        "needs_data",
        f"{zh}：缺少{missing.what_zh}",
        f"{en}: {missing.what_en} is missing",
        rule=rule,
        confidence=None if rule is None else rule.confidence,
        asked=asked,
        missing=(missing,),
        citations=() if rule is None else (cite_rule(rule),),
    )


def withheld(verdict: TariffVerdict) -> TariffVerdict:
    """The verdict turned into a preview, as what it rests on is not verified."""
    if verdict.status not in ("flag", "clear", "needs_review"):
        return verdict
    name = verdict.rule_id or ""
    checked = Missing(name, f"{name} 的核实文本", f"a verified text of {name}", NOTICE)
    return replace(
        verdict,
        status="undetermined",
        reason_zh=UNVERIFIED[0],
        reason_en=UNVERIFIED[1],
        preview=Preview(name, verdict.tier, verdict.surcharge, verdict.amount),
        tier=None,
        surcharge=None,
        amount=None,
        amount_per_t=None,
        missing=(checked,),
    )
