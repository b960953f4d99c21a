"""A state directory with something in every store: two journal months, sealed days, quarantine, an audit log."""

from __future__ import annotations

import datetime as dt
import shutil
from pathlib import Path

from models.domain.readings import RawMessage
from monitor.audit.scan import Scan
from monitor.desk.audit_log import append
from monitor.desk.database import desk_transaction
from monitor.desk.registers import put_register
from tests.support.district import DAY_MS, District, bureau, by_hour, slot_ms, steady

NIGHTS = 4
NEXT_MONTH_MS = int(dt.datetime(2026, 4, 2, 4, tzinfo=dt.UTC).timestamp()) * 1000


def make_state(state_dir: Path) -> None:
    """Leads of three kinds from live readings; days sealed; a second month; refusals; acts; stopped in order."""
    with District(state_dir) as district:
        core = district.core
        core.checkpoints.due()
        for group in by_hour(bureau(NIGHTS), 6):
            district.feed([group], live=True)
            core.checkpoints.due()
        district.feed([[refused("bureau"), refused("plant")]])
        district.pipeline.finish()
        core.history.seal(slot_ms(NIGHTS, 1) + 9 * DAY_MS)
        district.clock.set_wall_ms(NEXT_MONTH_MS)
        district.pipeline.tick()
        district.feed([*by_hour(steady("calm", [30]), 12), [refused("bureau")]])
        district.judge()
        with desk_transaction(core.engine) as connection:
            put_register(connection, district.known.rows, NEXT_MONTH_MS)
            for act in ("claim", "dismiss"):
                details = {"reason": "已现场核查"}
                append(connection, at_ms=NEXT_MONTH_MS, actor="zhang", action=act, subject="lead:L1", details=details)
        scan = Scan(lambda _: None)
        while scan.run(core):
            pass
        core.checkpoints.due()


def refused(publisher: str) -> RawMessage:
    """A message that cannot be read, and goes to quarantine."""
    return RawMessage(f"grid/v1/{publisher}/readings", b"{not json", NEXT_MONTH_MS, publisher, "canonical")


def copied(template: Path, target: Path) -> Path:
    """A copy to tamper with."""
    shutil.copytree(template, target)
    return target
