"""Packs that are wrong are refused: every fault at once, with file and line, and nothing else."""

from __future__ import annotations

import importlib.resources
import shutil
from decimal import Decimal
from pathlib import Path

import pytest

from models.law.factor_rows import Factor
from models.law.faults import LawFault, LawFaults
from models.law.library import assemble, load_law, shipped_law
from models.law.limit_rows import Limit, Standard

HEADER = """\
[pack]
id = "local"
version = "1"
title_zh = "本地"
title_en = "local"
"""
STANDARD = """
[[standard]]
id = "DB45/T 1-2024"
title_zh = "本地限额"
effective_from = 2024-01-01
values_here = true
source = "notice of the bureau"
confidence = "V"
"""
LIMIT = """
[[limit]]
id = "db45-1.pulp"
standard = "DB45/T 1-2024"
region = "CN-GX"
industry = "paper"
product = "newsprint"
product_zh = "新闻纸"
metric = "comprehensive_energy"
metric_zh = "单位产品综合能耗"
unit = "kgce/t"
scheme = "grade123"
level1 = 200
level2 = 230
level3 = 260
over_national = "stricter"
source = "notice of the bureau, table 1"
confidence = "V"
"""
GOOD = HEADER + STANDARD + LIMIT


def faults_of(tmp_path: Path, text: str) -> tuple[LawFault, ...]:
    (tmp_path / "local.toml").write_text(text, "utf-8")
    with pytest.raises(LawFaults) as raised:
        load_law(tmp_path)
    return raised.value.faults


def line_with(text: str, part: str) -> int:
    return next(number for number, line in enumerate(text.split("\n"), 1) if part in line)


def test_a_pack_of_ones_own_is_added(tmp_path: Path) -> None:
    (tmp_path / "local.toml").write_text(GOOD, "utf-8")
    law = load_law(tmp_path)
    assert law.table(Limit)["db45-1.pulp"].level3 == 260
    assert law.origin(Standard, "DB45/T 1-2024") == f"{tmp_path / 'local.toml'}:7"
    assert law.digest != shipped_law().digest
    assert law.packs[-1].rows == {"standard": 1, "limit": 1}


def with_correction(body: str) -> str:
    head = """
[[correction]]
id = "db45-1-c"
standard = "DB45/T 1-2024"
title_zh = "修正"
title_en = "correction"
if_missing = "ask"
source = "notice"
confidence = "V"
"""
    return (
        GOOD.replace('over_national = "stricter"', 'over_national = "stricter"\ncorrections = ["db45-1-c"]')
        + head
        + body
    )


