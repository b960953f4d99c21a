"""Fuzzed payloads through the whole core: journal, quarantine, windows, history and judging stay whole."""

from __future__ import annotations

import random
from pathlib import Path

import msgspec
import pytest

from connectors.adapters.table import build_adapters, decode_group
from models.domain.readings import RawMessage
from models.domain.register import Meter
from monitor.journal.check import verify_journal
from tests.faults.test_fuzz_payloads import fuzzed
from tests.support.district import District, register

GROUP = 100
METERS = ("330124001", "a", "b", "m-2", "g1")
"""The meters the good payloads name."""


def expected(group: list[RawMessage]) -> int:
    """Readings a group holds, as far as they can be told apart; a message that cannot be read counts as one."""
    decoded = decode_group(group, build_adapters())
    return len(decoded.batch) + sum(max(1, len(r.rows)) for r in decoded.rejections if not r.field)


@pytest.mark.parametrize("seed", [11, 12])
def test_every_fuzzed_reading_ends_stored_or_refused_once(tmp_path: Path, seed: int) -> None:
    rng = random.Random(seed)
    known = register(*(Meter(meter=meter, site=meter, publisher="bureau") for meter in METERS))
    with District(tmp_path, known) as district:
        published = 0
        for _ in range(40):
            group = [
                msgspec.structs.replace(raw, publisher=rng.choice(("bureau", "bureau", "plant", "?")))
                for raw in fuzzed(rng, GROUP)
            ]
            published += expected(group)
            district.feed([group])
        district.finish()
        totals = district.totals()
        assert sum(totals.values()) == published, f"seed {seed}: {totals}"
        assert min(totals["STORED"], totals["CONFLICT"]) > 0
        assert totals["DUPLICATE"] > 100
        assert totals["REFUSED"] > 1000
        stored = district.stored()
        assert district.crash().stored() == stored
    assert verify_journal(tmp_path) >= 40
