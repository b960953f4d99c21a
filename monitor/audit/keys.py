"""The key that signs checkpoints: Ed25519, made at the first start, or one that a setting names (rules L3, L4)."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import logging
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from monitor.config.secret_files import SecretFileError, read_secret
from monitor.storage import disk_errors, sync_directory

log = logging.getLogger(__name__)

KEY_NAME: Final = "checkpoint-key.pem"
PUBLIC_NAME: Final = "checkpoint-key.pub"
FORMER_PATTERN: Final = "checkpoint-key-*.pub"
"""Public halves of keys that signed before the present one, named by their fingerprint."""


@dataclass(frozen=True, slots=True)
class PublicKey:
    """Whom a checkpoint's signature is compared with."""

    raw: bytes

    @classmethod
    def from_text(cls, text: str) -> Self:
        """From PEM, or from the base64 of the 32 bytes. Raises ValueError."""
        if "-----BEGIN" in text:
            key = serialization.load_pem_public_key(text.encode())
            if not isinstance(key, Ed25519PublicKey):
                raise ValueError("not an Ed25519 public key")
            return cls(key.public_bytes_raw())
        raw = base64.b64decode(text.strip(), validate=True)
        if len(raw) != 32:
            raise ValueError("an Ed25519 public key has 32 bytes")
        return cls(raw)

    @property
    def text(self) -> str:
        """Base64 of the 32 bytes."""
        return base64.b64encode(self.raw).decode()

    @property
    def fingerprint(self) -> str:
        """The first 16 hexadecimal digits of its SHA-256: short enough to read out over the telephone."""
        return hashlib.sha256(self.raw).hexdigest()[:16]

    def signed(self, message: bytes, signature: bytes) -> bool:
        """Whether the signature is this key's over the message."""
        try:
            Ed25519PublicKey.from_public_bytes(self.raw).verify(signature, message)
        except (InvalidSignature, ValueError):
            return False
        return True


@dataclass(frozen=True, slots=True)
class SigningKey:
    """The private key, never shown."""

    _key: Ed25519PrivateKey

    @classmethod
    def open(cls, state_dir: Path, key_file: Path | None) -> Self:
        """The configured key, else the state directory's own, made with mode 0600 where there is none.

        The public half is written beside the state; that of another key is kept under its fingerprint, so that what it
        signed can still be verified. Raises SecretFileError, or what the disk raises.
        """
        path = key_file if key_file is not None else state_dir / KEY_NAME
        if key_file is None and not path.exists():
            _make(path)
        signing = cls(_private(path))
        public = state_dir / PUBLIC_NAME
        pem = signing._key.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        if not public.is_file() or public.read_bytes() != pem:
            _keep_former(state_dir, signing.public)
            _write(public, pem, mode=0o644)
        return signing

    @classmethod
    def read(cls, path: Path) -> Self:
        """The key of a file. Raises SecretFileError."""
        return cls(_private(path))

    @property
    def public(self) -> PublicKey:
        return PublicKey(self._key.public_key().public_bytes_raw())

    def sign(self, message: bytes) -> bytes:
        """The signature, 64 bytes; the same message always gives the same one."""
        return self._key.sign(message)


def stored_public_key(state_dir: Path) -> PublicKey | None:
    """The public key that lies in a state directory, None where there is none. Raises ValueError."""
    path = state_dir / PUBLIC_NAME
    return PublicKey.from_text(path.read_text("ascii")) if path.is_file() else None


def former_public_keys(state_dir: Path) -> tuple[PublicKey, ...]:
    """Public keys that signed here before the present one; a file that holds none is passed over."""
    found = []
    for path in sorted(state_dir.glob(FORMER_PATTERN)):
        with contextlib.suppress(ValueError):
            found.append(PublicKey.from_text(path.read_text("ascii")))
    return tuple(found)


def _keep_former(state_dir: Path, present: PublicKey) -> None:
    try:
        stored = stored_public_key(state_dir)
    except ValueError:
        return
    if stored is not None and stored != present:
        former = state_dir / FORMER_PATTERN.replace("*", stored.fingerprint)
        _write(former, (state_dir / PUBLIC_NAME).read_bytes(), mode=0o644)
        log.warning(
            "checkpoints were signed by the key %s, from now on by %s; the former public key is kept as %s",
            stored.fingerprint, present.fingerprint, former.name,
        )  # fmt: skip


def _private(path: Path) -> Ed25519PrivateKey:
    try:
        key = serialization.load_pem_private_key(read_secret(path), password=None)
    except (ValueError, TypeError) as error:
        raise SecretFileError(
            f"{path} holds no private key", "Put an Ed25519 key in PEM without a password there."
        ) from error
    if not isinstance(key, Ed25519PrivateKey):
        raise SecretFileError(f"{path} holds a key of another kind", "Put an Ed25519 key in PEM there.")
    return key


def _make(path: Path) -> None:
    pem = Ed25519PrivateKey.generate().private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    _write(path, pem, mode=0o600)


def _write(path: Path, content: bytes, *, mode: int) -> None:
    """Whole or not at all."""
    unfinished = path.with_name(path.name + ".new")
    with disk_errors(path):
        unfinished.unlink(missing_ok=True)
        descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        unfinished.replace(path)
        sync_directory(path.parent)