WRONG = {
    "no_source": (GOOD.replace('source = "notice of the bureau, table 1"\n', ""), "[[limit]]", "without a source"),
    "empty_source": (GOOD.replace('"notice of the bureau, table 1"', '" "'), 'source = " "', "empty"),
    "unknown_confidence": (
        GOOD.replace('confidence = "V"', 'confidence = "W"', 1),
        'confidence = "W"',
        "unknown value 'W'",
    ),
    "unknown_unit": (GOOD.replace("kgce/t", "kgce/ton"), "kgce/ton", "unknown unit 'kgce/ton'"),
    "unknown_key": (GOOD.replace("level3 =", "levle3 ="), "levle3", "unknown key"),
    "unknown_table": (GOOD + "\n[[limits]]\nid = 1\n", "[[limits]]", "unknown table"),
    "single_table": (GOOD.replace("[[limit]]", "[limit]"), "[limit]", "a single table"),
    "quoted_number": (GOOD.replace("level3 = 260", 'level3 = "260"'), "level3 =", "not a number"),
    "true_for_a_number": (GOOD.replace("level3 = 260", "level3 = true"), "level3 =", "not a number"),
    "not_finite": (GOOD.replace("level3 = 260", "level3 = nan"), "level3 =", "not a finite number"),
    "ends_before_it_begins": (
        GOOD.replace("effective_from = 2024-01-01", "effective_from = 2024-01-01\neffective_to = 2023-01-01"),
        "effective_from",
        "is after effective_to",
    ),
    "not_a_date": (GOOD.replace("2024-01-01", '"2024-13-01"'), "2024-13-01", "is not a date"),
    "duplicate_id": (GOOD + LIMIT, "", "is taken"),
    "id_of_a_shipped_row": (
        GOOD.replace("DB45/T 1-2024", "GB 31825-2024"),
        'id = "GB 31825-2024"',
        "is taken",
    ),
    "pack_id_of_a_shipped_pack": (GOOD.replace('"local"', '"standards"', 1), 'id = "standards"', "is taken"),
    "unknown_standard": (
        GOOD.replace('standard = "DB45/T 1-2024"', 'standard = "DB45/T 1-2025"'),
        'standard = "DB45/T 1-2025"',
        "there is no standard",
    ),
    "unknown_industry": (GOOD.replace('"paper"', '"papre"'), '"papre"', "there is no industry"),
    "unknown_metric": (
        GOOD.replace('"comprehensive_energy"', '"comprehensive"'),
        'metric = "compr',
        "there is no metric",
    ),
    "unknown_region": (GOOD.replace("CN-GX", "CN-XX"), "CN-XX", "there is no region"),
    "not_a_region_code": (GOOD.replace("CN-GX", "Guangxi"), "Guangxi", "is not a region code"),
    "unknown_correction": (
        GOOD.replace("scheme =", 'corrections = ["x"]\nscheme ='),
        'corrections = ["x"]',
        "no corrections",
    ),
    "a_foreign_correction": (
        GOOD.replace("scheme =", 'corrections = ["gb16780-2021-altitude"]\nscheme ='),
        "corrections =",
        "is of GB 16780-2021",
    ),
    "missing_level_not_named": (GOOD.replace("level2 = 230\n", ""), "[[limit]]", "level2 has no value"),
    "no_level_at_all": (
        GOOD.replace("level1 = 200\nlevel2 = 230\nlevel3 = 260", 'missing_levels = ["level1", "level2", "level3"]'),
        "missing_levels",
        "without any level",
    ),
    "local_limit_without_its_standing": (
        GOOD.replace('over_national = "stricter"\n', ""),
        "[[limit]]",
        "a local limit says",
    ),
    "two_limits_for_one_case": (
        GOOD + LIMIT.replace("db45-1.pulp", "db45-1.again"),
        'id = "db45-1.again"',
        "overlaps 'db45-1.pulp'",
    ),
    "two_versions_at_once": (
        GOOD
        + STANDARD.replace("DB45/T 1-2024", "DB45/T 1-2026")
        .replace("2024-01-01", "2026-01-01")
        .replace("true", "false"),
        "[[standard]]",
        "are both in force on 2026-01-01",
    ),
    "values_here_without_limits": (HEADER + STANDARD, "values_here", "no limit of it"),
    "unknown_fact": (
        GOOD.replace("scheme =", 'when = [{ fact = "altitude", gt = 1 }]\nscheme ='),
        "when =",
        "no when 'altitude'",
    ),
    "condition_that_cannot_hold": (
        GOOD.replace("scheme =", 'when = [{ fact = "quenching", eq = "wett" }]\nscheme ='),
        "when =",
        "can never hold",
    ),
    "empty_range": (
        GOOD.replace("scheme =", 'when = [{ fact = "altitude_m", gt = 5, lt = 5 }]\nscheme ='),
        "when =",
        "no number",
    ),
    "bands_with_a_hole": (
        with_correction(
            'op = "bands"\ninput = "oven_age_a"\nbands = [\n  { lt = 5, add = 1 },\n  { gt = 5, add = 2 },\n]\n'
        ),
        "bands =",
        "leaves a hole at exactly 5",
    ),
    "bands_that_overlap": (
        with_correction('op = "bands"\ninput = "oven_age_a"\nbands = [{ le = 5, add = 1 }, { ge = 5, add = 2 }]\n'),
        "bands =",
        "overlaps the row before it at 5",
    ),
    "bands_with_a_wide_hole": (
        with_correction('op = "bands"\ninput = "oven_age_a"\nbands = [{ le = 5, add = 1 }, { gt = 6, add = 2 }]\n'),
        "bands =",
        "leaves a hole between 5 and 6",
    ),
    "points_out_of_order": (
        with_correction('op = "table"\ninput = "oven_age_a"\npoints = [[1, 0], [1, 2]]\n'),
        "points =",
        "does not follow",
    ),
    "operand_the_op_does_not_read": (
        with_correction('op = "factor"\ninput = "oven_age_a"\nvalue = 1.1\n'),
        "value =",
        "does not read value",
    ),
    "formula_that_does_not_exist": (
        with_correction('op = "formula"\nformula = "db45"\ninputs = ["oven_age_a"]\n'),
        "formula = ",
        "there is no formula",
    ),
    "correction_nobody_names": (
        with_correction('op = "factor"\ninput = "influence_factor"\n').replace('corrections = ["db45-1-c"]\n', ""),
        'id = "db45-1-c"',
        "no limit names it",
    ),
    "replaces_nothing": (
        GOOD.replace('id = "db45-1.pulp"', 'id = "db45-1.pulp"\nreplaces = "gone"'),
        "replaces",
        "no earlier pack",
    ),
    "broken_toml": (GOOD.replace("level1 = 200", "level1 = = 200"), "level1 = =", "not TOML"),
    "the_same_key_twice": (GOOD.replace("level1 = 200", "level1 = 200\nlevel1 = 201"), "level1 = 201", "not TOML"),
}


