"""From findings to leads: a pure function of a set of findings, whatever the order they came in (rules D6, D7).

A lead belongs to one site, one kind and one local calendar month. It stands when the nights the policy asks for agree
within the policy's window, and it says everything a person needs: nights, measurements, reasons, what to check.
"""

from __future__ import annotations

import calendar
import datetime as dt
import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final

import msgspec

from models.domain.findings import Finding, Reason, Status
from models.domain.leads import LeadKind, lead_id
from models.domain.register import Enterprise, Register
from monitor.lead_texts import WORDINGS, Bilingual, Facts, summary_of

_ENCODER: Final = msgspec.json.Encoder(order="sorted")

DEFAULT_HOLD: Final[Mapping[LeadKind, int]] = MappingProxyType(
    {LeadKind.FURNACE_MELT: 2, LeadKind.SEALED_SITE: 1, LeadKind.METER_SILENT: 1, LeadKind.CONSUMPTION: 1}
)


@dataclass(frozen=True, slots=True)
class NightFinding:
    """A finding with what the evidence needs: the site as of that night, the SHA-256 (hex) of the readings behind it,
    and the end of what was looked at, Unix milliseconds: the night's, or an earlier instant of a `provisional` look
    while the night goes on."""

    finding: Finding
    site: str
    digest: str
    end_ms: int
    provisional: bool = False


@dataclass(frozen=True, slots=True)
class LeadPolicy:
    """How many suspect nights within how many nights make a lead; a kind that is not named needs one."""

    hold_nights: Mapping[LeadKind, int] = field(default_factory=lambda: DEFAULT_HOLD)
    hold_window_nights: int = 7

    def __post_init__(self) -> None:
        if self.hold_window_nights < 1 or any(not 1 <= n <= self.hold_window_nights for n in self.hold_nights.values()):
            raise ValueError("hold_nights must lie between 1 and hold_window_nights")

    def hold(self, kind: LeadKind) -> int:
        """Suspect nights a lead of this kind needs."""
        return self.hold_nights.get(kind, 1)


@dataclass(frozen=True, slots=True)
class NightEvidence:
    """One suspect night of one meter: `digest` names the readings it was judged from."""

    night: dt.date
    meter: str
    score: float
    digest: str


@dataclass(frozen=True, slots=True)
class LeadSite:
    """The site as registered on the last night; name and address are None when the register does not know it."""

    id: str
    name: str | None
    address: str | None


@dataclass(frozen=True, slots=True)
class LeadEnterprise:
    """The enterprise as registered on the last night; `since` the date its status was ordered."""

    uscc: str
    name: str
    trade: str
    status: str
    since: dt.date | None


