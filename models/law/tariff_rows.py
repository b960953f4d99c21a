"""Electricity and water surcharges as rows."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import ConfigDict

from models.law.rows import Cited, Dated, Identified, Text


class TariffRule(Dated):
    """One rule of differential, tiered or punitive pricing, of water, or of the framework around them."""

    model_config = ConfigDict(strict=True, frozen=True, extra="allow")

    kind: Literal["differential", "tiered", "punitive", "water", "framework"]
    region: Text
    title_zh: Text
    doc_no: Text


class EdgePolicy(Identified):
    """What is done on an edge the source leaves ambiguous: ours, not the law's."""

    ambiguous: Text
    missing_threshold: Text
    unverified_rule: Text


class Precedence(Cited):
    """One step of the order of precedence among rules."""

    model_config = ConfigDict(strict=True, frozen=True, extra="allow")

    order: int
    text: Any
