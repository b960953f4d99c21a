"""How the command line reads the history: through the running daemon, else from the files under the lock."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Final
from zoneinfo import ZoneInfo

from monitor.cli.opening import stop
from monitor.history.span import SpanTooLarge
from monitor.ops.history_api import HistoryQuestion, meters_of
from monitor.supervise import ExitCode

if TYPE_CHECKING:
    import pyarrow as pa

    from models.domain.register import Register

Ask = Callable[[HistoryQuestion], "pa.Table"]

DAY_MS: Final = 86_400_000
_LEAST_MS: Final = 60_000


@contextlib.contextmanager
def history_of(state_dir: Path, zone: ZoneInfo) -> Iterator[Ask]:
    """A way to ask about one state directory's history. Leaves with 66 where there is none."""
    from monitor.cli.access import SocketAccess
    from monitor.history.history import HISTORY_NAME
    from monitor.ops.local_socket import SOCKET_NAME

    if (state_dir / SOCKET_NAME).exists():
        running = SocketAccess(state_dir)
        if running.answers():
            yield running.history
            return
    if not (state_dir / HISTORY_NAME).is_file():
        stop(f"{state_dir} 里还没有历史数据。No history in {state_dir}: give --state.", ExitCode.NO_INPUT)
    from monitor.history.history import History
    from monitor.storage import StateLock

    with contextlib.ExitStack() as stack:
        lock = StateLock.acquire(state_dir)
        stack.callback(lock.release)
        history = History.open(state_dir)
        stack.callback(history.close)
        spans = history.spans()
        register = _register(state_dir, zone)
        yield lambda asked: spans.read(asked.start_ms, asked.end_ms, meters=meters_of(asked, register))


def in_pieces(ask: Ask, question: HistoryQuestion, step_ms: int = DAY_MS) -> Iterator[pa.Table]:
    """Answers over a span, a day at a time, less where a day is too much for one answer."""
    start_ms = question.start_ms
    while start_ms < question.end_ms:
        end_ms = min(start_ms + step_ms, question.end_ms)
        try:
            table = ask(HistoryQuestion(start_ms, end_ms, question.meters, question.site))
        except SpanTooLarge:
            if step_ms <= _LEAST_MS:
                raise
            step_ms = max(_LEAST_MS, step_ms // 4)
            continue
        start_ms = end_ms
        if table.num_rows:
            yield table


def _register(state_dir: Path, zone: ZoneInfo) -> Register | None:
    from models.domain.register import Register
    from monitor.desk.registers import latest_register

    latest = latest_register(state_dir)
    return None if latest is None else Register(latest[1], zone, latest[0])
