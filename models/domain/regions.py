"""From a district's code of administrative division (GB/T 2260) to the region the rule packs speak of."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

_CODES: Final = (
    "11BJ 12TJ 13HE 14SX 15NM 21LN 22JL 23HL 31SH 32JS 33ZJ 34AH 35FJ 36JX 37SD 41HA 42HB 43HN 44GD 45GX 46HI 50CQ "
    "51SC 52GZ 53YN 54XZ 61SN 62GS 63QH 64NX 65XJ"
)
_PROVINCES: Final[Mapping[str, str]] = MappingProxyType({code[:2]: code[2:] for code in _CODES.split()})
_PEARL_RIVER_DELTA: Final = frozenset({"4401", "4403", "4404", "4406", "4407", "4412", "4413", "4419", "4420"})


def region_of_district(district: str) -> str:
    """`CN-ZJ` for `330122`, `CN-GD-PRD` for a city of the Pearl River Delta; `CN` where the code says no province."""
    if not (district.isdigit() and district.isascii()) or district[:2] not in _PROVINCES:
        return "CN"
    region = f"CN-{_PROVINCES[district[:2]]}"
    return f"{region}-PRD" if district[:4] in _PEARL_RIVER_DELTA else region
