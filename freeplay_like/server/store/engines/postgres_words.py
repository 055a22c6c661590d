"""The index of words in PostgreSQL: the words of a call as a `tsvector`, and every word in parts of three characters.

PostgreSQL's own cutting of texts into words, its stems and its trigrams are not used: a text is found by the same words
on every database, and no extension is needed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

import sqlalchemy as sa

from freeplay_like.server.store.derived.words import Piece
from freeplay_like.server.store.engines import postgres_tables

_SHORTEST_PART: Final = 3

_BETWEEN: Final = "\x1f"
"""Between words that are sent as one text, which costs a fraction of what a list does: it is in no word."""

_PUT: Final = sa.text(
    "INSERT INTO record_search (seq, words) VALUES (:seq, array_to_tsvector(string_to_array(:words, :between))) "
    "ON CONFLICT (seq) DO UPDATE SET words = excluded.words"
)
_PUT_WORDS: Final = sa.text(
    "WITH new AS (INSERT INTO word (text) SELECT text FROM string_to_table(:words, :between) AS text "
    'WHERE NOT EXISTS (SELECT FROM word WHERE word.text = text.text) ORDER BY text COLLATE "C" '
    "ON CONFLICT (text) DO NOTHING RETURNING key, text) "
    "INSERT INTO word_search (key, threes) SELECT key, ARRAY(SELECT DISTINCT substr(text, start, :length) "
    "FROM generate_series(1, length(text) - :length + 1) AS start) FROM new WHERE length(text) >= :length"
)
_NEWEST_TEXTS: Final = 200
"""In how many of the newest texts words are looked for before the index is asked."""

_TAKE: Final = sa.text("DELETE FROM record_search WHERE seq = ANY(:seqs)")
# Most words are in the newest texts too, and need not be looked up. The others are, each by itself, and for each a
# question would read what waits to be sorted into the index: so that is done first.
_SORT_IN: Final = sa.text(
    "SELECT gin_clean_pending_list(indexrelid) FROM pg_inherits JOIN pg_index ON indrelid = inhrelid "
    "JOIN pg_class ON pg_class.oid = indexrelid JOIN pg_am ON pg_am.oid = relam "
    "WHERE inhparent = to_regclass('record_search') AND amname = 'gin'"
)
_DROP_UNUSED_WORDS: Final = sa.text(
    "WITH common AS MATERIALIZED (SELECT DISTINCT unnest(tsvector_to_array(words)) AS text "
    "FROM (SELECT words FROM record_search ORDER BY seq DESC LIMIT :newest) AS newest), "
    "rare AS MATERIALIZED (SELECT unnest(CAST(:words AS text[])) AS text EXCEPT SELECT text FROM common), "
    "unused AS MATERIALIZED (SELECT text FROM rare WHERE NOT EXISTS (SELECT FROM record_search "
    "WHERE words @@ ('''' || replace(text, '''', '''''') || '''')::tsquery)) "
    "DELETE FROM word USING unused WHERE word.text = unused.text RETURNING key"
)
_TAKE_PARTS: Final = sa.text("DELETE FROM word_search WHERE key = ANY(:keys)")


def index(connection: sa.Connection, texts: Sequence[tuple[int, set[str]]]) -> None:
    """Put the words of texts into the index, each text under its number."""
    if not texts:
        return
    rows = [{"seq": seq, "words": _BETWEEN.join(words), "between": _BETWEEN} for seq, words in texts]
    connection.execute(_PUT, rows)
    # New words last, and in order: who adds the same ones at the same time waits for the end of this transaction.
    every = _BETWEEN.join(_every(texts))
    connection.execute(_PUT_WORDS, {"words": every, "between": _BETWEEN, "length": _SHORTEST_PART})


def unindex(connection: sa.Connection, texts: Sequence[tuple[int, set[str]]]) -> None:
    """Take texts out of the index again, and the words that no other text has."""
    if not texts:
        return
    connection.execute(_TAKE, {"seqs": [seq for seq, _ in texts]})
    connection.execute(_SORT_IN)
    connection.execute(_SCANNING, {"tables": "off", "in_order": "on"})
    gone = connection.scalars(_DROP_UNUSED_WORDS, {"words": _every(texts), "newest": _NEWEST_TEXTS}).all()
    connection.execute(_SCANNING, {"tables": "on", "in_order": "on"})
    connection.execute(_TAKE_PARTS, {"keys": list(gone)})


def words_with(connection: sa.Connection, piece: Piece, limit: int) -> list[str]:
    """Words of the index in which a piece is; at most `limit`, in no order."""
    part = piece.text
    asked: dict[str, object] = {"part": part, "limit": limit}
    if piece.kind == "exact":
        where = "text = :part"
    elif piece.kind == "prefix":
        where, asked["end"] = "text >= :part AND text < :end", part + chr(0x10FFFF)
    elif piece.kind == "suffix":
        where, asked["length"] = "right(text, :length) = :part", len(part)
    else:
        where = "strpos(text, :part) > 0"
    words = "word"
    threes = _threes(part)
    if piece.kind in ("part", "suffix") and threes:
        asked["threes"] = threes
        words = "word_search JOIN word USING (key)"
        where = f"threes @> CAST(:threes AS text[]) AND {where}"
    statement = f"SELECT text FROM {words} WHERE {where} LIMIT :limit"  # noqa: S608  put together from the words above
    return list(connection.scalars(sa.text(statement), asked))


def seqs_with(
    connection: sa.Connection, words: Sequence[Sequence[str]], span: range, limit: int, *, is_newest_first: bool
) -> list[int]:
    """The first numbers within a span of texts that have one word of every group; at most `limit`.

    What PostgreSQL reckons for `@@` leaves out that a text has to be read for it, and that words go together: left to
    itself it reads all texts for a rare word, or for two common ones that never meet. So only the index of words is
    asked, for one partition after another; words that are in most texts are found before, by reading the nearest ones.
    """
    query = " & ".join("(" + " | ".join(map(_quoted, group)) + ")" for group in words)
    statement = _NEWEST if is_newest_first else _OLDEST
    found: list[int] = []
    connection.execute(_SCANNING, {"tables": "off", "in_order": "off"})
    for part, within in _parts(span, limit, is_newest_first=is_newest_first):
        asked = {"words": query, "lowest": part.start, "highest": part.stop - 1, "limit": limit - len(found)}
        found += connection.scalars(statement, {**asked, "floor": within.start, "ceiling": within.stop - 1})
        if len(found) == limit:
            break
    connection.execute(_SCANNING, {"tables": "on", "in_order": "on"})
    return found


NEAR: Final = 2_000
"""How many of the nearest texts may be read: as long as it takes to ask a large index for a word of most texts."""

_SCANNING: Final = sa.text(
    "SELECT set_config('enable_seqscan', :tables, true), set_config('enable_indexscan', :in_order, true)"
)
"""Whether tables may be read from one end to the other, and rows in the order of an index, in this transaction."""
# Where `floor` and `ceiling` are those of a partition they choose it and nothing else; the exact span is no matter for
# an index, and so no reason to read every text in it.
_FOUND: Final = (
    "SELECT seq FROM record_search WHERE words @@ CAST(:words AS tsquery) AND seq BETWEEN :floor AND :ceiling "
    "AND seq + 0 BETWEEN :lowest AND :highest ORDER BY seq"
)
_OLDEST: Final = sa.text(f"{_FOUND} LIMIT :limit")
_NEWEST: Final = sa.text(f"{_FOUND} DESC LIMIT :limit")


def _parts(span: range, limit: int, *, is_newest_first: bool) -> Iterator[tuple[range, range]]:
    """The parts of a span from its near end, each with the numbers by which its partition is chosen."""
    if limit * 4 <= NEAR:
        near = span[-NEAR:] if is_newest_first else span[:NEAR]
        yield near, near
        span = span[:-NEAR] if is_newest_first else span[NEAR:]
    if not span:
        return
    size = postgres_tables.PARTITION
    numbers = range(span.start // size, (span.stop - 1) // size + 1)
    for number in reversed(numbers) if is_newest_first else numbers:
        whole = range(number * size, (number + 1) * size)
        yield range(max(span.start, whole.start), min(span.stop, whole.stop)), whole


def _every(texts: Iterable[tuple[int, set[str]]]) -> list[str]:
    return sorted(set[str]().union(*(words for _, words in texts)))


def _threes(text: str) -> list[str]:
    """All parts of three characters, each once."""
    starts = range(len(text) - _SHORTEST_PART + 1)
    return list(dict.fromkeys(text[start : start + _SHORTEST_PART] for start in starts))


def _quoted(word: str) -> str:
    return "'" + word.replace("\\", "\\\\").replace("'", "''") + "'"
