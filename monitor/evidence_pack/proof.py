"""The raw messages behind a lead, with what proves that they are what was received.

A record of the journal is one commit group: its bytes, the digest it follows and its own digest, from which anyone can
compute that they belong together. A signed checkpoint covers the digests of all records of about a minute; they are
listed, so that nothing but the records themselves is needed.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from connectors.adapters.base import Adapter
from connectors.adapters.table import decode_group
from models.domain.channels import CHANNELS, REGISTERS
from models.domain.readings import RawMessage
from monitor.admission import readmit
from monitor.audit.checkpoint import Checkpoint, read_lines
from monitor.audit.keys import PublicKey
from monitor.journal.body import BodyCodec
from monitor.journal.links import link_digests, links_sha256, stored_records
from monitor.journal.schema import Record
from monitor.roster import Roster

RECORDS_FILE: Final = "journal/records.bin"
PROOF_FILE: Final = "journal/proof.json"
_EMPTY: Final = RawMessage("", b"", 0, "", "kept")


class ProvenRecord(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One record: `offset` and `size` of its body in the file of bodies; digests in base64; `checkpoint` covers it."""

    seq: int
    kind: int
    committed_ms: int
    tick_ms: int | None
    messages: int
    previous: str
    digest: str
    offset: int
    size: int
    checkpoint: int | None


