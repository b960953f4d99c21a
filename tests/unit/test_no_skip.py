"""In CI a test that skips itself is a failure; soak loops stay out unless asked for."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SAMPLE = """
import pytest
@pytest.mark.skip(reason="no broker")
def test_skipped(): ...
@pytest.mark.xfail(reason="known")
def test_known_to_fail(): assert False
@pytest.mark.soak
def test_long(): assert False
def test_fine(): ...
"""


def outcome(folder: Path, sample: str, **env: str) -> str:
    (folder / "test_sample.py").write_text(sample)
    (folder / "pytest.ini").write_text("[pytest]\nmarkers =\n  soak\n  real_data\n")
    command = [sys.executable, "-m", "pytest", "-p", "tests.conftest", "-p", "no:cacheprovider", "-q", str(folder)]
    command += ["-c", str(folder / "pytest.ini"), "--rootdir", str(folder)]
    run = subprocess.run(
        command, cwd=ROOT, env=os.environ | env, capture_output=True, text=True, timeout=60, check=False
    )
    return run.stdout.splitlines()[-1]


@pytest.mark.parametrize(
    ("env", "ending"),
    [
        pytest.param({"GRIDWARDEN_NO_SKIP": "0"}, "1 passed, 1 skipped, 1 deselected, 1 xfailed", id="at_home"),
        pytest.param({"GRIDWARDEN_NO_SKIP": "1"}, "1 passed, 1 deselected, 1 xfailed, 1 error", id="in_ci"),
        pytest.param({"GRIDWARDEN_NO_SKIP": "0", "GRIDWARDEN_SOAK": "1"}, "1 failed, 1 passed, 1 skipped", id="soak"),
    ],
)
def test_a_skip_fails_only_where_it_is_forbidden(tmp_path: Path, env: dict[str, str], ending: str) -> None:
    assert outcome(tmp_path, SAMPLE, **env).startswith(ending)


def test_a_module_that_skips_itself_fails_in_ci(tmp_path: Path) -> None:
    sample = "import pytest\npytest.importorskip('no_such_module')\n"
    assert "1 error" in outcome(tmp_path, sample, GRIDWARDEN_NO_SKIP="1")
