"""What a failed statement says of the database: whether it is the database that cannot, and why, in words."""

from __future__ import annotations

from typing import Final

import sqlalchemy as sa

_DISK_FULL: Final = "53100"
_READ_ONLY: Final = "25006"
_LOCKED: Final = "55P03"

_PASSING: Final = frozenset(
    {
        _READ_ONLY,
        "25P02",  # the transaction was ended by a failure before
        "25P03",  # it was idle too long
        "42501",  # somebody took a right away
        "42P01",  # or a table: no record is to be refused for good for what an operator did
    }
)
"""What PostgreSQL says of itself and not of the statement, beside all that is an `OperationalError` anyway."""

_BY_CHANCE: Final = frozenset({"40001", "40P01"})
"""Another server's transaction was in the way: of this one nothing was done."""

_REASONS: Final = {
    _DISK_FULL: "the database's disk is full: nothing is taken until there is room; what is stored can be read",
    _READ_ONLY: "the database takes no writes: it is a standby, or was made read-only",
    "53300": "the database takes no more connections (max_connections)",
    _LOCKED: "another change to the store takes long",
    "57014": "the database took too long to answer",
    "57P03": "the database is starting or stopping",
    "57P01": "the database is stopping",
}


def sqlstate(exc: sa.exc.DBAPIError) -> str | None:
    """The code of a failure by the SQL standard, where the database gives one."""
    code = getattr(exc.orig, "sqlstate", None)
    return code if isinstance(code, str) else None


def is_passing(exc: sa.exc.DBAPIError) -> bool:
    """Whether the same statement may succeed later: nothing is wrong with it."""
    return isinstance(exc, sa.exc.OperationalError) or exc.connection_invalidated or sqlstate(exc) in _PASSING


def is_by_chance(exc: sa.exc.DBAPIError) -> bool:
    """Whether the transaction is best begun again at once: others were in its way, or its connection was lost."""
    return exc.connection_invalidated or sqlstate(exc) in _BY_CHANCE


def is_in_the_way(exc: sa.exc.DBAPIError) -> bool:
    """Whether it was others who hold what was wanted."""
    return sqlstate(exc) in (_LOCKED, *_BY_CHANCE)


def reason_of(exc: sa.exc.DBAPIError) -> str:
    """Why the database could not, in one line."""
    said = str(exc.orig).strip().partition("\n")[0]
    return _REASONS.get(sqlstate(exc) or "", said)
