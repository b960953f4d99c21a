"""What other threads ask of intensity: stored verdicts with their trail, forecasts, a period judged as it stands."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

import sqlalchemy as sa

from models.domain.accounts import Period
from monitor.commands import CommandRefused
from monitor.intensity import rows

if TYPE_CHECKING:
    from monitor.wiring import Core

Row = dict[str, Any]

SHOW: Final = "intensity"
LIST: Final = "intensity_list"
MOST: Final = 1000


def intensity_show(core: Core, arguments: Mapping[str, Any]) -> Row:
    """`enterprise`, `period`, `product` (or None): what is stored; where nothing is, what the data say now."""
    uscc, period = str(arguments["enterprise"]), period_of(arguments["period"])
    product = arguments.get("product")
    with core.engine.connect() as connection:
        found = stored(connection, uscc, period, product)
    if not found["items"]:
        judged = core.intensity.preview(uscc, period)
        found["items"] = [one for one in judged if product in (None, one["product"], one["product_zh"])]
    return found


def intensity_list(core: Core, arguments: Mapping[str, Any]) -> Row:
    """`period`, and `status` or None: what stands of every enterprise, and forecasts of the period."""
    with core.engine.connect() as connection:
        return listed(connection, arguments)


def stored(connection: sa.Connection, uscc: str, period: Period, product: str | None) -> Row:
    """Stored verdicts that stand (`items`), every revision (`trail`) and forecasts of an enterprise and period."""
    trail = rows.verdicts_of(connection, uscc=uscc, period=period.name, trail=True)
    told = rows.forecasts_of(connection, uscc=uscc, period=period.name)
    mine = [one for one in trail if product in (None, one["product"], one["product_zh"])]
    return {
        "items": [one for one in mine if one["latest"]],
        "trail": [{name: one[name] for name in TRAIL} for one in mine],
        "forecasts": [one for one in told if product in (None, one["product"])],
    }


TRAIL: Final = (
    "product",
    "metric",
    "revision",
    "cause",
    "status",
    "result",
    "actual",
    "corrected_limit",
    "law_version",
    "account",
    "recorded_at_ms",
)
"""What the trail says of each revision."""


def listed(connection: sa.Connection, arguments: Mapping[str, Any]) -> Row:
    """Stored verdicts and forecasts of a period."""
    period = period_of(arguments["period"]).name
    items = rows.verdicts_of(
        connection,
        period=period,
        status=arguments.get("status"),
        limit=int(arguments.get("limit") or MOST),
        offset=int(arguments.get("offset") or 0),
    )
    return {"items": items, "forecasts": rows.forecasts_of(connection, period=period)}


def period_of(text: object) -> Period:
    """The period a person named. Raises CommandRefused."""
    try:
        return Period.parse(str(text))
    except ValueError as error:
        raise CommandRefused(f"期间写法有误。{error}") from None
