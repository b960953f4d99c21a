"""Asking a detector: how long it took is told, and a fault of its own costs its answer alone."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from detectors.base import Context, Detector, LooksBack
from models.domain.clock import Clock
from models.domain.findings import Judgement
from models.domain.windows import Window
from monitor.scores import cannot_judge

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Examiner:
    """`on_evaluated` hears how long a detector took, in seconds, and `on_failed` that one raised."""

    clock: Clock
    on_evaluated: Callable[[str, float], None]
    on_failed: Callable[[str], None]

    def evaluate(self, detector: Detector, window: Window, context: Context) -> Judgement:
        """One detector's answer. A fault of its own costs its answer, never the intake or the other detectors."""
        began_s = self.clock.monotonic_s()
        try:
            judgement = detector.evaluate(window, context)
        except Exception:
            log.exception("detector %s failed on night %s: undetermined", detector.name, window.night.date)
            self.on_failed(detector.name)
            judgement = cannot_judge(detector.name, window)
        self.on_evaluated(detector.name, self.clock.monotonic_s() - began_s)
        return judgement

    def screen(self, detector: LooksBack, window: Window, context: Context) -> NDArray[np.bool_]:
        """The meters a detector's screen lets through; nobody where it fails."""
        began_s = self.clock.monotonic_s()
        try:
            passed = detector.screen(window, context)
        except Exception:
            log.exception("the screen of %s failed on night %s: nobody passes", detector.name, window.night.date)
            self.on_failed(detector.name)
            passed = np.zeros(len(window.meters), dtype=np.bool_)
        self.on_evaluated(detector.name, self.clock.monotonic_s() - began_s)
        return passed
