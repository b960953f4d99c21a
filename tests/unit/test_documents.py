"""What the documents say exists: links, commands, settings, metrics, topics; and their examples are taken."""

from __future__ import annotations

import ast
import json
import re
import shlex
import subprocess
import tomllib
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from prometheus_client import CollectorRegistry
from typer.main import get_command

from connectors.adapters.table import ADAPTERS, build_adapters, decode_group
from detectors.table import DETECTORS
from models.domain.leads import LeadKind
from models.domain.readings import RawMessage, RejectReason
from monitor.cli.main import app
from monitor.config.settings import DEFAULT_SUBSCRIPTIONS, Settings, settings_reference
from monitor.demo.session import Score
from monitor.metrics import Metrics
from monitor.reference.commands import commands
from monitor.reference.docs import EXIT_CODES
from monitor.register.columns import SPECS
from monitor.supervise import ExitCode

ROOT = Path(__file__).resolve().parents[2]
GENERATED = {"commands.md", "metrics.md", "payloads.md", "settings.md"}
PAGES = sorted([ROOT / "README.md", ROOT / "CHANGELOG.md", *(ROOT / "docs").rglob("*.md")])
WRITTEN = [page for page in PAGES if page.name not in GENERATED]
PICTURE = ROOT / "docs" / "images" / "demo-terminal.svg"
MAKE_TARGETS = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))


class Block(NamedTuple):
    """A fenced block: where it stands, its language and its text without the list's indentation."""

    page: str
    language: str
    text: str


def blocks(*languages: str) -> list[Block]:
    found = []
    for page in WRITTEN:
        for indent, language, body in re.findall(
            r"^( *)```(\w+)\n(.*?)^ *```$", page.read_text("utf-8"), re.MULTILINE | re.DOTALL
        ):
            text = re.sub(rf"^{indent}", "", body, flags=re.MULTILINE)
            found.append(Block(page.relative_to(ROOT).as_posix(), language, text))
    return [block for block in found if block.language in languages]


def shell_commands(text: str) -> Iterator[list[str]]:
    """Every simple command of a shell block; here-documents and comments left out."""
    text = re.sub(r"(<<'(\w+)').*?^\2$", r"", text, flags=re.MULTILINE | re.DOTALL)
    for line in text.replace("\\\n", " ").splitlines():
        words = shlex.split(line, comments=True)
        if words:
            yield words


def typed_commands() -> Iterator[tuple[str, list[str]]]:
    """What a reader is told to type that begins with gridwarden, in blocks and between backticks."""
    for block in blocks("sh"):
        for words in shell_commands(block.text):
            if Path(words[0]).name == "gridwarden":
                yield block.page, words[1:]
    for page in WRITTEN:
        for quoted in re.findall(r"`gridwarden ([^`]+)`", re.sub(r"\s+", " ", page.read_text("utf-8"))):
            yield page.name, shlex.split(quoted)


def command_of(words: list[str]) -> tuple[Any, list[str]]:
    """The typer command that `words` name, and what is left of them."""
    command: Any = get_command(app)
    rest = list(words)
    while rest and rest[0] in getattr(command, "commands", {}):
        command = command.commands[rest.pop(0)]
    return command, rest


