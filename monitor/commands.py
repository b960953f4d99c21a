"""What other threads ask of the core thread, which alone writes: one request a turn, answered to whoever waits."""

from __future__ import annotations

import logging
import queue
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeoutError
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from monitor.storage import StoreError

if TYPE_CHECKING:
    from monitor.wiring import Core

log = logging.getLogger(__name__)

Row = dict[str, Any]
Handler = Callable[["Core", Mapping[str, Any]], Row]

MOST_WAITING: Final = 64
"""Requests that may wait; one more is told to come back (rule W8)."""


class CommandRefused(Exception):  # noqa: N818 - reads as the answer it is
    """The command cannot be carried out as asked; the message says why and what to do."""


class NotThere(CommandRefused):
    """What the command names, a lead, a notice or a place, is not there; a command line leaves with 66."""


class CommandUnknown(LookupError):  # noqa: N818 - reads as the answer it is
    """There is no command of that name."""


class CommandBusy(Exception):  # noqa: N818 - a state, not a fault
    """The core thread did not come to the command in time. It was taken back, or (`began`) still goes on."""

    def __init__(self, message: str, *, began: bool) -> None:
        self.began = began
        super().__init__(message)


@dataclass(frozen=True, slots=True)
class _Request:
    name: str
    arguments: Mapping[str, Any]
    answer: Future[Row]


@dataclass(frozen=True)
class Commands:
    """A queue into the core thread. `handlers` by name: each runs on the core thread and returns plain JSON values."""

    handlers: Mapping[str, Handler]
    _waiting: queue.Queue[_Request] = field(default_factory=lambda: queue.Queue(MOST_WAITING), init=False)

    def ask(self, name: str, arguments: Mapping[str, Any], *, timeout_s: float) -> Row:
        """Have the core thread carry out a command and wait for its answer; for any other thread.

        Raises CommandUnknown, CommandRefused where the command cannot be carried out, CommandBusy where
        the core thread does not come to it in time, and whatever the handler raises.
        """
        if name not in self.handlers:
            raise CommandUnknown(f"no command {name}")
        request = _Request(name, arguments, Future())
        try:
            self._waiting.put_nowait(request)
        except queue.Full:
            raise CommandBusy("too many commands wait; try again in a moment", began=False) from None
        try:
            return request.answer.result(timeout_s)
        except FutureTimeoutError:
            if request.answer.cancel():
                raise CommandBusy(f"not begun within {timeout_s:g} s; nothing was done", began=False) from None
            raise CommandBusy(f"not finished within {timeout_s:g} s; it still goes on", began=True) from None

    def serve(self, core: Core) -> bool:
        """Carry out the next request, if any; for the core thread alone. A store's failure is the core's own too."""
        try:
            request = self._waiting.get_nowait()
        except queue.Empty:
            return False
        if not request.answer.set_running_or_notify_cancel():
            return True
        try:
            request.answer.set_result(self.handlers[request.name](core, request.arguments))
        except StoreError as error:
            request.answer.set_exception(error)
            raise
        except Exception as error:
            if not isinstance(error, CommandRefused):
                log.exception("command %s failed", request.name)
            request.answer.set_exception(error)
        return True
