"""When the source tries the broker again."""

from __future__ import annotations

from connectors.mqtt_backoff import FIRST_S, GIVE_WAY_S, LONGEST_S, QUICK_LOSSES, Backoff


def test_each_failed_attempt_waits_twice_as_long_up_to_a_limit() -> None:
    backoff, now_s, waits = Backoff(), 0.0, []
    for _ in range(10):
        assert not backoff.ended(now_s, on_purpose=False)
        waits.append(backoff.hold_until_s - now_s)
        now_s = backoff.hold_until_s
    assert waits[:3] == [FIRST_S, 2 * FIRST_S, 4 * FIRST_S]
    assert waits[-1] == LONGEST_S


def test_a_connection_that_held_starts_the_waits_anew() -> None:
    backoff = Backoff()
    for _ in range(5):
        backoff.ended(0.0, on_purpose=False)
    backoff.connected(100.0)
    backoff.ended(200.0, on_purpose=False)
    assert backoff.hold_until_s == 200.0 + FIRST_S


def test_connections_lost_at_once_in_a_row_mean_that_somebody_fights_for_our_name() -> None:
    backoff, now_s, told = Backoff(), 0.0, []
    for _ in range(QUICK_LOSSES):
        backoff.connected(now_s)
        now_s += 0.1
        told.append(backoff.ended(now_s, on_purpose=False))
    assert told == [False] * (QUICK_LOSSES - 1) + [True]
    assert backoff.hold_until_s == now_s + GIVE_WAY_S


def test_connections_we_end_ourselves_are_no_fight() -> None:
    backoff = Backoff()
    for now_s in range(10):
        backoff.connected(float(now_s))
        assert not backoff.ended(now_s + 0.1, on_purpose=True)
    assert backoff.hold_until_s == 9.1 + FIRST_S
