"""Deleting a session's or a person's data, everywhere."""

from __future__ import annotations

from typing import Annotated, Final

import attrs
import msgspec
from starlette.exceptions import HTTPException

from freeplay_like.server.api.operations import PROJECT, Ask, operation
from freeplay_like.server.store.removal.deletion import DeletionReport

_Id = Annotated[str, msgspec.Meta(min_length=1, max_length=64)]
_SessionId = Annotated[str, msgspec.Meta(min_length=1, max_length=1_000)]
_Value = str | int | float | bool | None
_Key = Annotated[str, msgspec.Meta(min_length=1, max_length=1_000)]


@attrs.frozen(kw_only=True)
class Deletions:
    """The body that says what to delete, in one of three ways.

    `metadata`: records that have all of these keys with exactly these values; a text also stands for the number that
    it writes.
    """

    session_id: _SessionId | None = None
    record_ids: Annotated[list[_Id], msgspec.Meta(min_length=1, max_length=1_000)] | None = None
    metadata: Annotated[dict[_Key, _Value], msgspec.Meta(min_length=1, max_length=20)] | None = None


@operation("POST", f"{PROJECT}/deletions", scope="admin", body=Deletions, returns=DeletionReport)
def delete(ask: Ask[Deletions]) -> DeletionReport:
    """Delete records, with everything that was said of them, derived from them, or made from them.

    Answered when they are gone from every answer of this server; the traces that a file keeps of deleted data are
    wiped some minutes later. A deleted record that is sent again within 30 days is not stored again.
    """
    body, deletion = ask.body, ask.store.deletion
    if [body.session_id, body.record_ids, body.metadata].count(None) != 2:
        raise HTTPException(400, "say what to delete with one of 'session_id', 'record_ids' and 'metadata'")
    if body.session_id is not None:
        return deletion.session(ask.project, body.session_id)
    if body.record_ids is not None:
        return deletion.records(ask.project, body.record_ids)
    return deletion.person(ask.project, body.metadata or {})


OPERATIONS: Final = (delete,)
