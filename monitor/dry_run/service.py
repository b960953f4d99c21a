"""Dry runs over one state directory: what to go through, then a page of enterprises at a time. Nothing is written."""

from __future__ import annotations

import contextlib
import datetime as dt
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import msgspec
import sqlalchemy as sa

from models.domain.accounts import Period
from models.domain.register import Register
from models.law.library import Law, assemble
from monitor.accounts.ledger import Ledger
from monitor.desk.database import read_desk
from monitor.dry_run.changes import Change
from monitor.dry_run.trial import Court, Trial, resting_on, stored_periods
from monitor.history.register_days import RegisterReader
from monitor.tariffs.places import NATION

Row = dict[str, Any]

WAIT_S: Final = 30.0
"""How long a page waits for another one."""


class Plan(msgspec.Struct, frozen=True):
    """What a dry run goes through: enterprises, periods by name, and the version of the packs in force."""

    enterprises: tuple[str, ...]
    periods: tuple[str, ...]
    law: str


class PageQuestion(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A page: `packs` as (name, text), the shipped ones among them; the enterprises and periods to go through."""

    packs: tuple[tuple[str, str], ...]
    enterprises: tuple[str, ...]
    periods: tuple[str, ...]


class Page(msgspec.Struct, frozen=True):
    """Changes of a page's enterprises."""

    changes: tuple[Change, ...]


class DryRuns:
    """Answers dry runs from any thread, one at a time.

    `law`: the packs in force; `registers`: a cursor of its own; `region`: of enterprises that have none of their own.
    """

    def __init__(
        self, state_dir: Path, registers: RegisterReader, register: Register, law: Law, region: str = NATION
    ) -> None:
        self._state_dir = state_dir
        self._registers = registers
        self._register = register
        self._law = law
        self._region = region
        self._courts: dict[tuple[tuple[str, str], ...], Court] = {}
        self._lock = threading.Lock()

    def plan(self, first: dt.date | None, last: dt.date | None) -> Plan:
        """What stored verdicts and flags there are within some days (None: open). Raises TimeoutError."""
        with self._turn() as engine:
            with engine.connect() as connection:
                periods = stored_periods(connection, first, last)
            ledger = Ledger(engine, self._registers, self._register.zone)
            names = {uscc for period in periods for uscc in ledger.enterprises(period, self._register)}
        return Plan(tuple(sorted(names)), tuple(period.name for period in periods), self._law.version)

    def page(self, asked: PageQuestion) -> Page:
        """What becomes of the enterprises of a page. Raises LawFaults for packs at fault, ValueError, TimeoutError."""
        periods = [Period.parse(name) for name in asked.periods]
        with self._turn() as engine:
            with engine.connect() as connection:
                stored = stored_periods(connection, None, None)
            wanted = {name for period in periods for name in resting_on(period)} - set(asked.periods)
            beside = [period for period in stored if period.name in wanted]
            old, new = self._court(packs_of(self._law)), self._court(asked.packs)
            trial = Trial(Ledger(engine, self._registers, self._register.zone), self._register, old, new)
            return Page(tuple(trial.changes(asked.enterprises, periods, beside)))

    def _court(self, packs: tuple[tuple[str, str], ...]) -> Court:
        """The court of some packs; those in force and the last others are kept: pages ask with the same."""
        if packs not in self._courts:
            law = assemble((name, text.encode()) for name, text in packs)
            if len(self._courts) > 1:
                self._courts.pop(next(one for one in self._courts if one != packs_of(self._law)))
            self._courts[packs] = Court(law, self._register, self._region)
        return self._courts[packs]

    @contextlib.contextmanager
    def _turn(self) -> Iterator[sa.Engine]:
        """The desk, read-only, once nobody else is being answered."""
        if not self._lock.acquire(timeout=WAIT_S):
            raise TimeoutError("another dry run is being answered; try again")
        try:
            engine = read_desk(self._state_dir)
            try:
                yield engine
            finally:
                engine.dispose()
        finally:
            self._lock.release()


def packs_of(law: Law) -> tuple[tuple[str, str], ...]:
    """The packs of a law as a page asks with them."""
    return tuple((name, data.decode("utf-8")) for name, data in law.sources)


def pages_of(enterprises: Sequence[str], size: int) -> list[tuple[str, ...]]:
    """Enterprises in pages."""
    return [tuple(enterprises[start : start + size]) for start in range(0, len(enterprises), size)]
