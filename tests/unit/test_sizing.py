"""The sizing table holds: what the real stores take on realistic loads is within a quarter of its figures."""

from __future__ import annotations

from pathlib import Path

import pytest

from monitor.config.keeping_sections import RetentionSettings
from monitor.reference.docs import reference_pages
from monitor.reference.sizing import (
    FEATURE_BYTES,
    HISTORY_BYTES,
    JOURNAL_BYTES,
    LEAD_BYTES,
    kept_bytes,
    sizing_lines,
)
from tests.support.district import District, bureau, by_hour
from tests.support.sizes import feature_bytes, history_bytes, journal_bytes, loads

WITHIN = 0.25


@pytest.mark.parametrize("channels", sorted(JOURNAL_BYTES))
def test_a_reading_takes_what_the_table_says(tmp_path: Path, channels: int) -> None:
    values = loads(400, 2, channels)
    assert journal_bytes(tmp_path / "j", values) == pytest.approx(JOURNAL_BYTES[channels], rel=WITHIN)
    assert history_bytes(tmp_path / "h", values) == pytest.approx(HISTORY_BYTES[channels], rel=WITHIN)


def test_features_of_a_night_take_what_the_table_says(tmp_path: Path) -> None:
    assert feature_bytes(tmp_path, 8000, 5) == pytest.approx(FEATURE_BYTES, rel=WITHIN)


def test_a_lead_takes_about_what_the_table_says(tmp_path: Path) -> None:
    """Revisions, findings and one notice a revision, over a few nights: not more than it says, nor half as much."""
    with District(tmp_path) as district:
        district.feed(by_hour(bureau(3), 6), live=True).finish()
        leads = len(district.leads())
        with district.core.engine.begin() as connection:
            stored = sum(
                int(connection.exec_driver_sql(f"SELECT coalesce(sum(length(body)), 0) FROM {table}").scalar() or 0)
                for table in ("lead_revisions", "outbox", "findings")
            )
    assert LEAD_BYTES / 2 < stored / leads < LEAD_BYTES * 1.25


def test_the_page_is_made_of_it_and_grows_with_meters_cadence_and_channels() -> None:
    assert reference_pages()["disk-sizes.md"].endswith("\n".join(sizing_lines()) + "\n")
    kept = RetentionSettings()
    small = sum(kept_bytes(10_000, 900, 3, kept).values())
    assert sum(kept_bytes(100_000, 900, 3, kept).values()) == pytest.approx(10 * small)
    assert kept_bytes(10_000, 60, 3, kept)["journal"] == pytest.approx(15 * kept_bytes(10_000, 900, 3, kept)["journal"])
