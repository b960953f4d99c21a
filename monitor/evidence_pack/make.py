"""Making a pack of a state directory, whether its daemon runs or not."""

from __future__ import annotations

from pathlib import Path
from zoneinfo import ZoneInfo

from monitor.audit.state_check import CHECKPOINT
from monitor.cli.access import Access, SocketAccess
from monitor.evidence_pack.build import NoPack, build_pack
from monitor.evidence_pack.origins import kept_zones
from monitor.evidence_pack.sources import AskedDaemon, stored_files


def make_pack(state_dir: Path, access: Access, lead_id: str, *, with_journal: bool = True) -> dict[str, bytes]:
    """Every file of the pack. A running daemon is asked for what only it can read, and to sign what is new.

    Raises LookupError where there is no such lead, NoPack, and what the stores and the daemon raise.
    """
    zones = kept_zones(state_dir)
    if len(zones) != 1:
        raise NoPack(
            f"{state_dir}/origins names {len(zones)} time zones for its nights, one is wanted; start the daemon of "
            "this version once, with the zone that was always in force"
        )
    zone = ZoneInfo(zones[0])
    if isinstance(access, SocketAccess):
        access.command(CHECKPOINT, {})
        return build_pack(state_dir, lead_id, zone, AskedDaemon(access.command), with_journal=with_journal)
    with stored_files(state_dir) as stored:
        return build_pack(state_dir, lead_id, zone, stored, with_journal=with_journal)
