"""`models.law.changed.replace` against the standard library's."""

from __future__ import annotations

import dataclasses
from decimal import Decimal

import pytest

from models.law.changed import replace
from models.law.tariff_verdict import TariffVerdict


def test_it_changes_what_the_standard_librarys_changes() -> None:
    verdict = TariffVerdict("tiered", "clear", "不加价", "none", tier="1", amount=Decimal(0), notes=("kept",))
    changes = {"status": "flag", "surcharge": Decimal("0.02"), "tier": None}
    assert replace(verdict, **changes) == dataclasses.replace(verdict, **changes)  # type: ignore[arg-type]
    assert replace(verdict) == verdict
    assert verdict.status == "clear"


def test_a_field_that_is_not_there_is_refused() -> None:
    with pytest.raises(TypeError, match="surchage"):
        replace(TariffVerdict("tiered", "clear", "", ""), surchage=Decimal(1))
