"""A change of a flag as a CloudEvent 1.0, structured JSON: the bytes that every sink sends.

Only what is to be billed, or what a person must look at before it can be, is told of: a flag that appears, changes or
goes. What lacks data or a verified rule stands in the lists.
"""

from __future__ import annotations

import datetime as dt
import hashlib
from typing import Final

from cloudevents.core.formats.json import JSONFormat
from cloudevents.core.v1.event import CloudEvent

from monitor.desk.events import Notice
from monitor.leads import canonical_json
from monitor.tariffs.flag import Flag, FlagChange, flag_dict

_FORMAT: Final = JSONFormat()


def told_change(before: Flag | None, after: Flag) -> FlagChange | None:
    """What receivers are to hear of when a flag comes to say something else; None for nothing."""
    if before is None or not before.is_told:
        return FlagChange.RAISED if after.is_told else None
    return FlagChange.AMENDED if after.is_told else FlagChange.WITHDRAWN


def flag_notice(district: str, change: FlagChange, event_ms: int, flag: Flag, before: Flag | None, rev: int) -> Notice:
    """The event of one revision. Its time is the end of the period, so that the same change gives the same bytes.

    `data` is the flag with its `revision`, and under `before` what it said until then: status, rule, tier, surcharge,
    kWh and amount. The key covers the content: a receiver can tell a repeat from another history.
    """
    facts = ("status", "rule", "tier", "surcharge_cny_per_kwh", "kwh", "amount_cny")
    old = None if before is None else {name: flag_dict(before)[name] for name in facts}
    data = {**flag_dict(flag), "revision": rev, "before": old}
    key = hashlib.sha256(f"{flag.id}\x1f{rev}\x1f{change.value}\x1f".encode() + canonical_json(data)).hexdigest()
    event = CloudEvent(
        {
            "specversion": "1.0",
            "id": key,
            "source": f"urn:gridwarden:{district}",
            "type": change.event_type,
            "subject": flag.id,
            "time": dt.datetime.fromtimestamp(event_ms / 1000.0, dt.UTC),
            "datacontenttype": "application/json",
        },
        data,
    )
    return Notice(key, flag.id, change.event_type, _FORMAT.write(event))
