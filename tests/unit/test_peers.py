"""Ranks among peers: an order in which to look, and nothing a lead could rest on."""

from __future__ import annotations

import ast
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from models.learned.peers import FEWEST_PEERS, peer_ranks, shapes_of

HERE = Path(__file__).resolve().parents[2]


def shapes(n: int) -> NDArray[np.float64]:
    rng = np.random.default_rng(3)
    usual = rng.normal(0.0, 0.02, (n, 4)) + np.array([0.1, 0.4, 0.2, 0.1])
    usual[0] = [0.6, 0.9, 1.0, 0.1]
    return np.asarray(usual)


def test_the_odd_one_of_a_trade_ranks_highest() -> None:
    meters = [f"m{i}" for i in range(30)]
    ranks = peer_ranks(meters, ["C3391"] * 30, shapes(30))
    assert ranks[0] == ranks.max() == 1.0
    assert ((ranks >= 0.0) & (ranks <= 1.0)).all()


def test_the_order_of_the_meters_changes_nothing() -> None:
    meters = [f"m{i:02d}" for i in range(30)]
    order = np.random.default_rng(1).permutation(30)
    whole = peer_ranks(meters, ["33"] * 30, shapes(30))
    mixed = peer_ranks([meters[i] for i in order.tolist()], ["33"] * 30, shapes(30)[order])
    np.testing.assert_array_equal(mixed, whole[order])


def test_without_trade_peers_or_data_there_is_no_rank() -> None:
    values = shapes(FEWEST_PEERS + 3)
    values[2] = np.nan
    trades = ["17"] * (FEWEST_PEERS + 1) + ["25", ""]
    ranks = peer_ranks([f"m{i}" for i in range(len(trades))], trades, values)
    assert np.flatnonzero(np.isnan(ranks)).tolist() == [2, FEWEST_PEERS + 1, FEWEST_PEERS + 2]


def test_a_letter_before_the_code_is_the_same_trade() -> None:
    values = shapes(12)
    meters = [f"m{i:02d}" for i in range(12)]
    np.testing.assert_array_equal(
        peer_ranks(meters, ["C3391", "3392"] * 6, values), peer_ranks(meters, ["33"] * 12, values)
    )


def test_a_shape_knows_no_size() -> None:
    rng = np.random.default_rng(2)
    energy = rng.lognormal(0.0, 0.3, (5, 35)).astype(np.float32)
    rows = {"energy_kwh": energy * 100, "valley_share": energy / 10, "load_factor": energy / 5}
    larger = {**rows, "energy_kwh": energy * 100_000}
    np.testing.assert_allclose(shapes_of(rows), shapes_of(larger), rtol=1e-5)


def test_no_detector_knows_of_peers() -> None:
    for path in sorted((HERE / "detectors").glob("*.py")):
        modules = [node.module for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.ImportFrom)]
        assert "models.learned.peers" not in modules, path.name
