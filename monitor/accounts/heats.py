"""Heats of a period: energy per tonne heat by heat, rolling, and by furnace and product; what is odd is flagged."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal, localcontext
from typing import Final

from models.domain.accounts import Gap, GapKind, HeatGroup, HeatLine, Heats, Period
from models.domain.production import HeatReport
from models.domain.register import Furnace, FurnaceKind
from models.law.numbers import PRECISION
from monitor.accounts.output import settled

ROLLING_HEATS: Final = 30
MOST_YIELD: Final = Decimal("1.02")
"""Tapped over charged tonnes above this is odd: additions and the scale's error, not more."""

PLAUSIBLE_KWH_PER_T: Final[Mapping[FurnaceKind, tuple[Decimal, Decimal]]] = {
    FurnaceKind.MEDIUM_FREQUENCY: (Decimal(380), Decimal(1200)),
    FurnaceKind.MAINS_FREQUENCY: (Decimal(380), Decimal(1300)),
    FurnaceKind.INDUCTION_HEATING: (Decimal(200), Decimal(900)),
    FurnaceKind.ARC: (Decimal(200), Decimal(1000)),
    FurnaceKind.SUBMERGED_ARC: (Decimal(1500), Decimal(16000)),
    FurnaceKind.RESISTANCE: (Decimal(50), Decimal(3000)),
    FurnaceKind.OTHER: (Decimal(10), Decimal(16000)),
}
"""kWh per tapped tonne that a furnace of each kind can show: below the first the metal would not melt (or heat), above
the second something else was metered too."""

_RATED: Final = Decimal("1.3")
_TENTH: Final = Decimal("0.1")
_HOUR_MS: Final = 3_600_000


def heats_of(
    reports: Sequence[HeatReport], furnaces: Mapping[str, Furnace], period: Period
) -> tuple[Heats, tuple[Gap, ...]]:
    """The heats that reports of one enterprise tell of. `furnaces`: the register's rows by id."""
    standing, contradictions = settled(reports)
    gaps = [
        Gap(
            GapKind.HEAT_CONFLICT,
            same[0].furnace,
            period.first,
            period.last,
            f"同一炉次同一版本（rev {same[0].rev}）有不同数值，未采用，待修订",
            f"one heat is stated differently under revision {same[0].rev}: not counted until a revision settles it",
        )
        for same in sorted(contradictions, key=lambda same: same[0].key)
    ]
    lines: list[HeatLine] = []
    with localcontext(PRECISION):
        by_furnace: dict[str, list[HeatReport]] = defaultdict(list)
        for report in standing:
            by_furnace[report.furnace].append(report)
        for furnace, mine in sorted(by_furnace.items()):
            lines += _lines(sorted(mine, key=lambda heat: heat.start_ms), furnaces.get(furnace))
        for same in sorted(contradictions, key=lambda same: same[0].key):
            lines.append(_contradicted(same[0]))
        odd: dict[str, int] = defaultdict(int)
        for line in lines:
            if line.flags and line.flags != ("conflict",):
                odd[line.furnace] += 1
        gaps += [
            Gap(
                GapKind.HEAT_ODD,
                furnace,
                period.first,
                period.last,
                f"{count} 个炉次数据异常，不计入单耗",
                f"{count} odd heats are left out of energy per tonne",
                lowers=False,
            )
            for furnace, count in sorted(odd.items())
        ]
        return Heats(tuple(sorted(lines, key=lambda one: (one.furnace, one.start_ms))), _groups(lines)), tuple(gaps)


def _lines(heats: Sequence[HeatReport], furnace: Furnace | None) -> list[HeatLine]:
    lines: list[HeatLine] = []
    recent: deque[tuple[Decimal, Decimal]] = deque(maxlen=ROLLING_HEATS)
    for at, heat in enumerate(heats):
        flags = _flags(heat, furnace, heats[at - 1] if at else None, heats[at + 1] if at + 1 < len(heats) else None)
        if not flags and heat.tapped_t:
            recent.append((heat.energy_kwh, heat.tapped_t))
        tonnes = sum((tapped for _, tapped in recent), Decimal(0))
        lines.append(
            HeatLine(
                furnace=heat.furnace,
                start_ms=heat.start_ms,
                end_ms=heat.end_ms,
                product=heat.product,
                energy_kwh=heat.energy_kwh,
                charged_t=heat.charged_t,
                tapped_t=heat.tapped_t,
                kwh_per_charged_t=_per(heat.energy_kwh, heat.charged_t),
                kwh_per_tapped_t=_per(heat.energy_kwh, heat.tapped_t),
                rolling_kwh_per_tapped_t=_per(sum((kwh for kwh, _ in recent), Decimal(0)), tonnes),
                rev=heat.rev,
                flags=flags,
            )
        )
    return lines


