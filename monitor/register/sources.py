"""Where a register is read from: a directory of CSV files or one XLSX workbook, as sheets of raw cells."""

from __future__ import annotations

import csv
import re
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import IO, Final

from openpyxl.reader.excel import ExcelReader
from openpyxl.utils.exceptions import InvalidFileException
from openpyxl.worksheet._read_only import ReadOnlyWorksheet

from monitor.register.cells import Cell, PaddedNumber, error_value, formula
from monitor.register.columns import SPECS, SheetSpec, sheet_named
from monitor.register.faults import Bilingual, CellFault, shown

MAX_INFLATED_BYTES: Final = 1 << 30
"""Bound on what a workbook unpacks to (rule P2); a million meters take about half of it."""

COMMENT_MARK: Final = "##"
"""A row whose first cell starts with this is an explanation and is skipped."""

GUIDE_SHEETS: Final = frozenset({"说明", "guide"})
"""Worksheets that explain and are never read."""

_MERGED: Final = re.compile(rb'<(?:\w+:)?mergeCell\b[^>]*?\bref="([A-Z]{1,3}[0-9]{1,7}:[A-Z]{1,3}[0-9]{1,7})"')
_PADDED: Final = re.compile(r"0{2,}")
BROKEN_WORKBOOK: Final = (
    zipfile.BadZipFile,
    zlib.error,
    InvalidFileException,
    ArithmeticError,
    AttributeError,
    EOFError,
    LookupError,
    OSError,
    RuntimeError,
    SyntaxError,
    TypeError,
    ValueError,
)
"""What openpyxl and zipfile raise over files that are no workbooks or are damaged; found by damaging some."""

_CHUNK_BYTES: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class RawSheet:
    """One sheet: `rows` yields (row number as a spreadsheet shows it, cells); it can be walked once."""

    spec: SheetSpec
    file: str
    title: str
    rows: Iterator[tuple[int, Sequence[Cell]]]
    merged: tuple[str, ...] = ()


class SourceError(ValueError):
    """A file or sheet that cannot be read (further); the faults say why."""

    def __init__(self, fault: CellFault) -> None:
        super().__init__(str(fault))
        self.fault = fault


def sheet_fault(file: str, sheet: str, problem: Bilingual, remedy: Bilingual, *, row: int = 0) -> CellFault:
    """A fault of a whole file, sheet or row."""
    return CellFault(file, sheet, row, "", "", problem.en, problem.zh, remedy.en, remedy.zh)


def csv_sheets(directory: Path, encoding: str) -> tuple[list[RawSheet], list[CellFault]]:
    """The known CSV files of a directory, and a fault for each that is unknown or there twice."""
    sheets: dict[str, RawSheet] = {}
    faults: list[CellFault] = []
    files = sorted(p for p in directory.iterdir() if p.suffix.casefold() == ".csv" and p.is_file())
    for path in files:
        spec = sheet_named(path.stem)
        if spec is None:
            faults.append(_unknown_sheet(path.name, path.stem))
        elif spec.name in sheets:
            faults.append(_second_sheet(path.name, spec, sheets[spec.name].file))
        else:
            sheets[spec.name] = RawSheet(spec, path.name, spec.name, csv_rows(path, spec.name, encoding))
    if not files:
        names = ", ".join(f"{name}.csv" for name in SPECS)
        faults.append(
            sheet_fault(
                directory.name,
                "",
                Bilingual("the directory holds no CSV file", "目录中没有 CSV 文件"),
                Bilingual(f"Put some of {names} there, or name an XLSX file", f"请放入 {names}，或直接指定 XLSX 文件"),
            )
        )
    return list(sheets.values()), faults


def has_rows(path: Path) -> bool:
    """Whether a CSV file has a line that is neither its header nor a comment nor blank; it need not be readable."""
    mark = COMMENT_MARK.encode()
    with path.open("rb") as stream:
        lines = (line.removeprefix(b"\xef\xbb\xbf").strip(b'\r\n\t ",') for line in stream)
        content = (line for line in lines if line and not line.startswith(mark))
        return next(content, None) is not None and next(content, None) is not None


def csv_rows(path: Path, sheet: str, encoding: str) -> Iterator[tuple[int, Sequence[Cell]]]:
    """Row numbers and cells of a CSV file. Raises SourceError where it cannot be read on."""
    number = 0
    try:
        with path.open(encoding="utf-8-sig" if encoding == "utf-8" else encoding, newline="") as stream:
            for number, row in enumerate(csv.reader(stream, strict=True), start=1):
                yield number, row
    except UnicodeDecodeError as error:
        raise SourceError(
            sheet_fault(
                path.name,
                sheet,
                Bilingual(
                    f"the file is not {encoding} (byte {error.object[error.start]:#04x})",
                    f"文件编码不是 {encoding}（字节 {error.object[error.start]:#04x}）",
                ),
                Bilingual(
                    "Save it as “CSV UTF-8”, or import it with --encoding gb18030 if it is GBK or GB18030",
                    "请另存为“CSV UTF-8”；若为 GBK、GB18030 编码，请加 --encoding gb18030 导入",
                ),
            )
        ) from error
    except csv.Error as error:
        raise SourceError(
            sheet_fault(
                path.name,
                sheet,
                Bilingual(f"the CSV cannot be read on: {error}", f"CSV 无法继续读取：{error}"),
                Bilingual("Check the quotation marks in and before this row", "请检查本行及之前的引号"),
                row=number + 1,
            )
        ) from error