@pytest.mark.parametrize("name", sorted(WRONG))
def test_a_pack_that_is_wrong_is_refused_with_file_and_line(tmp_path: Path, name: str) -> None:
    text, mark, problem = WRONG[name]
    faults = faults_of(tmp_path, text)
    assert [fault.file for fault in faults] == [str(tmp_path / "local.toml")]
    (fault,) = faults
    assert problem in fault.problem
    if mark:
        assert fault.line == line_with(text, mark), fault
    assert fault.remedy.endswith(".") or fault.remedy.endswith("?")


def test_the_nearest_known_word_is_offered(tmp_path: Path) -> None:
    (fault,) = faults_of(tmp_path, GOOD.replace("level3 =", "level_3 ="))
    assert fault.remedy == "Meant level3?"


def test_all_faults_are_told_at_once_in_the_order_of_their_lines(tmp_path: Path) -> None:
    text = (
        GOOD.replace("kgce/t", "kgce/ton").replace('confidence = "V"', 'confidence = "?"').replace("2024-01-01", "2024")
    )
    faults = faults_of(tmp_path, text)
    assert [fault.key for fault in faults] == [
        "standard[0].effective_from",
        "standard[0].confidence",
        "limit[0].unit",
        "limit[0].confidence",
    ]
    assert [fault.line for fault in faults] == sorted(fault.line for fault in faults)


def test_a_row_is_replaced_only_when_it_says_so(tmp_path: Path) -> None:
    row = shipped_law().table(Limit)["gb31825-2024.newsprint.comprehensive-energy"]
    text = HEADER + LIMIT.replace("db45-1.pulp", row.id).replace("DB45/T 1-2024", "GB 31825-2024").replace(
        'region = "CN-GX"\n', ""
    ).replace('over_national = "stricter"\n', "")
    faults = faults_of(tmp_path, text)
    assert "replaces = " in faults[0].remedy
    said = text.replace(f'id = "{row.id}"', f'id = "{row.id}"\nreplaces = "{row.id}"')
    (tmp_path / "local.toml").write_text(said, "utf-8")
    assert load_law(tmp_path).table(Limit)[row.id].level3 == 260


def shipped_copy(folder: Path) -> Path:
    source = Path(str(importlib.resources.files("models.law").joinpath("packs")))
    return Path(shutil.copytree(source, folder / "packs"))


def edit(folder: Path, file: str, before: str, after: str) -> int:
    """Change the first place of a text in a pack and return its line."""
    path = folder / file
    text = path.read_text("utf-8")
    assert before in text, (file, before)
    path.write_text(text.replace(before, after, 1), "utf-8")
    return text[: text.index(before)].count("\n") + 1


def test_a_full_copy_is_as_good_as_the_shipped_set(tmp_path: Path) -> None:
    law = load_law(shipped_copy(tmp_path), alone=True)
    assert law.digest == shipped_law().digest
    with pytest.raises(LawFaults, match="--alone"):
        load_law(tmp_path / "packs")


