"""One cell to one value: each function takes a cell that is not blank and returns the value or raises CellError."""

from __future__ import annotations

import datetime as dt
import math
import re
import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, TypeVar

from models.domain.codes import trade_section, uscc_check_character, uscc_has_shape
from models.domain.readings import ID_PATTERN
from monitor.register.faults import Bilingual, CellError, shown

NAME_CHARACTERS: Final = 200
EXACT_DIGITS: Final = 15
"""Significant digits a spreadsheet keeps of a number."""

_ID: Final = re.compile(ID_PATTERN)
_QUOTED: Final = re.compile(r"'+[=+\-@]")
_UNSAFE: Final = frozenset({"Cc", "Cf", "Cs", "Cn", "Zl", "Zp"})
_SCIENTIFIC: Final = re.compile(r"[0-9](\.[0-9]+)?[eE]\+[0-9]+")
_DECIMAL: Final = re.compile(r"[0-9]+\.0+")


@dataclass(frozen=True, slots=True)
class PaddedNumber:
    """A number whose cell format shows leading zeros (`shown`) that the value does not have."""

    value: int | float
    shown: str

    def __str__(self) -> str:
        return self.shown


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A cell that holds no value: a formula or a spreadsheet's error value."""

    text: str
    error: CellError

    def __str__(self) -> str:
        return self.text


Cell = str | int | float | dt.datetime | dt.date | dt.time | dt.timedelta | PaddedNumber | Unreadable | None
"""A cell as CSV or a spreadsheet delivers it; bool is an int here."""

Converter = Callable[[Cell], object]
E_ = TypeVar("E_", bound=StrEnum)


def fault(en: str, zh: str, remedy_en: str, remedy_zh: str) -> CellError:
    """A CellError from four sentences without their full stops."""
    return CellError(Bilingual(en, zh), Bilingual(remedy_en, remedy_zh))


def formula(text: str) -> Unreadable:
    """A formula cell: its result depends on what last computed it, so it is never taken."""
    error = fault(
        "the cell holds a formula", "单元格是公式", "Copy the cell and paste it as a value", "复制后“选择性粘贴—数值”"
    )
    return Unreadable(text, error)


def error_value(text: str) -> Unreadable:
    """A spreadsheet's error value such as #REF!."""
    error = fault(
        f"the cell shows the error {shown(text)}",
        f"单元格为错误值 {shown(text)}",
        "Type the value itself",
        "请直接填写数值或文字",
    )
    return Unreadable(text, error)


def is_blank(cell: Cell) -> bool:
    """Whether a cell counts as empty: nothing, or white space only."""
    return cell is None or (isinstance(cell, str) and not cell.strip())


def text(cell: Cell) -> str:
    """A cell as the text a person sees; numbers only while a spreadsheet keeps them exactly."""
    match cell:
        case Unreadable():
            raise cell.error
        case str():
            if cell.lstrip().startswith("="):
                raise formula(cell).error
            stripped = cell.strip()
            return stripped[1:] if _QUOTED.match(stripped) else stripped
        case PaddedNumber():
            raise fault(
                f"the cell is the number {cell.value} shown as {cell.shown}: its leading zeros are not stored",
                f"单元格是数字 {cell.value}，仅显示为 {cell.shown}，前导零并未保存",
                f"Format the column as text and type {cell.shown}",
                f"把该列设为“文本”格式后重新输入 {cell.shown}",
            )
        case bool():
            return "TRUE" if cell else "FALSE"
        case int() | float():
            return _digits(cell)
        case _:
            raise fault(
                "the cell holds a date or a time, not text",
                "单元格是日期或时间，不是文字",
                "Format the column as text and type the value again",
                "把该列设为“文本”格式后重新输入",
            )


def _digits(number: float) -> str:
    if not math.isfinite(number) or number != int(number):
        raise fault(
            f"the cell holds the number {number}, not a code",
            f"单元格是小数 {number}，不是编号",
            "Format the column as text and type the code",
            "把该列设为“文本”格式后重新输入编号",
        )
    if abs(number) >= 10**EXACT_DIGITS:
        raise fault(
            f"the code is stored as a number of more than {EXACT_DIGITS} digits, of which a spreadsheet keeps only "
            f"the first {EXACT_DIGITS}",
            f"编号以数字保存且超过 {EXACT_DIGITS} 位，电子表格只保留前 {EXACT_DIGITS} 位",
            "Format the column as text and type the code again from its source",
            "把该列设为“文本”格式，并按原始资料重新输入",
        )
    return str(int(number))


def name(cell: Cell) -> str:
    """A display name: NFC, at most 200 characters, no control, format or bidirectional characters."""
    value = unicodedata.normalize("NFC", text(cell))
    for character in value:
        if unicodedata.category(character) in _UNSAFE:
            code = f"U+{ord(character):04X}"
            raise fault(
                f"the text contains the invisible or control character {code}",
                f"文字中含有不可见或控制字符 {code}",
                f"Delete it, or type the text again: {shown(_without_unsafe(value))}",
                f"删除该字符或重新输入：{shown(_without_unsafe(value))}",
            )
    if len(value) > NAME_CHARACTERS:
        raise fault(
            f"the text has {len(value)} characters, {NAME_CHARACTERS} are allowed",
            f"文字有 {len(value)} 个字符，最多 {NAME_CHARACTERS} 个",
            "Shorten it",
            "请缩短",
        )
    return value


