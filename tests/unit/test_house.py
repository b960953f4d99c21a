"""Rules of the house that no linter knows."""

from __future__ import annotations

import ast
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("monitor", "detectors", "connectors", "models")
SOURCES = sorted(path for package in (*PACKAGES, "tests") for path in (ROOT / package).rglob("*.py"))
PRODUCT = [path for path in SOURCES if path.relative_to(ROOT).parts[0] in PACKAGES]

LAYERS = {
    "models.domain": {"models.domain"},
    "models": {"models"},
    "detectors": {"models", "detectors"},
    "connectors": {"models.domain", "connectors"},
    "monitor": {"models", "detectors", "connectors", "monitor"},
}
"""What a package may import of ours; the longest prefix of a module's name decides."""

CLOCK_MODULE = ROOT / "models" / "domain" / "clock.py"
CLOCK_CALLS = {
    "time.time",
    "time.time_ns",
    "datetime.now",
    "datetime.utcnow",
    "date.today",
}
PRODUCT_SUFFIXES = {".py", ".toml", ".md", ".txt", ".sh", ".conf", ".acl", ".json", ".ini", ".mako", ".csv", ""}
HOSTS = (
    "py" + "pi.org",
    "python" + "hosted.org",
    "npm" + "js.org",
    "npm" + "js.com",
    "crates" + ".io",
    "mirrors" + ".",
)
ABSOLUTE = re.compile(r"(?<![\w./~$}])/(?:work|home|root|Users)/\w")


def module_of(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def layer_of(module: str) -> str:
    return max((layer for layer in LAYERS if module == layer or module.startswith(f"{layer}.")), key=len)


def imports_of(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def trespasses(module: str, tree: ast.AST) -> list[str]:
    allowed = LAYERS[layer_of(module)]
    ours = [name for name in imports_of(tree) if name.split(".")[0] in (*PACKAGES, "tests")]
    return [n for n in ours if not any(n == a or n.startswith(f"{a}.") for a in allowed)]


@pytest.mark.parametrize(
    ("module", "source", "trespass"),
    [
        pytest.param("detectors.melt", "from connectors import mqtt", True, id="detectors_never_see_connectors"),
        pytest.param("connectors.mqtt", "import models.law.packs", True, id="connectors_see_the_domain_only"),
        pytest.param("connectors.mqtt", "from models import law", True, id="however_it_is_imported"),
        pytest.param("models.law.x", "def f():\n    import monitor.config.settings", True, id="nobody_sees_monitor"),
        pytest.param("models.domain.x", "from models.law import packs", True, id="the_domain_sees_only_itself"),
        pytest.param("monitor.x", "from tests.support import y", True, id="nobody_sees_the_tests"),
        pytest.param("monitor.x", "from connectors import mqtt", False, id="monitor_sees_all"),
    ],
)
def test_the_import_rule_finds_a_planted_trespass(module: str, source: str, trespass: bool) -> None:
    assert bool(trespasses(module, ast.parse(source))) is trespass


def test_packages_import_only_what_their_layer_allows() -> None:
    found = {path: trespasses(module_of(path), ast.parse(path.read_bytes())) for path in PRODUCT}
    assert {str(path.relative_to(ROOT)): names for path, names in found.items() if names} == {}


def test_only_the_clock_reads_the_time() -> None:
    readers = []
    for path in PRODUCT:
        for node in ast.walk(ast.parse(path.read_bytes())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                name = ".".join(ast.unparse(node.func).split(".")[-2:]).removeprefix("dt.").replace("_dt.", "")
                if name in CLOCK_CALLS and path != CLOCK_MODULE:
                    readers.append(f"{path.relative_to(ROOT)}:{node.lineno} {name}")
            if isinstance(node, ast.ImportFrom) and node.module == "time" and path != CLOCK_MODULE:
                readers.append(f"{path.relative_to(ROOT)}:{node.lineno} from time import")
    assert readers == []


def test_no_file_is_longer_than_600_lines() -> None:
    lengths = {str(path.relative_to(ROOT)): len(path.read_text("utf-8").splitlines()) for path in SOURCES}
    assert {name: lines for name, lines in lengths.items() if lines > 600} == {}


def test_every_package_has_an_empty_init() -> None:
    folders = {path.parent for path in SOURCES if "migrations" not in path.parts}
    assert [str(f.relative_to(ROOT)) for f in folders if not (f / "__init__.py").is_file()] == []
    assert [str(p.relative_to(ROOT)) for p in SOURCES if p.name == "__init__.py" and p.stat().st_size] == []


def test_the_wheel_holds_the_four_packages_and_their_data() -> None:
    setuptools = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["setuptools"]
    assert setuptools["packages"]["find"]["include"] == [pattern for p in PACKAGES for pattern in (p, f"{p}.*")]
    data = {path.suffix for p in PACKAGES for path in (ROOT / p).rglob("*") if path.is_file()} - {".py", ".pyc"}
    assert data <= {pattern.removeprefix("*") for pattern in setuptools["package-data"]["*"]}


def shipped_files() -> list[Path]:
    tops = [ROOT / name for name in (*PACKAGES, "tests", "docs", "deploy", ".ci")]
    files = [path for top in tops for path in top.rglob("*") if path.is_file() and "__pycache__" not in path.parts]
    return [*files, *(path for path in ROOT.iterdir() if path.is_file())]


def test_no_file_names_a_registry_host_or_a_path_of_some_machine() -> None:
    found = []
    for path in shipped_files():
        if path.suffix in PRODUCT_SUFFIXES and path.name != "LICENSE":
            text = path.read_text("utf-8")
            found += [f"{path.relative_to(ROOT)}: {host}" for host in HOSTS if host in text]
            found += [f"{path.relative_to(ROOT)}: {match.group()}" for match in ABSOLUTE.finditer(text)]
    assert found == []


def test_constraints_pin_exactly_and_name_no_address() -> None:
    lines = (ROOT / "constraints.txt").read_text("utf-8").splitlines()
    pins = [line for line in lines if line and not line.startswith("#")]
    assert [line for line in pins if not re.fullmatch(r"[A-Za-z0-9._-]+==[A-Za-z0-9.+!]+", line)] == []


def test_every_dependency_is_pinned() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    wanted = [*project["dependencies"], *project["optional-dependencies"]["dev"]]
    names = {re.split(r"[><=\[ ]", line)[0].lower().replace("_", "-") for line in wanted}
    pins = {
        line.split("==")[0].lower().replace("_", "-") for line in (ROOT / "constraints.txt").read_text().splitlines()
    }
    assert names - pins == set()


def test_links_between_documents_lead_somewhere() -> None:
    links = [
        (page, target)
        for page in (ROOT / "docs").rglob("*.md")
        for target in re.findall(r"\]\(([^)#]+)", page.read_text("utf-8"))
        if "://" not in target
    ]
    dead = [f"{page.relative_to(ROOT)}: {target}" for page, target in links if not (page.parent / target).exists()]
    assert dead == []
