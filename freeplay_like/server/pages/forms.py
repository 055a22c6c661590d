"""What forms of the pages send: read, checked, and answered.

A form works without JavaScript: it is posted, changes something once, and leads to a page that shows it. What went
wrong is said beside the form where the browser's script sent it, and on a page of its own where the browser did.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, Literal, TypeAlias
from urllib.parse import parse_qsl

import attrs
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from freeplay_like.server import http
from freeplay_like.server.auth import Person, require_person
from freeplay_like.server.pages.page import PageProblem, message_answer
from freeplay_like.server.state import State
from freeplay_like.server.store.views import Conflict, NotFound, Refused, StoreUnavailable, TooMuch

FIELDS_LIMIT: Final = 10_000
"""The most fields of a form: a checkbox a row, and some."""

_STATUS: Final[tuple[tuple[type[Exception], int], ...]] = (
    (NotFound, 404),
    (Conflict, 409),
    (Refused, 400),
    (TooMuch, 413),
    (StoreUnavailable, 503),
)


@attrs.frozen
class Form:
    """The fields of a form, in the order they came; a name may come several times."""

    fields: tuple[tuple[str, str], ...] = ()

    def get(self, name: str, default: str = "") -> str:
        """The first value of that name, without blanks around it."""
        return next((value for known, value in self.fields if known == name), default).strip()

    def raw(self, name: str) -> str:
        """The first value of that name, as it was typed, with its line ends as `\\n`; "" where there is none."""
        return next((value for known, value in self.fields if known == name), "").replace("\r\n", "\n")

    def all(self, name: str) -> tuple[str, ...]:
        """Every value of that name that is not blank."""
        return tuple(text for known, value in self.fields if known == name and (text := value.strip()))

    def has(self, name: str) -> bool:
        """Whether the field was sent at all: a checkbox is sent where it is checked."""
        return any(known == name for known, _ in self.fields)

    def require(self, name: str, what: str) -> str:
        """The value of that name; `what` is what people call the field.

        Raises:
            Refused: it is blank.
        """
        value = self.get(name)
        if not value:
            raise Refused(f"{what} is missing")
        return value

    def number(self, name: str, what: str, *, lowest: int, highest: int) -> int | None:
        """The whole number of that name, None where it is blank.

        Raises:
            Refused: it is none, or beyond what may be.
        """
        text = self.get(name)
        if not text:
            return None
        if not (text.isascii() and text.isdigit() and len(text) <= 18 and lowest <= int(text) <= highest):
            raise Refused(f"{what} is a whole number from {lowest} to {highest}, not {text[:100]!r}")
        return int(text)

    def one_of(self, name: str, what: str, choices: Sequence[str]) -> str:
        """The value of that name.

        Raises:
            Refused: it is none of them.
        """
        value = self.get(name)
        if value not in choices:
            raise Refused(f"{what} is one of {', '.join(choices)}, not {value[:100]!r}")
        return value


@attrs.frozen(kw_only=True)
class Sent:
    """A form that somebody sent: what an action is called with. Blocking: actions run in a thread."""

    state: State
    request: Request
    person: Person
    form: Form

    @property
    def is_by_script(self) -> bool:
        """Whether the browser's script sent it, which wants a part of a page for an answer."""
        return "hx-request" in self.request.headers


Act: TypeAlias = Callable[[Sent], Response]
"""Changes something. Blocks.

Raises:
    PageProblem, NotFound, Conflict, Refused, TooMuch, StoreUnavailable: it was not done; the message is for people.
"""

May: TypeAlias = Literal["anybody", "admin"]


def action(path: str, act: Act, state: State, may: May = "anybody") -> Route:
    """The route of a form. `may` says who may send it, of those who are signed in."""

    def answer(request: Request, person: Person, form: Form) -> Response:
        try:
            if may == "admin" and not person.is_admin:
                raise PageProblem("For administrators", "Only an administrator may do this.", status=403)
            return act(Sent(state=state, request=request, person=person, form=form))
        except PageProblem as problem:
            return message_answer(request, problem.title, problem.message, problem.status)
        except tuple(kind for kind, _ in _STATUS) as exc:
            status = next(status for kind, status in _STATUS if isinstance(exc, kind))
            return message_answer(request, "This could not be done", _sentence(str(exc)), status)

    async def endpoint(request: Request) -> Response:
        person = require_person(request)
        return await run_in_threadpool(answer, request, person, await read_form(request))

    return Route(path, endpoint, methods=["POST"])


def then(address: str) -> Response:
    """Leads to the page that shows what was done."""
    return RedirectResponse(address, 303)


async def read_form(request: Request) -> Form:
    """The fields of a form.

    Raises:
        HTTPException: 400, 413 it is no form, or too large a one.
    """
    body = await http.read_body(request.scope["headers"], request.receive, http.BODY_LIMIT_BYTES)
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if body and kind != "application/x-www-form-urlencoded":
        raise HTTPException(400, f"a form is sent as application/x-www-form-urlencoded, not {kind[:100]!r}")
    try:
        fields = parse_qsl(body.decode(), keep_blank_values=True, max_num_fields=FIELDS_LIMIT, errors="strict")
    except ValueError as exc:
        raise HTTPException(400, f"the form cannot be read: {exc}") from exc
    bad = next((name for name, value in fields if "\0" in name or "\0" in value), None)
    if bad is not None:
        raise HTTPException(400, f"the field {bad[:100]!a} holds a NUL, which no text has")
    return Form(tuple(fields))


def _sentence(text: str) -> str:
    text = text.strip()
    return text[:1].upper() + text[1:] + ("" if text.endswith((".", "!", "?", ";")) else ".")
