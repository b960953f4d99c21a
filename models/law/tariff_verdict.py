"""The verdict on surcharges, with everything needed to check it by hand."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Final, Literal

from models.law.rows import Confidence
from models.law.steps import Citation, Missing, Step
from models.law.tariff_facts import BillingBase
from models.law.tariff_parts import RuleKind
from models.law.tariff_rows import TariffRule

TariffStatus = Literal["flag", "clear", "undetermined", "needs_data", "needs_review"]
"""flag: a surcharge follows. clear: none does. undetermined: the law as known here has no answer. needs_data: figures
of the plant are missing. needs_review: a person must settle it; on an edge or between readings the surcharge shown is
the lower, where several kinds meet on the same kWh the higher of them, each being due by itself."""

KIND_WORDS: Final[Mapping[RuleKind, tuple[str, str]]] = {
    "differential": ("差别电价", "differential pricing"),
    "tiered": ("阶梯电价", "tiered pricing"),
    "punitive": ("惩罚性电价", "punitive pricing"),
    "water": ("超定额用水", "water over quota"),
    "framework": ("框架", "framework"),
}


@dataclass(frozen=True, slots=True)
class Preview:
    """What it would be if what is not verified or not given were so: to be shown, never billed."""

    rule: str
    tier: str | None
    surcharge: Decimal | None
    amount: Decimal | None


@dataclass(frozen=True, slots=True)
class TariffVerdict:
    """One kind of surcharge for one enterprise and period.

    `rule`: the rule the answer follows, None where none applies. `tier`: the tier's number, the number of steps above
    the line, the equipment class, `concealment`, or None. `surcharge`: as charged, in CNY/kWh (`unit`; of water
    CNY/m3), with late payment and renewables in it; zero where clear, None where nothing may be said. `base`: the
    electricity it is reckoned on; `quantity`: that electricity in kWh (of water m3). `amount`: CNY to the fen, half
    up; None where the base or its quantity is missing: the flag stands then, and `missing` says what the amount wants.
    `amount_per_t`: CNY per tonne of product where consumption per tonne or output is given. `actual` against
    `threshold` (in `figure_unit`, of `figure_year`), or `excess_ratio`: what the tier was found by. `confidence`: of
    the least sure thing it rests on. `asked`: whether the facts speak of this kind at all. `displaced_by`: the rule
    that takes its place, or None.
    """

    kind: RuleKind
    status: TariffStatus
    reason_zh: str
    reason_en: str
    rule: TariffRule | None = None
    tier: str | None = None
    surcharge: Decimal | None = None
    unit: str = "CNY/kWh"
    base: BillingBase | None = None
    quantity: Decimal | None = None
    amount: Decimal | None = None
    amount_per_t: Decimal | None = None
    actual: Decimal | None = None
    threshold: Decimal | None = None
    figure_unit: str | None = None
    figure_year: int | None = None
    excess_ratio: Decimal | None = None
    confidence: Confidence | None = None
    asked: bool = True
    displaced_by: str | None = None
    preview: Preview | None = None
    steps: tuple[Step, ...] = ()
    citations: tuple[Citation, ...] = ()
    missing: tuple[Missing, ...] = ()
    assumptions: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def rule_id(self) -> str | None:
        """The id of the rule, None where none applies."""
        return None if self.rule is None else self.rule.id


@dataclass(frozen=True, slots=True)
class TariffJudgement:
    """All that follows for one enterprise and period.

    `electricity`: the one answer for its kWh (surcharges are not stacked).
    `water`: None where the facts speak of none. `verdicts`: one for each kind that concerns the enterprise, those
    displaced included. `notes`: what else the packs say about the region and trade. `law_digest` changes with any
    statement of the packs.
    """

    electricity: TariffVerdict
    water: TariffVerdict | None
    verdicts: tuple[TariffVerdict, ...]
    notes: tuple[str, ...]
    law_version: str
    law_digest: str

    @property
    def still_open(self) -> tuple[TariffVerdict, ...]:
        """The other kinds that are not judged: a surcharge of theirs is not excluded by the answer."""
        own = (self.electricity.kind, "water")
        return tuple(
            one
            for one in self.verdicts
            if one.kind not in own and one.displaced_by is None and one.status in ("needs_data", "undetermined")
        )