def xlsx_sheets(stream: IO[bytes], file: str) -> tuple[list[RawSheet], list[CellFault]]:
    """The known sheets of a workbook, and a fault for each that is unknown and not empty, or there twice.

    Raises SourceError where the file is no readable workbook. `stream` must stay open while the rows are walked.
    """
    try:
        return _workbook_sheets(open_workbook(stream, file), file)
    except SourceError:
        raise
    except BROKEN_WORKBOOK as error:
        raise SourceError(unreadable_workbook(file, "", error)) from error


def _workbook_sheets(reader: ExcelReader, file: str) -> tuple[list[RawSheet], list[CellFault]]:
    sheets: dict[str, RawSheet] = {}
    faults: list[CellFault] = []
    paths = {sheet.name: relation.target for sheet, relation in reader.parser.find_sheets()}
    for worksheet in reader.wb.worksheets:
        title = worksheet.title
        if title.strip().casefold() in GUIDE_SHEETS or not isinstance(worksheet, ReadOnlyWorksheet):
            continue
        worksheet.reset_dimensions()
        spec = sheet_named(title)
        if spec is None:
            if any(cell.value is not None for row in worksheet.iter_rows(max_row=100) for cell in row):
                faults.append(_unknown_sheet(file, title))
        elif spec.name in sheets:
            faults.append(_second_sheet(file, spec, sheets[spec.name].title))
        else:
            merged = _merged_ranges(reader.archive, paths[title])
            sheets[spec.name] = RawSheet(spec, file, title, xlsx_rows(worksheet, file, title), merged)
    return list(sheets.values()), faults


def open_workbook(stream: IO[bytes], file: str) -> ExcelReader:
    """A workbook, bounded in what it unpacks to. Raises SourceError, or one of `BROKEN_WORKBOOK`."""
    with zipfile.ZipFile(stream) as archive:
        inflated = sum(entry.file_size for entry in archive.infolist())
    if inflated > MAX_INFLATED_BYTES:
        problem = Bilingual(
            f"the workbook unpacks to {inflated} bytes, {MAX_INFLATED_BYTES} are allowed",
            f"工作簿解压后为 {inflated} 字节，上限 {MAX_INFLATED_BYTES}",
        )
        raise SourceError(sheet_fault(file, "", problem, Bilingual("Use a directory of CSV files", "请改用 CSV 目录")))
    reader = ExcelReader(stream, read_only=True, data_only=False)
    reader.read()
    return reader


def xlsx_rows(worksheet: ReadOnlyWorksheet, file: str, title: str) -> Iterator[tuple[int, Sequence[Cell]]]:
    """Row numbers and cells of a worksheet. Raises SourceError where it cannot be read on."""
    try:
        for number, row in enumerate(worksheet.rows, start=1):
            yield number, [_cell(cell.value, cell.data_type, cell) for cell in row]
    except BROKEN_WORKBOOK as error:
        raise SourceError(unreadable_workbook(file, title, error)) from error


def _cell(value: object, data_type: str, cell: object) -> Cell:
    if data_type == "f":
        return formula(str(value))
    if data_type == "e":
        return error_value(str(value))
    if data_type == "n" and isinstance(value, int | float):
        pattern = getattr(cell, "number_format", "")
        if pattern[:2] == "00" and _PADDED.fullmatch(pattern) and len(str(value)) < len(pattern):
            return PaddedNumber(value, str(value).zfill(len(pattern)))
    return value  # type: ignore[return-value]  # openpyxl delivers exactly the types of Cell


def unreadable_workbook(file: str, sheet: str, error: Exception) -> CellFault:
    """The fault of a file that is no workbook or is damaged."""
    return sheet_fault(
        file,
        sheet,
        Bilingual(
            f"the file is not a readable XLSX workbook ({type(error).__name__})",
            f"文件不是可读取的 XLSX 工作簿（{type(error).__name__}）",
        ),
        Bilingual(
            "Open it in a spreadsheet, remove any password and save it as .xlsx",
            "请用电子表格软件打开，取消密码后另存为 .xlsx",
        ),
    )


def _merged_ranges(archive: zipfile.ZipFile, path: str) -> tuple[str, ...]:
    found: list[str] = []
    tail = b""
    with closing(archive.open(path)) as stream:
        while chunk := stream.read(_CHUNK_BYTES):
            text = tail + chunk
            last = 0
            for match in _MERGED.finditer(text):
                found.append(match[1].decode())
                last = match.end()
            tail = text[max(last, len(text) - 200) :]
    return tuple(found)


def _unknown_sheet(file: str, title: str) -> CellFault:
    known = [word for spec in SPECS.values() for word in (spec.name, spec.label_zh, *spec.aliases)]
    near = get_close_matches(title.casefold(), known, n=1, cutoff=0.5)
    meant_en, meant_zh = (f"Meant {near[0]}? ", f"是否为“{near[0]}”？") if near else ("", "")
    return sheet_fault(
        file,
        shown(title),
        Bilingual(f"{shown(title)} is not a sheet of the register", f"“{shown(title)}”不是登记簿的表"),
        Bilingual(
            f"{meant_en}Name it one of {', '.join(SPECS)}, or remove it",
            f"{meant_zh}请命名为 {'、'.join(spec.label_zh for spec in SPECS.values())} 之一，或删除",
        ),
    )


def _second_sheet(file: str, spec: SheetSpec, first: str) -> CellFault:
    return sheet_fault(
        file,
        spec.name,
        Bilingual(
            f"the sheet {spec.name} is there twice: also as {shown(first)}",
            f"“{spec.label_zh}”重复：另见 {shown(first)}",
        ),
        Bilingual("Keep one of them", "请只保留一个"),
    )
