"""What detectors said, as the rows of a night's scores."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from models.domain.findings import Judgement, Status
from models.domain.windows import Window


def cannot_judge(detector: str, window: Window) -> Judgement:
    """No score for any meter: "cannot judge" is a result (design §2, invariant 6)."""
    n = len(window.meters)
    unknown = np.full(n, np.nan)
    return Judgement(detector, window.meters, unknown, unknown, [Status.UNDETERMINED] * n, ())


def score_table(judgements: Sequence[Judgement], meters: pa.Array, sites: pa.Array) -> pa.Table:
    """One row a meter and detector: meter, site, detector, score, probability, status, reasons (JSON).

    `meters` and `sites` are strings (n,), the meters those of every judgement in its order.
    """
    number = len(judgements)
    n = len(meters)
    reasons = ["[]"] * (number * n)
    position = {meter: i for i, meter in enumerate(judgements[0].meters)} if judgements else {}
    for block, judgement in enumerate(judgements):
        for finding in judgement.findings:
            reasons[block * n + position[finding.meter]] = msgspec.json.encode(finding.reasons).decode()
    names = pa.array([judgement.detector for judgement in judgements], pa.string())
    return pa.table(
        {
            "meter": pa.concat_arrays([meters] * number) if number else meters[:0],
            "site": pa.concat_arrays([sites] * number) if number else sites[:0],
            "detector": names.take(pa.array(np.repeat(np.arange(number), n))),
            "score": _numbers([j.score for j in judgements]),
            "probability": _numbers([j.probability for j in judgements]),
            "status": pa.array([status.value for j in judgements for status in j.status], pa.string()),
            "reasons": pa.array(reasons, pa.string()),
        }
    )


def _numbers(columns: Sequence[NDArray[np.float64]]) -> pa.Array:
    values = np.concatenate([np.zeros(0), *columns])
    return pa.array(values, pa.float64(), from_pandas=True)