def test_a_copy_edited_to_be_wrong_in_twelve_ways_has_twelve_faults(tmp_path: Path) -> None:
    packs = shipped_copy(tmp_path)
    edits = [
        ("limits-paper.toml", 'confidence = "V"', 'confidence = "X"'),
        ("limits-paper.toml", 'unit = "kgce/Adt"', 'unit = "kgce/adt"'),
        ("limits-chemicals.toml", "level3 = 350", 'level3 = "350"'),
        ("limits-chemicals.toml", 'product_zh = "固碱（≥98.0%）"', 'prodct_zh = "固碱（≥98.0%）"'),
        ("limits-iron-steel.toml", 'metric = "unit_energy"', 'metric = "unit_enery"'),
        ("limits-nonferrous.toml", 'standard = "GB 21346-2022"', 'standard = "GB 21346-2023"'),
        ("limits-building-materials.toml", "ge = 2000, lt = 4000", "ge = 2000, le = 4000"),
        ("standards.toml", "effective_to = 2026-06-30", "effective_to = 2026-07-01"),
        ("standards.toml", "effective_from = 2026-05-01", 'effective_from = "2026-13-01"'),
        ("conversions.toml", "kgce_min = 0.2857", "kgce_min = 0.5"),
        ("corrections.toml", "{ gt = 25, add = 5.50 }", "{ gt = 26, add = 5.50 }"),
        ("equipment.toml", 'id = "IF-2"', 'id = "IF-1"'),
    ]
    lines = [(file, edit(packs, file, before, after)) for file, before, after in edits]
    with pytest.raises(LawFaults) as raised:
        load_law(packs, alone=True)
    told = {(Path(fault.file).name, fault.line) for fault in raised.value.faults}
    for (file, line), (_, _, after) in zip(lines, edits, strict=True):
        near = {found for name, found in told if name == file}
        assert any(abs(found - line) <= 12 for found in near), (file, line, after, sorted(near))
    assert len(raised.value.faults) >= len(edits)


def test_a_refused_row_is_no_second_fault_where_it_is_named(tmp_path: Path) -> None:
    packs = shipped_copy(tmp_path)
    edit(packs, "corrections.toml", "base = 75", 'base = "75"')
    with pytest.raises(LawFaults) as raised:
        load_law(packs, alone=True)
    assert [fault.key for fault in raised.value.faults] == ["correction[0].base"]


def test_a_whole_pack_is_replaced_only_when_it_says_so(tmp_path: Path) -> None:
    text = (shipped_copy(tmp_path / "from") / "conversions.toml").read_text("utf-8").replace("0.7143", "0.7144", 1)
    said = text.replace('id = "conversions"', 'id = "conversions-2027"\nreplaces = "conversions"', 1)
    (tmp_path / "conversions.toml").write_text(said, "utf-8")
    assert load_law(tmp_path).table(Factor)["raw-coal"].kgce == Decimal("0.7144")


def test_the_digest_is_of_what_is_said_not_of_how_it_is_written() -> None:
    plain = assemble([("a", HEADER.encode())]).packs[0].digest
    spaced = HEADER.replace(" = ", "=").replace("[pack]", "# a comment\n\n[pack]")
    reordered = "[pack]\n" + "\n".join(reversed(HEADER.strip().split("\n")[1:]))
    assert assemble([("b", spaced.encode())]).packs[0].digest == plain
    assert assemble([("c", reordered.encode())]).packs[0].digest == plain
    assert assemble([("d", HEADER.replace('"1"', '"2"').encode())]).packs[0].digest != plain


def test_a_file_that_is_not_utf_8_is_told_with_the_line() -> None:
    with pytest.raises(LawFaults) as raised:
        assemble([("gbk.toml", HEADER.encode("gb18030"))])
    (fault,) = raised.value.faults
    assert (fault.line, fault.problem) == (4, "not UTF-8 text")


def test_a_directory_that_is_not_there_is_an_os_error(tmp_path: Path) -> None:
    with pytest.raises(NotADirectoryError, match="not a directory of rule packs"):
        load_law(tmp_path / "none")
