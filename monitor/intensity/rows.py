"""Intensity verdicts, forecasts and output ratios in the desk: history with revisions, nothing rewritten."""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import msgspec
import sqlalchemy as sa
from sqlalchemy.dialects.sqlite import insert as upsert

from models.law.explain import STATUS_ZH, verdict_json
from monitor.desk.finding_rows import chunked
from monitor.desk.schema import CURSORS, INTENSITY_FORECASTS, INTENSITY_VERDICTS, OUTPUT_RATIOS
from monitor.intensity.concerns import Concern, titles
from monitor.intensity.judging import Judged
from monitor.intensity.peers import Ratio
from monitor.leads import canonical_json

Key = tuple[str, str, str, str]
"""uscc, period, product, metric."""

_V: Final = INTENSITY_VERDICTS.c
_WITHDRAWN: Final = "withdrawn"


@dataclass(frozen=True, slots=True)
class Inputs:
    """What verdicts are judged with beside the account: digests of packs and register."""

    law_digest: str
    law_version: str
    register: str


@dataclass(frozen=True, slots=True)
class VerdictChange:
    """A revision that was written: what stood before, None for the first, and what stands now."""

    key: Key
    revision: int
    cause: str
    before: str | None
    after: str


def verdict_body(judged: Judged) -> dict[str, Any]:
    """Everything a verdict says, for machines and for people: the law's own verdict and what it began with.

    Versions and digests stay out: what says the same is the same revision.
    """
    plain = verdict_json(judged.verdict)
    del plain["law_version"], plain["law_digest"]
    product_zh, metric_zh = titles(judged)
    return {
        **plain,
        "status": judged.status,
        "status_zh": STATUS_ZH[judged.status],
        "result": judged.result,
        "reason_zh": judged.reason.zh,
        "reason_en": judged.reason.en,
        "enterprise": judged.uscc,
        "period": judged.period.name,
        "period_from": judged.period.first.isoformat(),
        "period_to": judged.period.last.isoformat(),
        "product_zh": product_zh,
        "metric_zh": metric_zh,
        "metric": judged.metric,
        "region": judged.region,
        "plant": judged.plant,
        "sites": list(judged.sites),
        "meters": list(judged.meters),
        "kwh": None if judged.kwh is None else format(judged.kwh, "f"),
        "coverage": None if judged.coverage is None else format(judged.coverage, "f"),
        "output": None if judged.output is None else format(judged.output, "f"),
        "output_unit": judged.output_unit,
        "at_least": [{"zh": one.zh, "en": one.en} for one in judged.at_least],
        "at_most": [{"zh": one.zh, "en": one.en} for one in judged.at_most],
    }


Stood = Mapping[str, Sequence[sa.Row[Any]]]
"""What is stored, by enterprise."""


def standing_verdicts(connection: sa.Connection, period: str, usccs: Sequence[str]) -> Stood:
    """The verdicts that stand of some enterprises in a period."""
    return _by_uscc(
        connection, sa.select(INTENSITY_VERDICTS).where(_V.period == period, _V.latest == 1), _V.uscc, usccs
    )


def standing_ratios(connection: sa.Connection, period: str, usccs: Sequence[str]) -> Stood:
    """The ratios of some enterprises in a period."""
    table = OUTPUT_RATIOS.c
    return _by_uscc(connection, sa.select(OUTPUT_RATIOS).where(table.period == period), table.uscc, usccs)


def _by_uscc(
    connection: sa.Connection, query: sa.Select[Any], uscc: sa.Column[Any], usccs: Sequence[str]
) -> dict[str, list[sa.Row[Any]]]:
    found: dict[str, list[sa.Row[Any]]] = {}
    for some in chunked(usccs):
        for row in connection.execute(query.where(uscc.in_(some))).all():
            found.setdefault(row.uscc, []).append(row)
    return found


