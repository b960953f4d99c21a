"""Whether our own clock is believed: steps, and publishers that are ahead of it at once (rule T4)."""

from __future__ import annotations

import numpy as np
import pytest

from models.domain.clock import ManualClock
from models.domain.readings import RawMessage, Rejection, RejectReason
from monitor.admission import Admitted
from monitor.observer import publishers_ahead
from monitor.roster import Roster
from monitor.timewatch import HEARD_S, STEADY_S, TimeWatch
from tests.support.desk_parts import register


class Stepped(ManualClock):
    """A wall clock that someone sets while the monotonic one runs on."""

    offset_ms = 0

    def wall_ms(self) -> int:
        return super().wall_ms() + self.offset_ms

    def after(self, seconds: float) -> None:
        self.set_wall_ms(super().wall_ms() + round(seconds * 1000))


@pytest.mark.parametrize(
    ("offset_ms", "step"), [(1900, None), (-1900, None), (3600_000, 3600.0), (-5000, -5.0)], ids=str
)
def test_a_step_of_the_wall_clock_is_seen_once(offset_ms: int, step: float | None) -> None:
    clock = Stepped()
    watch = TimeWatch(clock)
    clock.set_wall_ms(1000)
    assert watch.step_s() is None
    clock.offset_ms = offset_ms
    assert watch.step_s() == step
    assert (watch.doubt() is None) == (step is None)
    assert watch.step_s() is None


def test_a_stepped_clock_is_believed_again_when_it_ran_evenly() -> None:
    clock = Stepped()
    watch = TimeWatch(clock)
    clock.offset_ms = 60_000
    assert watch.step_s() == 60.0
    clock.after(STEADY_S - 1)
    assert watch.step_s() is None
    assert "stepped" in str(watch.doubt())
    clock.after(1)
    assert watch.doubt() is None


def test_most_publishers_ahead_of_us_means_that_our_clock_is_wrong() -> None:
    clock = Stepped()
    watch = TimeWatch(clock)
    watch.heard(["a"], {"a"})
    assert watch.doubt() is None, "one alone may well be wrong itself"
    watch.heard(["b"], {"b"})
    assert "set this clock" in str(watch.doubt())
    watch.heard(["c", "d"], ())
    assert watch.doubt() is None, "half of them are right"
    clock.after(HEARD_S + 1)
    watch.heard(["a", "b"], {"a", "b"})
    assert watch.doubt() is not None, "what was heard long ago says nothing"
    watch.heard(["a"], ())
    assert watch.doubt() is None


@pytest.mark.parametrize(("refused", "ahead"), [(1, False), (2, False), (3, True)], ids=str)
def test_a_publisher_is_ahead_when_most_of_its_readings_are(refused: int, ahead: bool) -> None:
    roster = Roster(register())
    publisher = roster.publishers[0]
    taken = 2
    group = Admitted(
        keys=np.zeros(taken, dtype=np.int32),
        ts_ms=np.zeros(taken, dtype=np.int64),
        interval_s=np.full(taken, 900, dtype=np.int32),
        rev=np.zeros(taken, dtype=np.int32),
        channels={},
        rejections=(Rejection(0, RejectReason.TIME_FUTURE, "ahead", rows=tuple(range(refused))),),
        n_refused=refused,
    )
    found = publishers_ahead([RawMessage("t", b"", 0, publisher, "canonical")], group, roster)
    assert found == ({publisher} if ahead else set())
