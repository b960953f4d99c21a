"""Retention: what is past its time goes, what is needed stays, and a check knows removal from loss."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import sqlalchemy as sa

from models.domain.clock import SystemClock
from monitor.audit.state_check import check_state
from monitor.backup.hold import backup_begin, backup_end
from monitor.backup.restore import restore_backup
from monitor.config.faults import ConfigFaults
from monitor.config.keeping_sections import RetentionSettings
from monitor.config.settings import load_settings
from monitor.desk.audit_log import verify
from monitor.desk.database import desk_transaction
from monitor.desk.schema import LEADS
from monitor.history import forget
from monitor.history.history import History
from monitor.journal.check import verify_journal
from monitor.journal.schema import segment_paths
from monitor.retention import chore as chore_module
from monitor.retention.chore import Retention
from monitor.retention.records import Removals, removals
from monitor.storage import StoreDamaged
from tests.support.backups import back_up
from tests.support.district import District, Reading, fresh_state, message

DAY_MS = 86_400_000
MONTHS = 30
"""How long the district below is fed: one message a month."""

SETTINGS = RetentionSettings()


def month_ms(number: int) -> int:
    """Noon of the third day of a month, counted from March 2026."""
    count = 2026 * 12 + 2 + number
    return int(dt.datetime(count // 12, count % 12 + 1, 3, 12, tzinfo=dt.UTC).timestamp()) * 1000


def reading(number: int) -> Reading:
    return Reading("calm", month_ms(number) // 900_000 * 900_000, {"p_kw": 40.0 + number})


@pytest.fixture(scope="module")
def thirty_months(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The state directory of a district that was fed that long."""
    state_dir = tmp_path_factory.mktemp("thirty") / "state"
    with District(state_dir) as district:
        lived(district)
    return state_dir


@pytest.fixture
def district(thirty_months: Path, tmp_path: Path) -> Iterator[District]:
    """Such a district, open, its clock where it was."""
    state_dir = fresh_state(thirty_months, tmp_path / "state")
    with District(state_dir) as opened:
        opened.clock.set_wall_ms(month_ms(MONTHS - 1) + 60_000)
        yield opened


def lived(district: District, months: int = MONTHS) -> District:
    """A reading and a night of features a month; everything is applied and judged."""
    for number in range(months):
        district.clock.set_wall_ms(month_ms(number) + 60_000)
        one = reading(number)
        district.feed([[message(one, received_ms=one.ts_ms + 60_000)]])
        district.core.history.write_features(
            day(number), 900, 1, ["calm"], {"level": np.array([1.0], dtype=np.float32)}
        )
    district.pipeline.applier.flush()
    district.core.desk.set_journal_cursor(district.core.journal.head)
    district.core.history.seal(district.clock.wall_ms())
    return district


def day(number: int) -> dt.date:
    """The day of the reading of a month."""
    return dt.datetime.fromtimestamp(month_ms(number) / 1000, dt.UTC).date()


def keep(district: District, settings: RetentionSettings = SETTINGS, most: int = 10_000) -> int:
    """Run the chore to its end; returns its slices."""
    retention = Retention(settings)
    for slices in range(most):
        if not retention.run(district.core):
            return slices
    raise AssertionError("retention never ends")


def removed(district: District) -> Removals:
    with desk_transaction(district.core.engine) as connection:
        return removals(connection)


def segments(district: District) -> list[str]:
    return [path.name for path in segment_paths(district.state_dir)]


def lead_of(district: District, first: dt.date, *, handling: str = "open", meter: str = "calm") -> None:
    """A lead that rests on three nights from `first` on."""
    body = {"first_night": f"{first}", "last_night": f"{first + dt.timedelta(days=2)}", "meters": [meter]}
    with desk_transaction(district.core.engine) as connection:
        connection.execute(
            sa.insert(LEADS).values(
                id=f"L-{first}-{meter}", kind="furnace_melt", subject=meter, month=f"{first:%Y-%m}", revision=1,
                standing="raised", handling=handling, content_sha256="0", last_night=body["last_night"], score=0.9,
                raised_at_ms=1, revised_at_ms=1,
            )
        )  # fmt: skip
        connection.exec_driver_sql(
            "INSERT INTO lead_revisions (lead_id, revision, change, event_ms, recorded_at_ms, body, sha256)"
            " VALUES (?, 1, 'raised', 1, 1, ?, '0')",
            (f"L-{first}-{meter}", json.dumps(body).encode()),
        )


