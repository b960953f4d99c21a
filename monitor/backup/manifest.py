"""What a backup says of itself: its format, versions, how far each store was, and every file with its digest."""

from __future__ import annotations

import hashlib
from pathlib import Path, PurePosixPath
from typing import Any, Final

import msgspec

from monitor.commands import CommandRefused, NotThere
from monitor.leads import canonical_json

FORMAT: Final = 1
"""Format of backups this program writes; it restores this one and older ones."""

MANIFEST_NAME: Final = "manifest.json"


class BackupError(CommandRefused):
    """A backup cannot be made or used; the message says what is wrong with which file, and what to do."""


class BackupMissing(BackupError, NotThere):  # noqa: N818 - reads as the answer it is
    """There is no backup where one was named."""


class FileEntry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One file of a backup. `path` is relative, with slashes; `key` says that it is a secret key."""

    path: str
    bytes: int
    sha256: str
    key: bool = False


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """Everything but the digest of the manifest itself. Numbers are journal sequence numbers."""

    format: int
    made_at_ms: int
    made_by: str
    district: str
    journal_head: int
    history_cursor: int
    desk_cursor: int
    versions: dict[str, str]
    keys: bool
    files: list[FileEntry]


def write_manifest(directory: Path, manifest: Manifest) -> None:
    """Write the manifest beside the files, with a digest over itself."""
    plain: dict[str, Any] = msgspec.to_builtins(manifest)
    body = {**plain, "sha256": hashlib.sha256(canonical_json(plain)).hexdigest()}
    (directory / MANIFEST_NAME).write_bytes(msgspec.json.format(canonical_json(body), indent=1) + b"\n")


def read_manifest(directory: Path) -> Manifest:
    """The manifest of a backup. Raises BackupError where there is none, it was altered, or its format is newer."""
    path = directory / MANIFEST_NAME
    try:
        body = msgspec.json.decode(path.read_bytes())
    except OSError as error:
        raise BackupError(f"{directory} is not a backup: {MANIFEST_NAME} cannot be read ({error.strerror})") from error
    except msgspec.DecodeError as error:
        raise BackupError(f"{path} is damaged: {error}. Use another backup") from error
    if isinstance(body, dict) and isinstance(body.get("format"), int) and body["format"] > FORMAT:
        raise BackupError(
            f"{path} has backup format {body['format']}, this program knows up to {FORMAT}; install version "
            f"{body.get('made_by', 'that made it')} or newer, then restore"
        )
    said = body.pop("sha256", None) if isinstance(body, dict) else None
    if said != hashlib.sha256(canonical_json(body)).hexdigest():
        raise BackupError(f"{path} does not match its own digest: it was altered or damaged. Use another backup")
    try:
        manifest = msgspec.convert(body, Manifest)
    except msgspec.ValidationError as error:
        raise BackupError(f"{path} is not a manifest: {error}") from error
    for entry in manifest.files:
        if not _is_inside(entry.path):
            raise BackupError(f"{path} names a file outside of the backup: {entry.path!r}. Do not use this backup")
    return manifest


def file_digest(path: Path) -> str:
    """SHA-256 of a file, hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def check_files(directory: Path, manifest: Manifest) -> None:
    """Compare every file with the manifest. Raises BackupError naming the first that is missing, other, or too much."""
    for entry in manifest.files:
        path = directory / entry.path
        if path.is_symlink() or not path.is_file():
            raise BackupError(f"{path} is missing from the backup. Use another backup")
        size = path.stat().st_size
        if size != entry.bytes:
            raise BackupError(f"{path} has {size} bytes, not {entry.bytes}: it is damaged. Use another backup")
        if file_digest(path) != entry.sha256:
            raise BackupError(f"{path} does not match its digest: it is damaged. Use another backup")
    named = {entry.path for entry in manifest.files} | {MANIFEST_NAME}
    for path in sorted(directory.rglob("*")):
        name = path.relative_to(directory).as_posix()
        if not path.is_dir() and name not in named:
            raise BackupError(f"{path} is not part of the backup: it was put there later. Remove it, then restore")


def _is_inside(path: str) -> bool:
    parts = PurePosixPath(path).parts
    return bool(parts) and not path.startswith("/") and not {"..", "."} & set(parts) and "\\" not in path
