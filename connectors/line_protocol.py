"""InfluxDB line protocol, in our one encoder (rule P5): whole columns to ready bytes, no loop over readings.

We write numbers only: tags are escaped, field names are names of channels, and there are no string fields, in which
alone a quote would have to be escaped.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

_ESCAPES: Final = str.maketrans({"\\": "\\\\", ",": "\\,", " ": "\\ ", "=": "\\="})


def escaped(text: str) -> str:
    """A measurement, tag or field name, or a tag's value. Raises ValueError for an empty text, a line break or any
    other control character, which line protocol cannot carry."""
    if not text or not text.isprintable():
        raise ValueError(f"{text[:64]!r} cannot stand in line protocol: it is empty or holds a control character")
    return text.translate(_ESCAPES)


def series(measurement: str, tags: Mapping[str, str]) -> str:
    """The start of a line: measurement and tags in the order of their names; tags without a value are left out."""
    parts = [f"{escaped(name)}={escaped(value)}" for name, value in sorted(tags.items()) if value]
    return ",".join([escaped(measurement), *parts])


@dataclass(frozen=True, slots=True)
class Lines:
    """n encoded lines, one after the other, each with its line end."""

    text: memoryview
    ends: np.ndarray[Any, np.dtype[np.int64]]
    """Offset (n,) of each line's end in `text`."""

    def __len__(self) -> int:
        return len(self.ends)

    def some(self, first: int, last: int) -> bytes:
        """The lines from `first` up to and without `last`."""
        begin = int(self.ends[first - 1]) if first else 0
        return bytes(self.text[begin : int(self.ends[last - 1])]) if last > first else b""

    def batches(self, size: int) -> Iterator[tuple[int, int]]:
        """Bounds of batches of `size` lines; the last one takes what is left over, up to half a batch more."""
        first = 0
        while first < len(self):
            last = first + size if len(self) - first >= size + size // 2 else len(self)
            yield first, last
            first = last


def encode(prefix: pa.Array[Any], fields: Mapping[str, pa.Array[Any]], ts_ms: pa.Array[Any]) -> Lines:
    """Lines of n points: series (n,) as `series` made them, numeric columns (n,), stamps (n,) int64 in ms.

    A null, NaN or infinite value is left out of its point, and a point without any value gets no line. Floats are
    written as the shortest text that reads back as the same number; integers carry the suffix `i`.
    """
    texts = [_field(escaped(name), values) for name, values in fields.items()]
    kept = np.zeros(len(ts_ms), dtype=np.bool_)
    for text in texts:
        kept |= text.is_valid().to_numpy(zero_copy_only=False)
    if not kept.any():
        return Lines(memoryview(b""), np.zeros(0, dtype=np.int64))
    stamps = pc.cast(ts_ms, pa.string())
    if not kept.all():  # Arrow's join loses rows in which every part is null
        mask = pa.array(kept)
        prefix, stamps, texts = prefix.filter(mask), stamps.filter(mask), [text.filter(mask) for text in texts]
    joined = pc.binary_join_element_wise(*texts, ",", null_handling="skip") if len(texts) > 1 else texts[0]
    line = pc.binary_join_element_wise(prefix, joined, stamps, " ")
    whole = pc.binary_join_element_wise(line, "", "\n")
    offsets = np.frombuffer(whole.buffers()[1], dtype=np.int32)[whole.offset : whole.offset + len(whole) + 1]
    text = memoryview(whole.buffers()[2])[int(offsets[0]) : int(offsets[-1])]
    return Lines(text, offsets[1:].astype(np.int64) - int(offsets[0]))


def _field(name: str, values: pa.Array[Any]) -> pa.Array[Any]:
    if pa.types.is_floating(values.type):
        texts = pc.cast(pc.if_else(pc.is_finite(values), values, pa.scalar(None, values.type)), pa.string())
        return pc.binary_join_element_wise(f"{name}=", texts, "")
    return pc.binary_join_element_wise(f"{name}=", pc.cast(values, pa.string()), "i", "")
