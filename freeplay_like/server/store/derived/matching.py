"""Answering a filter: which calls of a project it finds, a stretch at a time, from one end.

Within a block of calls every part of a filter is a set of bits. What is derived comes from the facets; the calls that
nobody has derived yet are judged by their rows; texts are looked for last, among what is left.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Final, Protocol, cast

import attrs
import sqlalchemy as sa

from freeplay_like.core.bitmaps import BLOCK, Comparison, between, mask_of, members_down, members_up
from freeplay_like.core.reviews import Verdict
from freeplay_like.core.wire import to_wire
from freeplay_like.server.store.derived import following
from freeplay_like.server.store.derived.facet_index import FacetReader, column_facet
from freeplay_like.server.store.derived.facets import (
    EVERY,
    HAS,
    FacetName,
    Facts,
    facet_value,
    number_of,
    scaled,
    values_of,
)
from freeplay_like.server.store.derived.facts import facts_where
from freeplay_like.server.store.derived.filters import (
    FIELDS,
    METADATA,
    SCORE,
    AllOf,
    AnyOf,
    Filter,
    Not,
    Term,
    terms_of,
)
from freeplay_like.server.store.derived.search import TextSearch
from freeplay_like.server.store.derived.verdicts import verdicts
from freeplay_like.server.store.derived.words import folded
from freeplay_like.server.store.records.tables import amendment, record, score
from freeplay_like.server.store.records.trace_tables import trace
from freeplay_like.server.store.tables import person, prompt_template, to_micros
from freeplay_like.server.store.views import Project

TIME_LIMIT_S: Final = 3.0
"""How long a question may look; then it says how far it came."""
_FIRST_STRETCH: Final = 128
_READ_STRETCH: Final = 2_048
"""How many calls are looked at together, at first and at most, where their rows or their texts may have to be read."""
_KEYED_LIMIT: Final = 200_000
"""The most calls of one session or trace that are told from others."""


@attrs.frozen(kw_only=True)
class Stretch:
    """Some calls of one block: those that are derived as bits, and the facts of those that are not."""

    block: int
    stored: int
    tail: dict[int, Facts]

    @property
    def members(self) -> int:
        """All of them."""
        return self.stored | mask_of(self.tail)

    def judged(self, within: int, is_it: Callable[[Facts], bool]) -> int:
        """The calls within a set that are not derived, and for which something holds."""
        return mask_of(place for place, facts in self.tail.items() if within >> place & 1 and is_it(facts))


class _Node(Protocol):
    cost: int

    def find(self, stretch: Stretch, within: int) -> int:
        """The calls within a set that the filter finds."""
        ...


class _All:
    def __init__(self, parts: list[_Node]) -> None:
        self._parts = sorted(parts, key=lambda part: part.cost)
        self.cost = sum(part.cost for part in parts)

    def find(self, stretch: Stretch, within: int) -> int:
        for part in self._parts:
            within = part.find(stretch, within) if within else 0
        return within


class _Any:
    def __init__(self, parts: list[_Node]) -> None:
        self._parts = sorted(parts, key=lambda part: part.cost)
        self.cost = sum(part.cost for part in parts)

    def find(self, stretch: Stretch, within: int) -> int:
        found = 0
        for part in self._parts:
            found |= part.find(stretch, within & ~found)
        return found


class _None:
    def __init__(self, part: _Node) -> None:
        self._part = part
        self.cost = part.cost

    def find(self, stretch: Stretch, within: int) -> int:
        return within & ~self._part.find(stretch, within)


class _Choice:
    cost = 1

    def __init__(self, reader: FacetReader, term: Term) -> None:
        self._reader = reader
        self._name = term.field
        self._is_wanted = _judge(term)
        exact = _exact_facet(term)
        if exact is None:
            self._keys = reader.keys_where(term.field, self._is_wanted)
        else:
            key = reader.key(exact)
            self._keys = [] if key is None else [key]

    def find(self, stretch: Stretch, within: int) -> int:
        found = 0
        if stretch.stored:
            for key in self._keys:
                found |= self._reader.mask(key, stretch.block)
        found &= stretch.stored
        return within & (found | stretch.judged(within, lambda facts: any(map(self._is_wanted, self._values(facts)))))

    def _values(self, facts: Facts) -> tuple[str, ...]:
        return values_of(facts, self._name)


def _exact_facet(term: Term) -> FacetName | None:
    """The one facet that a term means, where it means one."""
    if term.op == "eq":
        return term.field, facet_value(str(term.value))
    is_open = term.field.startswith((METADATA, SCORE))
    return (HAS, term.field) if term.op == "exists" and is_open else None


def _judge(term: Term) -> Callable[[str], bool]:
    """Whether a value of a choice is one that a term means."""
    wanted = str(term.value)
    if term.op == "exists":
        return lambda value: True
    if term.op == "eq":
        kept = facet_value(wanted)
        return lambda value: value == kept
    if term.op == "contains":
        part = folded(wanted)
        return lambda value: part in folded(value)
    compare = _COMPARISONS[term.op]
    number = _number(wanted)

    def is_wanted(value: str) -> bool:
        if number is None:
            return compare(value, wanted)
        own = _number(value)
        return own is not None and compare(own, number)

    return is_wanted


_COMPARISONS: Final[dict[str, Callable[[object, object], bool]]] = {
    "lt": lambda a, b: a < b,  # type: ignore[operator]  # both are numbers, or both texts
    "gt": lambda a, b: a > b,  # type: ignore[operator]
    "lte": lambda a, b: a <= b,  # type: ignore[operator]
    "gte": lambda a, b: a >= b,  # type: ignore[operator]
}


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


class _Number:
    cost = 5

    def __init__(self, reader: FacetReader, term: Term) -> None:
        self._reader = reader
        self._name = term.field
        self._key = reader.key(column_facet(term.field))
        self._op: Comparison | None = None if term.op == "exists" else cast("Comparison", term.op)
        self._number = 0
        if isinstance(term.value, datetime):
            self._number = to_micros(term.value) // 1_000
        elif term.op != "exists":
            self._number = scaled(term.field, float(cast("float", term.value)))

    def find(self, stretch: Stretch, within: int) -> int:
        found = 0
        if stretch.stored and self._key is not None:
            column = self._reader.column(self._key, stretch.block)
            found = column.present if self._op is None else column.compare(self._op, self._number)
        return within & (found & stretch.stored | stretch.judged(within, self._is_wanted))

    def _is_wanted(self, facts: Facts) -> bool:
        own = number_of(facts, self._name)
        if own is None or self._op is None:
            return own is not None
        return own == self._number if self._op == "eq" else _COMPARISONS[self._op](own, self._number)


class _Keyed:
    """Calls that an index of the table of records finds: those of a session, of a trace."""

    cost = 0

    def __init__(self, connection: sa.Connection, project_key: int, where: sa.ColumnElement[bool]) -> None:
        statement = sa.select(record.c.seq).where(record.c.project_key == project_key, where)
        self._found: dict[int, int] = {}
        for seq in connection.scalars(statement.limit(_KEYED_LIMIT)):
            block, place = divmod(seq, BLOCK)
            self._found[block] = self._found.get(block, 0) | 1 << place

    def find(self, stretch: Stretch, within: int) -> int:
        return within & self._found.get(stretch.block, 0)


class _Text:
    cost = 1_000

    def __init__(self, search: TextSearch) -> None:
        self._search = search

    def find(self, stretch: Stretch, within: int) -> int:
        return self._search.find(stretch.block, within) if within else 0


class Matcher:
    """Finds the calls of a filter among those of one project, from one end. Good for one walk."""

    def __init__(
        self,
        connection: sa.Connection,
        of: Project,
        filter: Filter,
        *,
        is_newest_first: bool = True,
        is_said: bool = False,
    ) -> None:
        """`is_said`: the facts of calls must hold what was said of them, also where the filter does not ask for it."""
        self._connection = connection
        self._project_key = of.key
        self._is_newest_first = is_newest_first
        self._ends_at = time.monotonic() + TIME_LIMIT_S
        self._derived_seq = following.derived_seq(connection)
        self._indexed_seq = following.indexed_seq(connection)
        self.reader = FacetReader(connection, of.key, is_newest_first=is_newest_first)
        self._every = self.reader.key((EVERY, ""))
        terms = list(terms_of(filter))
        self._has_text = any(_kind(term) == "text" for term in terms)
        self._is_said = is_said or any(term.field == "feedback" or term.field.startswith(SCORE) for term in terms)
        self._root = self._node(filter)
        self.is_partial = False
        """Whether time ran out before the walk was at its end."""
        self.reached: int | None = None
        """The number of the last call that was looked at."""

    def _node(self, filter: Filter) -> _Node:
        if isinstance(filter, AllOf):
            texts = [part for part in filter.parts if isinstance(part, Term) and _kind(part) == "text"]
            others = [self._node(part) for part in filter.parts if part not in texts]
            return _All([*others, self._text(texts)] if texts else others)
        if isinstance(filter, AnyOf):
            return _Any([self._node(part) for part in filter.parts])
        if isinstance(filter, Not):
            return _None(self._node(filter.part))
        kind = _kind(filter)
        if kind == "choice":
            return _Choice(self.reader, filter)
        if kind == "text":
            return self._text([filter])
        return self._keyed(filter) if kind == "key" else _Number(self.reader, filter)

    def _text(self, terms: list[Term]) -> _Node:
        texts = [(term.field, str(term.value)) for term in terms]
        search = TextSearch(self._connection, texts, self._indexed_seq, is_newest_first=self._is_newest_first)
        return _Text(search)

    def _keyed(self, term: Term) -> _Node:
        if term.field == "template_id":
            statement = sa.select(prompt_template.c.name).where(
                prompt_template.c.project_key == self._project_key, prompt_template.c.id == term.value
            )
            name = self._connection.scalar(statement)
            return _Any([]) if name is None else _Choice(self.reader, Term("template", "eq", name))
        if term.field == "agent":
            of_agent = sa.select(trace.c.trace_id).where(
                trace.c.project_key == self._project_key, trace.c.agent_name == term.value
            )
            return _Keyed(self._connection, self._project_key, record.c.trace_id.in_(of_agent))
        if term.field in _VERDICTS:
            return _Keyed(self._connection, self._project_key, self._is_reviewed(term))
        return _Keyed(self._connection, self._project_key, record.c[_KEY_COLUMNS[term.field]] == term.value)

    def _is_reviewed(self, term: Term) -> sa.ColumnElement[bool]:
        """Whether somebody's verdict stands on a call. A person is named, or meant by an id."""
        them = sa.select(person.c.id).where(sa.or_(person.c.name == term.value, person.c.id == term.value))
        theirs = verdicts(self._project_key, sa.select(amendment.c.record_id)).where(amendment.c.reviewer_id.in_(them))
        verdict = _VERDICTS[term.field]
        if verdict is not None:
            theirs = theirs.where(score.c.value == to_wire(verdict).decode())
        return record.c.record_id.in_(theirs)

    def seqs(self, *, before: int | None = None, after: int = 0) -> Iterator[int]:
        """The numbers of the calls that are found, between two others."""
        for stretch, found in self.walk(before=before, after=after):
            members = members_down(found) if self._is_newest_first else members_up(found)
            for place in members:
                yield stretch.block * BLOCK + place

    def walk(self, *, before: int | None = None, after: int = 0) -> Iterator[tuple[Stretch, int]]:
        """Every stretch of calls between two others, and those of its members that are found."""
        newest = self._connection.scalar(
            sa.select(sa.func.max(record.c.seq)).where(record.c.project_key == self._project_key)
        )
        highest = min((newest or 0) + 1, (newest or 0) + 1 if before is None else before) - 1
        for span in self._spans(after + 1, highest):
            if time.monotonic() >= self._ends_at:
                self.is_partial = True
                return
            stretch = self._stretch(span)
            yield stretch, self._root.find(stretch, stretch.members)
            self.reached = span.start if self._is_newest_first else span.stop - 1

    def _spans(self, lowest: int, highest: int) -> Iterator[range]:
        """The stretches of numbers to look at, in order: small ones first, none across blocks."""
        size = _FIRST_STRETCH if self._has_text else BLOCK
        for block in self._blocks(lowest, highest):
            low, high = max(lowest, block * BLOCK), min(highest, block * BLOCK + BLOCK - 1)
            while low <= high:
                is_read = self._has_text or high > self._derived_seq
                step = min(size, _READ_STRETCH) if is_read else size
                if self._is_newest_first:
                    yield range(max(low, high - step + 1), high + 1)
                    high -= step
                else:
                    yield range(low, min(high, low + step - 1) + 1)
                    low += step
                size = min(size * 4, BLOCK)

    def _blocks(self, lowest: int, highest: int) -> list[int]:
        blocks = set(self.reader.blocks(self._every)) if self._every is not None else set()
        if highest > self._derived_seq:
            blocks.update(range(max(lowest, self._derived_seq + 1) // BLOCK, highest // BLOCK + 1))
        wanted = [block for block in blocks if lowest // BLOCK <= block <= highest // BLOCK]
        return sorted(wanted, reverse=self._is_newest_first)

    def _stretch(self, span: range) -> Stretch:
        block = span.start // BLOCK
        stored = 0
        if self._every is not None and span.start <= self._derived_seq:
            stored = self.reader.mask(self._every, block) & between(span.start % BLOCK, (span.stop - 1) % BLOCK)
        tail: dict[int, Facts] = {}
        lowest = max(span.start, self._derived_seq + 1)
        if lowest < span.stop:
            where = sa.and_(record.c.project_key == self._project_key, record.c.seq.between(lowest, span.stop - 1))
            calls = facts_where(self._connection, where, is_said=self._is_said)
            tail = {facts.seq % BLOCK: facts for facts in calls}
        return Stretch(block=block, stored=stored, tail=tail)


def _kind(term: Term) -> str:
    return FIELDS[term.field].kind if term.field in FIELDS else "choice"


_VERDICTS: Final[dict[str, Verdict | None]] = {"reviewed_by": None, "good_by": "good", "bad_by": "bad"}
"""The fields that name a reviewer, and the verdict that is meant: None for any."""

_KEY_COLUMNS: Final = {
    "session": "session_id",
    "trace": "trace_id",
    "record": "record_id",
    "test_case": "test_case_id",
    "replay_of": "replay_of",
}
