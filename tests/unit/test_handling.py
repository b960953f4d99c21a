"""What people do with leads, and what the machine may still do to them afterwards."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec
import pytest
import sqlalchemy as sa

from models.domain.clock import ManualClock
from models.domain.leads import LeadKind, lead_id
from models.domain.register import Enterprise, RegisterRows, Site
from monitor.cli.main import exit_code_of
from monitor.commands import CommandRefused, NotThere
from monitor.desk.audit_log import verify
from monitor.desk.database import open_desk
from monitor.desk.queries import list_leads, show_lead, silences_of
from monitor.desk.registers import put_register
from monitor.desk.schema import AUDIT_LOG, OUTBOX
from monitor.desk.store import Desk
from monitor.office import ACTS, Office
from monitor.supervise import ExitCode
from tests.support.desk_parts import NOW_MS, ZONE, commit, desk_on, everything, finding

DAY_MS = 86_400_000
LEAD = lead_id(LeadKind.FURNACE_MELT, "S0", "2026-01")
BY = "王芳"
OTHER = "李强"


class House:
    """A desk with one lead over S0, and people at work on it."""

    def __init__(self, engine: sa.Engine) -> None:
        self.engine = engine
        self.clock = ManualClock(NOW_MS)
        self.desk: Desk = desk_on(engine, clock=self.clock, sinks=("file", "webhook"))

    def act(self, name: str, **arguments: Any) -> dict[str, Any]:
        return ACTS[name](Office(self.engine, self.clock, ZONE), arguments)

    def lead(self, id_: str = LEAD) -> dict[str, Any]:
        lead = show_lead(self.engine, id_, now_ms=self.clock.wall_ms())
        assert lead is not None
        return lead

    def notices(self, sink: str = "file") -> list[tuple[str, int, str]]:
        """What was put into the outbox for a sink: change, revision, state of the lead."""
        query = sa.select(OUTBOX.c.body).where(OUTBOX.c.sink == sink).order_by(OUTBOX.c.seq)
        with self.engine.begin() as connection:
            bodies = [msgspec.json.decode(body) for (body,) in connection.execute(query)]
        return [(b["type"].split(".")[-2], b["data"]["revision"], b["data"]["state"]) for b in bodies]

    def audited(self) -> list[tuple[str, str, str]]:
        query = sa.select(AUDIT_LOG.c.actor, AUDIT_LOG.c.action, AUDIT_LOG.c.subject).order_by(AUDIT_LOG.c.seq)
        with self.engine.begin() as connection:
            return [(row.actor, row.action, row.subject) for row in connection.execute(query)]

    def pass_days(self, days: float) -> None:
        self.clock.set_wall_ms(self.clock.wall_ms() + round(days * DAY_MS))


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    engine = open_desk(tmp_path)
    house = House(engine)
    commit(house.desk, 0, finding(0))
    commit(house.desk, 1, finding(1))
    yield house
    assert verify(engine).whole
    engine.dispose()


def silence(house: House, **changes: Any) -> dict[str, Any]:
    wanted = {
        "scope": "site",
        "target": "S0",
        "kind": "furnace_melt",
        "until": "2026-01-31",
        "reason": "新炉试运行",
        "by": BY,
        "approved_by": OTHER,
    }
    return house.act("leads_silence", **(wanted | changes))


def test_a_lead_is_claimed_released_dismissed_and_opened_again(house: House) -> None:
    assert house.act("leads_claim", lead=LEAD, by=BY)["state"] == "claimed"
    assert house.act("leads_release", lead=LEAD, by=BY)["state"] == "open"
    done = house.act("leads_dismiss", lead=LEAD, by=OTHER, reason="保温炉，已核实")
    assert (done["state"], done["handled_by"], done["handled_reason"]) == ("dismissed", OTHER, "保温炉，已核实")
    assert house.act("leads_reopen", lead=LEAD, by=BY, reason="排除有误")["state"] == "open"
    acts = [("lead.claim", BY), ("lead.release", BY), ("lead.dismiss", OTHER), ("lead.reopen", BY)]
    assert [(act["action"], act["by"]) for act in house.lead()["history"]] == acts
    assert house.audited() == [(by, action, f"lead:{LEAD}") for action, by in acts]


def test_people_s_acts_are_told_to_no_receiver(house: House) -> None:
    before = house.notices()
    house.act("leads_claim", lead=LEAD, by=BY)
    house.act("leads_dismiss", lead=LEAD, by=BY, reason="已核实")
    assert house.notices() == before


def test_claiming_twice_is_claiming_once(house: House) -> None:
    first = house.act("leads_claim", lead=LEAD, by=BY)
    house.pass_days(1)
    assert house.act("leads_claim", lead=LEAD, by=BY) == first
    assert len(house.audited()) == 1


@pytest.mark.parametrize(
    ("before", "name", "arguments", "why"),
    [
        ([], "leads_release", {"by": BY}, "is open: it cannot be released"),
        ([], "leads_reopen", {"by": BY, "reason": "r"}, "is open: it cannot be reopened"),
        ([], "leads_dismiss", {"by": BY}, "--reason"),
        ([], "leads_dismiss", {"by": BY, "reason": "  "}, "empty"),
        ([], "leads_claim", {"by": ""}, "empty"),
        ([], "leads_claim", {"by": "王\u202e芳"}, "U\\+202E"),
        ([], "leads_claim", {"by": "王" * 65}, "longer than 64"),
        ([], "leads_claim", {"by": "gridwarden"}, "the program's own name"),
        ([], "leads_claim", {"by": BY, "lead": "L0"}, "No lead L0"),
        ([], "leads_claim", {"by": BY, "colour": 1}, "colour"),
        ([("leads_claim", {"by": BY})], "leads_claim", {"by": OTHER}, f"claimed by {BY}"),
        ([("leads_claim", {"by": BY})], "leads_dismiss", {"by": OTHER, "reason": "r"}, f"claimed by {BY}"),
        ([("leads_claim", {"by": BY})], "leads_release", {"by": OTHER}, "--reason"),
        ([("leads_dismiss", {"by": BY, "reason": "r"})], "leads_claim", {"by": BY}, "leads reopen"),
    ],
)
def test_what_does_not_follow_is_refused_and_changes_nothing(
    house: House, before: list[tuple[str, dict[str, str]]], name: str, arguments: Mapping[str, Any], why: str
) -> None:
    for earlier, given in before:
        house.act(earlier, lead=LEAD, **given)
    stored = everything(house.engine)
    with pytest.raises(CommandRefused, match=why):
        house.act(name, **({"lead": LEAD} | dict(arguments)))
    assert everything(house.engine) == stored


def test_a_dismissed_lead_with_new_nights_stays_dismissed_and_shows_the_amendment(house: House) -> None:
    house.act("leads_dismiss", lead=LEAD, by=BY, reason="已核实")
    commit(house.desk, 2, finding(2))
    lead = house.lead()
    assert (lead["state"], lead["revision"], lead["revisions"][-1]["change"]) == ("dismissed", 2, "amended")
    assert lead["history"][-1]["revision"] == 1, "the dismissal was of the revision before"
    assert house.notices()[-1] == ("amended", 2, "dismissed")


def test_a_claimed_lead_that_is_withdrawn_shows_both(house: House) -> None:
    house.act("leads_claim", lead=LEAD, by=BY)
    commit(house.desk, 1)
    lead = house.lead()
    assert (lead["state"], lead["standing"], lead["handled_by"]) == ("claimed", "withdrawn", BY)
    house.act("leads_release", lead=LEAD, by=BY)
    assert house.lead()["state"] == "withdrawn"
    with pytest.raises(CommandRefused, match="withdrawn"):
        house.act("leads_claim", lead=LEAD, by=BY)


def test_a_lead_nobody_touched_turns_stale_and_wakes_when_it_says_something_new(house: House) -> None:
    house.pass_days(59)
    assert house.desk.mark_stale(60) == 0
    house.pass_days(2)
    assert house.desk.mark_stale(60) == 1
    assert house.desk.mark_stale(60) == 0
    assert house.lead()["state"] == "stale"
    commit(house.desk, 2, finding(2))
    assert house.lead()["state"] == "open"
    assert house.notices()[-1] == ("amended", 2, "open")
    assert [(actor, action) for actor, action, _ in house.audited()] == [
        ("gridwarden", "lead.stale"),
        ("gridwarden", "lead.wake"),
    ]


def test_what_people_hold_never_turns_stale(house: House) -> None:
    house.act("leads_claim", lead=LEAD, by=BY)
    house.pass_days(100)
    assert house.desk.mark_stale(60) == 0
    house.act("leads_release", lead=LEAD, by=BY)
    assert house.desk.mark_stale(60) == 0, "releasing is touching"


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"approved_by": BY}, "may not approve"),
        ({"approved_by": " 王 芳 "}, "may not approve"),
        ({"until": "2026-01-19"}, "must lie between 2026-01-20 and 2027-01-21"),
        ({"until": "2027-01-22"}, "no silence is longer than a year"),
        ({"until": "soon"}, "arguments"),
        ({"kind": None}, "--kind"),
        ({"scope": "lead", "target": "L0"}, "No lead L0"),
        ({"scope": "lead", "target": LEAD, "kind": "sealed_site"}, "is of kind furnace_melt"),
        ({"scope": "county"}, "arguments"),
        ({"target": ""}, "1 to 64"),
    ],
)
def test_a_silence_takes_two_people_a_reason_and_a_near_end(house: House, changes: dict[str, Any], why: str) -> None:
    with pytest.raises(CommandRefused, match=why):
        silence(house, **changes)
    assert silences_of(house.engine, now_ms=NOW_MS, ended=True) == []


@pytest.mark.parametrize(
    ("scope", "target"), [("site", "S0"), ("lead", LEAD), ("meter", "M0"), ("enterprise", "91330100MA0000001X")]
)
def test_under_a_silence_a_lead_goes_on_and_nobody_is_told(house: House, scope: str, target: str) -> None:
    made = silence(house, scope=scope, target=target)
    told = house.notices()
    commit(house.desk, 2, finding(2))
    assert house.notices() == told
    lead = house.lead()
    assert (lead["silenced"], lead["revision"], lead["revisions"][-1]["held"]) == (made["id"], 2, made["id"])
    assert [lead["silenced"] for lead in list_leads(house.engine, now_ms=house.clock.wall_ms())] == [made["id"]]


@pytest.mark.parametrize(
    "changes",
    [
        {"target": "S1"},
        {"kind": "sealed_site"},
        {"scope": "meter", "target": "M1"},
        {"scope": "enterprise", "target": "91330100MA0000002X"},
    ],
)
def test_a_silence_over_something_else_holds_nothing(house: House, changes: dict[str, Any]) -> None:
    silence(house, **changes)
    commit(house.desk, 2, finding(2))
    assert house.notices()[-1] == ("amended", 2, "open")


def test_a_lead_that_rests_on_another_meter_too_is_told(house: House) -> None:
    silence(house, scope="meter", target="M0")
    commit(house.desk, 2, finding(2), finding(2, "M1"))
    assert house.notices()[-1] == ("amended", 2, "open")
    silence(house, scope="meter", target="M1")
    commit(house.desk, 3, finding(3), finding(3, "M1"))
    assert house.notices()[-1] == ("amended", 2, "open"), "both meters are silenced now"


def test_when_a_silence_runs_out_receivers_hear_once_how_the_lead_stands(house: House) -> None:
    made = silence(house, until="2026-01-22")
    commit(house.desk, 2, finding(2))
    commit(house.desk, 3, finding(3))
    house.clock.set_wall_ms(round(dt.datetime(2026, 1, 22, 23, 59, tzinfo=ZONE).timestamp() * 1000))
    assert house.desk.end_silences() == 0
    house.clock.set_wall_ms(round(dt.datetime(2026, 1, 23, tzinfo=ZONE).timestamp() * 1000))
    assert house.desk.end_silences() == 2, "once a sink"
    assert house.desk.end_silences() == 0
    for sink in ("file", "webhook"):
        assert house.notices(sink) == [("raised", 1, "open"), ("amended", 3, "open")]
    lead = house.lead()
    assert lead["silenced"] is None
    assert [r["told_after_silence_at"] is not None for r in lead["revisions"]] == [False, True, True]
    assert house.audited()[-1] == ("gridwarden", "silence.end", f"silence:{made['id']}")


def test_a_lead_first_raised_under_a_silence_is_raised_when_it_ends(house: House) -> None:
    made = silence(house, target="S1")
    commit(house.desk, 0, finding(0), finding(0, "M2"))
    commit(house.desk, 1, finding(1), finding(1, "M2"))
    commit(house.desk, 2, finding(1 + 1, "M2"))
    other = lead_id(LeadKind.FURNACE_MELT, "S1", "2026-01")
    assert house.lead(other)["revision"] == 2
    house.act("leads_unsilence", number=made["id"], by=BY, reason="试运行结束")
    house.desk.end_silences()
    assert house.notices()[-1] == ("raised", 2, "open")
    commit(house.desk, 3, finding(3, "M2"))
    assert house.notices()[-1] == ("amended", 3, "open"), "from then on at once"


def test_what_came_and_went_under_a_silence_is_never_told(house: House) -> None:
    made = silence(house, target="S1")
    commit(house.desk, 0, finding(0, "M2"))
    commit(house.desk, 1, finding(1, "M2"))
    commit(house.desk, 1)
    told = [notice for notice in house.notices() if notice[0] == "raised"]
    house.act("leads_unsilence", number=made["id"], by=BY, reason="试运行结束")
    house.desk.end_silences()
    assert [notice for notice in house.notices() if notice[0] == "raised"] == told


def test_a_known_lead_withdrawn_under_a_silence_is_withdrawn_for_receivers_too(house: House) -> None:
    made = silence(house)
    commit(house.desk, 1)
    assert house.notices() == [("raised", 1, "open")]
    house.act("leads_unsilence", number=made["id"], by=BY, reason="试运行结束")
    house.desk.end_silences()
    assert house.notices()[-1] == ("withdrawn", 2, "withdrawn")


def test_a_lead_dismissed_before_anyone_was_told_waits_until_that_is_undone(house: House) -> None:
    made = silence(house, target="S1")
    commit(house.desk, 0, finding(0), finding(0, "M2"))
    commit(house.desk, 1, finding(1), finding(1, "M2"))
    other = lead_id(LeadKind.FURNACE_MELT, "S1", "2026-01")
    house.act("leads_dismiss", lead=other, by=BY, reason="已核实")
    house.act("leads_unsilence", number=made["id"], by=BY, reason="试运行结束")
    assert house.desk.end_silences() == 0
    commit(house.desk, 2, finding(2, "M2"))
    assert all(state == "open" for _, _, state in house.notices())
    house.act("leads_reopen", lead=other, by=OTHER, reason="排除有误")
    assert house.desk.end_silences() == 2
    assert house.notices()[-1] == ("raised", 2, "open")


def test_another_silence_takes_over_what_the_first_held(house: House) -> None:
    first = silence(house)
    commit(house.desk, 2, finding(2))
    second = silence(house, scope="lead", target=LEAD, kind=None)
    house.act("leads_unsilence", number=first["id"], by=BY, reason="改用另一静默")
    assert house.desk.end_silences() == 0
    assert house.lead()["silenced"] == second["id"]
    house.act("leads_unsilence", number=second["id"], by=BY, reason="结束")
    assert house.desk.end_silences() == 2
    with pytest.raises(CommandRefused, match="is over already"):
        house.act("leads_unsilence", number=second["id"], by=BY, reason="结束")


def test_a_silence_changes_no_finding_and_no_lead(house: House) -> None:
    tables = ("findings", "leads", "lead_revisions")
    before = everything(house.engine)
    silence(house)
    after = everything(house.engine)
    assert [after[table] for table in tables] == [before[table] for table in tables]


def test_a_silence_over_a_place_the_register_does_not_know_is_refused(house: House) -> None:
    rows = RegisterRows(
        enterprises=(Enterprise(uscc="91330100MA0000001X", name="甲"),),
        sites=(Site(site="S7", uscc="91330100MA0000001X", name="甲厂"),),
    )
    with house.engine.begin() as connection:
        put_register(connection, rows, NOW_MS)
    for scope, target in (("site", "S9999"), ("meter", "M9"), ("enterprise", "91330100MA0000009X")):
        with pytest.raises(NotThere, match=f"has no {scope} {target}"):
            silence(house, scope=scope, target=target)
    assert silences_of(house.engine, now_ms=NOW_MS, ended=True) == []
    assert silence(house, target="S7")["target"] == "S7"
    assert silence(house, target="S0")["target"] == "S0", "a lead knows it"


def test_what_a_command_names_and_is_not_there_exits_with_66(house: House) -> None:
    for name, arguments in (
        ("leads_claim", {"lead": "Lnope", "by": BY}),
        ("notices_retry", {"number": 9999, "by": BY, "reason": "r"}),
        ("notices_retry", {"sink": "nobody", "by": BY, "reason": "r"}),
        ("notices_abandon", {"number": 9999, "by": BY, "reason": "r"}),
        ("leads_unsilence", {"number": 9999, "by": BY, "reason": "r"}),
    ):
        with pytest.raises(CommandRefused) as refused:
            house.act(name, **arguments)
        assert exit_code_of(refused.value) == ExitCode.NO_INPUT, name


def test_retrying_all_where_none_was_refused_says_that_no_notice_waits(house: House) -> None:
    with pytest.raises(CommandRefused, match="No notice waits for a person") as refused:
        house.act("notices_retry", by=BY, reason="r")
    assert exit_code_of(refused.value) == ExitCode.DATA
    with pytest.raises(CommandRefused, match="No such notice 1 waits for a person"):
        house.act("notices_retry", number=1, by=BY, reason="r")