def put_verdicts(
    connection: sa.Connection,
    uscc: str,
    period: str,
    standing: Sequence[sa.Row[Any]],
    judged: Sequence[Judged],
    inputs: Inputs,
    account: str,
    now_ms: int,
) -> list[VerdictChange]:
    """Make `judged` all that stands of an enterprise and period; writes a revision where something else is said.

    `standing`: its `standing_verdicts`. What stood and is judged no more (its output was taken back) stands on as
    `needs_data`, withdrawn.
    """
    stood = {(row.product, row.metric): row for row in standing}
    changes: list[VerdictChange] = []
    for one in judged:
        body = canonical_json(verdict_body(one))
        row = stood.pop((one.product, one.metric), None)
        changes += _put(connection, (uscc, period, one.product, one.metric), row, body, inputs, account, now_ms)
    for (product, metric), row in stood.items():
        before = msgspec.json.decode(row.body)
        if before["result"] != _WITHDRAWN:
            gone = canonical_json(_withdrawn(before))
            changes += _put(connection, (uscc, period, product, metric), row, gone, inputs, account, now_ms)
    return changes


def _withdrawn(before: Mapping[str, Any]) -> dict[str, Any]:
    kept = ("enterprise", "period", "period_from", "period_to", "industry", "product", "product_zh", "metric")
    return {
        **{name: before[name] for name in (*kept, "metric_zh", "unit", "region", "plant")},
        "status": "needs_data",
        "status_zh": STATUS_ZH["needs_data"],
        "result": _WITHDRAWN,
        "reason_zh": "已不再申报该产品的产量",
        "reason_en": "no output of the product is reported any more",
    }


def _put(
    connection: sa.Connection,
    key: Key,
    row: sa.Row[Any] | None,
    body: bytes,
    inputs: Inputs,
    account: str,
    now_ms: int,
) -> list[VerdictChange]:
    sha256 = hashlib.sha256(body).hexdigest()
    if row is not None and row.sha256 == sha256:
        return []
    says = msgspec.json.decode(body)
    uscc, period, product, metric = key
    revision = 1 if row is None else int(row.revision) + 1
    cause = "first" if row is None else _cause(row, inputs, account)
    if row is not None:
        standing = sa.and_(_V.uscc == uscc, _V.period == period, _V.product == product, _V.metric == metric)
        connection.execute(sa.update(INTENSITY_VERDICTS).where(standing, _V.latest == 1).values(latest=0))
    connection.execute(
        sa.insert(INTENSITY_VERDICTS).values(
            uscc=uscc,
            period=period,
            product=product,
            metric=metric,
            revision=revision,
            latest=1,
            status=says["status"],
            result=says["result"],
            cause=cause,
            inputs_sha256=account,
            law_digest=inputs.law_digest,
            law_version=inputs.law_version,
            register=inputs.register,
            recorded_at_ms=now_ms,
            body=body,
            sha256=sha256,
        )
    )
    return [VerdictChange(key, revision, cause, None if row is None else row.result, says["result"])]


def _cause(row: sa.Row[Any], inputs: Inputs, account: str) -> str:
    moved = [
        name
        for name, before, after in (
            ("data", row.inputs_sha256, account),
            ("law", row.law_digest, inputs.law_digest),
            ("register", row.register, inputs.register),
        )
        if before != after
    ]
    return moved[0] if len(moved) == 1 else "several" if moved else "data"


def verdicts_of(
    connection: sa.Connection,
    *,
    uscc: str | None = None,
    period: str | None = None,
    product: str | None = None,
    status: str | None = None,
    trail: bool = False,
    limit: int = 1000,
    offset: int = 0,
) -> list[dict[str, Any]]:
    """Stored verdicts by period, enterprise, product and metric; with `trail` every revision, the oldest first.

    Each is its body with `revision`, `cause`, the digests it was judged with, and `recorded_at_ms`.
    """
    query = sa.select(INTENSITY_VERDICTS).order_by(_V.period, _V.uscc, _V.product, _V.metric, _V.revision)
    wanted: Iterable[tuple[sa.ColumnElement[Any], str | None]] = (
        (_V.uscc, uscc),
        (_V.period, period),
        (_V.product, product),
        (_V.status, status),
    )
    for column, value in wanted:
        if value is not None:
            query = query.where(column == value)
    if not trail:
        query = query.where(_V.latest == 1)
    return [_shown(row) for row in connection.execute(query.limit(limit).offset(offset))]


