"""The facts a surcharge is judged by: who used how much electricity when, and what is known of plant and limit."""

from __future__ import annotations

from decimal import Decimal
from typing import Final, Literal, Self

from pydantic import Field, model_validator

from models.law.rows import Amount, Day, Exact, KeyFault, Region, Row, RowId, Text, UnitName

EquipmentClass = Literal["限制类", "淘汰类", "列入淘汰名单逾期未淘汰", "允许类", "鼓励类"]
"""Classes of the catalogue of equipment, and plant that stands on a list to be eliminated and was not in time."""

BillingBase = Literal[
    "all_electricity",
    "production_electricity",
    "liquid_aluminium_electricity",
    "device_electricity",
    "excess_electricity_only",
]
"""The electricity a surcharge is reckoned on."""

CAPACITY_CUT: Final = "未按期完成化解过剩产能任务"
"""What a differential rule calls an enterprise that did not finish its capacity-cut task in time."""

CementProcess = Literal["clinker", "cement_with_kiln", "grinding_station"]


class Figure(Row):
    """Consumption per unit of product that decides a tier. `metric` None: that which the rule in question asks for.

    `year`: the calendar year the figure is of; None: the year the rule asks for. `excludes_desulfurisation` (aluminium
    from 2023) None: as the rule asks. What is taken for None is told among the assumptions.
    """

    metric: RowId | None = None
    value: Exact
    unit: UnitName = "kWh/t"
    year: int | None = Field(default=None, ge=1990, le=2200)
    excludes_desulfurisation: bool | None = None


class Equipment(Row):
    """A device as registered. `kind`: as a notice names it, such as 湿法窑. `kwh`: its electricity in the period.

    `excepted`: for a kind that a notice lists with an exception, whether this device falls under the exception.
    """

    name: Text
    equipment_class: EquipmentClass | None = None
    kind: Text | None = None
    excepted: bool | None = None
    kwh: Amount | None = None


class Electricity(Row):
    """Electricity of the period in kWh, on each base that is known; from registers, own generation included."""

    all_kwh: Amount | None = None
    production_kwh: Amount | None = None
    liquid_aluminium_kwh: Amount | None = None
    excess_kwh: Amount | None = None
    """The part over the limit, where the bureau has set it."""


class Water(Row):
    """Water of the period in m3 against its quota; `price_cny_per_m3`: the basic price. `rule`: the city's notice."""

    quota_m3: Amount
    used_m3: Amount
    price_cny_per_m3: Amount | None = None
    rule: RowId | None = None

    @model_validator(mode="after")
    def _quota_is_above_zero(self) -> Self:
        if not self.quota_m3:
            raise KeyFault("quota_m3", "a quota of zero has no ratio over it. Give the quota in m3")
        return self


class TariffFacts(Row):
    """One enterprise (or product of it) over a period: `period_from` to `period_to` is that of the electricity charged.

    Of what is absent nothing is assumed, except where a field says so. Shares are from 0 to 1, money is CNY.
    """

    enterprise: Text | None = None
    industry: Text
    product: Text | None = None
    region: Region = "CN"
    """The innermost region known: a city or area, a province, or CN; the rules of those around it are found too."""
    period_from: Day
    period_to: Day
    decision_date: Day | None = None
    """When it is decided: a rule issued later is not known then; after the period's end, its own figures may decide."""
    rules_on: Day | None = None
    """What if: the rules and thresholds of this day instead of those in force in the period."""

    equipment_class: Literal[EquipmentClass, "none"] | None = None
    """The class of the worst listed plant, `none` for no listed plant; None: not known, unless `equipment` tells."""
    equipment: tuple[Equipment, ...] = ()
    """Registered devices, each with its class; all that matter, where given."""
    capacity_cut_done: bool | None = None
    """Whether the capacity-cut task was finished in time; None: there is none, as assumed."""

    figures: tuple[Figure, ...] = ()
    process: CementProcess | None = None
    production_date: Day | None = None
    """When the line went into production."""

    excess_ratio: Exact | None = None
    """(actual - limit) / limit, where it is given and not worked out from `limit` and `actual` or a limit verdict."""
    limit: Exact | None = None
    actual: Exact | None = None
    limit_unit: UnitName = "kgce/t"
    """The unit of `limit` and `actual`."""

    electricity: Electricity = Electricity()
    output_t: Amount | None = None
    """Product of the period in tonnes."""
    billing_base: BillingBase | None = None
    """What the region bills, where no rule here says so."""

    days_since_notice: int | None = Field(default=None, ge=0)
    """Days since the notice of payment while it is unpaid; None: paid in time or not due."""
    renewables_share: Amount | None = None
    """Share of non-hydro renewables in the electricity of the period."""
    renewables_incentive_share: Amount | None = None
    """The province's 非水电消纳责任权重激励值 of the year before."""
    concealed: bool = False
    """Records were false or missing, or were not reported, as the inspection states it."""

    water: Water | None = None

    @property
    def asks_of_electricity(self) -> bool:
        """Whether any kWh, consumption, limit or device is given, by which a surcharge on electricity is judged."""
        ratio = self.excess_ratio is not None or self.limit is not None
        return bool(self.equipment or self.figures or self.process or self.concealed or ratio) or (
            self.electricity != Electricity()
        )

    @model_validator(mode="after")
    def _facts_fit_each_other(self) -> Self:
        if self.period_from > self.period_to:
            raise KeyFault("period_from", "the period begins after it ends. Correct one of the dates")
        if (self.limit is None) != (self.actual is None):
            raise KeyFault("limit", "limit and actual go together. Give both, or excess_ratio alone")
        if self.excess_ratio is not None and self.limit is not None:
            raise KeyFault("excess_ratio", "excess_ratio is given beside limit and actual. Keep one of the two")
        for key in ("renewables_share", "renewables_incentive_share"):
            share: Decimal | None = getattr(self, key)
            if share is not None and share > 1:
                raise KeyFault(key, f"{key} is a share from 0 to 1. Write 0.18 for 18 %")
        return self