@dataclass(frozen=True, slots=True)
class Checks:
    """What to check on site, line by line the same in both languages."""

    zh: tuple[str, ...]
    en: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class LeadContent:
    """All that a lead says at one revision. `score`, `probability`, `reasons` and `measures` are those of the
    strongest night, the latest of equals; `mismatch` is the largest. `provisional`: the last night is not over and
    will be judged again. `previous` is last month's lead of the same subject, if it stands.
    """

    id: str
    kind: LeadKind
    month: str
    site: LeadSite
    enterprise: LeadEnterprise | None
    meters: tuple[str, ...]
    first_night: dt.date
    last_night: dt.date
    nights: tuple[NightEvidence, ...]
    score: float
    probability: float | None
    mismatch: float
    reasons: tuple[Reason, ...]
    measures: Mapping[str, float]
    title: Bilingual
    summary: Bilingual
    what_to_check: Checks
    end_ms: int
    """End of what was looked at last, Unix milliseconds: the event time of the lead."""
    provisional: bool
    versions: Mapping[str, str]
    previous: str | None = None

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON types."""
        plain: dict[str, Any] = msgspec.to_builtins(self)
        return plain


def verdict_sha256(plain: Mapping[str, Any]) -> str:
    """Digest of all a lead says but the versions: a new version that says the same makes no new revision."""
    return hashlib.sha256(canonical_json({k: v for k, v in plain.items() if k != "versions"})).hexdigest()


def canonical_json(value: object) -> bytes:
    """The one way JSON is written where bytes are compared: UTF-8, keys sorted, no spaces, shortest floats."""
    return _ENCODER.encode(value)


def month_bounds(month: str) -> tuple[dt.date, dt.date]:
    """First and last night of a month `YYYY-MM`."""
    year, number = int(month[:4]), int(month[5:7])
    return dt.date(year, number, 1), dt.date(year, number, calendar.monthrange(year, number)[1])


def next_month(month: str) -> str:
    """The month after `YYYY-MM`."""
    return f"{month_bounds(month)[1] + dt.timedelta(days=1):%Y-%m}"


def previous_month(month: str) -> str:
    """The month before `YYYY-MM`."""
    return f"{month_bounds(month)[0] - dt.timedelta(days=1):%Y-%m}"


def months_touched(night: dt.date, policy: LeadPolicy) -> tuple[str, ...]:
    """The months whose lead a finding of `night` can bear on: its own, and the next while the hold window reaches."""
    month = f"{night:%Y-%m}"
    reach = f"{night + dt.timedelta(days=policy.hold_window_nights - 1):%Y-%m}"
    months = [month]
    while months[-1] < reach:
        months.append(next_month(months[-1]))
    return tuple(months)


def derive_lead(
    kind: LeadKind,
    subject: str,
    month: str,
    findings: Iterable[NightFinding],
    register: Register,
    policy: LeadPolicy,
    versions: Mapping[str, str],
) -> LeadContent | None:
    """The lead that a site's findings make in one month, or None where there is nothing to raise.

    `findings` are those of the site and the kind's detector in the month and the nights the hold window reaches back;
    others are ignored. Only SUSPECT nights count: DECLARED melting is what the register says it should be. A lead
    stands when at least one night of the month closes a window with enough suspect nights; it names all suspect
    nights of the month, and the earlier ones its first window needed.
    """
    first, last = month_bounds(month)
    reach = dt.timedelta(days=policy.hold_window_nights - 1)
    suspects = [
        item
        for item in findings
        if item.site == subject
        and item.finding.detector == kind.value
        and item.finding.status is Status.SUSPECT
        and first - reach <= item.finding.night <= last
    ]
    nights = sorted({item.finding.night for item in suspects})
    qualifying = (
        night for night in nights
        if night >= first and sum(night - reach <= other <= night for other in nights) >= policy.hold(kind)
    )  # fmt: skip
    closing = next(qualifying, None)
    if closing is None:
        return None
    start = min(first, closing - reach)
    used = [item for item in suspects if item.finding.night >= start]
    return _content(kind, subject, month, used, register, versions)


def _content(
    kind: LeadKind,
    subject: str,
    month: str,
    used: Sequence[NightFinding],
    register: Register,
    versions: Mapping[str, str],
) -> LeadContent:
    in_order = sorted(used, key=lambda item: (item.finding.night, item.finding.meter, item.digest))
    strongest = min(reversed(in_order), key=lambda item: (-item.finding.score, -item.finding.mismatch))
    newest = in_order[-1].finding.night
    meters = tuple(sorted({item.finding.meter for item in used}))
    site = register.site(subject, newest)
    enterprise = register.enterprise(site.uscc, newest) if site is not None else None
    facts = Facts(
        who=_who(subject, site.name if site is not None else "", enterprise),
        nights=len({item.finding.night for item in used}),
        first_night=in_order[0].finding.night,
        last_night=newest,
        meters=meters,
        provisional=any(item.provisional for item in used if item.finding.night == newest),
    )
    checks = WORDINGS[kind].checks
    return LeadContent(
        id=lead_id(kind, subject, month),
        kind=kind,
        month=month,
        site=LeadSite(
            id=subject,
            name=site.name if site is not None else None,
            address=site.address if site is not None else None,
        ),
        enterprise=_enterprise(enterprise),
        meters=meters,
        first_night=facts.first_night,
        last_night=facts.last_night,
        nights=tuple(NightEvidence(i.finding.night, i.finding.meter, i.finding.score, i.digest) for i in in_order),
        score=strongest.finding.score,
        probability=strongest.finding.probability,
        mismatch=max(item.finding.mismatch for item in used),
        reasons=strongest.finding.reasons,
        measures=strongest.finding.measures,
        title=WORDINGS[kind].title,
        summary=summary_of(kind, facts),
        what_to_check=Checks(tuple(c.zh for c in checks), tuple(c.en for c in checks)),
        end_ms=max(item.end_ms for item in used),
        provisional=facts.provisional,
        versions={**versions, "register": register.version},
    )


def _enterprise(row: Enterprise | None) -> LeadEnterprise | None:
    if row is None:
        return None
    return LeadEnterprise(row.uscc, row.name, row.trade, row.status.value, row.since)


def _who(subject: str, site_name: str, enterprise: Enterprise | None) -> Bilingual:
    where = site_name or subject
    if enterprise is None:
        return Bilingual(f"厂区 {where}", f"site {where}")
    return Bilingual(f"{enterprise.name}（{where}）", f"{enterprise.name} ({where})")
