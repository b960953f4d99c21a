"""The rule packs put together: the shipped ones, then those of a configured directory; or every fault, at once."""

from __future__ import annotations

import importlib.resources
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from types import MappingProxyType
from typing import Final, TypeVar, cast

from models.law.crosscheck import CHECKS
from models.law.faults import LawFault, LawFaults, nearest
from models.law.limit_rows import Limit
from models.law.lines import line_of
from models.law.reading import PackFile, digest_of, read_pack
from models.law.rows import Identified
from models.law.sections import SECTIONS, Rows
from models.law.tariff_book import TariffBook
from models.law.tariff_checks import TARIFF_CHECKS
from models.law.tariff_rows import TariffRule

R = TypeVar("R", bound=Identified)

_SECTION_OF: Final = MappingProxyType({model: section for section, model in SECTIONS.items()})

Places = Mapping[tuple[str, str], tuple[PackFile, int]]
"""By section and row id: the file, and the row's number in it."""

SHIPPED: Final = "models/law/packs"
"""How a shipped pack is named in faults: this, and its file name."""


@dataclass(frozen=True, slots=True)
class PackInfo:
    """One pack in use. `rows`: number of rows by section; `digest`: SHA-256 of its contents."""

    id: str
    version: str
    title_zh: str
    title_en: str
    file: str
    digest: str
    rows: Mapping[str, int]


@dataclass(frozen=True)
class Law:
    """What the packs say, checked. `digest` changes whenever a statement of any pack changes."""

    packs: tuple[PackInfo, ...]
    rows: Rows
    places: Places
    digest: str
    sources: tuple[tuple[str, bytes], ...] = ()
    """The files as they were given, by name and in order; `assemble(sources)` makes the same law again."""

    @cached_property
    def version(self) -> str:
        """Versions and digest, short enough to print on a lead: `2026.11 #1a2b3c4d5e6f`."""
        versions = sorted({pack.version for pack in self.packs})
        return f"{'+'.join(versions)} #{self.digest[:12]}"

    @cached_property
    def limits_by_product(self) -> Mapping[tuple[str, str], tuple[Limit, ...]]:
        """Every limit of every version by industry and product."""
        found: dict[tuple[str, str], list[Limit]] = {}
        for limit in self.table(Limit).values():
            found.setdefault((limit.industry, limit.product), []).append(limit)
        return MappingProxyType({key: tuple(limits) for key, limits in found.items()})

    @cached_property
    def tariffs(self) -> TariffBook:
        """The surcharge rules by what they concern."""
        return TariffBook(self.table(TariffRule))

    def table(self, model: type[R]) -> Mapping[str, R]:
        """The rows of one type by their id, in the order of the packs."""
        return cast("Mapping[str, R]", self.rows.get(_SECTION_OF[model], MappingProxyType({})))

    def origin(self, model: type[Identified], row_id: str) -> str:
        """The file and line a row was read from: `models/law/packs/standards.toml:12`."""
        section = next(name for name, found in SECTIONS.items() if found is model)
        return origin_of(self.places, section, row_id)


def origin_of(places: Places, section: str, row_id: str) -> str:
    """File and line of a row."""
    file, index = places[section, row_id]
    return f"{file.name}:{line_of(file.lines, (section, index))}"


def load_law(directory: Path | None = None, *, alone: bool = False) -> Law:
    """The shipped packs and those in `directory` (*.toml, by name); `alone`: only those, as a full set of their own.

    Raises LawFaults with all that is wrong, OSError where there is no such directory.
    """
    configured = [] if directory is None else pack_files(directory)
    return assemble([*([] if alone else _shipped()), *configured])


@cache
def shipped_law() -> Law:
    """The shipped packs alone, read once."""
    return load_law()


