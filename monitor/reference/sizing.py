"""How much disk a district needs: measured bytes a reading, and the table made of them.

A test measures the same with the real stores and holds these figures within a quarter.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Final

from models.learned.features import FEATURES
from monitor.config.keeping_sections import RetentionSettings

JOURNAL_BYTES: Final[Mapping[int, float]] = MappingProxyType({3: 16.3, 12: 41.5})
"""Bytes a reading of so many channels takes in the journal, sent in rows of 100 a message."""

HISTORY_BYTES: Final[Mapping[int, float]] = MappingProxyType({3: 6.8, 12: 20.3})
"""Bytes the same reading takes in sealed days."""

FEATURE_BYTES: Final = 4.0 * len(FEATURES)
"""Bytes the features of a meter and night take."""

LEAD_BYTES: Final = 40_000
"""About what a lead takes in the desk with its revisions, findings and notices."""

LEADS_PER_METER_YEAR: Final = 0.1
METERS: Final = (10_000, 100_000, 1_000_000)
CADENCES_S: Final = (900, 60)
HOT_DAYS: Final = 9
HOT_FACTOR: Final = 2.0
"""Days not yet sealed lie in the DuckDB file, about twice as large as sealed."""

_MONTH_DAYS: Final = 30.4
_YEARS: Final = 10
_GB: Final = 1e9


def daily_bytes(meters: int, cadence_s: int, channels: int) -> tuple[float, float, float]:
    """Bytes a day: journal, sealed history, features."""
    readings = meters * 86_400 / cadence_s
    return readings * JOURNAL_BYTES[channels], readings * HISTORY_BYTES[channels], meters * FEATURE_BYTES


def kept_bytes(meters: int, cadence_s: int, channels: int, retention: RetentionSettings) -> dict[str, float]:
    """Bytes by store once everything is as old as it gets; the desk after ten years."""
    journal, history, features = daily_bytes(meters, cadence_s, channels)
    return {
        "journal": journal * (retention.journal_months + 1) * _MONTH_DAYS,
        "history": history * (retention.history_days + HOT_DAYS * HOT_FACTOR),
        "features": features * retention.feature_nights,
        "desk": meters * LEADS_PER_METER_YEAR * LEAD_BYTES * _YEARS,
    }


def sizing_lines() -> Iterator[str]:
    """The page docs/reference/disk-sizes.md."""
    kept = RetentionSettings()
    yield "# Disk sizes"
    yield ""
    yield (
        f"Gigabytes once every store is as old as `[retention]` lets it get: journal {kept.journal_months} months, "
        f"history {kept.history_days} days, features {kept.feature_nights} nights, desk after ten years. Readings come "
        "in rows of 100 a message; one a message takes about four times as much journal, Arrow about half."
    )
    yield ""
    yield "| meters | every | channels | journal GB/day | history GB/day | journal | history | features | desk | all |"
    yield "|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|"
    for meters in METERS:
        for cadence_s in CADENCES_S:
            for channels in JOURNAL_BYTES:
                journal, history, _ = daily_bytes(meters, cadence_s, channels)
                sizes = kept_bytes(meters, cadence_s, channels, kept)
                cells = [
                    f"{meters:,}",
                    f"{cadence_s // 60} min",
                    str(channels),
                    *(_gb(value) for value in (journal, history, *sizes.values(), sum(sizes.values()))),
                ]
                yield f"| {' | '.join(cells)} |"
    yield ""
    yield (
        f"Measured: {JOURNAL_BYTES[3]} and {JOURNAL_BYTES[12]} bytes a reading of 3 and 12 channels in the journal, "
        f"{HISTORY_BYTES[3]} and {HISTORY_BYTES[12]} in the history, {FEATURE_BYTES:.0f} a meter and night of "
        f"features, about {LEAD_BYTES // 1000} kB a lead in the desk ({LEADS_PER_METER_YEAR:g} leads a meter and year "
        "assumed). A test measures them again and holds the table within a quarter."
    )
    yield ""
    yield (
        "Add a backup of the same size on another disk for each one kept, 64 MiB of reserve, and half as much again "
        "for what grows. `gridwarden doctor` compares the growth it sees with what is free."
    )


def _gb(value: float) -> str:
    gigabytes = value / _GB
    return f"{gigabytes:,.0f}" if gigabytes >= 10 else f"{gigabytes:.2g}"
