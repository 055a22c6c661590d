"""Looking for a text in calls: an index of words that is filled behind the commits, and the texts themselves.

Filling the index takes longer than storing the record, so no caller waits for it. The index leads to the calls that
can hold a text; where it cannot prove that they do, and for calls that are not indexed yet, the text is read.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import Final

import attrs
import msgspec
import sqlalchemy as sa

from freeplay_like.core.bitmaps import BLOCK, mask_of, members_up
from freeplay_like.core.wire import JsonObject, WireError, to_wire
from freeplay_like.server.store.bodies import unpack
from freeplay_like.server.store.derived.facet_index import chunks
from freeplay_like.server.store.derived.words import Question, folded, words_of
from freeplay_like.server.store.engines.database import database_of
from freeplay_like.server.store.records.tables import record_body

logger = logging.getLogger(__name__)

OUTPUT_LIMIT: Final = 8_192
INPUT_LIMIT: Final = 16_384
METADATA_LIMIT: Final = 2_048
ERROR_LIMIT: Final = 512
"""The most characters of a call's answer, messages, metadata and error in which a text can be found."""
WORDS_LIMIT: Final = 400
"""The most words that a part of a word is looked up as; one that is in more is so common that reading finds it."""
_FIRST_HITS: Final = 500
_MOST_HITS: Final = 1 << 18
"""About how many hits are asked of the index at once, at first and at most."""
_FEW: Final = 100
"""Of so few calls each is asked after; of more, their hits are found with those of all calls between them."""
_BETWEEN: Final = "\n\x01\n"
"""What lies between the parts of a call: no text is found across it."""


@attrs.frozen(kw_only=True)
class Texts:
    """What of a call can be found, folded: what went in, what came out, and all of it."""

    input: str
    output: str
    text: str

    def part(self, field: str) -> str:
        """The part that a field of filters means."""
        return {"input": self.input, "output": self.output}.get(field, self.text)


class _Message(msgspec.Struct):
    content: str | list[JsonObject] | None = None


class _ToolCall(msgspec.Struct):
    name: str = ""
    arguments: str = ""


class _Choice(msgspec.Struct):
    text: str = ""
    refusal: str = ""
    tool_calls: list[_ToolCall] = []


class _Error(msgspec.Struct):
    message: str = ""
    type: str = ""


class Body(msgspec.Struct):
    """A record, as far as texts are found in it: read in a third of the time that a whole one takes."""

    messages: list[_Message] = []
    choices: list[_Choice] = []
    error: _Error | None = None
    metadata: JsonObject = {}


def texts_of(body: Body) -> Texts:
    """The error, the answer, the messages from the last one back, and the metadata of a call."""
    output = [body.error.message[:ERROR_LIMIT], body.error.type] if body.error else []
    for choice in body.choices:
        output += [choice.text, choice.refusal, *(f"{call.name} {call.arguments}" for call in choice.tool_calls)]
    said = folded(_joined(output, OUTPUT_LIMIT))
    asked = folded(_joined((_text(message) for message in reversed(body.messages)), INPUT_LIMIT))
    known = folded(_joined((f"{name}: {_plain(each)}" for name, each in body.metadata.items()), METADATA_LIMIT))
    return Texts(input=asked, output=said, text=folded(_BETWEEN).join((said, asked, known)))


def _text(message: _Message) -> str:
    content = message.content
    if isinstance(content, str):
        return content
    return "".join(str(part.get("text", "")) for part in content or () if part.get("type") == "text")


def _joined(parts: Iterable[str], limit: int) -> str:
    return _BETWEEN.join(part for part in parts if part)[:limit]


def _plain(value: object) -> str:
    return value if isinstance(value, str) else to_wire(value).decode()


def read_texts(connection: sa.Connection, seqs: Sequence[int]) -> dict[int, Texts]:
    """The texts of calls; one that cannot be read is left out."""
    found = {}
    for some in chunks(seqs):
        for seq, packed in connection.execute(sa.select(record_body).where(record_body.c.seq.in_(some))):
            try:
                found[seq] = texts_of(unpack(packed, Body))
            except WireError:
                logger.exception("the stored record number %d cannot be read, and will not be found by its text", seq)
    return found


def index(connection: sa.Connection, seqs: Sequence[int]) -> None:
    """Put calls into the index."""
    database_of(connection).index_words(connection, _words(connection, seqs))


