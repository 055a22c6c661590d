"""Sets of small numbers as bits of one whole number, and columns of numbers as planes of such bits.

Python's whole numbers are as long as they must be, and `&`, `|` and counting their bits run at the speed of the
machine: a question about a million calls is a few hundred such operations. A set holds numbers from 0 to `BLOCK` - 1;
what is larger is cut into blocks by whoever stores it.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Iterable, Iterator, Sequence
from typing import Final, Literal, overload

import attrs

BLOCK: Final = 16_384
"""How many numbers one set covers: 2 KB where every bit has to be written."""
FULL: Final = (1 << BLOCK) - 1

PLANES_LIMIT: Final = 50
"""The most binary digits that a column keeps of a number; a larger one counts as the largest."""
NUMBER_LIMIT: Final = (1 << PLANES_LIMIT) - 1

_MEMBERS, _RUNS, _BITS = b"m", b"r", b"b"

_DIGITS: Final = tuple(bytes(ord("0") + (byte >> place & 1) for byte in range(256)) for place in range(8))
"""For each place of a binary digit: which digit every byte has there, written out."""
_PRESENT_PLACE: Final = 63
_IS_PRESENT: Final = 1 << _PRESENT_PLACE
_put_word = struct.Struct("<Q").pack_into

Comparison = Literal["eq", "lt", "gt", "lte", "gte"]


def mask_of(members: Iterable[int]) -> int:
    """The set of some numbers."""
    bits = bytearray(BLOCK // 8)
    for member in members:
        bits[member >> 3] |= 1 << (member & 7)
    return int.from_bytes(bits, "little")


def between(lowest: int, highest: int) -> int:
    """The set of the numbers from `lowest` to `highest`, both included; empty where there are none."""
    return 0 if highest < lowest else (1 << (highest + 1)) - (1 << lowest)


def members_up(mask: int) -> Iterator[int]:
    """The numbers of a set, the smallest first."""
    digits = bin(mask)[:1:-1]
    place = digits.find("1")
    while place >= 0:
        yield place
        place = digits.find("1", place + 1)


def members_down(mask: int) -> Iterator[int]:
    """The numbers of a set, the largest first."""
    digits = bin(mask)[:1:-1]
    place = digits.rfind("1")
    while place >= 0:
        yield place
        place = digits.rfind("1", 0, place)


def pack(mask: int) -> bytes:
    """A set as bytes: its members, its runs, or its bits, whichever is shortest."""
    bits_bytes = (mask.bit_length() + 7) // 8
    count = mask.bit_count()
    runs = (mask & ~(mask << 1)).bit_count()
    if 4 * runs < min(2 * count, bits_bytes):
        starts = members_up(mask & ~(mask << 1))
        ends = members_up(mask & ~(mask >> 1))
        return _RUNS + _little([place for pair in zip(starts, ends, strict=True) for place in pair])
    if 2 * count < bits_bytes:
        return _MEMBERS + _little(list(members_up(mask)))
    return _BITS + mask.to_bytes(bits_bytes, "little")


def with_members(packed: bytes, members: Iterable[int]) -> bytes:
    """A packed set with more members. Members after those it has are put at its end, and nothing is unpacked."""
    more = sorted(set(members))
    if more and packed[:1] == _MEMBERS and len(packed) + 2 * len(more) < more[-1] // 8:
        last = struct.unpack_from("<H", packed, len(packed) - 2)[0] if len(packed) > 1 else -1
        if last < more[0]:
            return packed + _little(more)
    return pack(unpack(packed) | mask_of(more))


def unpack(packed: bytes) -> int:
    """The set that was packed."""
    kind, rest = packed[:1], packed[1:]
    if kind == _BITS:
        return int.from_bytes(rest, "little")
    numbers = struct.unpack(f"<{len(rest) // 2}H", rest)
    if kind == _MEMBERS:
        return mask_of(numbers) if len(numbers) > 4 else sum(1 << member for member in numbers)
    mask = 0
    for start, end in zip(numbers[::2], numbers[1::2], strict=True):
        mask |= between(start, end)
    return mask


def _little(numbers: Sequence[int]) -> bytes:
    return struct.pack(f"<{len(numbers)}H", *numbers)


class _Packed(Sequence[int]):
    """Sets that are unpacked when they are first looked at: a comparison is mostly decided by the highest digits."""

    def __init__(self, sets: Iterable[bytes]) -> None:
        self._sets: list[bytes | int] = list(sets)

    def __len__(self) -> int:
        return len(self._sets)

    @overload
    def __getitem__(self, place: int) -> int: ...

    @overload
    def __getitem__(self, place: slice) -> Sequence[int]: ...

    def __getitem__(self, place: int | slice) -> int | Sequence[int]:
        if isinstance(place, slice):
            return tuple(self)[place]
        found = self._sets[place]
        if isinstance(found, bytes):
            found = self._sets[place] = unpack(found)
        return found

    def __eq__(self, other: object) -> bool:
        return tuple(self) == tuple(other) if isinstance(other, (tuple, _Packed)) else NotImplemented

    def __hash__(self) -> int:
        return hash(tuple(self))


@attrs.frozen
class Column:
    """A column of whole numbers, one a member of `present`, cut into planes: the k-th holds who has the k-th digit."""

    present: int = 0
    planes: Sequence[int] = ()

    @classmethod
    def of(cls, values: Iterable[tuple[int, int]]) -> Column:
        """The column of `(member, number)`; numbers are not negative, and at most `NUMBER_LIMIT` is kept of one."""
        pairs = list(values)
        if not pairs:
            return cls()
        first, last = min(pairs)[0], max(pairs)[0]
        depth = min(max(number for _, number in pairs), NUMBER_LIMIT).bit_length()
        # one word a member, the last member first, as the digits of a whole number are written
        words = bytearray(8 * (last - first + 1))
        for member, number in pairs:
            _put_word(words, 8 * (last - member), min(number, NUMBER_LIMIT) | _IS_PRESENT)

        def plane(place: int) -> int:
            return int(words[place >> 3 :: 8].translate(_DIGITS[place & 7]), 2) << first

        return cls(plane(_PRESENT_PLACE), tuple(plane(place) for place in range(depth)))

    def __or__(self, other: Column) -> Column:
        """Both columns; no member may be in both."""
        depth = max(len(self.planes), len(other.planes))
        mine, theirs = _deepened(self.planes, depth), _deepened(other.planes, depth)
        return Column(self.present | other.present, tuple(a | b for a, b in zip(mine, theirs, strict=True)))

    def without(self, members: int) -> Column:
        """The column without some members."""
        planes = [plane & ~members for plane in self.planes]
        while planes and not planes[-1]:
            planes.pop()
        return Column(self.present & ~members, tuple(planes))

    def compare(self, op: Comparison, number: int) -> int:
        """The members whose numbers are equal to, less than, ... a number."""
        less, equal = self._split(number)
        if op == "eq":
            return equal
        if op == "lt":
            return less
        if op == "lte":
            return less | equal
        return self.present & ~(less | equal if op == "gt" else less)

    def _split(self, number: int) -> tuple[int, int]:
        """The members whose numbers are less than, and those whose are equal to a number."""
        if number < 0:
            return 0, 0
        if number >> len(self.planes):
            return self.present, 0
        less, equal = 0, self.present
        for place in range(len(self.planes) - 1, -1, -1):
            if not equal:
                break
            plane = self.planes[place]
            if number >> place & 1:
                less |= equal & ~plane
                equal &= plane
            else:
                equal &= ~plane
        return less, equal

    def sum(self, members: int) -> int:
        """The sum over some members; those without a number add nothing."""
        return sum((plane & members).bit_count() << place for place, plane in enumerate(self.planes))

    def pack(self) -> bytes:
        """The column as bytes."""
        sets = [pack(each) for each in (self.present, *self.planes)]
        return _little([len(sets), *map(len, sets)]) + b"".join(sets)

    @classmethod
    def unpack(cls, packed: bytes) -> Column:
        """The column that was packed."""
        (count,) = struct.unpack_from("<H", packed)
        lengths = struct.unpack_from(f"<{count}H", packed, 2)
        begin = 2 + 2 * count
        sets = []
        for length in lengths:
            sets.append(packed[begin : begin + length])
            begin += length
        return cls(unpack(sets[0]), _Packed(sets[1:]))


def nearest_rank(parts: Iterable[tuple[int, Column]], share: float) -> int | None:
    """The number that `share` of all do not exceed, exactly; None where there is none.

    `parts` are columns, and of each the members that count.
    """
    candidates = [(members & column.present, column) for members, column in parts]
    total = sum(members.bit_count() for members, _ in candidates)
    if not total:
        return None
    rank = min(total, max(1, math.ceil(share * total))) - 1
    number = 0
    for place in range(max(len(column.planes) for _, column in candidates) - 1, -1, -1):
        zeros = [members & ~_plane(column, place) for members, column in candidates]
        below = sum(each.bit_count() for each in zeros)
        if rank < below:
            candidates = [(each, column) for each, (_, column) in zip(zeros, candidates, strict=True)]
        else:
            rank -= below
            number |= 1 << place
            candidates = [(members & _plane(column, place), column) for members, column in candidates]
    return number


def _plane(column: Column, place: int) -> int:
    return column.planes[place] if place < len(column.planes) else 0


def _deepened(planes: Sequence[int], depth: int) -> tuple[int, ...]:
    return (*planes, *(0,) * (depth - len(planes)))
