"""The bureau's file of what it billed: one row an enterprise and period, headed in Chinese or English."""

from __future__ import annotations

import csv
import io
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from monitor.register.columns import folded
from monitor.register.faults import shown

MAX_BYTES: Final = 64 << 20
MAX_INFLATED_BYTES: Final = 512 << 20
_SHOWN_FAULTS: Final = 20

_WORDS: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "uscc": ("uscc", "统一社会信用代码", "信用代码", "社会信用代码", "企业代码"),
        "name": ("name", "企业名称", "户名", "单位名称"),
        "period": ("period", "期间", "月份", "账期", "年月"),
        "tier": ("billed_class", "class", "tier", "类别", "加价类别", "执行类别", "档次", "执行档次"),
        "surcharge": ("surcharge", "surcharge_cny_per_kwh", "加价标准", "加价", "执行加价", "加价电价"),
        "kwh": ("kwh", "电量", "计费电量", "加价电量"),
        "amount": ("amount", "amount_cny", "加价金额", "加价电费", "金额"),
    }
)
NOT_SURCHARGED: Final = frozenset({"", "none", "no", "无", "不加价", "正常", "未加价", "0", "clear", "-"})
"""Words of the class column for an enterprise that pays nothing more."""


class BilledFault(ValueError):  # noqa: N818 - reads as what it tells
    """The file cannot be taken; the text says where and what to do."""


@dataclass(frozen=True, slots=True)
class Billed:
    """One row as billed. `surcharge` zero: nothing was charged. `row`: as a spreadsheet counts. None: not told."""

    row: int
    uscc: str
    name: str
    period: str
    tier: str | None
    surcharge: Decimal | None
    kwh: Decimal | None
    amount: Decimal | None


def read_billed(path: Path, period: str) -> list[Billed]:
    """The rows of a CSV (UTF-8 or GB18030) or XLSX file; those without a period of their own are of `period`.

    Raises BilledFault with every row that cannot be read, OSError.
    """
    if path.stat().st_size > MAX_BYTES:
        raise BilledFault(f"{path.name}：超过 {MAX_BYTES >> 20} MB / larger than {MAX_BYTES >> 20} MB: split it")
    rows = _xlsx(path) if path.suffix.casefold() == ".xlsx" else _csv(path)
    found: list[Billed] = []
    faults: list[str] = []
    columns: Mapping[str, int] | None = None
    for number, cells in rows:
        if not any(cell.strip() for cell in cells):
            continue
        if columns is None:
            columns = _columns(path, cells)
            continue
        try:
            found.append(_row(number, cells, columns, period))
        except ValueError as error:
            faults.append(f"{path.name} 第 {number} 行 / row {number}: {error}")
    if columns is None:
        faults.append(f"{path.name}：没有表头 / no heading row. Name the columns: {', '.join(_WORDS)}")
    faults += _twice(path, found)
    if faults:
        more = f"\n… {len(faults) - _SHOWN_FAULTS} more" if len(faults) > _SHOWN_FAULTS else ""
        raise BilledFault("\n".join(faults[:_SHOWN_FAULTS]) + more)
    return found


def _columns(path: Path, cells: Sequence[str]) -> Mapping[str, int]:
    known = {folded(word): name for name, words in _WORDS.items() for word in words}
    columns: dict[str, int] = {}
    for index, cell in enumerate(cells):
        name = known.get(folded(cell))
        if name is not None and name in columns:
            raise BilledFault(f"{path.name}：“{shown(cell)}”与另一列重复 / {name} stands in two columns: keep one")
        if name is not None:
            columns[name] = index
    if "uscc" not in columns:
        raise BilledFault(f"{path.name}：缺少“统一社会信用代码”列 / no column uscc: name it so")
    if not {"tier", "surcharge", "amount"} & columns.keys():
        raise BilledFault(
            f"{path.name}：缺少“加价类别”“加价标准”或“加价金额”列 / "
            "nothing to compare: add a column billed_class, surcharge or amount"
        )
    return columns


