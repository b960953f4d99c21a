"""Finding the tier of a number: on an edge the source leaves open, the lower surcharge, to be reviewed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from models.law.numbers import shown
from models.law.tariff_parts import Tier


@dataclass(frozen=True, slots=True)
class FoundTier:
    """The tier of a number. `number` counts from 1; `edge`: the ambiguous edge it lies on exactly, or None.

    `other`: the tier on the other side of such an edge.
    """

    tier: Tier
    number: int
    edge: Decimal | None = None
    other: Tier | None = None


def tier_of(tiers: Sequence[Tier], number: Decimal) -> FoundTier | None:
    """The tier a number is in; None below a table that begins above zero."""
    for index, tier in enumerate(tiers):
        if not tier.holds(number):
            continue
        below = tiers[index - 1] if index else None
        above = tiers[index + 1] if index + 1 < len(tiers) else None
        if below is not None and number == tier.low and _in_doubt(number, tier, below):
            return FoundTier(below, index, number, tier)
        if above is not None and number == tier.high and _in_doubt(number, tier, above):
            return FoundTier(tier, index + 1, number, above)
        return FoundTier(tier, index + 1)
    return None


def _in_doubt(edge: Decimal, tier: Tier, beside: Tier) -> bool:
    return edge in tier.ambiguous_at or edge in beside.ambiguous_at


def tier_label(tiers: Sequence[Tier], found: FoundTier) -> str:
    """The tier's own number where the rule numbers its tiers, else its place in the table."""
    own = tiers[found.number - 1].tier
    return str(found.number if own is None else own)


def tier_formula(number: str, found: FoundTier) -> str:
    """`13750: > 13700, ≤ 13800 → 0.02` as a person reads it; the step adds the unit."""
    cost = found.tier.surcharge
    told = "" if cost is None else f" → {shown(cost)}"
    return f"{number}: {found.tier.text()}{told}"