def unindex(connection: sa.Connection, seqs: Sequence[int]) -> None:
    """Take calls that are in the index out of it, while they are still as they were."""
    database_of(connection).unindex_words(connection, _words(connection, seqs))


def _words(connection: sa.Connection, seqs: Sequence[int]) -> list[tuple[int, set[str]]]:
    return [(seq, words_of(texts.text)) for seq, texts in sorted(read_texts(connection, seqs).items())]


@attrs.frozen
class Wanted:
    """A text to look for, and the part of the call that is meant: `text` for all, `input` or `output`."""

    field: str
    question: Question

    def is_in(self, texts: Texts) -> bool:
        """Whether a call holds it."""
        return self.question.text in texts.part(self.field)


class TextSearch:
    """Finds the calls that hold all of some texts, a stretch at a time."""

    def __init__(
        self,
        connection: sa.Connection,
        texts: Iterable[tuple[str, str]],
        indexed_seq: int,
        *,
        is_newest_first: bool = True,
    ) -> None:
        """`texts` are pairs of the part of the call that is meant and of what it must hold."""
        self._connection = connection
        self._database = database_of(connection)
        self._wanted = [Wanted(field, Question.of(text)) for field, text in texts]
        self._indexed_seq = indexed_seq
        self._is_newest_first = is_newest_first
        self._groups, self._is_proof = self._lookup()
        self._hits: dict[int, int] = {}
        self._known = range(0)
        self._size = _FIRST_HITS

    def _lookup(self) -> tuple[list[list[str]], bool]:
        """The words to look up, a group for each piece, and whether whatever has one of each is a hit."""
        groups: list[list[str]] = []
        is_proof = True
        for wanted in self._wanted:
            pieces = wanted.question.pieces
            found = [self._database.words_with(self._connection, piece, WORDS_LIMIT + 1) for piece in pieces]
            usable = [group for group in found if len(group) <= WORDS_LIMIT]
            groups += usable
            is_proof = is_proof and wanted.field == "text" and wanted.question.is_proof and len(usable) == len(found)
        return groups, is_proof

    def find(self, block: int, within: int) -> int:
        """The members of a set of calls of a block that hold the texts."""
        first = block * BLOCK
        indexed = (1 << max(0, min(BLOCK, self._indexed_seq + 1 - first))) - 1
        candidates = within & indexed
        if self._groups and candidates:
            candidates &= self._indexed_hits(block, candidates)
        proven = candidates if self._is_proof else 0
        return proven | self._read(first, (candidates & ~proven) | (within & ~indexed))

    def _indexed_hits(self, block: int, within: int) -> int:
        if not all(self._groups):
            return 0  # a piece is in no word at all
        first = block * BLOCK
        wanted = range(first + (within & -within).bit_length() - 1, first + within.bit_length())
        if wanted.stop > self._known.stop if self._is_newest_first else wanted.start < self._known.start:
            self._known = range(0)  # the first question, or whoever asks turned round
        while not (wanted.start >= self._known.start and wanted.stop <= self._known.stop):
            few = [first + place for place in members_up(within)] if within.bit_count() <= _FEW else []
            found = self._database.hits_among(self._connection, self._groups, few) if few else None
            if found is not None:
                return mask_of(seq - first for seq in found)
            self._ask_on(wanted)
        return self._hits.get(block, 0)

    def _ask_on(self, wanted: range) -> None:
        """Ask the index for the next hits after those that are known, each time for more of them."""
        if self._is_newest_first:
            span = range(self._known.start if self._known else wanted.stop)
        else:
            span = range(self._known.stop if self._known else wanted.start, self._indexed_seq + 1)
        found = self._database.hits(
            self._connection, self._groups, span, self._size, is_newest_first=self._is_newest_first
        )
        for block, seqs in groupby(sorted(found.seqs), key=lambda seq: seq // BLOCK):
            self._hits[block] = self._hits.get(block, 0) | mask_of(seq % BLOCK for seq in seqs)
        known, looked = self._known or found.looked, found.looked
        self._known = range(min(known.start, looked.start), max(known.stop, looked.stop))
        self._size = min(self._size * 4, _MOST_HITS)

    def _read(self, first: int, places: int) -> int:
        """The members of a set whose texts, read, hold what is wanted."""
        found: list[int] = []
        for some in chunks([first + place for place in members_up(places)]):
            for seq, texts in read_texts(self._connection, some).items():
                if all(wanted.is_in(texts) for wanted in self._wanted):
                    found.append(seq - first)
        return mask_of(found)
