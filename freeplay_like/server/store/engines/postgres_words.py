"""The index of words in PostgreSQL: the words of a call as a `tsvector`, and every word in parts of three characters.

PostgreSQL's own cutting of texts into words, its stems and its trigrams are not used: a text is found by the same words
on every database, and no extension is needed.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

import sqlalchemy as sa

from freeplay_like.server.store.derived.words import Piece

_SHORTEST_PART: Final = 3

_PUT: Final = sa.text(
    "INSERT INTO record_search (seq, words) VALUES (:seq, array_to_tsvector(CAST(:words AS text[]))) "
    "ON CONFLICT (seq) DO UPDATE SET words = excluded.words"
)
_PUT_WORDS: Final = sa.text(
    "INSERT INTO word (text) SELECT unnest(CAST(:words AS text[])) ON CONFLICT (text) DO NOTHING RETURNING key, text"
)
_PUT_PARTS: Final = sa.text("INSERT INTO word_search (key, threes) VALUES (:key, CAST(:threes AS text[]))")
_TAKE: Final = sa.text("DELETE FROM record_search WHERE seq = ANY(:seqs)")
_DROP_UNUSED_WORDS: Final = sa.text(
    "DELETE FROM word WHERE text = ANY(:words) AND NOT EXISTS (SELECT 1 FROM record_search "
    "WHERE words @@ ('''' || replace(text, '''', '''''') || '''')::tsquery) RETURNING key"
)
_TAKE_PARTS: Final = sa.text("DELETE FROM word_search WHERE key = ANY(:keys)")


def index(connection: sa.Connection, texts: Sequence[tuple[int, set[str]]]) -> None:
    """Put the words of texts into the index, each text under its number."""
    if not texts:
        return
    new = connection.execute(_PUT_WORDS, {"words": _every(texts)}).all()
    parts = [{"key": key, "threes": threes} for key, text in new if (threes := _threes(text))]
    if parts:
        connection.execute(_PUT_PARTS, parts)
    connection.execute(_PUT, [{"seq": seq, "words": sorted(words)} for seq, words in texts])


def unindex(connection: sa.Connection, texts: Sequence[tuple[int, set[str]]]) -> None:
    """Take texts out of the index again, and the words that no other text has."""
    if not texts:
        return
    connection.execute(_TAKE, {"seqs": [seq for seq, _ in texts]})
    gone = connection.scalars(_DROP_UNUSED_WORDS, {"words": _every(texts)}).all()
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
    """The first numbers within a span of texts that have one word of every group; at most `limit`."""
    groups = ("(" + " | ".join(map(_quoted, group)) + ")" for group in words)
    statement = _NEWEST if is_newest_first else _OLDEST
    asked = {"words": " & ".join(groups), "lowest": span.start, "highest": span.stop - 1, "limit": limit}
    return list(connection.scalars(statement, asked))


_FOUND: Final = (
    "SELECT seq FROM record_search WHERE words @@ CAST(:words AS tsquery) AND seq BETWEEN :lowest AND :highest "
    "ORDER BY seq"
)
_OLDEST: Final = sa.text(f"{_FOUND} LIMIT :limit")
_NEWEST: Final = sa.text(f"{_FOUND} DESC LIMIT :limit")


def _every(texts: Iterable[tuple[int, set[str]]]) -> list[str]:
    return sorted(set[str]().union(*(words for _, words in texts)))


def _threes(text: str) -> list[str]:
    """All parts of three characters, each once."""
    starts = range(len(text) - _SHORTEST_PART + 1)
    return list(dict.fromkeys(text[start : start + _SHORTEST_PART] for start in starts))


def _quoted(word: str) -> str:
    return "'" + word.replace("\\", "\\\\").replace("'", "''") + "'"
