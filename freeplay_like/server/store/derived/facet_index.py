"""Where facets are kept: for every value of every field the set of calls that have it, in blocks of bits.

With these sets at hand any filter is answered by `&`, `|` and `~`, whether its values are rare or common, and what it
finds can be counted without being read.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Final, TypeVar

import attrs
import sqlalchemy as sa

from freeplay_like.core.bitmaps import BLOCK, Column, mask_of, pack, unpack, with_members
from freeplay_like.server.store.derived.facets import NUMBERS, FacetName, Facts, facets_of, number_of
from freeplay_like.server.store.derived.tables import facet, facet_block
from freeplay_like.server.store.engines.database import is_row_of, many

T = TypeVar("T")

_BLOCKS: Final = 1 << 24
"""How many blocks one facet can have: room for 2**38 records."""
_CHUNK: Final = 400
"""How many values one statement asks for: every database takes that many."""
_MOST_AHEAD: Final = 64
"""The most blocks of a facet that are read at once."""
_MOST_TOGETHER: Final = 2_048
"""The most blocks of several facets that are read at once: at most some 2 KB each."""


def column_facet(name: str) -> FacetName:
    """The facet under which a column of numbers is kept."""
    return f"#{name}", ""


def chunks(items: Sequence[T]) -> Iterator[Sequence[T]]:
    """The items in portions that fit into one statement."""
    for begin in range(0, len(items), _CHUNK):
        yield items[begin : begin + _CHUNK]


@attrs.define
class Change:
    """What some calls add to the facets of one project, or take from them: by facet, by block."""

    members: dict[FacetName, dict[int, list[int]]] = attrs.field(factory=lambda: defaultdict(lambda: defaultdict(list)))
    numbers: dict[FacetName, dict[int, list[tuple[int, int]]]] = attrs.field(
        factory=lambda: defaultdict(lambda: defaultdict(list))
    )

    @classmethod
    def of(cls, calls: Sequence[Facts]) -> Change:
        """All that calls of one project add."""
        made = cls()
        for those, names in facets_of(calls):
            places: dict[int, list[int]] = defaultdict(list)
            for facts in those:
                places[facts.seq // BLOCK].append(facts.seq % BLOCK)
            for name in names:
                for block, members in places.items():
                    made.members[name][block] += members
        by_block: dict[int, list[tuple[int, Facts]]] = defaultdict(list)
        for facts in calls:
            by_block[facts.seq // BLOCK].append((facts.seq % BLOCK, facts))
        for block, placed in by_block.items():
            for field in NUMBERS:
                pairs = [(place, number) for place, facts in placed if (number := number_of(facts, field)) is not None]
                if pairs:
                    made.numbers[column_facet(field)][block] = pairs
        return made

    def take(self, seq: int, names: Iterable[FacetName]) -> None:
        """Let one call have some facets."""
        block, place = divmod(seq, BLOCK)
        for name in names:
            self.members[name][block].append(place)


def add(connection: sa.Connection, project_key: int, change: Change) -> None:
    """Put calls into the facets of a project."""
    keys = _keys(connection, project_key, [*change.members, *change.numbers], is_made=True)
    sets = {
        _place(keys[name], block): places for name, found in change.members.items() for block, places in found.items()
    }
    columns = {
        _place(keys[name], block): pairs for name, found in change.numbers.items() for block, pairs in found.items()
    }
    stored = _stored(connection, [*sets, *columns])
    packed = {
        place: with_members(stored[place], members) if place in stored else pack(mask_of(members))
        for place, members in sets.items()
    }
    for place, pairs in columns.items():
        before = Column.unpack(stored[place]) if place in stored else Column()
        packed[place] = (before | Column.of(pairs)).pack()
    _write(connection, packed, stored)
    _count(connection, {keys[name]: _size(found) for name, found in change.members.items()})


def remove(connection: sa.Connection, project_key: int, change: Change) -> None:
    """Take calls out of the facets of a project; what nobody has any more is not kept."""
    keys = _keys(connection, project_key, [*change.members, *change.numbers], is_made=False)
    sets, columns = _by_place(keys, change.members), _by_place(keys, change.numbers)
    stored = _stored(connection, [*sets, *columns])
    packed: dict[int, bytes] = {}
    gone: list[int] = []
    for place, blob in stored.items():
        if place in sets:
            left = unpack(blob) & ~mask_of(sets[place])
            packed[place] = pack(left)
        else:
            column = Column.unpack(blob).without(mask_of(member for member, _ in columns[place]))
            left, packed[place] = column.present, column.pack()
        if not left:
            gone.append(place)
            del packed[place]
    _write(connection, packed, stored)
    for some in chunks(gone):
        connection.execute(sa.delete(facet_block).where(facet_block.c.place.in_(some)))
    _count(connection, {keys[name]: -_size(found) for name, found in change.members.items() if name in keys})
    _drop_unused(connection, [keys[name] for name in change.members if name in keys])


def _size(found: dict[int, list[int]]) -> int:
    return sum(map(len, found.values()))


def places_of(key: int) -> sa.ColumnElement[bool]:
    """The rows of a facet."""
    return facet_block.c.place.between(_place(key, 0), _place(key + 1, 0) - 1)


def _by_place(keys: dict[FacetName, int], found: dict[FacetName, dict[int, list[T]]]) -> dict[int, list[T]]:
    return {
        _place(keys[name], block): members
        for name, blocks in found.items()
        if name in keys
        for block, members in blocks.items()
    }


def _place(key: int, block: int) -> int:
    return key * _BLOCKS + block


_KEYS: Final = sa.select(facet.c.name, facet.c.value, facet.c.key).where(
    facet.c.project_key == sa.bindparam("project_key"), is_row_of((facet.c.name, facet.c.value), "names")
)
_STORED: Final = sa.select(facet_block).where(is_row_of((facet_block.c.place,), "places"))


def _keys(
    connection: sa.Connection, project_key: int, names: Sequence[FacetName], *, is_made: bool
) -> dict[FacetName, int]:
    rows = connection.execute(_KEYS, {"project_key": project_key, "names": many(names)})
    found: dict[FacetName, int] = {(name, value): key for name, value, key in rows}
    missing = [name for name in names if name not in found] if is_made else []
    if missing:
        next_key = (connection.scalar(sa.select(sa.func.max(facet.c.key))) or 0) + 1
        found.update({name: next_key + index for index, name in enumerate(missing)})
        rows_of = [
            {"key": found[name], "project_key": project_key, "name": name[0], "value": name[1], "calls": 0}
            for name in missing
        ]
        connection.execute(sa.insert(facet), rows_of)
    return found


def _stored(connection: sa.Connection, places: Sequence[int]) -> dict[int, bytes]:
    rows = connection.execute(_STORED, {"places": many([[place] for place in sorted(places)])})
    return {place: members for place, members in rows}


def _write(connection: sa.Connection, packed: dict[int, bytes], stored: dict[int, bytes]) -> None:
    changed = [{"of": place, "members": blob} for place, blob in packed.items() if place in stored]
    new = [{"place": place, "members": blob} for place, blob in packed.items() if place not in stored]
    if changed:
        connection.execute(sa.update(facet_block).where(facet_block.c.place == sa.bindparam("of")), changed)
    if new:
        connection.execute(sa.insert(facet_block), new)


def _count(connection: sa.Connection, by: dict[int, int]) -> None:
    if by:
        statement = sa.update(facet).where(facet.c.key == sa.bindparam("of"))
        statement = statement.values(calls=facet.c.calls + sa.bindparam("more"))
        connection.execute(statement, [{"of": key, "more": more} for key, more in by.items()])


def _drop_unused(connection: sa.Connection, keys: Sequence[int]) -> None:
    for some in chunks(keys):
        connection.execute(sa.delete(facet).where(facet.c.key.in_(some), facet.c.calls <= 0))


class FacetReader:
    """The stored facets of one project, read as they are asked for, and kept while a question is answered.

    Whoever asks for one block goes on to its neighbours: every read of a facet takes twice as many as the one before.
    Facets that are asked for `together` are read together, for a database may be a network away.
    """

    def __init__(self, connection: sa.Connection, project_key: int, *, is_newest_first: bool = True) -> None:
        self._connection = connection
        self._project_key = project_key
        self._is_newest_first = is_newest_first
        self._read: dict[int, dict[int, bytes]] = defaultdict(dict)
        self._groups: dict[int, tuple[int, ...]] = {}
        self._ahead: dict[tuple[int, ...], int] = {}
        self._masks: dict[tuple[int, int], int] = {}
        self._columns: dict[tuple[int, int], Column] = {}

    def key(self, name: FacetName) -> int | None:
        """The key of a facet; None where no call has it."""
        return self.keys([name]).get(name)

    def keys(self, names: Sequence[FacetName]) -> dict[FacetName, int]:
        """The keys of those facets that some call has."""
        return _keys(self._connection, self._project_key, names, is_made=False)

    def keys_where(self, name: str, is_wanted: Callable[[str], bool]) -> list[int]:
        """The keys of the facets of a name whose value is wanted."""
        statement = sa.select(facet.c.key, facet.c.value)
        rows = self._connection.execute(statement.where(facet.c.project_key == self._project_key, facet.c.name == name))
        return [key for key, value in rows if is_wanted(value)]

    def together(self, keys: Iterable[int]) -> None:
        """Whoever asks for one of these facets will ask for the others."""
        group = tuple(keys)
        self._groups.update(dict.fromkeys(group, group))

    def mask(self, key: int, block: int) -> int:
        """The calls of a block that have a facet."""
        if (key, block) not in self._masks:
            blob = self._blob(key, block)
            self._masks[key, block] = 0 if blob is None else unpack(blob)
        return self._masks[key, block]

    def column(self, key: int, block: int) -> Column:
        """A column of numbers in a block."""
        if (key, block) not in self._columns:
            blob = self._blob(key, block)
            self._columns[key, block] = Column() if blob is None else Column.unpack(blob)
        return self._columns[key, block]

    def blocks(self, key: int) -> list[int]:
        """The blocks in which some call has a facet."""
        statement = sa.select(facet_block.c.place).where(places_of(key))
        return [place % _BLOCKS for place in self._connection.scalars(statement)]

    def _blob(self, key: int, block: int) -> bytes | None:
        if block not in self._read[key]:
            self._read_on(self._groups.get(key, (key,)), block)
        return self._read[key][block] or None

    def _read_on(self, group: tuple[int, ...], block: int) -> None:
        """Read a block of some facets, and those that will be asked for next."""
        ahead = self._ahead.get(group, 1)
        self._ahead[group] = min(ahead * 2, _MOST_AHEAD, max(1, _MOST_TOGETHER // len(group)))
        last = max(0, block - ahead + 1) if self._is_newest_first else min(_BLOCKS - 1, block + ahead - 1)
        lowest, highest = sorted((block, last))
        for key in group:
            self._read[key].update(dict.fromkeys(range(lowest, highest + 1), b""))
        places = [_place(key, number) for key in group for number in range(lowest, highest + 1)]
        for place, members in _stored(self._connection, places).items():
            self._read[place // _BLOCKS][place % _BLOCKS] = members
