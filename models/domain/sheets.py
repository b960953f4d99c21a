"""Rows of a large sheet kept as columns: a row becomes an object only when asked for, so that a million cost little."""

from __future__ import annotations

import dataclasses
import itertools
import operator
from array import array
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping, Sequence
from operator import attrgetter
from typing import Any, Final, Generic, TypeVar, overload

import numpy as np

MIN_ROWS: Final = 1000
"""Shorter sheets stay tuples of rows."""
_MANY_TEXTS: Final = 1000
_CHUNK_ROWS: Final = 4096


R = TypeVar("R")


class _Book(dict[Any, int]):
    """Distinct values and the number of each, in the order they came."""

    def __missing__(self, key: object) -> int:
        self[key] = number = len(self)
        return number


class _Texts:
    """Strings end to end."""

    __slots__ = ("_ends", "_text")

    def __init__(self) -> None:
        self._text: bytes | bytearray = bytearray()
        self._ends = array("Q", [0])

    def extend(self, values: Iterable[str]) -> None:
        words = [value.encode() for value in values]
        self._text += b"".join(words)
        self._ends.extend(itertools.islice(itertools.accumulate(map(len, words), initial=self._ends[-1]), 1, None))

    def close(self) -> None:
        """No value follows."""
        self._text = bytes(self._text)

    def __getitem__(self, at: int) -> str:
        return self._text[self._ends[at] : self._ends[at + 1]].decode()

    def __iter__(self) -> Iterator[str]:
        text = self._text
        return (text[start:end].decode() for start, end in itertools.pairwise(self._ends))


class _Coded:
    """Values of which few differ: each is kept once, and by its type, for 1, 1.0 and True are equal."""

    __slots__ = ("_book", "_codes", "_texts", "_values")

    def __init__(self) -> None:
        self._book = _Book()
        self._values: Sequence[Any] = ()
        self._codes = array("I")
        self._texts = True

    def extend(self, values: Sequence[object]) -> None:
        plain = set(map(type, values)) == {str}
        self._texts = self._texts and plain
        keys: Iterable[Any] = values if plain else zip(map(type, values), values, strict=True)
        self._codes.extend(map(self._book.__getitem__, keys))

    @property
    def too_many(self) -> bool:
        """Whether most of the values differ, and all are texts."""
        return self._texts and len(self._book) > max(_MANY_TEXTS, len(self._codes) // 2)

    def as_texts(self) -> _Texts:
        """The same values as texts."""
        texts, words = _Texts(), list(self._book)
        texts.extend(words[code] for code in self._codes)
        return texts

    def close(self) -> None:
        """No value follows."""
        self._values = tuple(key if type(key) is str else key[1] for key in self._book)
        self._book = _Book()
        for size in "BH":
            if len(self._values) <= 1 << 8 * array(size).itemsize:
                self._codes = array(size, self._codes)
                return

    def __getitem__(self, at: int) -> Any:
        return self._values[self._codes[at]]

    def __iter__(self) -> Iterator[Any]:
        return map(self._values.__getitem__, self._codes)


class Sheet(Sequence[R], Generic[R]):
    """Rows of one dataclass, immutable; equal to any sequence of equal rows. Two look-ups give two equal objects."""

    __slots__ = ("_columns", "_kind", "_n")

    def __init__(self, kind: type[R], rows: Iterable[R]) -> None:
        self._kind = kind
        names = [field.name for field in dataclasses.fields(kind)]  # type: ignore[arg-type]  # rows are dataclasses
        columns: list[_Coded | _Texts] = [_Coded() for _ in names]
        self._n = 0
        remaining, values_of = iter(rows), attrgetter(*names)
        while chunk := [values_of(row) for row in itertools.islice(remaining, _CHUNK_ROWS)]:
            self._n += len(chunk)
            for place, values in enumerate(zip(*chunk, strict=True)):
                column = columns[place]
                column.extend(values)
                if isinstance(column, _Coded) and column.too_many:
                    columns[place] = column.as_texts()
        for column in columns:
            column.close()
        self._columns: Mapping[str, _Coded | _Texts] = dict(zip(names, columns, strict=True))

    def column(self, name: str) -> Iterator[Any]:
        """One field of every row, in order."""
        return iter(self._columns[name])

    def value(self, at: int, name: str) -> Any:
        """One field of one row; `at` counts from 0."""
        return self._columns[name][at]

    def __len__(self) -> int:
        return self._n

    @overload
    def __getitem__(self, index: int) -> R: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[R, ...]: ...
    def __getitem__(self, index: int | slice) -> R | tuple[R, ...]:
        if isinstance(index, slice):
            return tuple(self[at] for at in range(self._n)[index])
        at = range(self._n)[index]
        return self._kind(**{name: column[at] for name, column in self._columns.items()})

    def __iter__(self) -> Iterator[R]:
        names = tuple(self._columns)
        for values in zip(*self._columns.values(), strict=True):
            yield self._kind(**dict(zip(names, values, strict=True)))

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Sequence):
            return NotImplemented
        return len(self) == len(other) and all(map(operator.eq, self, other))

    def __hash__(self) -> int:
        return hash(tuple(self))

    def __repr__(self) -> str:
        return f"Sheet of {self._n} {self._kind.__name__} rows"


