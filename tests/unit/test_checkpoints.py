"""Checkpoints: what they sign, where their key lies, what notices carry, and the scan that looks for damage."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest
import sqlalchemy as sa

from monitor.audit.checkpoint import Checkpoint, Occasion, Short, last_checkpoint, read_lines
from monitor.audit.keys import KEY_NAME, SigningKey, stored_public_key
from monitor.audit.scan import ROUND_DAYS, Scan, ScannedStore
from monitor.audit.state_check import shorts_of
from monitor.config.secret_files import SecretFileError
from monitor.desk.schema import OUTBOX
from tests.support.district import DAY_MS, District, bureau, by_hour, steady
from tests.support.kept_state import make_state


def lines(state_dir: Path) -> list[Checkpoint]:
    return [Checkpoint.parse(line) for _, _, line, _ in read_lines(state_dir)]


def test_the_key_is_made_once_and_only_its_owner_may_read_it(tmp_path: Path) -> None:
    made = SigningKey.open(tmp_path, None)
    assert stat.S_IMODE((tmp_path / KEY_NAME).stat().st_mode) == 0o600
    assert SigningKey.open(tmp_path, None).public == made.public == stored_public_key(tmp_path)
    (tmp_path / KEY_NAME).chmod(0o644)
    with pytest.raises(SecretFileError):
        SigningKey.open(tmp_path, None)


def test_a_configured_key_signs_instead(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    other = SigningKey.open(tmp_path / "elsewhere", None)
    opened = SigningKey.open(tmp_path, tmp_path / "elsewhere" / KEY_NAME)
    assert opened.public == other.public
    assert not (tmp_path / KEY_NAME).exists()


def test_every_record_is_covered_once_and_the_last_one_is_that_of_the_stop(tmp_path: Path) -> None:
    with District(tmp_path) as district:
        district.core.checkpoints.due()
        for group in by_hour(steady("calm", range(2)), 6):
            district.feed([group])
            district.core.checkpoints.due()
        head = district.core.journal.head
        assert not district.core.checkpoints.due()
        assert len(lines(tmp_path)) == head + 1, "nothing new, no line"
    covered = lines(tmp_path)
    assert [c.body.occasion for c in (covered[0], covered[-1])] == [Occasion.START, Occasion.STOP]
    assert [(c.body.journal.after, c.body.journal.seq) for c in covered if c.body.journal.count] == [
        (seq, seq + 1) for seq in range(head)
    ]
    assert covered[-1].body.tables["desk.outbox"].rows == 0


def test_the_chain_of_lines_goes_on_after_a_restart_and_after_a_torn_line(tmp_path: Path) -> None:
    with District(tmp_path):
        pass
    path = next(tmp_path.glob("checkpoints-*.jsonl"))
    path.write_bytes(path.read_bytes() + b'{"body":{"at')
    with District(tmp_path) as district:
        district.feed(by_hour(steady("calm", [0]), 24))
    read = [line for _, _, line, _ in read_lines(tmp_path)]
    assert read[2] == b'{"body":{"at'
    good = [Checkpoint.parse(line) for line in (*read[:2], *read[3:])]
    assert [c.body.n for c in good] == list(range(1, len(good) + 1))
    assert [c.body.previous for c in good[1:]] == [c.sha256 for c in good[:-1]]


def test_a_notice_carries_the_newest_checkpoint_signed(tmp_path: Path) -> None:
    with District(tmp_path) as district:
        district.core.checkpoints.due()
        newest = district.core.checkpoints.newest
        district.feed(by_hour(bureau(3), 24)).finish()
        with district.core.engine.begin() as connection:
            bodies = [body for (body,) in connection.execute(sa.select(OUTBOX.c.body))]
    assert bodies
    assert {json.loads(body)["checkpoint"] for body in bodies} == {newest}
    key = stored_public_key(tmp_path)
    assert key is not None
    (short,) = shorts_of(bodies[0].decode())
    assert short.signed_by(key)
    assert not Short.parse(newest.replace(".0.", ".1.", 1)).signed_by(key)


@pytest.mark.parametrize("text", ["", "gw1.1.2.3", "{}", '{"checkpoint": 7}', "gw2.1.2.3.a.b.c.d", "gw1.x.2.3.a.b.c.d"])
def test_what_is_no_checkpoint_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="checkpoint"):
        shorts_of(text or " x")


def test_the_scan_looks_at_every_file_within_a_round_and_names_damage_once(tmp_path: Path) -> None:
    make_state(tmp_path)
    parts = sorted((tmp_path / "history").rglob("*.parquet"))
    with District(tmp_path) as district:
        content = bytearray(parts[0].read_bytes())
        content[20] ^= 1
        parts[0].write_bytes(content)
        sealed = tmp_path / "journal-202603.sqlite"
        month = bytearray(sealed.read_bytes())
        month[-1] ^= 1
        sealed.write_bytes(month)
        heard: list[ScannedStore] = []
        scan = Scan(heard.append)
        for _ in range(2 * ROUND_DAYS):
            district.clock.set_wall_ms(district.clock.wall_ms() + DAY_MS)
            while scan.run(district.core):
                pass
    assert sorted(heard) == [ScannedStore.HISTORY, ScannedStore.JOURNAL]
    assert set(scan.found) == {sealed.name, parts[0].relative_to(tmp_path).as_posix()}
    last = last_checkpoint(tmp_path)
    assert last is not None
