"""The page of a pack: one self-contained HTML file, Chinese first with English beside, that prints on A4."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, Final

from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template
from markupsafe import Markup

from models.domain.leads import LeadKind
from models.domain.register import EnterpriseStatus
from monitor.evidence_pack.desk_part import DeskPart
from monitor.evidence_pack.material import Entry, Material, in_nights
from monitor.evidence_pack.proof import Proof, unproven
from monitor.lead_texts import WORDINGS

_STATUS: Final = {
    EnterpriseStatus.OPERATING: ("在产", "operating"),
    EnterpriseStatus.CLOSED: ("关停", "closed"),
    EnterpriseStatus.POWER_CUT: ("断电", "power cut"),
}
_CHANGES: Final = {
    "raised": ("提出", "raised"),
    "amended": ("修订", "amended"),
    "withdrawn": ("已撤回", "withdrawn"),
    "reopened": ("重新提出", "reopened"),
}
GAPS_SHOWN: Final = 20


def page_bytes(
    material: Material,
    desk: DeskPart,
    entries: Sequence[Entry],
    gaps: Sequence[Mapping[str, Any]],
    files: Mapping[str, bytes],
    proof: Proof,
) -> bytes:
    """The page; `files` are all other files of the pack but the manifest."""
    lead = desk.revision.content
    rows = material.register.rows
    wording = WORDINGS[LeadKind(lead["kind"])]
    text = _template().render(
        lead=lead,
        revision=desk.revision,
        change=_CHANGES[desk.revision.change],
        limits=wording.limits,
        entries=sorted(entries, key=lambda entry: (entry.night, entry.meter)),
        beside=[item.finding for item in desk.beside if item.finding.reasons],
        gaps=gaps[:GAPS_SHOWN],
        more_gaps=len(gaps) - len(gaps[:GAPS_SHOWN]),
        rows=rows,
        status=_STATUS,
        looks_back=material.looks_back,
        cadences=sorted({entry.interval_s for entry in entries}),
        readings=material.readings.num_rows,
        svg=Markup(_inline(files["curve.svg"])),  # noqa: S704 -- our own drawing, made of numbers and outlines
        digests=[(name, len(content), hashlib.sha256(content).hexdigest()) for name, content in sorted(files.items())],
        records=len(proof.records),
        unproven=unproven(proof, material.readings, in_nights(material, entries)),
        uncovered=sum(record.checkpoint is None for record in proof.records),
    )
    return text.encode()


def _inline(svg: bytes) -> str:
    """The drawing without XML's prologue, which has no place inside a page."""
    text = svg.decode()
    return text[text.index("<svg") :]


@cache
def _template() -> Template:
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["number"] = _number
    return environment.get_template("page.html")


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.6g}"
