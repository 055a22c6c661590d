"""What every tab of the settings has: the project, who may change things, and a word on what was just done."""

from __future__ import annotations

from typing import Final, Literal

import attrs
from starlette.requests import Request
from starlette.responses import HTMLResponse

from freeplay_like.server.auth import require_person
from freeplay_like.server.pages.forms import Form, Sent
from freeplay_like.server.pages.page import PageProblem, project_of, render
from freeplay_like.server.state import State
from freeplay_like.server.store.views import Project, Refused

Tab = Literal["project", "keys", "people", "providers", "prices", "data"]

NOTES: Final = {
    "renamed": "The project has its new name.",
    "revoked": "The key has ended: it is refused within five seconds.",
    "person-changed": "The change is saved.",
    "person-removed": "They are removed, and signed out everywhere. What they said in reviews stays, with their name.",
    "signed-out": "They are signed out in every browser.",
    "others-signed-out": "Your other browsers are signed out; this one is not.",
    "provider-saved": "The connection is saved.",
    "key-cleared": "The connection is saved. Its address is another one, so the key was cleared: enter the key for the "
    "new address.",
    "provider-removed": "The connection and its key are forgotten.",
    "price-set": "The price is set. It counts for calls that come from now on; price stored calls again to give it to "
    "them.",
    "price-removed": "The price is gone. Stored calls keep their cost until they are priced again.",
    "kept": "The time that calls are kept is saved.",
}
"""What a page says after a form led back to it, by the word in its address (`said`)."""


@attrs.frozen(kw_only=True)
class Common:
    """What every tab has. `administrators` are the names of whom a reviewer can ask."""

    project: Project
    tab: Tab
    administrators: tuple[str, ...]
    note: str | None = None


@attrs.frozen(kw_only=True)
class SettingsContext:
    """A tab of the settings."""

    common: Common

    @property
    def project(self) -> Project:
        """The project whose settings these are."""
        return self.common.project


def common_of(state: State, request: Request, tab: Tab) -> Common:
    """What every tab has.

    Raises:
        PageProblem: no such project.
    """
    people = state.store.people.all()
    return Common(
        project=project_of(state, request),
        tab=tab,
        administrators=tuple(one.name for one in people if one.role == "admin"),
        note=NOTES.get(request.query_params.get("said", "")),
    )


def require_admin(request: Request, common: Common) -> None:
    """Raise unless an administrator looks.

    Raises:
        PageProblem: 403, with the names of those who may.
    """
    if not require_person(request).is_admin:
        raise PageProblem("For administrators", f"Only an administrator may do this: {names(common)}.", status=403)


def names(common: Common) -> str:
    """The administrators, in one line."""
    return ", ".join(common.administrators) or "there is none yet"


def answer_once(sent: Sent, template: str, context: object) -> HTMLResponse:
    """A page that answers a form itself, as it shows what cannot be shown again. No cache keeps it."""
    html = render(template, context, person=sent.person, warning=sent.state.store.disk.problem)
    return HTMLResponse(html, headers={"Cache-Control": "no-store"})


def typed(form: Form, expected: str) -> None:
    """Raise unless somebody typed what a confirmation asks for.

    Raises:
        Refused: they typed something else; nothing was done.
    """
    said = form.get("typed")
    if said != expected.strip():
        raise Refused(f"type {expected!r} to confirm, not {said[:100]!r}; nothing was deleted")
