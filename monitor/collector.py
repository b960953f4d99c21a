"""The garbage collector and the register: millions of objects that live as long as the process.

Left alone, the collector walks all of them again and again while they are made, and then every few minutes for as long
as the daemon runs, which stops intake for a second at a million meters.
"""

from __future__ import annotations

import contextlib
import gc
from collections.abc import Iterator


@contextlib.contextmanager
def collector_paused() -> Iterator[None]:
    """Nothing is collected meanwhile: for making many objects that stay."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


@contextlib.contextmanager
def collector_spared() -> Iterator[None]:
    """What lives at the beginning is not looked at until the end: for the work of a process that has started."""
    gc.collect()
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()
