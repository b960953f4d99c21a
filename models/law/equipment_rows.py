"""Induction furnaces: catalogue items by edition, uses that are allowed or not, and the rules IF-1 to IF-8."""

from __future__ import annotations

from typing import Literal

from models.law.conditions import Condition
from models.law.rows import Cited, Dated, Exact, RowId, Text


class CatalogueItem(Dated):
    """An item of a catalogue of equipment to be restricted or eliminated, in one edition."""

    catalogue_zh: Text
    edition: Text
    equipment_class: Literal["淘汰类", "限制类", "draft"]
    trade: Text
    text_zh: Text | None = None
    """The item's words, where they were read; None: its words are still to be looked up."""
    text_en: Text
    wording_read: bool
    threshold_t: Exact | None = None
    conflicts_with: tuple[RowId, ...] = ()


class FurnaceUse(Cited):
    """A use of an induction furnace and how the associations' opinion of 2017 and the catalogue look at it."""

    use_zh: Text
    use_en: Text
    verdict: Literal["allowed", "forbidden"]
    document: Text


class FurnaceRule(Cited):
    """One rule of IF-1 to IF-8: what in the register leads to which outcome. An outcome is never proof."""

    condition_zh: Text
    condition_en: Text
    when: tuple[Condition, ...] = ()
    unknown_when_missing: tuple[RowId, ...] = ()
    outcome: Literal["suspected", "eliminated_class", "allowed", "lead", "cannot_decide", "revived"]
    outcome_zh: Text
    outcome_en: Text
    catalogue_items: tuple[RowId, ...] = ()
    evidence_zh: Text | None = None