def test_nothing_goes_before_its_time(tmp_path: Path) -> None:
    with District(tmp_path) as district:
        lived(district, 20)
        before = segments(district), district.stored()
        assert keep(district) == 0
        assert (segments(district), district.stored()) == before


def test_what_is_past_its_time_goes_and_the_rest_stays(district: District) -> None:
    keep(district)
    assert segments(district)[0] == "journal-202608.sqlite", "24 months before August 2028 are kept"
    assert len(segments(district)) == 25
    newest = reading(MONTHS - 1).ts_ms
    stamps = [row[1] for row in district.stored()]
    assert stamps == [r.ts_ms for n in range(MONTHS) if (r := reading(n)).ts_ms > newest - 801 * DAY_MS]
    assert len(stamps) == 27
    nights = [day(n) for n in range(MONTHS)]
    levels = district.core.history.read_features(nights, 900, 1, ["calm"])["level"][0]
    assert int(np.isfinite(levels).sum()) == 27
    files = {path.name for path in (district.state_dir / "history").rglob("*.parquet")}
    assert len(files) == 26, "the newest day is not sealed yet"
    assert keep(district) == 0, "a second round has nothing to do"


def test_the_chain_stays_verifiable_and_the_audit_log_says_what_went(district: District) -> None:
    keep(district)
    told = removed(district)
    assert [segment.segment for segment in told.segments] == [f"journal-2026{m:02d}.sqlite" for m in range(3, 8)]
    assert [seq for seq, _ in told.ends] == [1, 2, 3, 4, 5]
    assert sum(segment.messages for segment in told.segments) == 5
    assert len(told.parts) == 3
    assert verify(district.core.engine).whole
    assert verify_journal(district.state_dir, told.ends) == MONTHS - 5
    district.crash().feed([[message(reading(MONTHS - 1), received_ms=month_ms(MONTHS))]])
    assert district.core.journal.head == MONTHS + 1


@pytest.mark.parametrize("segment", [0, 3])
def test_a_segment_that_was_taken_away_is_not_taken_for_removed(district: District, segment: int) -> None:
    keep(district)
    ends = removed(district).ends
    segment_paths(district.state_dir)[segment].unlink()
    with pytest.raises(StoreDamaged, match="does not follow"):
        verify_journal(district.state_dir, ends)


def test_without_a_record_a_missing_beginning_is_a_fault(tmp_path: Path) -> None:
    with District(tmp_path) as district:
        lived(district, 3)
        segment_paths(district.state_dir)[0].unlink()
        with pytest.raises(StoreDamaged, match="does not follow"):
            verify_journal(district.state_dir)


@pytest.mark.parametrize("handling", ["open", "claimed", "escalated"])
def test_the_evidence_of_an_unsettled_lead_stays(district: District, handling: str) -> None:
    """Its readings' records and days; months before the held one go, those after it wait behind it."""
    held = day(1)
    lead_of(district, held - dt.timedelta(days=1), handling=handling)
    keep(district)
    assert segments(district)[0] == "journal-202604.sqlite"
    assert reading(1).ts_ms in [row[1] for row in district.stored()]
    assert reading(0).ts_ms not in [row[1] for row in district.stored()]


def test_a_settled_lead_holds_nothing(district: District) -> None:
    lead_of(district, day(1), handling="dismissed")
    keep(district)
    assert segments(district)[0] == "journal-202608.sqlite"


def test_what_is_not_judged_yet_stays(district: District) -> None:
    district.core.desk.set_journal_cursor(3)
    keep(district)
    assert segments(district)[0] == "journal-202606.sqlite"


