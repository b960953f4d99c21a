"""The facts of one case: what was made where and when, what was used for it, and what corrections ask. From TOML."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Literal, Self

from pydantic import Field, model_validator

from models.law.conditions import FactValue
from models.law.faults import LawFaults, nearest
from models.law.library import Law
from models.law.reading import Found, parsed, placed, validated
from models.law.rows import Amount, Day, Exact, KeyFault, Region, Row, Text, UnitName
from models.law.vocabulary import FactName, Industry, Metric, RegionName

METER_CLASSES: dict[str, Decimal] = {
    "0.2S": Decimal("0.2"),
    "0.5S": Decimal("0.5"),
    "0.2": Decimal("0.2"),
    "0.5": Decimal("0.5"),
    "1": Decimal(1),
    "2": Decimal(2),
    "C": Decimal("0.5"),
    "B": Decimal(1),
    "A": Decimal(2),
}
"""Largest error in percent of a meter of each accuracy class."""


class EnergyInput(Row):
    """One kind of energy used (or, `recovered`, given back) in the period: see models.law.conversion.EnergyItem."""

    factor: Text
    quantity: Amount
    unit: UnitName
    kgce_per_unit: Amount | None = None
    kj_per_unit: Amount | None = None
    value_source: str = ""
    recovered: bool = False


class Measured(Row):
    """One metric of the plant over the period: its figure, or the energy and the output it follows from."""

    metric: Text | None = None
    actual: Exact | None = None
    unit: UnitName | None = None
    energy: tuple[EnergyInput, ...] = ()
    output: Amount | None = None
    output_unit: UnitName | None = None
    uncertainty_pct: Amount | None = None
    """Relative uncertainty of the figure; else it follows from the meter's class and the coverage, where given."""
    meter_class: Literal["0.2S", "0.5S", "0.2", "0.5", "1", "2", "A", "B", "C"] | None = None
    coverage: Amount | None = None
    """Share of the period with readings, 0 to 1."""

    @model_validator(mode="after")
    def _figure_or_energy(self) -> Self:
        if (self.actual is not None) == bool(self.energy):
            raise KeyFault("actual", "give actual with its unit, or energy with output. One of the two")
        if self.actual is not None and self.unit is None:
            raise KeyFault("unit", "actual has no unit. Name it, such as kgce/t")
        if self.energy and (self.output is None or self.output_unit is None or not self.output):
            raise KeyFault("output", "energy needs the output it went into, above zero. Give output and output_unit")
        if self.coverage is not None and self.coverage > 1:
            raise KeyFault("coverage", "coverage is a share from 0 to 1. Write 0.98 for 98 %")
        return self

    @property
    def uncertainty(self) -> Decimal | None:
        """Relative uncertainty in percent, None where nothing is known of it."""
        if self.uncertainty_pct is not None:
            return self.uncertainty_pct
        if self.meter_class is None and self.coverage is None:
            return None
        meter = METER_CLASSES[self.meter_class] if self.meter_class is not None else Decimal(0)
        return meter + (1 - (Decimal(1) if self.coverage is None else self.coverage)) * 100


class Case(Row):
    """A plant's product over a period. `plant`: existing is held to level 3; new (or rebuilt) to level 2."""

    enterprise: Text | None = None
    industry: Text
    product: Text
    region: Region = "CN"
    plant: Literal["existing", "new"]
    period_from: Day
    period_to: Day
    decision_date: Day | None = None
    measured: tuple[Measured, ...] = Field(min_length=1)
    facts: dict[str, bool | str | Exact] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _period_runs_forward(self) -> Self:
        if self.period_from > self.period_to:
            raise KeyFault("period_from", "the period begins after it ends. Correct one of the dates")
        return self

    @property
    def given(self) -> dict[str, FactValue]:
        """The named facts."""
        return dict(self.facts)


def read_case(path: Path, law: Law) -> Case:
    """A case from a facts file. Raises LawFaults with file and line, OSError."""
    return case_of(str(path), path.read_bytes(), law)


def case_of(name: str, data: bytes, law: Law) -> Case:
    """A case from the contents of a facts file; every name checked against the packs. Raises LawFaults."""
    document, text, broken = parsed(name, data)
    if broken is not None:
        raise LawFaults([broken])
    found: list[Found] = []
    case = validated(Case, document, (), found)
    if case is not None:
        found = unknown_names(case, law)
    faults = placed(name, text, found)
    if faults or case is None:
        raise LawFaults(faults)
    return case


def unknown_names(case: Case, law: Law) -> list[Found]:
    """What a case names that the packs do not know."""
    found: list[Found] = []
    industries, regions = law.table(Industry), law.table(RegionName)
    if case.region not in regions:
        found.append((("region",), f"unknown region {case.region!r}", nearest(case.region, regions)))
    if case.industry not in industries:
        found.append((("industry",), f"unknown industry {case.industry!r}", nearest(case.industry, industries)))
        return found
    products = {product for industry, product in law.limits_by_product if industry == case.industry}
    if case.product not in products:
        found.append(
            (("product",), f"unknown product {case.product!r} of {case.industry}", nearest(case.product, products))
        )
        return found
    metrics = metrics_of(law, case.industry, case.product)
    for index, measured in enumerate(case.measured):
        if measured.metric is None and len(metrics) > 1:
            remedy = f"It is one of: {', '.join(metrics)}."
            found.append((("measured", index), "several metrics are limited and none is named", remedy))
        elif measured.metric is not None and measured.metric not in metrics:
            problem = f"no limit of {case.product} is on {measured.metric!r}"
            found.append((("measured", index, "metric"), problem, nearest(measured.metric, metrics)))
    found += _wrong_facts(case, law.table(FactName))
    return found


def metrics_of(law: Law, industry: str, product: str) -> list[str]:
    """The metrics the packs limit for a product, over all versions."""
    known = {limit.metric for limit in law.limits_by_product.get((industry, product), ())}
    return [metric for metric in law.table(Metric) if metric in known]


def _wrong_facts(case: Case, names: Mapping[str, FactName]) -> list[Found]:
    found: list[Found] = []
    for key, value in case.facts.items():
        name = names.get(key)
        path = ("facts", key)
        if name is None:
            found.append((path, "unknown fact", nearest(key, names)))
        elif (wrong := misfit(name, value)) is not None:
            found.append((path, f"{name.name_zh} / {name.name_en}: {wrong}", f"Ask: {name.ask}."))
    return found


def misfit(name: FactName, value: FactValue) -> str | None:
    """What is wrong with the value of a fact; None where it fits."""
    match name.kind:
        case "yes_no":
            return None if isinstance(value, bool) else "true or false is wanted"
        case "choice":
            return None if value in name.choices else f"one of {', '.join(name.choices)} is wanted, not {value!r}"
        case "number":
            if isinstance(value, bool) or not isinstance(value, Decimal):
                return f"a number in {name.unit} is wanted, without quotes"
            if (name.min is not None and value < name.min) or (name.max is not None and value > name.max):
                return f"{value} is outside {name.min} to {name.max} {name.unit}"
            return None
