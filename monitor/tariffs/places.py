"""Codes of other systems in the words of the rule packs: divisions (GB/T 2260) and trades (GB/T 4754-2017)."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

NATION: Final = "CN"

PROVINCES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "11": "CN-BJ", "12": "CN-TJ", "13": "CN-HE", "14": "CN-SX", "15": "CN-NM", "21": "CN-LN", "22": "CN-JL",
        "23": "CN-HL", "31": "CN-SH", "32": "CN-JS", "33": "CN-ZJ", "34": "CN-AH", "35": "CN-FJ", "36": "CN-JX",
        "37": "CN-SD", "41": "CN-HA", "42": "CN-HB", "43": "CN-HN", "44": "CN-GD", "45": "CN-GX", "46": "CN-HI",
        "50": "CN-CQ", "51": "CN-SC", "52": "CN-GZ", "53": "CN-YN", "54": "CN-XZ", "61": "CN-SN", "62": "CN-GS",
        "63": "CN-QH", "64": "CN-NX", "65": "CN-XJ",
    }
)  # fmt: skip
"""Region of the packs by the first two digits of a division's code."""

TRADES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "3011": "cement",
        "3110": "iron_and_steel",
        "3120": "iron_and_steel",
        "3130": "iron_and_steel",
        "3140": "ferroalloy",
        "3211": "copper_smelting",
        "3214": "tin_smelting",
        "3215": "antimony_smelting",
        "3217": "magnesium_smelting",
        "2521": "coke",
        "3041": "flat_glass",
        "3031": "fired_brick",
        "4411": "coal_power",
        "0610": "coal_mining",
    }
)
"""Industry of the packs by trade, where a trade is one industry: 3216 is alumina and aluminium, 3212 lead and zinc."""


def region_of(district: str) -> str:
    """The province of a division's code of six digits; `CN` where the code is none."""
    is_code = len(district) >= 6 and district[:6].isdigit()
    return PROVINCES.get(district[:2], NATION) if is_code else NATION


def industry_of_trade(trade: str) -> str | None:
    """The industry of a trade code, with or without its section letter; None where it does not tell."""
    return TRADES.get(trade.lstrip("ABCDEFGHIJKLMNOPQRST"))
