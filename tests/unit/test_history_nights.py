"""Nightly features and scores: replaced as a whole, read back where asked."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from monitor.history.history import History

MONDAY = dt.date(2026, 3, 2)
NIGHTS = [MONDAY + dt.timedelta(days=k) for k in range(3)]


def column(*values: float) -> np.ndarray:
    return np.array(values, dtype=np.float32)


def scores(meters: list[str], detector: str, score: float) -> pa.Table:
    n = len(meters)
    return pa.table(
        {
            "meter": meters,
            "site": ["s1"] * n,
            "detector": [detector] * n,
            "score": np.full(n, score),
            "probability": np.full(n, np.nan),
            "status": ["clear"] * n,
            "reasons": ["[]"] * n,
        }
    )


def test_features_come_back_by_meter_and_night_with_nan_where_there_is_no_row(tmp_path: Path) -> None:
    history = History.open(tmp_path)
    history.write_features(NIGHTS[0], 900, 1, ["b", "a"], {"load": column(1, 2), "edge": column(np.nan, 0)})
    history.write_features(NIGHTS[2], 900, 1, ["a"], {"load": column(3), "slope": column(-1)})
    history.write_features(NIGHTS[1], 60, 1, ["a"], {"load": column(9)})
    found = history.read_features(NIGHTS, 900, 1, ["a", "unknown", "b"])
    nan = np.nan
    assert set(found) == {"load", "edge", "slope"}
    np.testing.assert_array_equal(found["load"], column(*[2, nan, 3], *[nan] * 3, *[1, nan, nan]).reshape(3, 3))
    np.testing.assert_array_equal(found["edge"][0], column(0, nan, nan))
    np.testing.assert_array_equal(found["slope"][:, 2], column(-1, nan, nan))
    assert found["load"].dtype == np.float32
    np.testing.assert_array_equal(history.read_features(NIGHTS[::-1], 900, 1, ["a"])["load"], column(3, nan, 2)[None])
    assert np.isnan(history.read_features(NIGHTS, 900, 2, ["a"])["load"]).all()
    history.close()


def test_writing_a_night_again_replaces_just_the_meters_written(tmp_path: Path) -> None:
    history = History.open(tmp_path)
    history.write_features(MONDAY, 900, 1, ["a", "b"], {"load": column(1, 2), "edge": column(5, 5)})
    history.write_features(MONDAY, 900, 2, ["b"], {"load": column(7)})
    first = history.read_features([MONDAY], 900, 1, ["a", "b"])
    np.testing.assert_array_equal(first["load"], column(1, np.nan)[:, None])
    second = history.read_features([MONDAY], 900, 2, ["b"])
    assert second["load"][0, 0] == 7
    assert np.isnan(second["edge"][0, 0])
    history.close()


def test_a_feature_name_is_a_plain_identifier(tmp_path: Path) -> None:
    history = History.open(tmp_path)
    for name in ('x" FLOAT; DROP TABLE score; --', "night", "Load", ""):
        with pytest.raises(ValueError, match="feature's name"):
            history.write_features(MONDAY, 900, 1, ["a"], {name: column(1)})
    assert history.read_features([MONDAY], 900, 1, ["a"]) == {}
    history.close()


def test_scores_are_replaced_by_meter_and_detector_and_exported_sorted(tmp_path: Path) -> None:
    history = History.open(tmp_path)
    with history.transaction():
        history.write_scores(NIGHTS[1], scores(["b", "a"], "quality", 0.5))
        history.write_scores(NIGHTS[0], scores(["b"], "furnace_melt", 0.25))
    history.write_scores(NIGHTS[1], scores(["b"], "quality", 0.75))
    history.write_scores(NIGHTS[1], scores(["b"], "furnace_melt", np.nan))
    path = tmp_path / "scores.parquet"
    assert history.export_scores(path) == 4
    table = pq.read_table(path)
    assert table.schema.names == ["meter", "site", "night", "detector", "score", "probability", "status", "reasons"]
    assert [tuple(row.values())[:6] for row in table.to_pylist()] == [
        ("b", "s1", NIGHTS[0], "furnace_melt", 0.25, None),
        ("a", "s1", NIGHTS[1], "quality", 0.5, None),
        ("b", "s1", NIGHTS[1], "furnace_melt", None, None),
        ("b", "s1", NIGHTS[1], "quality", 0.75, None),
    ]
    assert history.export_scores(path) == 4
    assert not list(tmp_path.glob("*.new"))
    history.close()
