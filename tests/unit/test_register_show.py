"""What belongs to a meter, a site or an enterprise, and what differs between two registers."""

from __future__ import annotations

import datetime as dt

from models.domain.register import Enterprise, Feeder, Furnace, FurnaceKind, Meter, Publisher, RegisterRows, Site
from monitor.register.show import about_enterprise, about_meter, about_site, changes, on_date, plain, row_counts
from tests.support.register_files import USCC

OTHER = "91330122000000001" + "X"
EARLY = dt.date(2024, 1, 1)
MOVED = Furnace(furnace="L2", site="S1", kind=FurnaceKind.ARC, valid_from=EARLY)
ROWS = RegisterRows(
    enterprises=(Enterprise(uscc=USCC, name="甲"), Enterprise(uscc=OTHER, name="乙")),
    sites=(Site(site="S1", uscc=USCC), Site(site="S2", uscc=USCC), Site(site="S3", uscc=OTHER)),
    meters=(
        Meter(meter="m1", site="S1", publisher="p", feeder="F"),
        Meter(meter="m2", site="S1", publisher="q"),
        Meter(meter="m3", site="S3", publisher="p"),
    ),
    feeders=(Feeder(feeder="F"), Feeder(feeder="G")),
    furnaces=(MOVED,),
    publishers=(Publisher(publisher="p"), Publisher(publisher="q")),
)


def test_a_meter_is_shown_with_what_it_hangs_on_and_without_its_neighbours() -> None:
    found = about_meter(ROWS, "m1")
    assert [row.meter for row in found.meters] == ["m1"]
    assert [row.site for row in found.sites] == ["S1"]
    assert [row.uscc for row in found.enterprises] == [USCC]
    assert [row.feeder for row in found.feeders] == ["F"]
    assert [row.publisher for row in found.publishers] == ["p"]
    assert found.furnaces == (MOVED,)


def test_a_site_is_shown_with_all_of_its_meters() -> None:
    assert [row.meter for row in about_site(ROWS, "S1").meters] == ["m1", "m2"]


def test_an_enterprise_is_shown_with_all_of_its_sites_even_if_it_has_none() -> None:
    assert [row.site for row in about_enterprise(ROWS, USCC).sites] == ["S1", "S2"]
    alone = RegisterRows(enterprises=ROWS.enterprises)
    assert about_enterprise(alone, USCC).enterprises == ROWS.enterprises[:1]


def test_nothing_belongs_to_an_unknown_id() -> None:
    assert plain(about_meter(ROWS, "x")) == plain(about_site(ROWS, "x")) == plain(about_enterprise(ROWS, "x")) == {}


def test_rows_of_a_date() -> None:
    assert row_counts(on_date(ROWS, EARLY - dt.timedelta(days=1)))["furnaces"] == 0
    assert row_counts(on_date(ROWS, EARLY))["furnaces"] == 1


def test_changes_count_new_and_gone_rows_by_sheet() -> None:
    later = RegisterRows(sites=ROWS.sites[1:], feeders=(*ROWS.feeders, Feeder(feeder="H")))
    earlier = RegisterRows(sites=ROWS.sites, feeders=ROWS.feeders)
    assert changes(earlier, later) == {"sites": (0, 1), "feeders": (1, 0)}
    assert changes(ROWS, ROWS) == {}
