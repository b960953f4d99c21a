"""What detectors say: scores for every meter, findings with reasons where there is something to look at."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray


class Status(StrEnum):
    """What a detector concludes of one meter and night."""

    CLEAR = "clear"
    SUSPECT = "suspect"
    DECLARED = "declared"
    UNDETERMINED = "undetermined"
    INHIBITED = "inhibited"


@dataclass(frozen=True, slots=True)
class Reason:
    """One named measurement a person can check: `code` is stable, the texts already contain value and unit."""

    code: str
    value: float
    unit: str
    zh: str
    en: str


@dataclass(frozen=True, slots=True)
class Finding:
    """What a detector says about one meter and night, worth keeping.

    `score` in [0, 1] is the electrical evidence, `mismatch` in [0, 1] how badly it fits the register: two numbers
    that stay two numbers. `probability` is a calibrated one, None where the detector has none. `measures` are the
    feature values behind it (6 significant digits).
    """

    detector: str
    meter: str
    night: dt.date
    status: Status
    score: float
    probability: float | None
    mismatch: float
    reasons: tuple[Reason, ...]
    measures: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Judgement:
    """A detector's answer for a window of n meters: columns for all of them, findings for those that matter.

    `score` and `probability` (n,) float64, 4 decimals, NaN where there is none; `status` one a meter.
    """

    detector: str
    meters: Sequence[str]
    score: NDArray[np.float64]
    probability: NDArray[np.float64]
    status: Sequence[Status]
    findings: tuple[Finding, ...]