def _without_unsafe(value: str) -> str:
    return "".join(c for c in value if unicodedata.category(c) not in _UNSAFE)


def identifier(cell: Cell) -> str:
    """An id: ASCII letters, digits, dot, dash and underscore, at most 64, as rule A4 has it."""
    value = text(cell)
    if _DECIMAL.fullmatch(value):
        whole = value.partition(".")[0]
        raise fault(
            f"the id {shown(value)} was saved as a decimal number",
            f"编号 {shown(value)} 被保存成了小数",
            f"Write {shown(whole)}, and leading zeros if the meter has them",
            f"改为 {shown(whole)}；如有前导零请补上",
        )
    if _SCIENTIFIC.fullmatch(value):
        raise fault(
            f"the id {shown(value)} was saved in scientific notation and its last digits are lost",
            f"编号 {shown(value)} 被保存成了科学计数法，后几位已丢失",
            "Format the column as text and type the id again from its source",
            "把该列设为“文本”格式，并按原始资料重新输入",
        )
    if _ID.match(value) is None or value.endswith("\n"):
        narrow = unicodedata.normalize("NFKC", value)
        hint_en, hint_zh = (
            (f"Write {narrow} in half-width characters", f"请用半角字符填写：{narrow}")
            if _ID.match(narrow)
            else (
                "Use the number of the device, for example 330124001; put names into the name column",
                "请填写设备编号，例如 330124001；名称填在名称列",
            )
        )
        raise fault(
            f"{shown(value)} is not an id: letters, digits, '.', '_' and '-' only, 64 at most, first a letter or digit",
            f"“{shown(value)}”不是有效编号：只能用字母、数字、点、下划线和短横线，最多 64 位，以字母或数字开头",
            hint_en,
            hint_zh,
        )
    return value


def uscc(cell: Cell) -> str:
    """A unified social credit code, letters in upper case."""
    value = text(cell).upper()
    if not uscc_has_shape(value):
        raise fault(
            f"{shown(value)} is not a unified social credit code: 18 characters, digits and letters without I O S V Z, "
            f"the 3rd to 8th digits; it has {len(value)}",
            f"“{shown(value)}”不是统一社会信用代码：应为 18 位数字和大写字母（不含 I O S V Z），"
            f"第 3—8 位为数字；现有 {len(value)} 位",
            "Copy it from the business licence; 0 and 1 are digits, not the letters O and I",
            "请按营业执照填写；注意 0、1 是数字，不是字母 O、I",
        )
    expected = uscc_check_character(value[:17])
    if value[17] != expected:
        raise fault(
            f"the check character of {value} is {value[17]}, but the first 17 characters ask for {expected}",
            f"{value} 的校验码为 {value[17]}，按前 17 位计算应为 {expected}",
            "Compare every character with the business licence: at least one is wrong",
            "请与营业执照逐位核对：至少有一位填错",
        )
    return value


def trade(cell: Cell) -> str:
    """A trade code of GB/T 4754 with 2 to 4 digits; the section letter may be left out."""
    value = text(cell).upper()
    if not isinstance(cell, str) and len(value) in {1, 3}:
        raise fault(
            f"the trade code {value} is a number and may have lost a leading zero",
            f"行业代码 {value} 是数字，可能丢失了前导零",
            "Write the code with its letter, for example C339 or A0111",
            "请带门类字母填写，例如 C339、A0111",
        )
    if trade_section(value) is None:
        raise fault(
            f"{shown(value)} is not a trade code of GB/T 4754 (2 to 4 digits, with or without the right letter)",
            f"“{shown(value)}”不是 GB/T 4754 行业代码（2—4 位数字，可带正确的门类字母）",
            "Write for example C3391 or 3391",
            "例如 C3391 或 3391",
        )
    return value


def one_of(kinds: type[E_], words: Mapping[str, E_]) -> Callable[[Cell], E_]:
    """Reader of an enumeration by its own values or by the Chinese words in `words`."""
    known = {kind.value: kind for kind in kinds} | dict(words)

    def read(cell: Cell) -> E_:
        word = text(cell)
        value = known.get(word) or known.get(word.casefold())
        if value is None:
            zh = {kind: "/".join(word for word, meant in words.items() if meant is kind) for kind in kinds}
            choices = "; ".join(f"{kind.value} ({zh[kind]})" for kind in kinds)
            raise fault(
                f"{shown(word)} is not one of the allowed words",
                f"“{shown(word)}”不在可选值之内",
                f"Write one of: {choices}",
                f"可填：{choices}",
            )
        return value

    return read