def test_a_clock_in_a_wrong_year_removes_nothing(tmp_path: Path) -> None:
    with District(tmp_path) as district:
        lived(district, 20)
        before = segments(district), district.stored()
        district.clock.set_wall_ms(month_ms(500))
        assert keep(district) == 0
        assert (segments(district), district.stored()) == before


def test_a_backup_holds_it_back(district: District) -> None:
    token = backup_begin(district.core, {})["token"]
    retention = Retention(SETTINGS)
    assert all(retention.run(district.core) for _ in range(20))
    assert len(segments(district)) == MONTHS
    backup_end(district.core, {"token": token})
    keep(district)
    assert len(segments(district)) == 25


class Killed(Exception):  # noqa: N818 -- not an error of the program
    """The process ends here."""


@pytest.mark.parametrize("where", ["_unlink_segment", "note_removal", "forget_part", "drop"])
def test_a_kill_in_the_middle_is_harmless(district: District, monkeypatch: pytest.MonkeyPatch, where: str) -> None:
    """Killed before every single step of it, it comes to the same end with each removal told once."""

    def dying(step: Callable[..., object], after: int) -> Callable[..., object]:
        left = after

        def maybe(*args: object, **kwargs: object) -> object:
            nonlocal left
            left -= 1
            if left < 0:
                raise Killed
            return step(*args, **kwargs)

        return maybe

    kills = 0
    for after in range(3):
        with monkeypatch.context() as patch:
            if where == "forget_part":
                patch.setattr(History, where, dying(History.forget_part, after))
            elif where == "drop":
                patch.setattr(forget, "_drop_if_empty", dying(forget._drop_if_empty, after))
            else:
                patch.setattr(chore_module, where, dying(getattr(chore_module, where), after))
            try:
                keep(district)
            except Killed:
                kills += 1
        district.crash()
    keep(district)
    assert kills > 0
    told = removed(district)
    assert len(told.segments) == 5
    assert len(told.parts) == 3
    assert len(district.stored()) == 27
    assert len(list((district.state_dir / "history").rglob("*.parquet"))) == 26
    assert verify(district.core.engine).whole
    assert verify_journal(district.state_dir, told.ends) == MONTHS - 5


def test_a_reading_sent_again_is_refused_before_its_day_is_forgotten(district: District) -> None:
    """Rule D4: whatever the broker sends again is known, or too old, at every age."""
    keep(district)
    stored = district.stored()
    now_ms = district.clock.wall_ms()
    for number in range(MONTHS):
        district.feed([[message(reading(number), received_ms=now_ms)]])
    assert district.stored() == stored
    kinds = district.quarantined()
    assert kinds["TIME_OLD"] > 0


def test_admission_never_reaches_back_further_than_the_history(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GRIDWARDEN__TIME__OLD_DAYS", raising=False)
    config = tmp_path / "gridwarden.toml"
    config.write_text("[time]\nold_days = 500\n[retention]\nhistory_days = 500\n")
    with pytest.raises(ConfigFaults, match=r"retention\.history_days must exceed time\.old_days"):
        load_settings(config)
    config.write_text("[time]\nold_days = 500\n[retention]\nhistory_days = 502\n")
    assert load_settings(config).retention.history_days == 502


def test_a_backup_stands_when_old_journal_months_are_gone(tmp_path: Path) -> None:
    """Then the sealed days are the record: they come back with the rows of the missing months."""
    with District(tmp_path / "state") as district:
        lived(district)
        keep(district)
        stored = district.stored()
        back_up(district, tmp_path / "backup")
    restore_backup(tmp_path / "backup", tmp_path / "again", SystemClock())
    with District(tmp_path / "again") as again:
        assert again.stored() == stored
        assert len(removed(again).segments) == 5


def test_verification_of_the_state_accepts_what_was_removed_and_nothing_else(district: District) -> None:
    keep(district)
    state_dir = district.state_dir
    district.end()
    report = check_state(state_dir, ask=None, key=None, kept=[])
    assert report.whole, report.faults
    next((state_dir / "history").rglob("*.parquet")).unlink()
    assert not check_state(state_dir, ask=None, key=None, kept=[]).whole
