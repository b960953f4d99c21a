"""Meters as small integers, and what the register lets each of them send: one look-up a reading on the fast path."""

from __future__ import annotations

import datetime as dt
import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from models.domain.readings import MeterRun, RejectReason, runs_of
from models.domain.register import Register
from models.law.library import Law, shipped_law
from monitor.accounts.admission import Vocabulary
from monitor.meter_rows import MeterRows

_UNKNOWN_PUBLISHER: Final = -2
_OWN_PUBLISHER: Final = -3
_MAX_RUNS: Final = 4096
_MOST_HOMES: Final = 16
_MANY: Final = 256
"""Readings of a group not asked about before, from which on the whole register is asked at once."""


@dataclass(frozen=True, slots=True)
class Admission:
    """What the register says of n readings.

    `keys` (n,) int32, -1 where a reading is refused (then `refused` names why); `cadence_s` (n,) int32; `factor` (n,)
    float64 turns wire values into primary ones; `may_revise` (n,).
    """

    keys: NDArray[np.int32]
    cadence_s: NDArray[np.int32]
    factor: NDArray[np.float64]
    may_revise: NDArray[np.bool_]
    refused: Mapping[int, RejectReason]

    def take(self, keep: NDArray[np.bool_]) -> Admission:
        """The admitted readings a mask selects."""
        return Admission(self.keys[keep], self.cadence_s[keep], self.factor[keep], self.may_revise[keep], {})