def _flags(
    heat: HeatReport, furnace: Furnace | None, before: HeatReport | None, after: HeatReport | None
) -> tuple[str, ...]:
    """What is odd about a heat: `overlap`, `yield`, `energy_low`, `energy_high`, `overfull`, `power`."""
    flags: list[str] = []
    if (before is not None and before.end_ms > heat.start_ms) or (after is not None and heat.end_ms > after.start_ms):
        flags.append("overlap")
    if heat.charged_t is not None and heat.tapped_t is not None and heat.tapped_t > heat.charged_t * MOST_YIELD:
        flags.append("yield")
    kind = furnace.kind if furnace is not None else FurnaceKind.OTHER
    low, high = PLAUSIBLE_KWH_PER_T[kind]
    per_tonne = _per(heat.energy_kwh, heat.tapped_t)
    if per_tonne is not None and per_tonne < low:
        flags.append("energy_low")
    if per_tonne is not None and per_tonne > high:
        flags.append("energy_high")
    capacity_t = furnace.capacity_t if furnace is not None else None
    if capacity_t is not None and heat.tapped_t is not None and heat.tapped_t > Decimal(repr(capacity_t)) * _RATED:
        flags.append("overfull")
    if furnace is not None and furnace.rated_kw is not None:
        most = Decimal(repr(furnace.rated_kw)) * _RATED * (heat.end_ms - heat.start_ms) / _HOUR_MS
        if heat.energy_kwh > most:
            flags.append("power")
    return tuple(flags)


def _contradicted(heat: HeatReport) -> HeatLine:
    return HeatLine(
        furnace=heat.furnace,
        start_ms=heat.start_ms,
        end_ms=heat.end_ms,
        product=heat.product,
        energy_kwh=None,
        charged_t=None,
        tapped_t=None,
        kwh_per_charged_t=None,
        kwh_per_tapped_t=None,
        rolling_kwh_per_tapped_t=None,
        rev=heat.rev,
        flags=("conflict",),
    )


def _groups(lines: Sequence[HeatLine]) -> tuple[HeatGroup, ...]:
    """All heats; then each furnace's, each product's, and each furnace's of each product."""
    if not lines:
        return ()
    furnaces, products = {line.furnace for line in lines}, {line.product for line in lines if line.product}
    groups = [("", "")]
    groups += [(furnace, "") for furnace in sorted(furnaces)]
    groups += [("", product) for product in sorted(products)]
    groups += [(furnace, product) for furnace in sorted(furnaces) for product in sorted(products)]
    found = (_group(furnace, product, lines) for furnace, product in groups)
    return tuple(group for group in found if group is not None)


def _group(furnace: str, product: str, lines: Iterable[HeatLine]) -> HeatGroup | None:
    mine = [
        line for line in lines if (not furnace or line.furnace == furnace) and (not product or line.product == product)
    ]
    if not mine:
        return None
    sound = [line for line in mine if not line.flags and line.energy_kwh is not None]
    charged = [line for line in sound if line.charged_t]
    tapped = [line for line in sound if line.tapped_t]
    charged_t, tapped_t = _sum(line.charged_t for line in charged), _sum(line.tapped_t for line in tapped)
    return HeatGroup(
        furnace=furnace,
        product=product,
        heats=len(mine),
        odd=len(mine) - len(sound),
        energy_kwh=_sum(line.energy_kwh for line in sound),
        charged_t=charged_t if charged else None,
        tapped_t=tapped_t if tapped else None,
        kwh_per_charged_t=_per(_sum(line.energy_kwh for line in charged), charged_t),
        kwh_per_tapped_t=_per(_sum(line.energy_kwh for line in tapped), tapped_t),
    )


def _sum(numbers: Iterable[Decimal | None]) -> Decimal:
    return sum((number for number in numbers if number is not None), Decimal(0))


def _per(kwh: Decimal, tonnes: Decimal | None) -> Decimal | None:
    """kWh per tonne to a tenth; None without tonnes."""
    return (kwh / tonnes).quantize(_TENTH) if tonnes else None
