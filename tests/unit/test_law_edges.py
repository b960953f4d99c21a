"""Just below, at and just above every level of every limit of the packs, in Decimal."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.law.judge import judge_limits
from models.law.library import shipped_law
from models.law.limit_rows import LEVELS, Limit
from tests.support.law_cases import plain_case

LIMITS = list(shipped_law().table(Limit).values())
PHOSPHORUS = "yellow_phosphorus"


@pytest.mark.parametrize("limit", LIMITS, ids=lambda limit: limit.id)
def test_a_figure_at_the_limit_meets_it_and_one_just_above_does_not(limit: Limit) -> None:
    _holds_at_the_edge(limit, Decimal("0.0000001"))


@given(limit=st.sampled_from(LIMITS), step=st.decimals("0.000000001", "3", places=9))
def test_however_small_the_distance(limit: Limit, step: Decimal) -> None:
    _holds_at_the_edge(limit, step)


def _holds_at_the_edge(limit: Limit, step: Decimal) -> None:
    law = shipped_law()
    for index, level in enumerate(LEVELS):
        value: Decimal | None = getattr(limit, level)
        if value is None:
            continue
        for actual, expected in ((value - step, "meets"), (value, "meets"), (value + step, "exceeds")):
            for plant in ("existing", "new"):
                (verdict,) = judge_limits(law, plain_case(limit, actual + _offset(limit), plant, law))
                found = verdict.levels[index]
                assert verdict.limit_row == limit
                assert found.corrected == value
                verified = limit.confidence_of(level) == "V"
                assert found.result == (expected if verified else "unverified")
                if verdict.decisive == level:
                    told = verdict.status if verified else verdict.preview
                    assert told == expected


def _offset(limit: Limit) -> Decimal:
    """What the correction of the actual figure takes off with the plain facts: phosphorus has no neutral charge."""
    if limit.industry != PHOSPHORUS:
        return Decimal(0)
    law = shipped_law()
    (verdict,) = judge_limits(law, plain_case(limit, Decimal(0), "existing", law))
    assert verdict.actual is not None
    return -verdict.actual
