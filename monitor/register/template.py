"""Empty, explained registers to fill in: a workbook headed in Chinese, CSV files headed by field names."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Final

import xlsxwriter  # type: ignore[import-untyped]  # ships no types

from monitor.register import quantities
from monitor.register.columns import SPECS, Column, SheetSpec
from monitor.register.sources import COMMENT_MARK

WORKBOOK_NAME: Final = "register.xlsx"

_DATES: Final = (quantities.date,)
_NUMBERS: Final = (quantities.positive, quantities.register_size, quantities.cadence)
_LAST_ROW: Final = 1_048_575
_GUIDE_HEADINGS: Final = (
    ("表 sheet", 14),
    ("列 column", 20),
    ("字段 field", 20),
    ("必填 required", 14),
    ("说明", 44),
    ("meaning", 52),
    ("可填 allowed", 36),
    ("示例 example", 24),
)
_NOTES: Final = (
    "每张表第一行是表头，从第二行开始填写；整张表可以留空。The first row holds the headings; a sheet may stay empty.",
    "编号列已设为文本，请直接填写并保留前导零。Id columns are text: keep leading zeros.",
    "不要合并单元格，不要使用公式。No merged cells, no formulas.",
    "同一编号可有多行，有效期不得重叠。One id may have several rows whose validity does not overlap.",
    "填好后：gridwarden register import 本文件 --state 目录。When filled in, run that command.",
)


def write_template(directory: Path, *, xlsx: bool = True) -> list[Path]:
    """Write an empty CSV file for every sheet and, if `xlsx`, a workbook of all of them; return what was written.

    What is written reads back as an empty register. Raises FileExistsError before anything is written where one of
    the files is already there.
    """
    targets = [directory / f"{spec.name}.csv" for spec in SPECS.values()]
    book = directory / WORKBOOK_NAME
    for path in [*targets, *([book] if xlsx else [])]:
        if path.exists():
            raise FileExistsError(f"{path} is already there; name an empty directory")
    directory.mkdir(parents=True, exist_ok=True)
    for spec, path in zip(SPECS.values(), targets, strict=True):
        _write_csv(spec, path)
    if not xlsx:
        return targets
    _write_workbook(book)
    return [*targets, book]


def _write_csv(spec: SheetSpec, path: Path) -> None:
    explained = [
        [column.label_zh for column in spec.columns],
        [_need(column, "必填，", "") + column.help_zh for column in spec.columns],
        [_need(column, "required, ", "") + column.help_en for column in spec.columns],
        [_allowed(column) for column in spec.columns],
        [f"例 e.g. {column.example}" if column.example else "" for column in spec.columns],
    ]
    with path.open("w", encoding="utf-8-sig", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(column.name for column in spec.columns)
        writer.writerow([f"{COMMENT_MARK} {spec.label_zh}: {spec.about_zh} / {spec.about_en}"])
        for first, *rest in explained:
            writer.writerow([f"{COMMENT_MARK} {first}", *rest])


def _need(column: Column, required: str, optional: str) -> str:
    return required if column.required else optional


def _allowed(column: Column) -> str:
    return f"可填 one of: {' / '.join(column.choices)}" if column.choices else ""


def _write_workbook(path: Path) -> None:
    with path.open("wb") as stream, xlsxwriter.Workbook(stream) as book:
        formats = {
            "head": book.add_format({"bold": True, "bg_color": "#DDE8F3", "bottom": 1}),
            "needed": book.add_format({"bold": True, "bg_color": "#F6D9C9", "bottom": 1}),
            "text": book.add_format({"num_format": "@"}),
            "date": book.add_format({"num_format": "yyyy-mm-dd"}),
            "number": book.add_format({"num_format": "General"}),
            "wrap": book.add_format({"text_wrap": True, "valign": "top"}),
        }
        for spec in SPECS.values():
            _write_sheet(book.add_worksheet(spec.label_zh), spec, formats)
        _write_guide(book.add_worksheet("说明"), formats)


def _write_sheet(
    sheet: xlsxwriter.worksheet.Worksheet, spec: SheetSpec, formats: dict[str, xlsxwriter.format.Format]
) -> None:
    sheet.freeze_panes(1, 0)
    for index, column in enumerate(spec.columns):
        kind = "date" if column.read in _DATES else "number" if column.read in _NUMBERS else "text"
        sheet.set_column(index, index, max(12, 2 * len(column.label_zh) + 4), formats[kind])
        sheet.write_string(0, index, column.label_zh, formats["needed" if column.required else "head"])
        note = "\n".join(part for part in (column.name, column.help_zh, column.help_en, _allowed(column)) if part)
        sheet.write_comment(0, index, note, {"x_scale": 2.0, "y_scale": 1.2})
        if column.choices:
            sheet.data_validation(1, index, _LAST_ROW, index, {"validate": "list", "source": list(column.choices)})


def _write_guide(sheet: xlsxwriter.worksheet.Worksheet, formats: dict[str, xlsxwriter.format.Format]) -> None:
    for number, note in enumerate(_NOTES):
        sheet.write_string(number, 0, note)
    top = len(_NOTES) + 1
    for index, (heading, width) in enumerate(_GUIDE_HEADINGS):
        sheet.set_column(index, index, width)
        sheet.write_string(top, index, heading, formats["head"])
    line = top
    for spec in SPECS.values():
        for column in spec.columns:
            line += 1
            told = (
                f"{spec.label_zh} {spec.name}",
                column.label_zh,
                column.name,
                _need(column, "是 yes", "否 no"),
                column.help_zh,
                column.help_en,
                " / ".join(column.choices),
                column.example,
            )
            for index, text in enumerate(told):
                sheet.write_string(line, index, text, formats["wrap"])
