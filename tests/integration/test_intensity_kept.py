"""Accounts kept beside verdicts: the same account, the same judgement, and never one that has been overtaken."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from models.domain.accounts import Account, Period
from models.domain.register import Register
from monitor.accounts.ledger import Ledger, digest_of
from monitor.desk.schema import KEPT_ACCOUNTS
from monitor.intensity import rows
from monitor.intensity.kept import account_bytes, account_from
from monitor.intensity.rounds import Rounds
from tests.integration.test_intensity_history import CORRECTED, FIRST, MARCH, final, plant_with, registers, stricter
from tests.support.intensity import judged, verdicts
from tests.support.plant import USCC, ZONE, Plant, heat_row, heats, midnight_ms, output, output_row, readings
from tests.support.plant import register_readings as hourly

YEAR = Period.parse("2026")


class CountingLedger(Ledger):
    """A ledger that counts the accounts it made."""

    made = 0

    def accounts(self, usccs: Iterable[str], period: Period, register: Register) -> Iterator[Account]:
        names = list(usccs)
        self.made += len(names)
        return super().accounts(names, period, register)


def under_a_stricter_pack(plant: Plant) -> tuple[Rounds, CountingLedger]:
    """Everything of March judged again under a pack with a lower limit."""
    ledger = CountingLedger(plant.core.engine, plant.core.history.registers(ZONE), ZONE)
    rounds = dataclasses.replace(plant.core.intensity, law=stricter(), ledger=ledger)
    rounds.finish(midnight_ms(MARCH.end))
    return rounds, ledger


def test_an_account_comes_back_as_it_was_kept(tmp_path: Path) -> None:
    fuels = [{"fuel": "coke", "quantity": 12.5, "unit": "t", "kj_per_unit": 28435, "value_source": "laboratory"}]
    facts = {"clinker_ratio": 75.5, "furnace_material": "cast_iron", "scrap_preheated": True}
    row = output_row(fuels=fuels, facts=facts)
    beats = [heat_row(hour, tapped_t=None if hour == 3 else 2.0) for hour in range(6)]
    with Plant(tmp_path).feed(readings(hourly()), output(row), heats(*beats)).rest() as plant:
        for period in (MARCH, YEAR):
            account = plant.account(period)
            assert all((account.fuels, account.facts, account.heats.lines, account.allocation, account.notes))
            assert bool(account.gaps) == (period == YEAR)
            found = account_from(USCC, period, account.register, account_bytes(account))
            assert (found, digest_of(found)) == (account, account.digest)


def test_other_packs_judge_kept_accounts_as_they_would_the_ledgers(tmp_path: Path) -> None:
    stand: list[Any] = []
    for kept in (True, False):
        with plant_with(tmp_path / str(kept), registers(MARCH), FIRST) as plant:
            judged(plant, MARCH)
            if not kept:
                with plant.core.engine.begin() as connection:
                    assert connection.execute(sa.delete(KEPT_ACCOUNTS)).rowcount == 1
            _, ledger = under_a_stricter_pack(plant)
            assert ledger.made == (0 if kept else 1)
            assert [one["status"] for one in verdicts(plant)] == ["exceeds"]
            stand.append(final(plant))
    assert stand[0] == stand[1]


def test_late_data_and_other_packs_at_once_are_judged_by_the_late_data(tmp_path: Path) -> None:
    with plant_with(tmp_path, registers(MARCH), FIRST) as plant:
        (before,) = judged(plant, MARCH)
        plant.feed(CORRECTED).rest()
        rounds, ledger = under_a_stricter_pack(plant)
        (after,) = verdicts(plant)
        assert (ledger.made, after["cause"], after["output"]) == (1, "several", "100")
        assert before["account"] != after["account"]
        rounds.finish(midnight_ms(MARCH.end))
        assert ledger.made == 1


def test_a_kept_account_that_is_damaged_or_of_another_register_is_read_again(tmp_path: Path) -> None:
    for name, change in {"damaged": {"body": b"[]"}, "register": {"register": "v0"}}.items():
        with plant_with(tmp_path / name, registers(MARCH), FIRST) as plant:
            judged(plant, MARCH)
            with plant.core.engine.begin() as connection:
                connection.execute(sa.update(KEPT_ACCOUNTS).values(**change))
            _, ledger = under_a_stricter_pack(plant)
            assert (ledger.made, verdicts(plant)[0]["status"]) == (1, "exceeds")
            with plant.core.engine.begin() as connection:
                assert {row["period"] for row in rows.verdicts_of(connection)} == {"2026-03"}
                (row,) = connection.execute(sa.select(KEPT_ACCOUNTS))
            assert (row.register, row.body != b"[]") == ("v1", True)
