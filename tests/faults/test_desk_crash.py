"""Whatever a commit is interrupted by, the desk holds all of it or none."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from monitor.desk.database import open_desk
from monitor.desk.outbox_rows import OutboxState, claim, reset_sending
from monitor.desk.store import LeadChange
from tests.support.desk_parts import (
    DETECTORS,
    SITES,
    counts,
    desk_on,
    everything,
    finding,
    night,
    register,
    without_stamps,
)

METERS = [f"M{i}" for i in range(2 * SITES)]


class BrokenError(Exception):
    """The fault that is injected."""


@contextmanager
def failing_statement(engine: sa.Engine, number: int) -> Iterator[list[str]]:
    """The n-th statement from now on raises; the statements that ran are listed."""
    ran: list[str] = []

    def before(_conn: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
        ran.append(statement)
        if len(ran) == number:
            raise BrokenError(statement)

    sa.event.listen(engine, "before_cursor_execute", before)
    try:
        yield ran
    finally:
        sa.event.remove(engine, "before_cursor_execute", before)


def judge(engine: sa.Engine, offset: int) -> list[LeadChange]:
    """One night with a cursor: findings on two sites, one of them withdrawn on every third night."""
    findings = [finding(offset), finding(offset, "M6", detector="sealed_site")]
    if offset % 3 == 0:
        findings = findings[:1]
    return desk_on(engine, sinks=("file", "mqtt")).commit_night(
        night=night(offset),
        judged=METERS,
        detectors=DETECTORS,
        findings=findings,
        register=register(),
        closed={"bureau": night(offset).date},
        cursor=offset + 1,
    )


@pytest.mark.parametrize("nights_before", [1, 2])
def test_any_statement_may_fail_and_nothing_of_the_night_stays(tmp_path: Path, nights_before: int) -> None:
    engine = open_desk(tmp_path)
    for offset in range(nights_before):
        judge(engine, offset)
    before = everything(engine)
    number, broke = 0, True
    while broke:
        number += 1
        broke = False
        with failing_statement(engine, number) as ran:
            try:
                judge(engine, nights_before)
            except BrokenError:
                broke = True
        if broke:
            assert everything(engine) == before, f"statement {number} left something: {ran[-1]}"
    assert number > 8
    assert everything(engine) != before
    engine.dispose()


CHILD = """
import sys
from pathlib import Path
from monitor.desk.database import open_desk
from tests.faults.test_desk_crash import judge
engine = open_desk(Path(sys.argv[1]))
for offset in range(int(sys.argv[2]), 4000):
    judge(engine, offset % 60)
    print(offset, flush=True)
"""


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_kill_nine_leaves_whole_nights(tmp_path: Path, seed: int) -> None:
    rng = random.Random(seed)
    crashed, straight = tmp_path / "crashed", tmp_path / "straight"
    crashed.mkdir()
    straight.mkdir()
    child = subprocess.Popen(
        [sys.executable, "-c", CHILD, str(crashed), "0"], stdout=subprocess.PIPE, cwd=Path(__file__).parents[2]
    )
    assert child.stdout is not None
    told = 0
    stop_after = rng.randrange(3, 40)
    try:
        for line in child.stdout:
            if line.strip().isdigit():
                told += 1
            if told >= stop_after:
                break
    finally:
        child.send_signal(signal.SIGKILL)
        child.wait()
        child.stdout.close()
    engine = open_desk(crashed)
    with engine.begin() as connection:
        assert connection.exec_driver_sql("PRAGMA integrity_check").scalar() == "ok"
    desk = desk_on(engine)
    done = desk.journal_cursor()
    assert done >= told
    reference = open_desk(straight)
    for offset in range(done):
        judge(reference, offset)
    assert desk.closed_nights() == {"bureau": night(done - 1).date}
    assert without_stamps(list(desk.final_leads())) == without_stamps(list(desk_on(reference).final_leads()))
    assert counts(engine) == counts(reference)
    engine.dispose()
    reference.dispose()


def test_what_was_being_sent_is_pending_again_after_a_restart(tmp_path: Path) -> None:
    engine = open_desk(tmp_path)
    for offset in range(3):
        judge(engine, offset)
    taken = claim(engine, "file", 10, frozenset())
    assert taken
    engine.dispose()
    engine = open_desk(tmp_path)
    assert reset_sending(engine) == len(taken)
    assert claim(engine, "file", 10, frozenset()) == taken
    assert (("file", OutboxState.SENDING)) in counts(engine)
    engine.dispose()
