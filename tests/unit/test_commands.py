"""Commands: carried out by the thread that serves, answered to the one that asks."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Any, cast

import pytest

from monitor.commands import MOST_WAITING, CommandBusy, CommandRefused, Commands, CommandUnknown
from monitor.storage import StoreFull
from monitor.wiring import Core

CORE = cast("Core", None)


def _serve_until_asked(commands: Commands) -> None:
    for _ in range(400):
        if commands.serve(CORE):
            return
        threading.Event().wait(0.01)


def _serve_soon(commands: Commands) -> threading.Thread:
    thread = threading.Thread(target=_serve_until_asked, args=[commands])
    thread.start()
    return thread


def test_a_command_runs_on_the_serving_thread_and_its_answer_reaches_the_asker() -> None:
    ran_on: list[int] = []

    def handler(_core: Core, arguments: Mapping[str, Any]) -> dict[str, Any]:
        ran_on.append(threading.get_ident())
        return {"twice": 2 * arguments["n"]}

    commands = Commands({"double": handler})
    thread = _serve_soon(commands)
    assert commands.ask("double", {"n": 21}, timeout_s=4.0) == {"twice": 42}
    thread.join()
    assert ran_on == [thread.ident]
    assert not commands.serve(CORE)


def test_a_refusal_and_a_fault_reach_the_asker_and_the_core_goes_on() -> None:
    def refuse(_core: Core, _arguments: Mapping[str, Any]) -> dict[str, Any]:
        raise CommandRefused("no such lead")

    def fail(_core: Core, _arguments: Mapping[str, Any]) -> dict[str, Any]:
        raise KeyError("a fault of ours")

    commands = Commands({"refuse": refuse, "fail": fail})
    for name, error in (("refuse", CommandRefused), ("fail", KeyError)):
        thread = _serve_soon(commands)
        with pytest.raises(error):
            commands.ask(name, {}, timeout_s=4.0)
        thread.join()


def test_a_full_store_is_told_to_the_asker_and_to_the_core() -> None:
    def handler(_core: Core, _arguments: Mapping[str, Any]) -> dict[str, Any]:
        raise StoreFull("no room")

    commands = Commands({"write": handler})
    told: list[BaseException] = []

    def ask() -> None:
        try:
            commands.ask("write", {}, timeout_s=4.0)
        except StoreFull as error:
            told.append(error)

    asker = threading.Thread(target=ask)
    asker.start()
    with pytest.raises(StoreFull):
        _serve_until_asked(commands)
    asker.join()
    assert len(told) == 1


def test_a_command_nobody_comes_to_is_taken_back_and_never_carried_out() -> None:
    ran: list[int] = []

    def handler(_core: Core, _arguments: Mapping[str, Any]) -> dict[str, Any]:
        ran.append(1)
        return {}

    commands = Commands({"late": handler})
    with pytest.raises(CommandBusy) as caught:
        commands.ask("late", {}, timeout_s=0.01)
    assert not caught.value.began
    assert commands.serve(CORE)
    assert ran == []


def test_an_unknown_name_and_a_full_queue_are_said_at_once() -> None:
    commands = Commands({"known": lambda _core, _arguments: {}})
    with pytest.raises(CommandUnknown, match="nothing"):
        commands.ask("nothing", {}, timeout_s=1.0)
    for _ in range(MOST_WAITING):
        with pytest.raises(CommandBusy):
            commands.ask("known", {}, timeout_s=0.001)
    with pytest.raises(CommandBusy, match="too many"):
        commands.ask("known", {}, timeout_s=1.0)
