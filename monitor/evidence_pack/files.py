"""A pack as files: written whole, read back with every byte accounted for."""

from __future__ import annotations

import hashlib
import io
import os
import struct
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any, Final

import msgspec

from monitor.leads import canonical_json
from monitor.storage import disk_errors, sync_directory

MANIFEST: Final = "manifest.json"
FORMAT: Final = "gridwarden-evidence-1"
MOST_FILES: Final = 64
MOST_BYTES: Final = 1 << 30
"""Bound on what a pack unpacks to (rule P2)."""
_EPOCH: Final = (1980, 1, 1, 0, 0, 0)


class PackUnreadable(ValueError):  # noqa: N818 - reads as the condition it names
    """This is no evidence pack, or one of a format this program does not read."""


class FileEntry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One file: its size and SHA-256."""

    bytes: int
    sha256: str


class Manifest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a pack is: the lead and revision, the versions that judged it, and every other file."""

    format: str
    lead: str
    revision: int
    kind: str
    versions: Mapping[str, str]
    made_by: Mapping[str, str]
    files: Mapping[str, FileEntry]
    content_sha256: str
    """SHA-256 over all else that the manifest says: the one number that stands for the whole pack."""


def with_manifest(
    files: Mapping[str, bytes], *, lead: Mapping[str, Any], revision: int, made_by: Mapping[str, str]
) -> dict[str, bytes]:
    """The files with their manifest."""
    entries = {
        name: FileEntry(len(content), hashlib.sha256(content).hexdigest()) for name, content in sorted(files.items())
    }
    manifest = Manifest(FORMAT, lead["id"], revision, lead["kind"], lead["versions"], made_by, entries, "")
    manifest = msgspec.structs.replace(manifest, content_sha256=content_digest(manifest))
    return {**files, MANIFEST: msgspec.json.format(canonical_json(manifest), indent=2) + b"\n"}


def content_digest(manifest: Manifest) -> str:
    """The digest that stands for all files and what the manifest says of them."""
    return hashlib.sha256(canonical_json(msgspec.structs.replace(manifest, content_sha256=""))).hexdigest()


def write_folder(files: Mapping[str, bytes], folder: Path) -> None:
    """Write the pack into a folder that is not there yet, or is empty: whole or not at all."""
    unfinished = folder.with_name(folder.name + ".unfinished")
    with disk_errors(folder):
        for name, content in files.items():
            path = unfinished / name
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
        if folder.is_dir():
            folder.rmdir()
        unfinished.rename(folder)
        sync_directory(folder.parent)


def write_zip(files: Mapping[str, bytes], path: Path) -> None:
    """Write the pack as one ZIP file; the same files give the same bytes."""
    unfinished = path.with_name(path.name + ".unfinished")
    with disk_errors(path):
        unfinished.write_bytes(_zipped(files))
        unfinished.rename(path)
        sync_directory(path.parent)


def _zipped(files: Mapping[str, bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name in sorted(files):
            info = zipfile.ZipInfo(name, _EPOCH)
            info.compress_type = zipfile.ZIP_STORED
            info.external_attr = 0o644 << 16
            info.create_system = 3
            archive.writestr(info, files[name])
    return out.getvalue()


def read_pack(path: Path) -> dict[str, bytes]:
    """Every file of a pack, folder or ZIP, by its name. Raises PackUnreadable, OSError."""
    files = _of_folder(path) if path.is_dir() else _of_zip(path)
    if MANIFEST not in files:
        raise PackUnreadable(f"{path} has no {MANIFEST}: it is not an evidence pack")
    return files


def manifest_of(files: Mapping[str, bytes]) -> Manifest:
    """The manifest. Raises PackUnreadable."""
    try:
        manifest = msgspec.json.decode(files[MANIFEST], type=Manifest)
    except msgspec.MsgspecError as error:
        raise PackUnreadable(f"{MANIFEST} cannot be read: {error}") from error
    if manifest.format != FORMAT:
        raise PackUnreadable(f"{MANIFEST} is of format {manifest.format}, this program reads {FORMAT}")
    return manifest


def file_faults(files: Mapping[str, bytes], manifest: Manifest) -> list[str]:
    """Every file that is altered, missing or was added."""
    faults = []
    for name, entry in manifest.files.items():
        if name not in files:
            faults.append(f"{name}: missing")
        elif len(files[name]) != entry.bytes or hashlib.sha256(files[name]).hexdigest() != entry.sha256:
            faults.append(f"{name}: altered, its SHA-256 is not that of the manifest")
    faults += [
        f"{name}: added, the manifest does not list it" for name in files if name not in {*manifest.files, MANIFEST}
    ]
    if content_digest(manifest) != manifest.content_sha256:
        faults.append(f"{MANIFEST}: altered, content_sha256 does not fit the files listed")
    if msgspec.json.format(canonical_json(manifest), indent=2) + b"\n" != files[MANIFEST]:
        faults.append(f"{MANIFEST}: altered, not written as a manifest is")
    return faults


def _of_folder(path: Path) -> dict[str, bytes]:
    found: dict[str, bytes] = {}
    total = 0
    for file in sorted(path.rglob("*")):
        if file.is_dir() and not file.is_symlink():
            continue
        if file.is_symlink() or not file.is_file():
            raise PackUnreadable(f"{file} is not a plain file")
        total += file.stat().st_size
        _bounded(path, len(found) + 1, total)
        found[file.relative_to(path).as_posix()] = file.read_bytes()
    return found


def _of_zip(path: Path) -> dict[str, bytes]:
    _bounded(path, 1, path.stat().st_size)
    content = path.read_bytes()
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            files = {info.filename: archive.read(info) for info in _members(path, archive)}
    except PackUnreadable:
        raise
    except (zipfile.BadZipFile, zlib.error, struct.error, EOFError, NotImplementedError, RuntimeError, ValueError) as e:
        raise PackUnreadable(f"{path} is neither a folder nor a whole ZIP file: {e or type(e).__name__}") from e
    _as_written(path, content, files)
    return files


def _members(path: Path, archive: zipfile.ZipFile) -> list[zipfile.ZipInfo]:
    infos = [info for info in archive.infolist() if not info.is_dir()]
    _bounded(path, len(infos), sum(info.file_size for info in infos))
    if len({info.filename for info in infos}) != len(infos):
        raise PackUnreadable(f"{path} holds a file twice")
    for info in infos:
        parts = PurePosixPath(info.filename)
        if parts.is_absolute() or ".." in parts.parts:
            raise PackUnreadable(f"{path} holds a file outside of itself")
    return infos


def _as_written(path: Path, found: bytes, files: Mapping[str, bytes]) -> None:
    """Bytes of the ZIP that no file's digest covers. One that somebody packed anew is of another length, and fine."""
    ours = _zipped(files)
    if len(found) == len(ours) and found != ours:
        at = next(i for i, (a, b) in enumerate(zip(found, ours, strict=True)) if a != b)
        raise PackUnreadable(
            f"{path} is altered at byte {at}, in what the ZIP says of its files; their content is whole"
        )


def _bounded(path: Path, files: int, total: int) -> None:
    if files > MOST_FILES or total > MOST_BYTES:
        raise PackUnreadable(f"{path} holds more than {MOST_FILES} files or {MOST_BYTES >> 20} MiB: not a pack of ours")
