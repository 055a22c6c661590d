"""Calls that the server is to make itself: what is asked, of whom, and where the answer belongs."""

from __future__ import annotations

import attrs

from freeplay_like.core.templates import PromptTemplate
from freeplay_like.core.wire import JsonObject
from freeplay_like.server.store.views import Project


@attrs.frozen(kw_only=True)
class Asked:
    """One call that is to be made: a version of a template with its inputs.

    `history` holds messages, `media` the media by placeholder; `parameters` go over the template's own. `checks` name
    those of `ANSWER_CHECKS` that score the answer. `api_key_id` is the key on whose behalf.

    `record_id` is the id that the record is to have, None for any; `replay_of` the call that is asked again. A call
    that `is_apart` is no part of what users did: its record has no session and no environment. Where `names_template`
    is False the messages came from no template, and the record says so.
    """

    project: Project
    template: PromptTemplate
    environment: str = ""
    variables: JsonObject
    history: tuple[JsonObject, ...] = ()
    media: JsonObject = attrs.field(factory=dict)
    expected: str | None = None
    parameters: JsonObject = attrs.field(factory=dict)
    metadata: JsonObject = attrs.field(factory=dict)
    session_id: str | None = None
    test_run_id: str | None = None
    test_case_id: str = ""
    checks: frozenset[str] = frozenset()
    api_key_id: str | None = None
    record_id: str | None = None
    replay_of: str | None = None
    is_apart: bool = False
    names_template: bool = True
