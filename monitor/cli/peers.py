"""`gridwarden peers`: in which order to look at the meters of a trade. It raises nothing and changes nothing."""

from __future__ import annotations

import contextlib
import datetime as dt
import math
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final
from zoneinfo import ZoneInfo

import typer

from monitor.cli.acting import DEFAULT_ZONE, AsJson, StateDir, print_json
from monitor.cli.opening import register_from, stop
from monitor.supervise import ExitCode

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from models.domain.register import Register
    from monitor.evidence_pack.sources import Stored

NIGHTS: Final = 35
_METERS_AT_ONCE: Final = 200
_COLUMNS: Final = ("energy_kwh", "valley_share", "load_factor")


def peers(
    *,
    register: Annotated[Path, typer.Option("--register", help="Register: XLSX, or a directory of CSV.")],
    night: Annotated[str, typer.Option(help="Last of the five weeks that are compared, YYYY-MM-DD.")],
    state_dir: StateDir = Path("state"),
    trade: Annotated[str, typer.Option(help="Only this trade: the first two digits of its GB/T 4754 code.")] = "",
    limit: Annotated[int, typer.Option(min=1, help="Meters shown.")] = 50,
    zone: Annotated[str, typer.Option(help="Time zone of the register (IANA name).")] = DEFAULT_ZONE,
    as_json: AsJson = False,
) -> None:
    """同行业排序 Meters by how unusual their manner of use is among their trade: 1 the least usual.

    An order for people who look through a trade, never a reason for a lead.

    Exit codes: 64 not a date, 65 register at fault, 66 nothing stored.
    """
    from models.learned.peers import peer_ranks, shapes_of

    try:
        last = dt.date.fromisoformat(night)
    except ValueError:
        stop(f"--night {night}: not a date; write YYYY-MM-DD.", ExitCode.USAGE)
    known = register_from(register, ZoneInfo(zone))
    trades = _trades(known, last)
    meters = sorted(meter for meter, code in trades.items() if code[:2] == trade[:2] or not trade)
    with _stored(state_dir) as stored:
        rows = _rows(stored, known, meters, last)
    ranks: list[float] = peer_ranks(meters, [trades[meter] for meter in meters], shapes_of(rows)).tolist()
    ranked = [(rank, meter) for rank, meter in zip(ranks, meters, strict=True) if not math.isnan(rank)]
    ranked.sort(key=lambda item: (-item[0], item[1]))
    listed = [{"meter": meter, "trade": trades[meter], "rank": rank} for rank, meter in ranked[:limit]]
    if as_json:
        print_json(listed)
        return
    if not listed:
        typer.echo("没有可比的同行业电表。No trade has enough meters with five weeks of rows to compare.")
    for row in listed:
        typer.echo(f"{row['rank']:.2f}  {row['trade']:<6}  {row['meter']}")


def _trades(register: Register, on: dt.date) -> dict[str, str]:
    """Trade code, without its letter, of each meter in force."""
    trades = {}
    for row in register.meters_on(on):
        owner = register.enterprise_of_meter(row.meter, on)
        if owner is not None and owner.trade:
            trades[row.meter] = owner.trade.lstrip("ABCDEFGHIJKLMNOPQRST")
    return trades


@contextlib.contextmanager
def _stored(state_dir: Path) -> Iterator[Stored]:
    from monitor.cli.access import SocketAccess
    from monitor.evidence_pack.sources import AskedDaemon, stored_files
    from monitor.history.history import HISTORY_NAME
    from monitor.ops.local_socket import SOCKET_NAME

    if (state_dir / SOCKET_NAME).exists():
        running = SocketAccess(state_dir)
        if running.answers():
            yield AskedDaemon(running.command)
            return
    if not (state_dir / HISTORY_NAME).is_file():
        stop(f"{state_dir} 里还没有历史数据。No history in {state_dir}: give --state.", ExitCode.NO_INPUT)
    with stored_files(state_dir) as files:
        yield files


def _rows(stored: Stored, register: Register, meters: list[str], last: dt.date) -> dict[str, NDArray[np.float32]]:
    """The nightly rows (n, NIGHTS) by feature, at each meter's registered cadence or the day."""
    import numpy as np

    nights = [last - dt.timedelta(days=back) for back in range(NIGHTS - 1, -1, -1)]
    row_of, column_of = {m: i for i, m in enumerate(meters)}, {n: k for k, n in enumerate(nights)}
    cadences = sorted({row.cadence_s for row in register.meters_on(last)} | {86_400}, reverse=True)
    rows = {name: np.full((len(meters), NIGHTS), np.nan, dtype=np.float32) for name in _COLUMNS}
    for first in range(0, len(meters), _METERS_AT_ONCE):
        table = stored.rows(nights, meters[first : first + _METERS_AT_ONCE], cadences)
        found: dict[str, list[Any]] = table.select(["meter", "night", "interval_s", *_COLUMNS]).to_pydict()
        finest_last = np.argsort(-np.array(found["interval_s"], dtype=np.int64), kind="stable")
        for at in finest_last.tolist():
            place = row_of[found["meter"][at]], column_of[found["night"][at]]
            for name in _COLUMNS:
                value = found[name][at]
                rows[name][place] = np.nan if value is None else value
    return rows
