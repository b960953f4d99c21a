"""The verdict on one metric, with everything needed to check it by hand."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Final, Literal

from models.law.limit_rows import LevelName, Limit, Standard
from models.law.steps import Citation, Missing, Step

Status = Literal["meets", "exceeds", "undetermined", "needs_data", "needs_review"]
"""meets: the deciding level is met. exceeds: it is not. undetermined: the law as known here has no answer. needs_data:
figures of the plant are missing. needs_review: too close to the limit, or it hangs on a reading to be checked."""

LEVEL_WORDS: Final[Mapping[LevelName, tuple[str, str]]] = {
    "level1": ("1级", "level 1"),
    "level2": ("2级", "level 2"),
    "level3": ("3级", "level 3"),
}

LevelResult = Literal["meets", "exceeds", "no_such_level", "not_in_library", "unverified", "within_uncertainty", "open"]


@dataclass(frozen=True, slots=True)
class LevelVerdict:
    """One level. `published` and `corrected` in the limit's unit, None where there is no value; `open`: not judged."""

    level: LevelName
    published: Decimal | None
    corrected: Decimal | None
    result: LevelResult


@dataclass(frozen=True, slots=True)
class LimitVerdict:
    """One metric of one product over a period against the limit in force.

    `decisive`: the level the plant is held to. `level`: the best level surely met (1 to 3), None for none.
    `actual`: as corrected; `actual_reported`: as given or worked out from energy and output, in the limit's unit.
    `uncertainty`: absolute, in the unit. `excess`: actual less corrected limit; `excess_ratio` only over a limit above
    zero. `preview`: what it would be if what is not verified were, to be shown and never acted on.
    """

    status: Status
    industry: str
    product: str
    metric: str | None
    unit: str | None
    decisive: LevelName
    reason_zh: str
    reason_en: str
    limit_row: Limit | None = None
    standard: Standard | None = None
    level: int | None = None
    limit: Decimal | None = None
    corrected_limit: Decimal | None = None
    actual: Decimal | None = None
    actual_reported: Decimal | None = None
    uncertainty: Decimal | None = None
    excess: Decimal | None = None
    excess_ratio: Decimal | None = None
    levels: tuple[LevelVerdict, ...] = ()
    steps: tuple[Step, ...] = ()
    citations: tuple[Citation, ...] = ()
    missing: tuple[Missing, ...] = ()
    assumptions: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    preview: Status | None = None
    law_version: str = ""
    law_digest: str = ""

    @property
    def result(self) -> str:
        """The status in words: `meets level 3`, `exceeds level 3`, else the status itself."""
        match self.status:
            case "meets":
                return f"meets level {self.level}"
            case "exceeds":
                return f"exceeds level {self.decisive[-1]}"
            case _:
                return self.status
