"""How the command line reads what the daemon knows: through its socket while it runs, else from the files."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol
from urllib.parse import quote

from monitor.commands import CommandRefused, NotThere
from monitor.ops.local_socket import SOCKET_NAME, socket_address
from monitor.storage import holder_pid
from monitor.stored_rows import StoredRows

if TYPE_CHECKING:
    import httpx
    import pyarrow as pa

    from monitor.ops.history_api import HistoryQuestion

Row = dict[str, Any]
_TIMEOUT_S: Final = 10.0
_COMMAND_TIMEOUT_S: Final = 90.0


class AccessError(RuntimeError):
    """The daemon answered, but not with what was asked for."""


class Access(Protocol):
    """Read-only questions. Filters are those of the queries; values are plain strings or enums."""

    def status(self) -> Row:
        """State, lags, counts; `running` says whether a daemon answered."""

    def leads(self, **filters: Any) -> list[Row]:
        """Filters: kind, state, site, month, since, limit, offset."""

    def lead(self, lead_id: str) -> Row | None:
        """One lead with its trail; None where there is none."""

    def quarantine(self, **filters: Any) -> list[Row]:
        """Filters: reason, publisher, limit, offset."""

    def quarantined(self, entry_id: int) -> Row | None:
        """One entry with its raw bytes; None where there is none."""

    def silences(self, *, ended: bool = False) -> list[Row]:
        """Silences, the newest first; those that are over only if asked for."""

    def notices(self, *, limit: int = 100) -> list[Row]:
        """Notices that wait for a person, oldest first."""

    def flags(self, **filters: Any) -> list[Row]:
        """Tariff flags as they stand. Filters: uscc, period, status, limit, offset."""

    def flag(self, uscc: str, period: str) -> list[Row]:
        """Every revision of an enterprise's flags in a period."""


def open_access(state_dir: Path) -> Access:
    """Access to one state directory. Raises FileNotFoundError where nothing was ever recorded."""
    from monitor.desk.database import DESK_FILE
    from monitor.journal.schema import segment_paths

    if (state_dir / SOCKET_NAME).exists():
        running = SocketAccess(state_dir)
        if running.answers():
            return running
    if not (state_dir / DESK_FILE).is_file() and not segment_paths(state_dir):
        raise FileNotFoundError(f"no journal and no desk in {state_dir}")
    return StoredRows(state_dir, lambda: {"running": False, "last_pid": holder_pid(state_dir)})


class SocketAccess:
    """Through the local API of the running daemon."""

    def __init__(self, state_dir: Path) -> None:
        self._state_dir = state_dir

    def answers(self) -> bool:
        """Whether a daemon listens; a socket left by a crash refuses."""
        with socket_address(self._state_dir) as address, socket.socket(socket.AF_UNIX) as probe:
            probe.settimeout(_TIMEOUT_S)
            return probe.connect_ex(address) == 0

    def status(self) -> Row:
        found = self._get("/v1/status")
        if found is None:
            raise AccessError("the daemon has no status; is its version another one?")
        return {"running": True, **found}

    def leads(self, **filters: Any) -> list[Row]:
        return self._items("/v1/leads", filters)

    def lead(self, lead_id: str) -> Row | None:
        return self._get(f"/v1/leads/{_segment(lead_id)}")

    def quarantine(self, **filters: Any) -> list[Row]:
        return self._items("/v1/quarantine", filters)

    def quarantined(self, entry_id: int) -> Row | None:
        return self._get(f"/v1/quarantine/{int(entry_id)}")

    def silences(self, *, ended: bool = False) -> list[Row]:
        return self._items("/v1/silences", {"ended": ended})

    def notices(self, *, limit: int = 100) -> list[Row]:
        return self._items("/v1/notices", {"limit": limit})

    def flags(self, **filters: Any) -> list[Row]:
        return self._items("/v1/flags", filters)

    def flag(self, uscc: str, period: str) -> list[Row]:
        return self._items(f"/v1/flags/{_segment(uscc)}/{_segment(period)}", {})

    def history(self, question: HistoryQuestion) -> pa.Table:
        """Readings of a span. Raises SpanTooLarge, LookupError for an unknown site, or AccessError."""
        import msgspec
        import pyarrow as pa

        from monitor.history.span import SpanTooLarge

        with self._client(_COMMAND_TIMEOUT_S) as client:
            reply = client.post("/v1/history", json=msgspec.to_builtins(question))
        match reply.status_code:
            case 200:
                return pa.ipc.open_stream(reply.content).read_all()
            case 413:
                raise SpanTooLarge(str(reply.json()["error"]))
            case 404:
                raise LookupError(str(reply.json().get("error", "the daemon is of a version without history")))
            case _:
                raise AccessError(f"the daemon answered {reply.status_code} to /v1/history: {reply.text[:500]}")

    def command(self, name: str, arguments: dict[str, Any]) -> Row:
        """Have the daemon carry out a command. Raises CommandRefused, or AccessError where it cannot come to it."""
        with self._client(_COMMAND_TIMEOUT_S) as client:
            reply = client.post(f"/v1/commands/{_segment(name)}", json=arguments)
        if reply.status_code == 409:
            told = reply.json()
            raise (NotThere if told.get("not_there") else CommandRefused)(str(told["error"]))
        if reply.status_code != 200:
            raise AccessError(f"the daemon answered {reply.status_code} to {name}: {reply.text[:500]}")
        body: Row = reply.json()
        return body

    def ask(self, path: str, question: dict[str, Any]) -> bytes:
        """The daemon's answer to a question in JSON. Raises CommandRefused with its reason, or AccessError."""
        with self._client(_COMMAND_TIMEOUT_S) as client:
            reply = client.post(path, json=question)
        if reply.status_code == 409:
            raise CommandRefused(str(reply.json()["error"]))
        if reply.status_code != 200:
            raise AccessError(f"the daemon answered {reply.status_code} to {path}: {reply.text[:500]}")
        return reply.content

    def _items(self, path: str, filters: dict[str, Any]) -> list[Row]:
        found = self._get(path, {name: str(value) for name, value in filters.items() if value is not None})
        items: list[Row] = found["items"] if found is not None else []
        return items

    def _get(self, path: str, params: dict[str, str] | None = None) -> Row | None:
        with self._client() as client:
            reply = client.get(path, params=params)
        if reply.status_code == 404:
            return None
        if reply.status_code != 200:
            raise AccessError(f"the daemon answered {reply.status_code} to {path}: {reply.text[:500]}")
        body: Row = reply.json()
        return body

    @contextlib.contextmanager
    def _client(self, timeout_s: float = _TIMEOUT_S) -> Iterator[httpx.Client]:
        import httpx

        with (
            socket_address(self._state_dir) as address,
            httpx.Client(
                transport=httpx.HTTPTransport(uds=address), base_url="http://gridwarden", timeout=timeout_s
            ) as client,
        ):
            yield client


def _segment(text: str) -> str:
    """One path segment: whatever the id holds, it asks for that id and nothing else."""
    return quote(text, safe="")
