"""District scoping: nothing of another district is taken in, judged, raised or told."""

from __future__ import annotations

import dataclasses
import datetime as dt
from pathlib import Path

import pytest

from connectors.adapters.table import build_adapters, decode_group
from models.domain.register import Elsewhere, Enterprise, Meter, Publisher, Register, RegisterRows, Site
from monitor.admission import TimeRules, admit
from monitor.config.faults import ConfigFaults
from monitor.config.settings import Settings
from monitor.roster import Roster
from monitor.scope import scoped, served_districts, sites_in
from tests.support.district import ZONE, District, bureau, by_hour, message, register, steady

A, B = "330122", "330124"


def two_districts() -> Register:
    """The hand-made district with the closed enterprise (site `shut`) in B and all else in A."""
    known = register()
    enterprises = tuple(
        dataclasses.replace(row, district=B if row.name == "停产公司" else A) for row in known.rows.enterprises
    )
    return dataclasses.replace(known, rows=dataclasses.replace(known.rows, enterprises=enterprises))


def settings(**more: object) -> Settings:
    return Settings(**more)  # type: ignore[arg-type]


IN_A = settings(daemon={"district": A})


def test_which_districts_are_served() -> None:
    assert served_districts(settings()) is None
    assert served_districts(IN_A) == {A}
    assert served_districts(settings(daemon={"district": A}, scope={"districts": [B, "x"]})) == {B, "x"}
    assert served_districts(settings(daemon={"district": A}, scope={"districts": ["*"]})) is None


def test_only_our_rows_remain_and_the_others_are_known() -> None:
    known = scoped(two_districts(), IN_A)
    assert "shut" not in known.meter_ids
    assert {row.site for row in known.rows.sites} == {"melt", "calm", "dead", "plant1", "plant2", "moved", "moved2"}
    assert [row.district for row in known.rows.enterprises] == [A]
    assert known.elsewhere.districts == {"shut": B}
    assert known.version == two_districts().version
    assert sites_in(two_districts().rows, B) == {"shut"}


@pytest.mark.parametrize(("unassigned", "served"), [("serve", True), ("refuse", False)])
def test_rows_without_a_district(unassigned: str, served: bool) -> None:
    rows = two_districts().rows
    shut = dataclasses.replace(next(row for row in rows.enterprises if row.district == B), district="")
    others = tuple(row for row in rows.enterprises if row.district == A)
    nobody = dataclasses.replace(rows, enterprises=(*others, shut))
    known = scoped(Register(nobody, ZONE), settings(daemon={"district": A}, scope={"unassigned": unassigned}))
    assert ("shut" in known.meter_ids) is served
    if not served:
        assert known.elsewhere.districts["shut"] == "no district"


def test_a_site_that_changed_hands_stays_visible_to_both() -> None:
    change = dt.date(2026, 3, 10)
    rows = RegisterRows(
        enterprises=(Enterprise(uscc="1", name="a", district=A), Enterprise(uscc="2", name="b", district=B)),
        sites=(Site(site="s", uscc="1", valid_to=change), Site(site="s", uscc="2", valid_from=change)),
        meters=(Meter(meter="m", site="s", publisher="p"),),
        publishers=(Publisher(publisher="p"),),
    )
    for district in (A, B):
        assert scoped(Register(rows, ZONE), settings(daemon={"district": district})).meter_ids == ("m",)


def test_a_district_that_is_misspelt_does_not_refuse_everything() -> None:
    with pytest.raises(ConfigFaults, match=f"no meter of the register belongs to 330199.*{A}, {B}"):
        scoped(two_districts(), settings(daemon={"district": "330199"}))


@pytest.mark.parametrize("others", ["refuse", "ignore"])
def test_readings_of_another_district_are_refused_or_passed_over(others: str) -> None:
    known = scoped(two_districts(), settings(daemon={"district": A}, scope={"others": others}))
    mixed = message(steady("shut", [0])[0], steady("calm", [0])[0])
    adapters = build_adapters()
    group = admit(decode_group([mixed], adapters), [mixed], Roster(known), TimeRules())
    assert len(group) == 1
    if others == "refuse":
        (rejection,) = group.rejections
        assert rejection.reason.value == "AUTHZ"
        assert f"meter shut belongs to {B}" in rejection.detail
        assert rejection.rows == (0,)
    else:
        assert group.rejections == ()
        assert group.n_refused == 0


def test_leads_of_b_never_reach_a(tmp_path: Path) -> None:
    """The same readings: the daemon of A raises nothing about B's site, in no store and no notice; all of it is B's."""
    told = {}
    for district in ("", A, B):
        given = settings(daemon={"district": district}) if district else settings()
        known = scoped(two_districts(), given)
        with District(tmp_path / (district or "all"), known) as running:
            running.feed(by_hour(bureau(3), 6), live=True).finish()
            told[district] = running.kinds()
            engine = running.core.engine
            with engine.begin() as connection:
                outbox = [bytes(row[0]) for row in connection.exec_driver_sql("SELECT body FROM outbox")]
            if district == A:
                assert outbox
                assert not [body for body in outbox if b"shut" in body]
                assert not running.core.history.read(0, 1 << 45, meters=["shut"]).num_rows
    assert ("sealed_site", "shut") in told[""]
    assert told[A] == {(kind, site) for kind, site in told[""] if site != "shut"}
    assert told[B] == {(kind, site) for kind, site in told[""] if site == "shut"}


def test_a_register_without_scope_knows_of_nothing_elsewhere() -> None:
    assert two_districts().elsewhere == Elsewhere()
