"""The pages for officials say what the software says: their examples are asked, and no number of theirs drifts."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from models.law.library import shipped_law
from models.law.numbers import shown
from models.law.tariff_rows import TariffRule
from monitor.cli.main import app
from monitor.reference.tariff_pages import rule_lines
from monitor.supervise import ExitCode
from tests.support.carbide import HOW_TO, page_block

DOCS = Path(__file__).resolve().parents[2] / "docs"
EXPLAINED = DOCS / "explanation"
PAGES = {
    "how-a-limit-is-judged": "intensity",
    "how-a-surcharge-is-computed": "tariff",
}
LANGUAGES = (".zh.md", ".md")
ASKED = [(name + language, command) for name, command in PAGES.items() for language in LANGUAGES]


@dataclass(frozen=True)
class Asked:
    """A case of a page and what the page says the answer is; `…` leaves lines out."""

    facts: str
    answer: str


def blocks(page: Path) -> list[tuple[str, str]]:
    """The fenced blocks of a page: language, text."""
    return re.findall(r"^```(\w+)\n(.*?)^```$", page.read_text("utf-8"), re.MULTILINE | re.DOTALL)


def changed(facts: str, diff: str) -> str:
    """Facts with the lines of a diff block taken out, put in, or exchanged in their place."""
    lines = facts.splitlines()
    place = 0
    for line in diff.splitlines():
        if line.startswith("-"):
            place = next(at for at, known in enumerate(lines) if known.split("#")[0].strip() == line[1:].strip())
            del lines[place]
        elif line.startswith("+"):
            lines.insert(place, line[1:])
            place += 1
    return "\n".join(lines) + "\n"


def cases(page: Path) -> Iterator[Asked]:
    """Each `facts` block with the `text` block after it; a `diff` block changes the facts that stand above it."""
    base = facts = ""
    for language, text in blocks(page):
        match language:
            case "facts":
                base = facts = text
            case "diff":
                facts = changed(base, text)
            case "text" if facts:
                yield Asked(facts, text)
                facts = ""


def answered(tmp_path: Path, command: str, facts: str) -> list[str]:
    path = tmp_path / "facts.toml"
    path.write_text(facts, "utf-8")
    result = CliRunner().invoke(app, [command, "explain", "--facts", str(path)], catch_exceptions=False)
    assert result.exit_code == ExitCode.OK, result.output
    return [line.rstrip() for line in result.output.splitlines()]


def asked(*arguments: str) -> Any:
    """What a command answers to machines."""
    result = CliRunner().invoke(app, [*arguments, "--json"], catch_exceptions=False)
    assert result.exit_code == ExitCode.OK, result.output
    return json.loads(result.output)


def stands_in(answer: list[str], said: str) -> bool:
    """Whether the lines said follow each other in the answer, but for where `…` stands."""
    at, free = 0, True
    for line in said.rstrip("\n").split("\n"):
        if line.strip() == "…":
            free = True
            continue
        found = next((n for n in range(at, len(answer)) if answer[n] == line.rstrip()), None)
        if found is None or (not free and found != at):
            return False
        at, free = found + 1, False
    return True


@pytest.mark.parametrize(("page", "command"), ASKED, ids=[page for page, _ in ASKED])
def test_the_examples_of_a_page_are_answered_as_it_says(tmp_path: Path, page: str, command: str) -> None:
    told = list(cases(EXPLAINED / page))
    assert len(told) >= 4
    for case in told:
        answer = answered(tmp_path, command, case.facts)
        assert stands_in(answer, case.answer), "\n".join([case.answer, "-- is not --", *answer])


@pytest.mark.parametrize(("page", "command"), ASKED, ids=[page for page, _ in ASKED])
def test_the_arithmetic_in_the_words_of_a_page_is_that_of_the_answers(tmp_path: Path, page: str, command: str) -> None:
    text = "\n".join("\n".join(answered(tmp_path, command, case.facts)) for case in cases(EXPLAINED / page))
    prose = re.sub(r"^```.*?^```$", "", (EXPLAINED / page).read_text("utf-8"), flags=re.MULTILINE | re.DOTALL)
    formulas = [span for span in re.findall(r"`([^`]+)`", prose) if " = " in span]
    assert formulas
    assert [formula for formula in formulas if formula not in text] == []


@pytest.mark.parametrize("name", PAGES)
def test_both_languages_ask_the_same_and_show_the_same_tables(name: str) -> None:
    chinese, english = (EXPLAINED / (name + language) for language in LANGUAGES)
    assert [case.facts for case in cases(chinese)] == [case.facts for case in cases(english)]
    headings = [len(re.findall(r"^## ", page.read_text("utf-8"), re.MULTILINE)) for page in (chinese, english)]
    assert headings[0] == headings[1]


def test_the_notice_of_the_how_to_is_taken_and_changes_the_surcharge_as_it_says(tmp_path: Path) -> None:
    folder = tmp_path / "my-packs"
    folder.mkdir()
    (folder / "guangxi-2026.toml").write_text(page_block("pack"), "utf-8")
    (tmp_path / "case.toml").write_text(page_block("facts"), "utf-8")
    assert [(one["what"], one["id"]) for one in asked("law", "diff", str(folder))["differences"]] == [
        ("changed", "cn-gx-punitive-2010"),
        ("added", "cn-gx-punitive-2026"),
    ]
    case = ("tariff", "explain", "--facts", str(tmp_path / "case.toml"))
    before, after = asked(*case), asked(*case, "--packs", str(folder))
    told = ("status", "rule", "tier", "surcharge_cny_per_kwh", "amount_cny")
    assert [before[key] for key in told] == ["flag", "cn-gx-punitive-2010", 1, "0.05", None]
    assert [after[key] for key in told] == ["flag", "cn-gx-punitive-2026", 1, "0.10", "85560.00"]
    page = HOW_TO.read_text("utf-8")
    assert [rule for rule in (before["rule"], after["rule"]) if f"| `{rule}` | 1 |" not in page] == []
    assert f"| {after['surcharge_cny_per_kwh']} | {after['amount_cny']} |" in page


def test_the_row_that_is_repeated_in_the_how_to_differs_in_its_last_day_alone(tmp_path: Path) -> None:
    (tmp_path / "guangxi-2026.toml").write_text(page_block("pack"), "utf-8")
    (repeated, _) = asked("law", "diff", str(tmp_path))["differences"]
    assert {key for key, _, _ in repeated["keys"]} == {"replaces", "effective_to"}


def test_the_table_of_rules_names_every_rule_with_its_confidence_and_what_is_not_known() -> None:
    page = "\n".join(rule_lines())
    for rule in shipped_law().table(TariffRule).values():
        section = page.split(f"\n### {rule.id}\n")[1].split("\n### ")[0]
        assert f"confidence **{rule.confidence}**" in section
        for unknown in rule.unknown:
            assert unknown in section
        for row in rule.threshold_rows:
            assert f"| {row.confidence}" in section
        amounts = {tier.surcharge for tier in rule.tiers if tier.surcharge is not None}
        assert all(f"| {shown(amount)} |" in section for amount in amounts), rule.id


def test_a_line_that_is_not_in_the_answer_is_found() -> None:
    answer = ["a", "b", "c", "d"]
    assert stands_in(answer, "a\nb\n…\nd\n")
    assert not stands_in(answer, "a\nc\n")
    assert not stands_in(answer, "b\n…\na\n")


def test_a_diff_exchanges_lines_in_their_place() -> None:
    assert changed("a = 1\nb = 2\nc = 3\n", "-b = 2\n+b = 4\n-c = 3\n") == "a = 1\nb = 4\n"
