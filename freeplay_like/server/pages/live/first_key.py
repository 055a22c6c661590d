"""The key of a project's first program: made where its commands stand, and shown in them once."""

from __future__ import annotations

from typing import Final

import attrs
from starlette.responses import HTMLResponse, Response

from freeplay_like.server.pages.addresses import tail_address
from freeplay_like.server.pages.forms import Sent
from freeplay_like.server.pages.page import project_of, render
from freeplay_like.server.store.derived.filters import EVERYTHING
from freeplay_like.server.store.views import Project, Scope

NAME: Final = "first run"
SCOPES: Final[frozenset[Scope]] = frozenset({"ingest", "read", "prompts"})


@attrs.frozen(kw_only=True)
class FirstKeyContext:
    """What leads to the first call, with a key in clear; `seen_seq` is the last record from before."""

    project: Project
    base_url: str
    api_key: str = attrs.field(repr=False)
    seen_seq: int

    @property
    def tail_address(self) -> str:
        """Where the first call is told of."""
        return tail_address(self.project.id, EVERYTHING, None, self.seen_seq)


def make_first_key(sent: Sent) -> Response:
    """Make a key and show it in the commands. Nothing keeps the page: the key cannot be shown again."""
    state = sent.state
    project = project_of(state, sent.request)
    context = FirstKeyContext(
        project=project,
        base_url=state.settings.url,
        api_key=state.store.keys.create(project, SCOPES, name=NAME),
        seen_seq=state.store.calls.settled_seq(),
    )
    html = render("live/first_key.html", context, person=sent.person, warning=state.store.disk.problem)
    return HTMLResponse(html, headers={"Cache-Control": "no-store"})
