"""The people of this server: who may look at the pages, and what they may do. They are the same for every project."""

from __future__ import annotations

from datetime import datetime
from typing import Final, cast
from urllib.parse import urlencode

import attrs
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from freeplay_like.server.auth import require_person
from freeplay_like.server.pages.addresses import project_address, settings_address
from freeplay_like.server.pages.forms import Form, Sent, action, then
from freeplay_like.server.pages.page import page, project_of
from freeplay_like.server.pages.settings.common import SettingsContext, answer_once, common_of
from freeplay_like.server.state import State
from freeplay_like.server.store.accounts.people import LINK_AGE, KnownPerson, PersonNotFound, Role

ROLES: Final[dict[Role, str]] = {
    "reviewer": "reads everything, reviews, makes datasets, versions and test runs, moves unprotected environments",
    "admin": "also keys, people, providers, prices, retention, deletion and protected environments",
}
"""What people can be, and what each may do."""


@attrs.frozen(kw_only=True)
class PersonRow:
    """Somebody, as the list shows them. `sessions` counts the browsers that are signed in."""

    id: str
    name: str
    role: Role
    created_at: datetime
    sessions: int
    is_you: bool


@attrs.frozen(kw_only=True)
class PeopleContext(SettingsContext):
    """The people of this server, the first one first."""

    people: tuple[PersonRow, ...]
    roles: dict[Role, str]

    @property
    def you(self) -> PersonRow | None:
        """Who looks; None in a browser that signed in before people had names, until one is added."""
        return next((one for one in self.people if one.is_you), None)


@attrs.frozen(kw_only=True)
class LinkContext(SettingsContext):
    """A sign-in link that was just made for somebody."""

    person: PersonRow
    link: str
    hours: int


def routes(state: State) -> list[BaseRoute]:
    """The tab, and its forms."""
    place = "/projects/{project_id}/settings/people"
    return [
        *page(place, "settings/people.html", _build, state),
        action(place, _add, state, may="admin"),
        action(f"{place}/you/name", _rename_yourself, state),
        action(f"{place}/you/sign-out-others", _sign_out_others, state),
        action(f"{place}/{{person_id}}/change", _change, state, may="admin"),
        action(f"{place}/{{person_id}}/link", _link, state, may="admin"),
        action(f"{place}/{{person_id}}/sign-out", _sign_out, state, may="admin"),
        action(f"{place}/{{person_id}}/remove", _remove, state, may="admin"),
    ]


def _build(state: State, request: Request) -> PeopleContext:
    you = require_person(request).id
    return PeopleContext(
        common=common_of(state, request, "people"),
        people=tuple(_row(one, you) for one in state.store.people.all()),
        roles=ROLES,
    )


def _add(sent: Sent) -> Response:
    role = _role(sent.form)
    made = sent.state.store.people.create(sent.form.require("name", "The name"), role)
    return _link_to(sent, made)


def _change(sent: Sent) -> Response:
    role = _role(sent.form)
    sent.state.store.people.change(_named(sent).id, name=sent.form.require("name", "The name"), role=role)
    return _back(sent, "person-changed")


def _rename_yourself(sent: Sent) -> Response:
    you = sent.person
    sent.state.store.people.change(you.id, name=sent.form.require("name", "Your name"), role=you.role)
    return _back(sent, "person-changed")


def _link(sent: Sent) -> Response:
    return _link_to(sent, _named(sent))


def _sign_out(sent: Sent) -> Response:
    sent.state.store.people.sign_out_everywhere(_named(sent).id)
    return _back(sent, "signed-out")


def _sign_out_others(sent: Sent) -> Response:
    sent.state.store.people.sign_out_everywhere(sent.person.id, but=sent.person.session_token)
    return _back(sent, "others-signed-out")


def _remove(sent: Sent) -> Response:
    sent.state.store.people.remove(_named(sent).id)
    return _back(sent, "person-removed")


def _link_to(sent: Sent, whom: KnownPerson) -> Response:
    common = common_of(sent.state, sent.request, "people")
    token = sent.state.store.people.create_sign_in_link(whom.id)
    query = urlencode({"token": token, "next": project_address(common.project.id)})
    context = LinkContext(
        common=common,
        person=_row(whom, sent.person.id),
        link=f"{sent.state.settings.url}/sign-in?{query}",
        hours=round(LINK_AGE.total_seconds() / 3600),
    )
    return answer_once(sent, "settings/link_made.html", context)


def _back(sent: Sent, said: str) -> Response:
    return then(settings_address(project_of(sent.state, sent.request).id, "people", said=said))


def _named(sent: Sent) -> KnownPerson:
    """The person that the address names.

    Raises:
        PersonNotFound: there is none, or not any more.
    """
    person_id = sent.request.path_params["person_id"]
    for one in sent.state.store.people.all():
        if one.id == person_id:
            return one
    raise PersonNotFound(f"there is no person {person_id[:100]!r} on this server (any more)")


def _role(form: Form) -> Role:
    return cast("Role", form.one_of("role", "The role", tuple(ROLES)))


def _row(one: KnownPerson, you: str) -> PersonRow:
    return PersonRow(
        id=one.id,
        name=one.name,
        role=one.role,
        created_at=one.created_at,
        sessions=one.sessions,
        is_you=one.id == you,
    )
