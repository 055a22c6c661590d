"""The index of words in PostgreSQL: the words of a call as a `tsvector`, and every word in parts of three characters.

PostgreSQL's own cutting of texts into words, its stems and its trigrams are not used: a text is found by the same words
on every database, and no extension is needed.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

import sqlalchemy as sa

from freeplay_like.server.store.derived.words import Piece
from freeplay_like.server.store.engines import postgres_tables
from freeplay_like.server.store.engines.database import Hits

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
    connection.execute(_SCANNING, {**_AS_EVER, "tables": "off"})
    gone = connection.scalars(_DROP_UNUSED_WORDS, {"words": _every(texts), "newest": _NEWEST_TEXTS}).all()
    connection.execute(_SCANNING, _AS_EVER)
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


def hits(
    connection: sa.Connection, words: Sequence[Sequence[str]], span: range, size: int, *, is_newest_first: bool
) -> Hits:
    """As `Database.hits`.

    What PostgreSQL reckons for `@@` leaves out that a text has to be read for it, and that words go together: left to
    itself it reads all texts for a rare word, or for two common ones that never meet. So the nearest texts are read,
    where words of most texts are found, and then the index of words is asked.

    For a few words, hits within a window are found without those of all others, for their numbers can be looked up as
    well. Of many that may stand for one another it reckons that every text has one, and reads them all if it may: so
    it may not, and the hits of a whole partition are found at once.
    """
    is_near, is_few = size * 4 <= NEAR, max(map(len, words)) <= FEW
    whole = _partition_at(span, is_newest_first=is_newest_first)
    if is_near or is_few:
        window = NEAR if is_near else size * 16
        looked = span[-window:] if is_newest_first else span[:window]
    else:
        looked = range(max(span.start, whole.start), min(span.stop, whole.stop))
    asked = {"words": _query(words), "lowest": looked.start, "highest": looked.stop - 1}
    connection.execute(_SCANNING, _BY_WORDS)
    if is_near or is_few:
        found = connection.scalars(_IN_WINDOW, asked).all()
    else:
        found = connection.scalars(_IN_PARTITION, {**asked, "floor": whole.start, "ceiling": whole.stop - 1}).all()
    connection.execute(_SCANNING, _AS_EVER)
    return Hits(seqs=found, looked=looked)


def hits_among(connection: sa.Connection, words: Sequence[Sequence[str]], seqs: Sequence[int]) -> list[int]:
    """Those of some texts that have one word of every group, in no order. Each of them is read."""
    asked = {"words": _query(words), "seqs": list(seqs), "lowest": min(seqs), "highest": max(seqs)}
    return list(connection.scalars(_AMONG, asked))


NEAR: Final = 2_000
"""How many of the nearest texts may be read: as long as it takes to ask a large index for a word of most texts."""
FEW: Final = 8
"""Of so many words that may stand for one another it is reckoned well enough how many texts have one."""

_SCANNING: Final = sa.text(
    "SELECT set_config('enable_seqscan', :tables, true), set_config('enable_indexscan', :in_order, true)"
)
"""Whether tables may be read from one end to the other, and rows in the order of an index, in this transaction."""
_BY_WORDS: Final = {"tables": "off", "in_order": "off"}
_AS_EVER: Final = {"tables": "on", "in_order": "on"}
_WITH_WORDS: Final = "SELECT seq FROM record_search WHERE words @@ CAST(:words AS tsquery)"
_IN_WINDOW: Final = sa.text(f"{_WITH_WORDS} AND seq BETWEEN :lowest AND :highest")
_AMONG: Final = sa.text(f"{_WITH_WORDS} AND seq BETWEEN :lowest AND :highest AND seq = ANY(:seqs)")
# A partition is chosen by the bounds; the sums are no matter for an index, and so no reason to read every text.
_IN_PARTITION: Final = sa.text(
    f"{_WITH_WORDS} AND seq BETWEEN :floor AND :ceiling AND seq + 0 BETWEEN :lowest AND :highest"
)


def _partition_at(span: range, *, is_newest_first: bool) -> range:
    size = postgres_tables.PARTITION
    number = (span[-1] if is_newest_first else span[0]) // size
    return range(number * size, (number + 1) * size)


def _query(words: Sequence[Sequence[str]]) -> str:
    return " & ".join("(" + " | ".join(map(_quoted, group)) + ")" for group in words)


def _every(texts: Iterable[tuple[int, set[str]]]) -> list[str]:
    return sorted(set[str]().union(*(words for _, words in texts)))


def _threes(text: str) -> list[str]:
    """All parts of three characters, each once."""
    starts = range(len(text) - _SHORTEST_PART + 1)
    return list(dict.fromkeys(text[start : start + _SHORTEST_PART] for start in starts))


def _quoted(word: str) -> str:
    return "'" + word.replace("\\", "\\\\").replace("'", "''") + "'"