def anchors(page: Path) -> set[str]:
    heads = re.findall(r"^#+ (.*)$", page.read_text("utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in heads}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_links_lead_somewhere(page: Path) -> None:
    dead = []
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text("utf-8")):
        if "://" in target:
            continue
        path, _, anchor = target.partition("#")
        found = (page.parent / path).resolve() if path else page
        if not found.exists() or (anchor and anchor not in anchors(found)):
            dead.append(target)
    assert dead == []


def test_every_page_can_be_reached_from_the_index() -> None:
    index = ROOT / "docs" / "README.md"
    linked = {(index.parent / t).resolve() for t in re.findall(r"\]\(([^)#\s]+)", index.read_text("utf-8"))}
    assert {page for page in PAGES if page.is_relative_to(ROOT / "docs")} - linked - {index} == set()


def test_commands_that_are_quoted_exist_with_their_options() -> None:
    wrong = []
    for page, words in typed_commands():
        command, rest = command_of(words)
        known = {option for param in command.params for option in param.opts}
        unknown = [word for word in rest if word.startswith("-") and word.partition("=")[0] not in known]
        is_group = hasattr(command, "commands") and not (command.invoke_without_command and rest)
        if is_group or unknown:
            wrong.append((page, words))
    assert wrong == []
    assert len(list(typed_commands())) > 10


def test_every_command_is_named_outside_its_reference() -> None:
    told = {" ".join(words[: len(name.split())]) for _, words in typed_commands() for name, _ in commands()}
    assert {name for name, _ in commands()} - told == {"register export"}


def test_quoted_make_targets_exist() -> None:
    for page in WRITTEN:
        for target in re.findall(r"(?:^|`)make ([a-z]+)\b", page.read_text("utf-8"), re.MULTILINE):
            assert target in MAKE_TARGETS, f"{page.name}: make {target}"


def test_every_exit_code_is_explained() -> None:
    assert set(EXIT_CODES) == set(ExitCode)


def test_settings_that_are_named_exist() -> None:
    keys = {row.key for row in settings_reference()}
    keys |= {key.rpartition(".")[0] for key in keys} | {f"detectors.{name}" for name in DETECTORS}
    sections = {key.partition(".")[0] for key in keys}
    wrong = [
        (page.name, name)
        for page in WRITTEN
        for name in re.findall(r"`([a-z_]+\.[a-z_.]+)`", page.read_text("utf-8"))
        if name.partition(".")[0] in sections and not (ROOT / name).exists() and name not in keys
        if not name.endswith((".py", ".md", ".toml", ".sqlite", ".duckdb", ".jsonl", ".sock", ".xlsx", ".csv", ".id"))
    ]
    assert wrong == []


def test_metrics_that_are_named_exist() -> None:
    known = {row.name for row in Metrics(CollectorRegistry()).reference()}
    for page in WRITTEN:
        for name in re.findall(r"\bgridwarden_[a-z_]+", page.read_text("utf-8")):
            assert name in known, f"{page.name}: {name}"


def test_topics_that_are_named_are_those_of_the_code() -> None:
    read = {s.topic.replace("+", "{publisher}") for s in DEFAULT_SUBSCRIPTIONS}
    known = read | {"grid/v1/{publisher}/feedback", "grid/v1/iit/{district}/leads"}
    patterns = [re.sub(r"\\{\w+\\}", r"[^/]+", re.escape(topic)) for topic in known]
    page = (ROOT / "docs" / "reference" / "topics.md").read_text("utf-8")
    for topic in known:
        assert f"`{topic}`" in page
    for subscription in DEFAULT_SUBSCRIPTIONS:
        row = next(line for line in page.splitlines() if subscription.topic.replace("+", "{publisher}") in line)
        assert f"`{subscription.adapter}`" in row
    for page_ in WRITTEN:
        for topic in re.findall(r"\bgrid/v1/[\w{}/]+", page_.read_text("utf-8")):
            assert any(re.fullmatch(pattern, topic) for pattern in patterns), f"{page_.name}: {topic}"


def test_reason_codes_in_the_how_to_exist() -> None:
    page = (ROOT / "docs" / "how-to" / "handle-quarantine.md").read_text("utf-8")
    named = {word for row in re.findall(r"^\| (`.*?) \|", page, re.MULTILINE) for word in re.findall(r"`(\w+)`", row)}
    assert named
    assert named <= {reason.value for reason in RejectReason}


def configurations() -> list[Block]:
    """TOML blocks, and what a shell block writes into a TOML file."""
    written = [
        Block(block.page, "toml", text)
        for block in blocks("sh")
        for _, text in re.findall(r"^cat > \S+\.toml <<'(\w+)'\n(.*?)^\1$", block.text, re.MULTILINE | re.DOTALL)
    ]
    return [*written, *blocks("toml")]


@pytest.mark.parametrize("block", configurations(), ids=lambda block: block.page)
def test_configuration_examples_are_valid(block: Block) -> None:
    Settings.model_validate(tomllib.loads(block.text))


def test_the_tutorial_writes_a_configuration() -> None:
    assert "README.md" in {block.page for block in configurations()}


def test_the_quoted_last_line_of_the_demo_has_its_keys() -> None:
    quoted = [json.loads(block.text) for block in blocks("json") if '"site_weeks"' in block.text]
    score = Score(1, 1, 0, 0, 0, {kind.value: 0 for kind in LeadKind}, 0, 0, 0, 1.0, 1.0)
    assert [list(line) for line in quoted] == [list(score.as_dict())]
    assert quoted[0]["leads"].keys() == score.leads.keys()
    assert quoted[0]["lost"] == 0


@pytest.mark.parametrize("block", blocks("python"), ids=lambda block: block.page)
def test_python_examples_parse(block: Block) -> None:
    ast.parse(block.text)


@pytest.mark.parametrize("block", blocks("json"), ids=lambda block: block.page)
def test_json_examples_parse(block: Block) -> None:
    for line in block.text.splitlines():
        json.loads(line)


def test_the_signature_example_accepts_what_the_webhook_signs() -> None:
    from connectors.webhook import sign

    (block,) = [b for b in blocks("python") if "is_genuine" in b.text]
    scope: dict[str, Any] = {}
    exec(compile(block.text, block.page, "exec"), scope)
    header = sign(b"secret", b"body")
    assert scope["is_genuine"](b"body", header, b"secret")
    assert not scope["is_genuine"](b"bodi", header, b"secret")


def published() -> list[tuple[str, str]]:
    """(topic, payload) of every mosquitto_pub in the documents, as the shell would hand them over."""
    found = []
    for block in blocks("sh"):
        for match in re.finditer(r"^mosquitto_pub .*?(?<!\\)$", block.text, re.MULTILINE | re.DOTALL):
            script = 'mosquitto_pub() { printf "%s\\0" "$@"; }\n' + match.group()
            words = subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=True).stdout.split("\0")
            found.append((words[words.index("-t") + 1], words[words.index("-m") + 1]))
    return found