def packed(kind: type[R], rows: Sequence[R] | Iterable[R]) -> Sequence[R]:
    """The rows as a tuple where there are few, else as a `Sheet`."""
    remaining = iter(rows)
    first = tuple(itertools.islice(remaining, MIN_ROWS))
    return first if len(first) < MIN_ROWS else Sheet(kind, itertools.chain(first, remaining))


def column(rows: Sequence[R], name: str) -> Iterator[Any]:
    """One field of every row, without making the rows where they are a `Sheet`."""
    return rows.column(name) if isinstance(rows, Sheet) else map(attrgetter(name), rows)


class RowsBy(Mapping[str, Sequence[R]]):
    """Rows of a sheet by one of their text fields, each group in the sheet's order.

    Kept are hashes and positions, twelve bytes a row, not the groups.
    """

    def __init__(self, rows: Sequence[R], name: str) -> None:
        self._rows = rows
        self._name = name
        hashes = np.fromiter(map(hash, column(rows, name)), np.int64, len(rows))
        order = np.argsort(hashes, kind="stable")
        self._hashes = array("q", hashes[order].tobytes())
        self._at = array("i", order.astype(np.intc).tobytes())
        self._last: tuple[str | None, Sequence[R]] = (None, ())

    def __getitem__(self, key: str) -> Sequence[R]:
        found = self._found(key)
        if not found:
            raise KeyError(key)
        return found

    def get(self, key: str, default: Any = None) -> Any:
        """The rows of a key, `default` where it has none."""
        return self._found(key) or default

    def _found(self, key: str) -> Sequence[R]:
        """The key's rows; those of the key asked for last are at hand, as one subject is mostly asked for in a row."""
        last = self._last
        if last[0] != key:
            last = self._last = (key, tuple(self._rows[at] for at in self.places(key)))
        return last[1]

    def places(self, key: str) -> list[int]:
        """Positions of the key's rows in the sheet."""
        wanted, hashes, rows, name = hash(key), self._hashes, self._rows, self._name
        places = []
        for i in range(bisect_left(hashes, wanted), len(hashes)):
            if hashes[i] != wanted:
                break
            at = self._at[i]
            if (rows.value(at, name) if isinstance(rows, Sheet) else getattr(rows[at], name)) == key:
                places.append(at)
        return places

    def __contains__(self, key: object) -> bool:
        return isinstance(key, str) and bool(self.places(key))

    def __iter__(self) -> Iterator[str]:
        return iter(dict.fromkeys(column(self._rows, self._name)))

    def __len__(self) -> int:
        return len(dict.fromkeys(column(self._rows, self._name)))
