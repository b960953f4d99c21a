"""Certificates for tests: an authority, a broker called 127.0.0.1 and a client called gridwarden."""

from __future__ import annotations

import subprocess
from pathlib import Path

from tests.support.programs import needed_program


class Certificates:
    """Makes the files in `folder` with openssl; skips the test when there is none, or fails by GRIDWARDEN_NO_SKIP."""

    def __init__(self, folder: Path) -> None:
        self._openssl = needed_program("openssl", "openssl")
        self._folder = folder
        folder.mkdir(parents=True)
        self.ca, self._ca_key = folder / "ca.pem", folder / "ca.key"
        self._run(
            "req", "-x509", "-days", "2", *self._new_key(self._ca_key), "-subj", f"/CN=authority of {folder.name}",
            "-addext", "keyUsage=critical,keyCertSign", "-out", str(self.ca),
        )  # fmt: skip
        self.server, self.server_key = self._issue("broker", "subjectAltName=IP:127.0.0.1")
        self.client, self.client_key = self._issue("gridwarden", "extendedKeyUsage=clientAuth")

    def _issue(self, name: str, extension: str) -> tuple[Path, Path]:
        certificate, key, request = (self._folder / f"{name}.{kind}" for kind in ("pem", "key", "csr"))
        extensions = self._folder / f"{name}.ext"
        extensions.write_text(extension + "\n")
        self._run("req", *self._new_key(key), "-subj", f"/CN={name}", "-out", str(request))
        self._run(
            "x509", "-req", "-days", "2", "-in", str(request), "-CA", str(self.ca), "-CAkey", str(self._ca_key),
            "-CAcreateserial", "-extfile", str(extensions), "-out", str(certificate),
        )  # fmt: skip
        return certificate, key

    @staticmethod
    def _new_key(path: Path) -> tuple[str, ...]:
        return ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", str(path))

    def _run(self, *arguments: str) -> None:
        subprocess.run([self._openssl, *arguments], check=True, capture_output=True, timeout=30)