def _shown(row: sa.Row[Any]) -> dict[str, Any]:
    body: dict[str, Any] = msgspec.json.decode(row.body)
    return body | {
        "revision": int(row.revision),
        "latest": bool(row.latest),
        "cause": row.cause,
        "account": row.inputs_sha256,
        "law_digest": row.law_digest,
        "law_version": row.law_version,
        "register": row.register,
        "recorded_at_ms": int(row.recorded_at_ms),
    }


def judged_subjects(connection: sa.Connection) -> set[tuple[str, str]]:
    """(uscc, period) of everything that was ever judged."""
    rows = connection.execute(sa.select(_V.uscc, _V.period).where(_V.latest == 1).distinct())
    ratios = connection.execute(sa.select(OUTPUT_RATIOS.c.uscc, OUTPUT_RATIOS.c.period).distinct())
    return {(row.uscc, row.period) for row in (*rows, *ratios)}


def put_ratios(
    connection: sa.Connection,
    uscc: str,
    period: str,
    standing: Sequence[sa.Row[Any]],
    ratios: Sequence[Ratio],
    own: Sequence[Concern],
    trade: str,
) -> set[tuple[str, str, str]]:
    """Replace an enterprise's ratios of a period, its `standing_ratios`, and what its own figures say; returns its
    groups of peers, (period, product, trade). A product that is gone leaves a row without a ratio, so that its peers
    are found again."""
    table = OUTPUT_RATIOS.c
    stood = {row.product: row for row in standing}
    rows = {row.product: _ratio_row(uscc, period, row.product, row.trade, None, ()) for row in stood.values()}
    rows |= {one.product: _ratio_row(uscc, period, one.product, one.trade, one.kwh_per_t, one.sites) for one in ratios}
    if own or "" in stood:
        rows[""] = _ratio_row(uscc, period, "", trade, None, tuple(own))
    changed = [name for name, row in rows.items() if name not in stood or stood[name].sha256 != row["sha256"]]
    if changed:
        mine = sa.and_(table.uscc == uscc, table.period == period)
        connection.execute(sa.delete(OUTPUT_RATIOS).where(mine, table.product.in_(sorted(changed))))
        connection.execute(sa.insert(OUTPUT_RATIOS), [rows[name] for name in changed])
    before = {(period, name, row.trade) for name, row in stood.items() if name}
    return before | {(period, name, str(row["trade"])) for name, row in rows.items() if name}


def _ratio_row(
    uscc: str, period: str, product: str, trade: str, kwh_per_t: float | None, says: tuple[Any, ...]
) -> dict[str, Any]:
    body = canonical_json({"trade": trade, "kwh_per_t": kwh_per_t, "says": says})
    return {
        "uscc": uscc,
        "period": period,
        "product": product,
        "trade": trade,
        "kwh_per_t": kwh_per_t,
        "body": body,
        "sha256": hashlib.sha256(body).hexdigest(),
    }


class _OwnBody(msgspec.Struct, frozen=True):
    says: tuple[Concern, ...]


class _RatioBody(msgspec.Struct, frozen=True):
    says: tuple[str, ...]


def group_of(connection: sa.Connection, period: str, product: str, trade: str) -> list[Ratio]:
    """The ratios of one trade and product in a period, by enterprise."""
    table = OUTPUT_RATIOS.c
    query = (
        sa.select(OUTPUT_RATIOS)
        .where(table.period == period, table.product == product, table.trade == trade, table.kwh_per_t.is_not(None))
        .order_by(table.uscc)
    )
    return [
        Ratio(
            row.uscc, period, product, trade, float(row.kwh_per_t), msgspec.json.decode(row.body, type=_RatioBody).says
        )
        for row in connection.execute(query)
    ]


