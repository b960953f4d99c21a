"""Programs of the system that some tests need."""

from __future__ import annotations

import os
import shutil

import pytest


def needed_program(name: str, package: str) -> str:
    """Path of a program; skips the test where there is none, or fails it where GRIDWARDEN_NO_SKIP=1.

    `package` is the Debian package that brings it.
    """
    found = shutil.which(name) or shutil.which(name, path="/usr/sbin:/usr/local/sbin")
    if found is None:
        message = f"{name} is not installed (Debian package: {package})"
        if os.environ.get("GRIDWARDEN_NO_SKIP") == "1":
            pytest.fail(message)
        pytest.skip(message)
    return found