def test_published_examples_go_through_the_adapter_of_their_topic() -> None:
    examples = published()
    assert len(examples) >= 2
    for topic, payload in examples:
        (adapter,) = {
            s.adapter for s in DEFAULT_SUBSCRIPTIONS if re.fullmatch(s.topic.replace("+", "[^/]+"), topic) is not None
        }
        decoded = decode_group([RawMessage(topic, payload.encode(), 0, topic.split("/")[2], adapter)], build_adapters())
        assert decoded.rejections == ()
        assert len(decoded.batch) == 1


def test_register_rows_of_the_tutorial_fit_the_sheets(tmp_path: Path) -> None:
    from monitor.register.importer import read_register
    from monitor.register.template import write_template

    write_template(tmp_path / "my-register", xlsx=False)
    for block in blocks("sh"):
        for name, _, rows in re.findall(
            r"^cat >> my-register/(\w+)\.csv <<'(\w+)'\n(.*?)^\2$", block.text, re.MULTILINE | re.DOTALL
        ):
            assert name in SPECS
            with (tmp_path / "my-register" / f"{name}.csv").open("a", encoding="utf-8") as stream:
                stream.write(rows)
    register = read_register(tmp_path / "my-register")
    assert [meter.meter for meter in register.meters] == ["330124001"]
    assert {meter.publisher for meter in register.meters} == {topic.split("/")[2] for topic, _ in published()}


def test_adapters_named_in_the_topics_page_exist() -> None:
    page = (ROOT / "docs" / "reference" / "topics.md").read_text("utf-8")
    cells = [row.rsplit("|", 2)[1].strip(" `") for row in re.findall(r"^\| `grid.*$", page, re.MULTILINE)]
    assert {cell for cell in cells if cell} <= set(ADAPTERS)


def test_the_picture_is_small_whole_and_names_no_place_of_a_machine() -> None:
    text = PICTURE.read_text("utf-8")
    assert len(text.encode()) < 300_000
    shown = "".join(ET.fromstring(text).itertext())
    assert "疑似感应炉熔炼" in shown
    assert "http://" not in re.sub(r"http://www\.w3\.org|http://127\.0\.0\.1", "", text)
    assert not re.search(r"/(?:home|root|tmp|work|Users)/", text)


def test_texts_for_staff_never_accuse() -> None:
    pages = [*WRITTEN, PICTURE]
    said = {page.name: re.findall("非法|违法|地条钢|犯罪|偷电|窃电", page.read_text("utf-8")) for page in pages}
    assert {name: words for name, words in said.items() if words} == {}