def _row(number: int, cells: Sequence[str], columns: Mapping[str, int], period: str) -> Billed:
    def text(name: str) -> str:
        index = columns.get(name)
        return cells[index].strip() if index is not None and index < len(cells) else ""

    uscc = text("uscc").upper()
    if not uscc:
        raise ValueError("信用代码为空 / no uscc: fill it in or remove the row")
    tier = text("tier") if "tier" in columns else None
    of = _period(text("period")) if text("period") else period
    surcharge = _number(text("surcharge"), "surcharge")
    if tier is not None and surcharge is None and tier.casefold() in NOT_SURCHARGED:
        surcharge = Decimal(0)
    return Billed(
        number, uscc, text("name"), of, tier, surcharge, _number(text("kwh"), "kwh"), _number(text("amount"), "amount")
    )


def _period(text: str) -> str:
    """`2026-03`, `202603`, `2026年3月`, `2026` and the like."""
    digits = text.replace("年", "-").replace("月", "").replace("/", "-").strip("- ")
    year, _, month = digits.partition("-")
    if not month and len(year) == 6:
        year, month = year[:4], year[4:]
    if not (year.isdigit() and len(year) == 4 and (not month or (month.isdigit() and 1 <= int(month) <= 12))):
        raise ValueError(f"期间 {shown(text)!r} 看不懂 / period not understood: write 2026-03")
    return f"{year}-{int(month):02d}" if month else year


def _number(text: str, name: str) -> Decimal | None:
    if not text:
        return None
    try:
        number = Decimal(text.replace(",", "").replace("，", ""))
    except InvalidOperation:
        number = Decimal("NaN")
    if not number.is_finite():
        raise ValueError(f"{name} {shown(text)!r} 不是数字 / is no number")
    return number


def _twice(path: Path, rows: Sequence[Billed]) -> list[str]:
    first: dict[tuple[str, str], int] = {}
    faults = []
    for row in rows:
        before = first.setdefault((row.uscc, row.period), row.row)
        if before != row.row:
            faults.append(
                f"{path.name} 第 {row.row} 行 / row {row.row}: {row.uscc} {row.period} 已在第 {before} 行 / "
                f"stands in row {before} already: keep one"
            )
    return faults


def _csv(path: Path) -> Iterator[tuple[int, list[str]]]:
    data = path.read_bytes()
    for encoding in ("utf-8-sig", "gb18030"):
        try:
            text = data.decode(encoding)
            break
        except UnicodeDecodeError:
            continue
    else:
        raise BilledFault(f"{path.name}：编码不是 UTF-8 或 GB18030 / neither UTF-8 nor GB18030: save it as CSV UTF-8")
    try:
        yield from enumerate(csv.reader(io.StringIO(text, newline=""), strict=True), start=1)
    except csv.Error as error:
        raise BilledFault(f"{path.name}：CSV 无法读取 / cannot be read: {error}; check the quotation marks") from error


def _xlsx(path: Path) -> Iterator[tuple[int, list[str]]]:
    import openpyxl

    try:
        with zipfile.ZipFile(path) as archive:
            inflated = sum(entry.file_size for entry in archive.infolist())
        if inflated > MAX_INFLATED_BYTES:
            raise BilledFault(f"{path.name}：解压后过大 / unpacks to {inflated} bytes: use CSV")  # noqa: TRY301
        book = openpyxl.load_workbook(path, read_only=True, data_only=True)
        try:
            sheet = book.worksheets[0]
            for number, row in enumerate(sheet.iter_rows(values_only=True), start=1):
                yield number, [_text(cell) for cell in row]
        finally:
            book.close()
    except BilledFault:
        raise
    except (zipfile.BadZipFile, KeyError, IndexError, ValueError, TypeError, SyntaxError) as error:
        raise BilledFault(
            f"{path.name}：不是可读取的 XLSX / no readable workbook ({type(error).__name__}): save it as .xlsx or CSV"
        ) from error


def _text(cell: Any) -> str:
    """A cell as text; a float with the fewest digits that give it again."""
    if cell is None:
        return ""
    if isinstance(cell, float):
        return format(Decimal(repr(cell)), "f") if cell != int(cell) else str(int(cell))
    return f"{cell:%Y-%m}" if hasattr(cell, "year") else str(cell)
