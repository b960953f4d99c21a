"""Figures of intensity as the desk keeps them, for surcharges that rest on consumption per product."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from decimal import Decimal

import msgspec
import sqlalchemy as sa

from monitor.desk.finding_rows import chunked
from monitor.desk.schema import INTENSITY_VERDICTS
from monitor.tariffs.facts import Metric

_V = INTENSITY_VERDICTS.c
_NUMBER = sa.literal_column("intensity_verdicts.rowid", sa.Integer)
"""Revisions are only ever added, so the number of a row says which came later."""


class _Body(msgspec.Struct, frozen=True):
    """What is wanted of a stored verdict."""

    industry: str
    unit: str | None = None
    actual: str | None = None
    actual_reported: str | None = None
    corrected_limit: str | None = None


_DECODER = msgspec.json.Decoder(_Body)


def metrics_of(
    connection: sa.Connection, usccs: Sequence[str], periods: Collection[str]
) -> Mapping[str, tuple[Metric, ...]]:
    """By enterprise the figures that stand of some periods, by period, product and metric."""
    query = (
        sa.select(_V.uscc, _V.period, _V.product, _V.metric, _V.status, _V.body)
        .where(_V.latest == 1, _V.period.in_(sorted(periods)))
        .order_by(_V.uscc, _V.period, _V.product, _V.metric)
    )
    found: dict[str, list[Metric]] = {}
    for some in chunked(usccs):
        for row in connection.execute(query.where(_V.uscc.in_(some))).all():
            body = _DECODER.decode(row.body)
            found.setdefault(row.uscc, []).append(
                Metric(
                    industry=body.industry,
                    product=row.product,
                    metric=row.metric,
                    unit=body.unit or "",
                    period=row.period,
                    status=row.status,
                    actual=_decimal(body.actual),
                    reported=_decimal(body.actual_reported),
                    limit=_decimal(body.corrected_limit),
                )
            )
    return {uscc: tuple(metrics) for uscc, metrics in found.items()}


def since(connection: sa.Connection, number: int) -> set[tuple[str, str]]:
    """Enterprises and periods with revisions after a number."""
    query = sa.select(_V.uscc, _V.period).where(number < _NUMBER).distinct()
    return {(row.uscc, row.period) for row in connection.execute(query)}


def latest_number(connection: sa.Connection) -> int:
    """The number of the last revision, 0 for none."""
    return int(connection.scalar(sa.select(sa.func.max(_NUMBER)).select_from(INTENSITY_VERDICTS)) or 0)


def _decimal(text: str | None) -> Decimal | None:
    return None if text is None else Decimal(text)
