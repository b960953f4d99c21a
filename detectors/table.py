"""The detectors, one row each. A detector's fields are its settings."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from detectors.base import Detector
from detectors.consumption import Consumption
from detectors.furnace_melt import FurnaceMelt
from detectors.meter_silent import MeterSilent
from detectors.quality import Quality
from detectors.sealed_site import SealedSite
from models.domain.leads import LeadKind


@dataclass(frozen=True, slots=True)
class DetectorSpec:
    """How to build a detector, what it reads, which lead it may raise (None: none) and what people call it.

    `needs` names channels of which at least one must be in the window.
    """

    build: Callable[..., Detector]
    needs: frozenset[str]
    lead: LeadKind | None
    zh: str
    en: str
    doc: str


DETECTORS: Final[Mapping[str, DetectorSpec]] = MappingProxyType(
    {
        "quality": DetectorSpec(
            build=Quality,
            needs=Quality.needs,
            lead=None,
            zh="数据质量",
            en="data quality",
            doc="gaps, stuck values, spikes, register resets, ratio changes and clock suspicion of a meter",
        ),
        "sealed_site": DetectorSpec(
            build=SealedSite,
            needs=SealedSite.needs,
            lead=LeadKind.SEALED_SITE,
            zh="疑似关停后用电",
            en="suspected load at a sealed site",
            doc="a closed or power-cut site draws more than its standby load for a sustained time",
        ),
        "furnace_melt": DetectorSpec(
            build=FurnaceMelt,
            needs=FurnaceMelt.needs,
            lead=LeadKind.FURNACE_MELT,
            zh="疑似感应炉熔炼",
            en="suspected induction melting",
            doc="batch melting: regular cycles of equal energy, dips, instants that hit pauses, the P-Q circle",
        ),
        "meter_silent": DetectorSpec(
            build=MeterSilent,
            needs=MeterSilent.needs,
            lead=LeadKind.METER_SILENT,
            zh="疑似电表失联",
            en="silent meter",
            doc="a registered meter without a reading for two nights while its feed reports",
        ),
        "consumption": DetectorSpec(
            build=Consumption,
            needs=Consumption.needs,
            lead=LeadKind.CONSUMPTION,
            zh="疑似用电异常",
            en="suspected abnormal consumption",
            doc="level, night share, days of rest, contract, restart and stop against the meter's own past",
        ),
    }
)
"""Every detector by name, in the order they run."""