def assemble(sources: Iterable[tuple[str, bytes]]) -> Law:
    """Packs from (name, contents), in order: later ones may add rows, or replace by `replaces`. Raises LawFaults."""
    faults: list[LawFault] = []
    files: list[PackFile] = []
    unread = False
    sources = tuple(sources)
    for name, data in sources:
        file, found = read_pack(name, data, SECTIONS)
        faults += found
        if file is None:
            unread = True
        else:
            files.append(file)
    files = _without_replaced(files, faults)
    rows, places = _merged(files, faults)
    refused = {row_id for file in files for row_id in file.refused}
    whole = not faults
    for problem in () if unread else (problem for check in (*CHECKS, *TARIFF_CHECKS) for problem in check(rows)):
        if problem.about in refused or (problem.absence and not whole):
            continue  # what was refused has been told; that it is missing elsewhere is no second fault
        file, index = places[problem.section, problem.row_id]
        faults.append(file.fault((problem.section, index, *problem.path), problem.problem, problem.remedy))
    if faults:
        raise LawFaults(sorted(faults, key=lambda fault: (fault.file, fault.line, fault.key, fault.problem)))
    packs = tuple(_info(file) for file in files)
    digest = digest_of([[pack.id, pack.version, pack.digest] for pack in packs])
    return Law(packs, rows, MappingProxyType(places), digest, sources)


def _shipped() -> list[tuple[str, bytes]]:
    folder = importlib.resources.files("models.law").joinpath("packs")
    files = sorted((entry for entry in folder.iterdir() if entry.name.endswith(".toml")), key=lambda entry: entry.name)
    return [(f"{SHIPPED}/{entry.name}", entry.read_bytes()) for entry in files]


def pack_files(directory: Path) -> list[tuple[str, bytes]]:
    """The packs of a directory (*.toml) by name, unread. Raises OSError where there is no such directory."""
    if not directory.is_dir():
        raise NotADirectoryError(f"{directory}: not a directory of rule packs (*.toml)")
    return [(str(path), path.read_bytes()) for path in sorted(directory.glob("*.toml"))]


def _info(file: PackFile) -> PackInfo:
    header = file.header
    counts = MappingProxyType({section: len(rows) for section, rows in file.rows.items()})
    return PackInfo(header.id, header.version, header.title_zh, header.title_en, file.name, file.digest, counts)


def _without_replaced(files: Iterable[PackFile], faults: list[LawFault]) -> list[PackFile]:
    """The files that count: a pack takes another's place only by saying so, and no id stands for two packs."""
    kept: dict[str, PackFile] = {}
    for file in files:
        header = file.header
        if header.replaces is not None and kept.pop(header.replaces, None) is None:
            faults.append(
                file.fault(
                    ("pack", "replaces"), f"there is no pack {header.replaces!r}", nearest(header.replaces, kept)
                )
            )
        earlier = kept.setdefault(header.id, file)
        if earlier is not file:
            remedy = (
                f'It is the id of {earlier.name}: give this pack its own, say replaces = "{header.id}",'
                " or check a full copy with --alone."
            )
            faults.append(file.fault(("pack", "id"), f"pack id {header.id!r} is taken", remedy))
    return list(kept.values())


def _merged(
    files: Iterable[PackFile], faults: list[LawFault]
) -> tuple[Rows, dict[tuple[str, str], tuple[PackFile, int]]]:
    rows: dict[str, dict[str, Identified]] = {section: {} for section in SECTIONS}
    places: dict[tuple[str, str], tuple[PackFile, int]] = {}
    for file in files:
        for section, written in file.rows.items():
            for index, row in written:
                _take(section, index, row, file, rows[section], places, faults)
    return MappingProxyType({section: MappingProxyType(found) for section, found in rows.items()}), places


def _take(
    section: str,
    index: int,
    row: Identified,
    file: PackFile,
    rows: dict[str, Identified],
    places: dict[tuple[str, str], tuple[PackFile, int]],
    faults: list[LawFault],
) -> None:
    if row.replaces is not None:
        replaced = places.get((section, row.replaces))
        if replaced is None or replaced[0] is file:
            remedy = nearest(row.replaces, rows) if rows else "Leave it out: there is nothing to replace."
            problem = f"replaces {row.replaces!r}, which no earlier pack has"
            faults.append(file.fault((section, index, "replaces"), problem, remedy))
            return
        del rows[row.replaces]
        del places[section, row.replaces]
    if (section, row.id) in places:
        stands = origin_of(places, section, row.id)
        remedy = f'It stands in {stands}: give this one its own id, or say replaces = "{row.id}" in a pack of your own.'
        faults.append(file.fault((section, index, "id"), f"id {row.id!r} is taken", remedy))
        return
    rows[row.id] = row
    places[section, row.id] = (file, index)
