"""What must hold between the rows that divide one meter's electricity."""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Iterator
from typing import Final

from models.domain.register import Allocation, AllocationBasis
from monitor.register.cells import fault
from monitor.register.faults import CellError, CellFault
from monitor.register.parse import ParsedSheet

_ROUNDING: Final = 1e-9


def allocation_faults(sheet: ParsedSheet) -> Iterator[CellFault]:
    """Rows of one meter that hold on a common date and differ in basis or parent, or share out more than all of it."""
    meters: dict[str, list[tuple[int, Allocation]]] = defaultdict(list)
    for number, row in sheet.rows:
        if isinstance(row, Allocation):
            meters[row.meter].append((number, row))
    for rows in meters.values():
        for date in sorted({row.valid_from for _, row in rows}):
            yield from _on(sheet, [(number, row) for number, row in rows if row.valid_on(date)], date)


def _on(sheet: ParsedSheet, rows: list[tuple[int, Allocation]], date: dt.date) -> Iterator[CellFault]:
    first = rows[0][1]
    for number, row in rows[1:]:
        if row.basis is not first.basis:
            yield sheet.blame(number, "basis", row.basis, _differs(row.meter, date, "basis", "分摊依据"))
            return
        if row.within != first.within:
            yield sheet.blame(number, "within", row.within, _differs(row.meter, date, "within", "上级电表"))
            return
    total = sum(row.share for _, row in rows if row.basis is AllocationBasis.SHARE and (row.line or row.site))
    if total > 1 + _ROUNDING:
        number, row = rows[-1]
        yield sheet.blame(number, "share", row.share, _too_much(row.meter, date, total))


def _differs(meter: str, date: dt.date, en: str, zh: str) -> CellError:
    return fault(
        f"rows of meter {meter} that hold on {date} differ in {en}",
        f"电表 {meter} 在 {date} 有效的各行“{zh}”不一致",
        "Use one for all rows of the meter that hold together",
        "同一电表同时有效的各行请填写一致",
    )


def _too_much(meter: str, date: dt.date, total: float) -> CellError:
    return fault(
        f"the shares of meter {meter} on {date} add up to {total:g}, more than 1",
        f"电表 {meter} 在 {date} 的分摊比例合计为 {total:g}，超过 1",
        "Correct the shares; what is left of 1 stays with the meter's own site",
        "请更正比例；不足 1 的部分留在本厂区",
    )