class Cover(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A checkpoint's line as written, and base64 of the digests it covers, one after the other."""

    n: int
    line: str
    links: str


class Proof(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """All records of a pack in order, and the checkpoints that cover them."""

    records: tuple[ProvenRecord, ...] = ()
    covers: tuple[Cover, ...] = ()


@dataclass(frozen=True, slots=True)
class ProofVerdict:
    """`faults` name the record or checkpoint; `uncovered` records no checkpoint covers yet."""

    faults: tuple[str, ...]
    records: int
    uncovered: int
    covers: int


def prove(state_dir: Path, seqs: Sequence[int]) -> tuple[bytes, Proof]:
    """The bodies of these records and their proof, read without disturbing a running daemon."""
    found = stored_records(state_dir, seqs)
    covering = _covering(state_dir, [record.seq for record, _ in found])
    bodies = bytearray()
    records: list[ProvenRecord] = []
    for record, previous in found:
        cover = covering.get(record.seq)
        records.append(
            ProvenRecord(
                record.seq,
                record.kind,
                record.committed_ms,
                record.tick_ms,
                record.messages,
                base64.b64encode(previous).decode(),
                base64.b64encode(record.digest).decode(),
                len(bodies),
                len(record.body),
                cover.body.n if cover is not None else None,
            )
        )
        bodies += record.body
    covers: list[Cover] = []
    for checkpoint in {c.body.n: c for c in covering.values()}.values():
        journal = checkpoint.body.journal
        links = link_digests(state_dir, journal.after, journal.seq, limit=journal.count + 1)
        joined = base64.b64encode(b"".join(link for _, link in links)).decode()
        covers.append(Cover(checkpoint.body.n, checkpoint.line.decode(), joined))
    return bytes(bodies), Proof(tuple(records), tuple(covers))


def check_proof(proof: Proof, bodies: bytes, keys: Sequence[PublicKey]) -> ProofVerdict:
    """Compute every digest again. `keys` are the public keys to trust; none: signatures are not compared."""
    faults: list[str] = []
    listed: dict[int, frozenset[bytes]] = {}
    for cover in proof.covers:
        problem = _cover_fault(cover, keys)
        if problem is not None:
            faults.append(f"checkpoint {cover.n}: {problem}")
            continue
        raw = base64.b64decode(cover.links)
        listed[cover.n] = frozenset(raw[at : at + 32] for at in range(0, len(raw), 32))
    uncovered = 0
    for record in proof.records:
        digest = base64.b64decode(record.digest)
        if not stored(record, bodies).follows(base64.b64decode(record.previous)):
            faults.append(f"journal record {record.seq}: its bytes do not fit its digest")
        elif record.checkpoint is None:
            uncovered += 1
        elif digest not in listed.get(record.checkpoint, frozenset()):
            faults.append(f"journal record {record.seq}: checkpoint {record.checkpoint} does not cover it")
    return ProofVerdict(tuple(faults), len(proof.records), uncovered, len(proof.covers))


def stored(record: ProvenRecord, bodies: bytes) -> Record:
    """The record as the journal keeps it."""
    body = bodies[record.offset : record.offset + record.size]
    digest = base64.b64decode(record.digest)
    return Record(record.seq, record.kind, record.committed_ms, record.tick_ms, record.messages, digest, body)


def unfounded(
    proof: Proof,
    bodies: bytes,
    readings: pa.Table,
    roster: Roster,
    adapters: Sequence[Mapping[str, Adapter]],
) -> list[str]:
    """Readings that the packed messages do not say, named; readings whose record is not packed are passed."""
    said: set[tuple[str, int, int, int, str, float]] = set()
    for record in proof.records:
        said.update(_sayings(record, bodies, roster, adapters))
    packed = {record.seq for record in proof.records}
    faults: list[str] = []
    columns = {name: readings.column(name).to_pylist() for name in readings.schema.names}
    for i, seq in enumerate(columns["seq"]):
        if seq not in packed:
            continue
        meter, ts_ms = columns["meter"][i], columns["ts_ms"][i]
        for name in readings.schema.names:
            value = columns[name][i] if name in CHANNELS else None
            if value is not None:
                key = (meter, ts_ms, columns["interval_s"][i], columns["rev"][i], name, float(value))
                if key not in said:
                    faults.append(f"reading of {meter} at {ts_ms} ({name}): not in journal record {seq}")
    return faults


@dataclass(frozen=True, slots=True)
class Unproven:
    """Of `readings` packed, those that no packed record brought: `outside` the lead's nights and `within` them."""

    readings: int = 0
    outside: int = 0
    within: int = 0

    @property
    def count(self) -> int:
        """All of them."""
        return self.outside + self.within


def unproven(proof: Proof, readings: pa.Table, in_nights: NDArray[np.bool_]) -> Unproven:
    """Count the readings without a packed record; `in_nights` (n_readings,) marks those of the lead's own nights."""
    packed = np.array([record.seq for record in proof.records], dtype=np.int64)
    alone = ~np.isin(readings.column("seq").to_numpy(), packed)
    return Unproven(readings.num_rows, int((alone & ~in_nights).sum()), int((alone & in_nights).sum()))


def _sayings(
    record: ProvenRecord, bodies: bytes, roster: Roster, adapters: Sequence[Mapping[str, Adapter]]
) -> Iterator[tuple[str, int, int, int, str, float]]:
    try:
        group = BodyCodec().unpack(stored(record, bodies).body)
    except ValueError:
        return
    cut = {each.message for each in group.cuts}
    messages = [_EMPTY if at in cut else message for at, message in enumerate(group.messages)]
    for choice in adapters:
        known = [m if m.adapter in choice else _EMPTY for m in messages]
        admitted = readmit(decode_group(known, choice), known, group.rejections, roster)
        meters = [roster.ids[key] for key in admitted.keys.tolist()]
        for name, values in admitted.channels.items():
            precise = values if name in REGISTERS else values.astype(np.float32).astype(np.float64)
            for i in np.flatnonzero(np.isfinite(precise)).tolist():
                at = (meters[i], int(admitted.ts_ms[i]), int(admitted.interval_s[i]), int(admitted.rev[i]))
                yield (*at, name, float(precise[i]))


def _covering(state_dir: Path, seqs: Sequence[int]) -> dict[int, Checkpoint]:
    """For each record the first checkpoint that covers it."""
    left = sorted(seqs, reverse=True)
    found: dict[int, Checkpoint] = {}
    for _, _, line, _ in read_lines(state_dir):
        if not left:
            break
        try:
            checkpoint = Checkpoint.parse(line)
        except ValueError:
            continue
        journal = checkpoint.body.journal
        while left and left[-1] <= journal.seq:
            seq = left.pop()
            if seq > journal.after:
                found[seq] = checkpoint
    return found


def _cover_fault(cover: Cover, keys: Sequence[PublicKey]) -> str | None:
    try:
        checkpoint = Checkpoint.parse(cover.line.encode())
        raw = base64.b64decode(cover.links, validate=True)
    except ValueError as error:
        return str(error)
    journal = checkpoint.body.journal
    links = [raw[at : at + 32] for at in range(0, len(raw), 32)]
    if checkpoint.body.n != cover.n:
        return f"its line is that of number {checkpoint.body.n}"
    if len(links) != journal.count or links_sha256(links) != journal.links:
        return "the digests listed are not those it covers"
    if keys and not any(checkpoint.short.signed_by(key) for key in keys):
        return f"not signed by the key {', '.join(key.fingerprint for key in keys)}"
    return None
