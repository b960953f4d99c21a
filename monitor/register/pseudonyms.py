"""Names of customers replaced by stable pseudonyms on import, and the file that leads back, kept by the office.

A pseudonym is an HMAC-SHA-256 of what it stands for, under a key the office keeps: the same name always gives the same
pseudonym, and without key or mapping nobody gets from the one to the other, not even by trying names.

Replaced: names of enterprises, sites and feeders, addresses, and every unified social credit code, which leads
to the name in the public register within a minute (and for a 个体工商户 to a natural person). A pseudonymous code is
well formed and has the administrative division 000000, which no real one has. Ids of sites and meters stay: the wire
carries them.
"""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import hmac
import os
import re
import secrets
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import msgspec

from models.domain.codes import USCC_ALPHABET, uscc_check_character
from models.domain.register import RegisterRows
from monitor.config.secret_files import SecretFileError, read_secret
from monitor.storage import sync_directory

KEY_BYTES: Final = 32
LEAST_KEY_CHARACTERS: Final = 32
_CHARACTERS: Final = 12
_USCC_HEAD: Final = "91000000"
_PREFIXES: Final = {"enterprise": "企业-", "site": "厂区-", "address": "地址-", "feeder": "线路-"}
_PSEUDONYM: Final = re.compile(
    rf"(?:{'|'.join(_PREFIXES.values())})[A-Z2-7]{{{_CHARACTERS}}}|{_USCC_HEAD}[{USCC_ALPHABET}]{{10}}"
)


@dataclass
class Pseudonymiser:
    """Replaces, and remembers what it replaced: `mapping` leads from pseudonym to clear text."""

    _key: bytes = field(repr=False)
    mapping: dict[str, str] = field(default_factory=dict, repr=False)

    @classmethod
    def open(cls, key_file: Path) -> Pseudonymiser:
        """With the key of a file, which is made (mode 0600) where there is none. Raises SecretFileError, OSError."""
        if not key_file.exists():
            _write_secret(key_file, secrets.token_hex(KEY_BYTES).encode() + b"\n")
        key = read_secret(key_file)
        if len(key) < LEAST_KEY_CHARACTERS:
            raise SecretFileError(f"{key_file} is too short for a key", "Name a file that is not there: one is made.")
        return cls(key)

    def rows(self, rows: RegisterRows) -> RegisterRows:
        """The register with every personal or company name, address and credit code replaced."""
        return dataclasses.replace(
            rows,
            enterprises=tuple(
                dataclasses.replace(row, uscc=self.uscc(row.uscc), name=self.text("enterprise", row.name))
                for row in rows.enterprises
            ),
            sites=tuple(
                dataclasses.replace(
                    row,
                    uscc=self.uscc(row.uscc),
                    name=self.text("site", row.name),
                    address=self.text("address", row.address),
                )
                for row in rows.sites
            ),
            feeders=tuple(dataclasses.replace(row, name=self.text("feeder", row.name)) for row in rows.feeders),
            declared=tuple(dataclasses.replace(row, uscc=self.uscc(row.uscc)) for row in rows.declared),
        )

    def text(self, kind: str, clear: str) -> str:
        """The pseudonym of a name; empty stays empty. Names that look the same (NFKC, no spaces) give the same one."""
        if not clear:
            return clear
        plain = "".join(unicodedata.normalize("NFKC", clear).split())
        digest = base64.b32encode(self._digest(kind, plain)).decode()[:_CHARACTERS]
        pseudonym = _PREFIXES[kind] + digest
        self.mapping[pseudonym] = clear
        return pseudonym

    def uscc(self, clear: str) -> str:
        """A well-formed code of a division that does not exist."""
        number = int.from_bytes(self._digest("uscc", clear), "big")
        body = ""
        for _ in range(9):
            number, rest = divmod(number, len(USCC_ALPHABET))
            body += USCC_ALPHABET[rest]
        pseudonym = _USCC_HEAD + body
        pseudonym += uscc_check_character(pseudonym)
        self.mapping[pseudonym] = clear
        return pseudonym

    def _digest(self, kind: str, plain: str) -> bytes:
        return hmac.new(self._key, f"gridwarden-pseudonym-1\x1f{kind}\x1f{plain}".encode(), hashlib.sha256).digest()


def read_mapping(path: Path) -> dict[str, str]:
    """Clear text by pseudonym. Raises SecretFileError where the file is open to others, or no mapping."""
    if path.exists() and path.stat().st_mode & 0o077:
        raise SecretFileError(f"{path} has mode {path.stat().st_mode & 0o777:04o}, open to others", f"chmod 600 {path}")
    try:
        return msgspec.json.decode(path.read_bytes(), type=dict[str, str])
    except msgspec.DecodeError as error:
        raise SecretFileError(f"{path} is no mapping: {error}", "Name the file that the import wrote.") from error
    except OSError as error:
        said = error.strerror or "cannot be read"
        raise SecretFileError(f"{path}: {said}", "Name the file that the import wrote.") from error


def add_to_mapping(path: Path, mapping: dict[str, str]) -> int:
    """Add to the mapping file (mode 0600), whole or not at all; returns how many entries it has now."""
    known = read_mapping(path) if path.exists() else {}
    merged = {**known, **mapping}
    _write_secret(path, msgspec.json.format(msgspec.json.encode(merged, order="sorted"), indent=1) + b"\n")
    return len(merged)


def revealed(text: str, mapping: Mapping[str, str]) -> tuple[str, int]:
    """The text with every pseudonym in it replaced by what it stands for, and how many were."""
    found = 0

    def clear(match: re.Match[str]) -> str:
        nonlocal found
        if match[0] not in mapping:
            return match[0]
        found += 1
        return mapping[match[0]]

    return _PSEUDONYM.sub(clear, text), found


def _write_secret(path: Path, content: bytes) -> None:
    unfinished = path.with_name(f".{path.name}.new")
    unfinished.unlink(missing_ok=True)
    descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    unfinished.replace(path)
    sync_directory(path.absolute().parent)
