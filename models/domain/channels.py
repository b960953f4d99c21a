"""The channels a reading may carry: name, kind, unit and the range outside which a value is refused.

Instant, interval mean, register and maximum demand are different things and are never merged. Ranges are wide
plausibility limits (judgement): they catch sentinels and unit mistakes, not unusual loads.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Final


class ChannelKind(StrEnum):
    """How a value relates to its interval."""

    INSTANT = "instant"
    MEAN = "mean"
    REGISTER = "register"
    DEMAND = "demand"


@dataclass(frozen=True, slots=True)
class ChannelSpec:
    """One channel: `low` and `high` are inclusive; `plain` marks what an ordinary meter delivers."""

    name: str
    kind: ChannelKind
    unit: str
    low: float
    high: float
    meaning: str
    plain: bool = True


_POWER_KW: Final = 2_000_000.0
_REGISTER_MAX: Final = 1e12


def _instants() -> list[ChannelSpec]:
    instant = ChannelKind.INSTANT
    rows = [
        ChannelSpec("p_kw", instant, "kW", -_POWER_KW, _POWER_KW, "active power at the tick, import positive"),
        ChannelSpec("pa_kw", instant, "kW", -_POWER_KW, _POWER_KW, "active power of phase a"),
        ChannelSpec("pb_kw", instant, "kW", -_POWER_KW, _POWER_KW, "active power of phase b"),
        ChannelSpec("pc_kw", instant, "kW", -_POWER_KW, _POWER_KW, "active power of phase c"),
        ChannelSpec("q_kvar", instant, "kvar", -_POWER_KW, _POWER_KW, "reactive power, inductive positive"),
    ]
    rows += [ChannelSpec(f"u{ph}_v", instant, "V", 0.0, 600_000.0, f"voltage of phase {ph}") for ph in "abc"]
    rows += [ChannelSpec(f"i{ph}_a", instant, "A", -100_000.0, 100_000.0, f"current of phase {ph}") for ph in "abc"]
    rows += [
        ChannelSpec("f_hz", instant, "Hz", 0.0, 100.0, "mains frequency"),
        ChannelSpec("pf", instant, "1", -1.0, 1.0, "power factor"),
    ]
    return rows


def _harmonics() -> list[ChannelSpec]:
    instant = ChannelKind.INSTANT
    rows = [ChannelSpec("thdi_pct", instant, "%", 0.0, 1000.0, "current distortion, mean of the phases", plain=False)]
    rows += [
        ChannelSpec(f"thdi_{ph}_pct", instant, "%", 0.0, 1000.0, f"current distortion of phase {ph}", plain=False)
        for ph in "abc"
    ]
    rows += [
        ChannelSpec(f"h{order}_pct", instant, "%", 0.0, 1000.0, f"current harmonic {order}", plain=False)
        for order in range(2, 26)
    ]
    rows += [
        ChannelSpec(f"ih{group}_pct", instant, "%", 0.0, 1000.0, f"current interharmonic group {group}", plain=False)
        for group in range(1, 25)
    ]
    return rows


def _registers() -> list[ChannelSpec]:
    register = ChannelKind.REGISTER
    rows = [
        ChannelSpec("e_imp_kwh", register, "kWh", 0.0, _REGISTER_MAX, "imported energy, cumulative"),
        ChannelSpec("e_exp_kwh", register, "kWh", 0.0, _REGISTER_MAX, "exported energy, cumulative"),
    ]
    rows += [
        ChannelSpec(f"e_q{q}_kvarh", register, "kvarh", 0.0, _REGISTER_MAX, f"reactive energy of quadrant {q}")
        for q in range(1, 5)
    ]
    return rows


CHANNELS: Final[Mapping[str, ChannelSpec]] = MappingProxyType(
    {
        spec.name: spec
        for spec in [
            *_instants(),
            ChannelSpec("p_mean_kw", ChannelKind.MEAN, "kW", -_POWER_KW, _POWER_KW, "active power, interval mean"),
            *_registers(),
            ChannelSpec("dmd_kw", ChannelKind.DEMAND, "kW", 0.0, _POWER_KW, "maximum demand"),
            *_harmonics(),
        ]
    }
)
"""Every channel by name, in the order of the published schema."""

REGISTERS: Final[tuple[str, ...]] = tuple(n for n, s in CHANNELS.items() if s.kind is ChannelKind.REGISTER)
PLAIN: Final[tuple[str, ...]] = tuple(n for n, s in CHANNELS.items() if s.plain)
