"""kill -9 and failing disks: what was committed is there once, and nothing is acknowledged after a failure."""

from __future__ import annotations

import random
import subprocess
import sys
import time
from pathlib import Path

import pytest

from models.domain.clock import ManualClock
from monitor.history.history import History
from monitor.journal.check import verify_journal
from monitor.journal.journal import Journal
from tests.support.stores import DAY_MS, MARCH_MS

ALL = (0, 1 << 45)
ROWS_A_GROUP = 5
GROUPS_A_DAY = 10

WRITER = """
import sys
from pathlib import Path
from models.domain.clock import ManualClock
from models.domain.readings import Rejection, RejectReason
from monitor.history.history import History
from monitor.journal.journal import Journal
from tests.faults.test_store_crash import GROUPS_A_DAY, ROWS_A_GROUP
from tests.support.stores import DAY_MS, MARCH_MS, history_rows, message

state_dir = Path(sys.argv[1])
journal, history = Journal.open(state_dir, ManualClock(MARCH_MS)), History.open(state_dir)
print("open", 0, flush=True)
while True:
    group = [message(b"%d/%d" % (journal.head + 1, k)) for k in range(ROWS_A_GROUP)]
    seq = journal.commit(group, [Rejection(0, RejectReason.CONFLICT, "planted")])
    print("committed", seq, flush=True)
    for entry in journal.read(history.cursor):
        at_ms = MARCH_MS + entry.seq // GROUPS_A_DAY * DAY_MS + 1
        rows = [(f"m{k}", at_ms, {"e_imp_kwh": float(entry.seq)}) for k in range(ROWS_A_GROUP)]
        history.append(history_rows(rows, seq=entry.seq), entry.seq)
    print("applied", history.cursor, flush=True)
    if seq % 4 == 0:
        history.seal(MARCH_MS + seq // GROUPS_A_DAY * DAY_MS + 1, after_days=1)
"""

FAILING_DISK = """
import resource, sys
from pathlib import Path
from models.domain.clock import ManualClock
from monitor.journal.journal import Journal
from monitor.storage import StoreFatal
from tests.support.stores import MARCH_MS, message
import random

journal = Journal.open(Path(sys.argv[1]), ManualClock(MARCH_MS))
journal.commit([message(b"before")], [])
_, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, hard))
noise = [message(random.Random(1).randbytes(400_000))]
try:
    journal.commit(noise, [])
except StoreFatal:
    print("fatal")
resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
try:
    journal.commit([message(b"after")], [])
except StoreFatal:
    print("still fatal", journal.head)
"""


def run_and_kill(state_dir: Path, after_s: float) -> dict[str, int]:
    """Let a writer run for a while, kill it, and return the last number of each kind it reported."""
    with subprocess.Popen(
        [sys.executable, "-c", WRITER, str(state_dir)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as writer:
        assert writer.stdout is not None
        assert writer.stderr is not None
        assert writer.stdout.readline() == "open 0\n"
        time.sleep(after_s)
        assert writer.poll() is None, writer.stderr.read()
        writer.kill()
        lines = writer.stdout.read().splitlines()
    whole = [line.split() for line in lines if len(line.split()) == 2]
    return {kind: int(number) for kind, number in whole}


def test_killing_the_writer_anywhere_loses_nothing_committed_and_doubles_nothing(tmp_path: Path) -> None:
    rng = random.Random(11)
    sealed = 0
    for _ in range(5):
        said = run_and_kill(tmp_path, rng.uniform(0.05, 0.5))
        journal = Journal.open(tmp_path, ManualClock(MARCH_MS))
        assert journal.head >= said.get("committed", 0)
        entries = list(journal.read(0))
        assert [entry.seq for entry in entries] == list(range(1, journal.head + 1))
        assert all(
            [message.payload for message in entry.messages] == [b"%d/%d" % (entry.seq, k) for k in range(ROWS_A_GROUP)]
            for entry in entries
        )
        journal.close()
        assert verify_journal(tmp_path) == len(entries)
        history = History.open(tmp_path)
        assert said.get("applied", 0) <= history.cursor <= len(entries)
        stored = [(row["seq"], row["meter"], row["e_imp_kwh"]) for row in history.read(*ALL).to_pylist()]
        expected = [(seq, f"m{k}", float(seq)) for seq in range(1, history.cursor + 1) for k in range(ROWS_A_GROUP)]
        assert sorted(stored) == sorted(expected)
        history.close()
        sealed = len(list(tmp_path.glob("history/*/*.parquet")))
    assert sealed > 0


def test_an_input_output_error_ends_the_use_of_the_journal_and_the_file_recovers(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", FAILING_DISK, str(tmp_path)], capture_output=True, text=True, check=False
    )
    assert done.stdout.splitlines() == ["fatal", "still fatal 1"], done.stderr
    journal = Journal.open(tmp_path, ManualClock(MARCH_MS))
    assert [entry.messages[0].payload for entry in journal.read(0)] == [b"before"]
    journal.close()
    assert verify_journal(tmp_path) == 1


@pytest.mark.slow
def test_a_day_of_rows_survives_being_killed_while_it_is_sealed(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from monitor.history.history import History\n"
        "from tests.support.stores import DAY_MS, MARCH_MS\n"
        "history = History.open(Path(sys.argv[1])); print('sealing', flush=True)\n"
        "history.seal(MARCH_MS + 9 * DAY_MS)"
    )
    import numpy as np
    import pyarrow as pa

    from monitor.history.history import HistoryRows

    n = 400_000
    meters = pa.DictionaryArray.from_arrays(
        pa.array(np.arange(n, dtype=np.int32) % 1000), pa.array([f"m{k:04d}" for k in range(1000)])
    )
    values = np.random.default_rng(3).random(n)
    rows = HistoryRows(
        meters,
        MARCH_MS + 1 + np.arange(n, dtype=np.int64) // 1000 * 100_000 % DAY_MS,
        np.full(n, 900, dtype=np.int32),
        np.zeros(n, dtype=np.int32),
        np.ones(n, dtype=np.int64),
        np.zeros(n, dtype=np.uint8),
        {"p_kw": values, "e_imp_kwh": values * 1e9},
    )
    history = History.open(tmp_path)
    history.append(rows, 1)
    before = history.read(*ALL)
    history.close()
    for after_s in (0.02, 0.1, 0.25):
        with subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE, text=True) as sealer:
            assert sealer.stdout is not None
            assert sealer.stdout.readline() == "sealing\n"
            time.sleep(after_s)
            sealer.kill()
        history = History.open(tmp_path)
        assert history.read(*ALL).combine_chunks().equals(before.combine_chunks())
        history.close()