class Roster:
    """Every meter of the register by key: its position in `ids`. `home` (n,) indexes `publishers`.

    `law`: the rule packs whose words reports use; None: the shipped ones.
    """

    def __init__(self, register: Register, law: Law | None = None) -> None:
        self.register = register
        self._law = law
        self.ids: tuple[str, ...] = register.meter_ids
        self.ids_arrow = pa.array(self.ids, type=pa.string())
        self.index: dict[str, int] = {meter: key for key, meter in enumerate(self.ids)}
        n = len(self.ids)
        self.rows = MeterRows(register, self.index)
        self.publishers, self.home = self.rows.last_publishers()
        self._asked_on: set[dt.date] = set()
        self._homes: dict[int, tuple[NDArray[np.int32], dict[str, NDArray[np.intp]]]] = {}
        self._read: tuple[pa.Array[Any], tuple[int, int, list[tuple[int, int]]], NDArray[np.int32]] | None = None
        self._runs: dict[int, tuple[MeterRun, NDArray[np.int32]]] = {}
        self._publishers: dict[str, int] = {}
        self._publisher = np.full(n, -1, dtype=np.int32)
        self._cadence_s = np.zeros(n, dtype=np.int32)
        self._factor = np.ones(n, dtype=np.float64)
        self._may_revise = np.zeros(n, dtype=np.bool_)
        self._from_ms = np.zeros(n, dtype=np.int64)
        self._to_ms = np.zeros(n, dtype=np.int64)

    @cached_property
    def words(self) -> Vocabulary:
        """Products and fuels of the rule packs, gathered when the first report comes."""
        return Vocabulary.of(self._law or shipped_law())

    def names(self, keys: NDArray[np.int32]) -> list[str]:
        """Ids of meters by key, (n,)."""
        ids = self.ids
        return [ids[key] for key in keys.tolist()]

    def admit(
        self, meters: Sequence[str], ts_ms: NDArray[np.int64], publishers: Sequence[str], message: NDArray[np.int32]
    ) -> Admission:
        """Check n readings; reading i came in message `message[i]`, which `publishers[message[i]]` sent.

        An empty publisher (a file) stands for the meter's own.
        """
        n = len(meters)
        keys = self._keys(meters)
        senders = np.array([self._sender(p) for p in publishers], dtype=np.int32)
        sender = senders[message] if n else np.zeros(0, dtype=np.int32)
        settled = self._settled(keys, ts_ms, sender)
        new = np.flatnonzero(~settled & (keys >= 0))
        if len(new) >= _MANY and self._ask_all(int(ts_ms[new[0]])):
            senders = np.array([self._sender(p) for p in publishers], dtype=np.int32)
            settled = self._settled(keys, ts_ms, senders[message])
        refused: dict[int, RejectReason] = {}
        cadence_s, factor, may_revise = self._facts(keys)
        for i in np.flatnonzero(~settled).tolist():
            publisher, key, stamp_ms = publishers[int(message[i])], int(keys[i]), int(ts_ms[i])
            answer = self._told(key, publisher, stamp_ms) or self._ask(meters[i], key, publisher, stamp_ms)
            if isinstance(answer, RejectReason):
                refused[i] = answer
                keys[i] = -1
            else:
                cadence_s[i], factor[i], may_revise[i] = answer
        return Admission(keys, cadence_s, factor, may_revise, refused)

    def _settled(
        self, keys: NDArray[np.int32], ts_ms: NDArray[np.int64], sender: NDArray[np.int32]
    ) -> NDArray[np.bool_]:
        """(n,) True where the answer to an earlier reading holds for this one."""
        if not self.ids:
            return np.zeros(len(keys), dtype=np.bool_)
        owner = self._publisher[keys]
        settled: NDArray[np.bool_] = (keys >= 0) & ((owner == sender) | ((sender == _OWN_PUBLISHER) & (owner >= 0)))
        settled &= (self._from_ms[keys] < ts_ms) & (ts_ms <= self._to_ms[keys])
        return settled

    def _ask_all(self, ts_ms: int) -> bool:
        """Take up what holds for every meter at a stamp; False where that was done for its day before."""
        on = dt.datetime.fromtimestamp((ts_ms - 1) / 1000.0, self.register.zone).date()
        if on in self._asked_on:
            return False
        self._asked_on.add(on)
        told, names = self.rows.permits(on)
        codes = np.array([self._publishers.setdefault(name, len(self._publishers)) for name in names], dtype=np.int32)
        key = told.key
        self._publisher[key] = codes[told.publisher]
        self._cadence_s[key], self._factor[key] = told.cadence_s, told.factor
        self._may_revise[key] = told.may_revise
        self._from_ms[key], self._to_ms[key] = told.from_ms, told.to_ms
        return True

    def _sender(self, publisher: str) -> int:
        return self._publishers.get(publisher, _UNKNOWN_PUBLISHER) if publisher else _OWN_PUBLISHER

    def _told(self, key: int, publisher: str, ts_ms: int) -> tuple[int, float, bool] | None:
        """The answer an earlier reading of the same batch brought, if it holds for this one."""
        if key < 0 or not self._from_ms[key] < ts_ms <= self._to_ms[key]:
            return None
        if publisher and self._publishers.get(publisher) != self._publisher[key]:
            return None
        return int(self._cadence_s[key]), float(self._factor[key]), bool(self._may_revise[key])

    def _keys(self, meters: Sequence[str]) -> NDArray[np.int32]:
        """Key of each meter, (n,), -1 for one the register does not know; runs seen before are not looked up again."""
        return np.concatenate(
            [self._kept_keys(run) if isinstance(run, MeterRun) else self._looked_up(run) for run in runs_of(meters)]
        )

    def _kept_keys(self, run: MeterRun) -> NDArray[np.int32]:
        kept = self._runs.get(id(run))
        if kept is not None:
            return kept[1]
        if len(self._runs) >= _MAX_RUNS:
            self._runs.clear()
        keys = self._looked_up(run)
        self._runs[id(run)] = (run, keys)
        return keys

    def _looked_up(self, meters: Sequence[str]) -> NDArray[np.int32]:
        return np.fromiter(map(self.index.get, meters, itertools.repeat(-1)), dtype=np.int32, count=len(meters))

    def _facts(self, keys: NDArray[np.int32]) -> tuple[NDArray[np.int32], NDArray[np.float64], NDArray[np.bool_]]:
        if not self.ids:
            n = len(keys)
            return np.zeros(n, dtype=np.int32), np.ones(n), np.zeros(n, dtype=np.bool_)
        return self._cadence_s[keys], self._factor[keys], self._may_revise[keys]

    def _ask(self, meter: str, key: int, publisher: str, ts_ms: int) -> tuple[int, float, bool] | RejectReason:
        """The register's own answer, kept for the readings that follow."""
        if key < 0:
            away = meter in self.register.elsewhere.districts
            return RejectReason.AUTHZ if away else RejectReason.UNKNOWN_METER
        if not publisher:
            on = dt.datetime.fromtimestamp((ts_ms - 1) / 1000.0, self.register.zone).date()
            row = self.register.meter(meter, on)
            publisher = row.publisher if row is not None else ""
        answer = self.register.admit(meter, publisher, ts_ms)
        if isinstance(answer, RejectReason):
            return answer
        self._publisher[key] = self._publishers.setdefault(publisher, len(self._publishers))
        self._cadence_s[key], self._factor[key] = answer.cadence_s, answer.factor
        self._may_revise[key] = answer.may_revise
        self._from_ms[key], self._to_ms[key] = answer.from_ms, answer.to_ms
        return answer.cadence_s, answer.factor, answer.may_revise

    def by_publisher(self, keys: NDArray[np.int32]) -> dict[str, NDArray[np.intp]]:
        """For each publisher that meters of `keys` are registered with last, their positions in `keys`.

        Kept for the keys asked last: those of the rings, which seldom change.
        """
        known = self._homes.get(len(keys))
        if known is None or not np.array_equal(known[0], keys):
            if len(self._homes) >= _MOST_HOMES:
                self._homes.clear()
            homes = self.home[keys]
            sizes = np.bincount(homes, minlength=len(self.publishers))
            parts = np.split(np.argsort(homes, kind="stable"), np.cumsum(sizes)[:-1]) if sizes.size else []
            groups = {name: mine for name, mine in zip(self.publishers, parts, strict=True) if mine.size}
            known = self._homes[len(keys)] = (keys.copy(), groups)
        return known[1]

    def keys_of(self, meters: pa.Array[Any]) -> NDArray[np.int32]:
        """Key of each meter of an Arrow array of strings, (n,), -1 for one the register does not know.

        Kept for the array asked last: tables read piece by piece share their dictionary.
        """
        places = [(part.address, part.size) for part in meters.buffers() if part is not None]
        if self._read is None or self._read[1] != (len(meters), meters.offset, places):
            keys = self._looked_up(meters.to_pylist())
            self._read = (meters, (len(meters), meters.offset, places), keys)
        return self._read[2]

    def members(self, on: dt.date) -> dict[tuple[str, int], NDArray[np.int32]]:
        """Keys of the meters registered on a date, by (publisher, cadence in s): the feeds of that day."""
        return dict(self.rows.on(on).feeds)
