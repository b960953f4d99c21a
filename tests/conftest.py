"""What holds for every test: skips that may not be (CI), long loops that run on demand, data that may be absent."""

from __future__ import annotations

import os
from collections.abc import Generator
from pathlib import Path

import pytest

NO_SKIP = os.environ.get("GRIDWARDEN_NO_SKIP") == "1"
SOAK = os.environ.get("GRIDWARDEN_SOAK") == "1"
REAL_DATA = Path(__file__).resolve().parents[2] / "shared" / "data"


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what is not asked for: soak loops, and tests of the measured loads where those are not at hand."""
    left_out = [item for item in items if item.get_closest_marker("soak") and not SOAK]
    no_data = [item for item in items if item.get_closest_marker("real_data") and not REAL_DATA.is_dir()]
    gone = {*left_out, *no_data}
    if gone:
        config.hook.pytest_deselected(items=list(gone))
        items[:] = [item for item in items if item not in gone]


def pytest_report_header() -> list[str]:
    """Say what is not run."""
    return [] if REAL_DATA.is_dir() else [f"measured loads are absent ({REAL_DATA}): tests marked real_data do not run"]


def _refuse_skip(report: pytest.TestReport | pytest.CollectReport) -> None:
    if NO_SKIP and report.skipped and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"skipped, and GRIDWARDEN_NO_SKIP=1 forbids that: {report.longrepr}"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """A skipped test fails under GRIDWARDEN_NO_SKIP=1."""
    report = yield
    _refuse_skip(report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """So does a module that skips itself."""
    report = yield
    _refuse_skip(report)
    return report
