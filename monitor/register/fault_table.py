"""Faults of a register as a table for people and as plain data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from rich.table import Table
from rich.text import Text

from monitor.register.faults import CellFault


def fault_table(faults: Sequence[CellFault]) -> Table:
    """One row a fault: file, row, column, value, what is wrong and what to do, Chinese first."""
    table = Table(show_lines=True, expand=True)
    for heading, ratio in (("文件 File", 2), ("行 Row", None), ("列 Column", 2), ("值 Value", 2)):
        table.add_column(heading, ratio=ratio, overflow="fold")
    table.add_column("问题 Problem", ratio=5, overflow="fold")
    table.add_column("处理 Remedy", ratio=5, overflow="fold")
    for fault in faults:
        place = fault.file if fault.sheet in ("", fault.file.rpartition(".")[0]) else f"{fault.file}\n{fault.sheet}"
        table.add_row(
            Text(place),
            Text(str(fault.row) if fault.row else ""),
            Text(fault.column),
            Text(fault.value),
            Text(f"{fault.problem_zh}\n{fault.problem_en}"),
            Text(f"{fault.remedy_zh}\n{fault.remedy_en}"),
        )
    return table


def fault_rows(faults: Sequence[CellFault]) -> list[dict[str, Any]]:
    """Every fault as JSON knows it."""
    return [asdict(fault) for fault in faults]
