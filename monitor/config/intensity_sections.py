"""Settings of energy intensity, its forecast and the cross-checks of declared output."""

from __future__ import annotations

from pydantic import Field

from monitor.config.sections import Section


class IntensitySettings(Section):
    """When months are judged, and from where on a cross-check is worth a look. Limits themselves are rule packs."""

    close_after_days: int = Field(
        default=10,
        ge=0,
        le=60,
        description="A month is judged so many days after its end, by the readings' own time; later data revise it.",
    )
    forecast_every_days: int = Field(
        default=7, ge=0, le=31, description="How often the month that runs is forecast, in days; 0 for never."
    )
    forecast_lead: float | None = Field(
        default=None,
        ge=0.5,
        le=1.0,
        description="Probability from which a forecast alone makes a lead, marked as forecast; left out: never.",
    )
    peers_min: int = Field(default=8, ge=4, le=1000, description="Fewest plants of a trade and product to compare.")
    peers_deviations: float = Field(
        default=3.5, ge=2.0, le=20.0, description="Robust deviations above the median at which a plant stands out."
    )
    peers_excess: float = Field(
        default=0.5, ge=0.0, le=10.0, description="Least excess over the median of peers, as a share of it."
    )
    range_margin: float = Field(
        default=0.25, ge=0.0, le=2.0, description="How far above a process's usual range heats may lie, as a share."
    )
    heats_min: int = Field(default=10, ge=1, le=1000, description="Fewest heats of a furnace in a month to judge.")