def ratios_of(connection: sa.Connection, period: str, usccs: Sequence[str]) -> dict[str, list[tuple[str, str]]]:
    """(product, trade) of every ratio of some enterprises in a period."""
    table = OUTPUT_RATIOS.c
    found: dict[str, list[tuple[str, str]]] = {}
    for some in chunked(usccs):
        query = sa.select(table.uscc, table.product, table.trade).where(
            table.period == period, table.product != "", table.uscc.in_(some)
        )
        for row in connection.execute(query.order_by(table.uscc, table.product)):
            found.setdefault(row.uscc, []).append((row.product, row.trade))
    return found


def own_of(connection: sa.Connection, period: str, usccs: Sequence[str]) -> dict[str, tuple[Concern, ...]]:
    """What the own figures of some enterprises say against each other in a period."""
    table = OUTPUT_RATIOS.c
    found: dict[str, tuple[Concern, ...]] = {}
    for some in chunked(usccs):
        query = sa.select(table.uscc, table.body).where(
            table.period == period, table.product == "", table.uscc.in_(some)
        )
        for row in connection.execute(query):
            found[row.uscc] = msgspec.json.decode(row.body, type=_OwnBody).says
    return found


def put_forecasts(
    connection: sa.Connection, uscc: str, period: str, as_of: str, bodies: Mapping[tuple[str, str], Mapping[str, Any]]
) -> None:
    """Make these all forecasts of an enterprise and period, by (product, metric); none takes the old ones away."""
    table = INTENSITY_FORECASTS.c
    connection.execute(sa.delete(INTENSITY_FORECASTS).where(table.uscc == uscc, table.period == period))
    rows = []
    for (product, metric), says in bodies.items():
        body = canonical_json(dict(says))
        keys = {"uscc": uscc, "period": period, "product": product, "metric": metric, "as_of": as_of}
        rows.append(keys | {"body": body, "sha256": hashlib.sha256(body).hexdigest()})
    if rows:
        connection.execute(sa.insert(INTENSITY_FORECASTS), rows)


def forecast_days(connection: sa.Connection, period: str, usccs: Sequence[str]) -> dict[str, dt.date]:
    """The day the forecasts of some enterprises for a period were made, for those that have one."""
    table = INTENSITY_FORECASTS.c
    found: dict[str, dt.date] = {}
    for some in chunked(usccs):
        query = sa.select(table.uscc, table.as_of).where(table.period == period, table.uscc.in_(some))
        found.update((row.uscc, dt.date.fromisoformat(row.as_of)) for row in connection.execute(query))
    return found


def forecasts_of(
    connection: sa.Connection, *, uscc: str | None = None, period: str | None = None, product: str | None = None
) -> list[dict[str, Any]]:
    """Stored forecasts by period, enterprise, product and metric."""
    table = INTENSITY_FORECASTS.c
    query = sa.select(INTENSITY_FORECASTS).order_by(table.period, table.uscc, table.product, table.metric)
    for column, value in ((table.uscc, uscc), (table.period, period), (table.product, product)):
        if value is not None:
            query = query.where(column == value)
    return [msgspec.json.decode(row.body) for row in connection.execute(query)]


def cursor(connection: sa.Connection, name: str) -> int:
    """A cursor of this part; 0 at first."""
    value = connection.scalar(sa.select(CURSORS.c.value).where(CURSORS.c.name == f"intensity:{name}"))
    return int(value) if value is not None else 0


def set_cursor(connection: sa.Connection, name: str, value: int) -> None:
    """Move a cursor of this part."""
    statement = upsert(CURSORS).values(name=f"intensity:{name}", value=value)
    connection.execute(
        statement.on_conflict_do_update(index_elements=[CURSORS.c.name], set_={"value": statement.excluded.value})
    )
