"""Saying something of a call: the one form behind the buttons, the keys and the queue."""

from __future__ import annotations

from datetime import datetime
from math import isfinite
from typing import Final

from starlette.responses import HTMLResponse, Response

from freeplay_like.core.records import ScoreValue
from freeplay_like.core.reviews import VERDICT_SCORE, VERDICTS, Review, Verdict
from freeplay_like.server.auth import Person
from freeplay_like.server.checks import SCORES_LIMIT, TEXT_LIMIT, is_name, said_of_name
from freeplay_like.server.pages.addresses import call_address
from freeplay_like.server.pages.forms import Form, Sent, then
from freeplay_like.server.pages.page import PageProblem, project_of, render_part
from freeplay_like.server.pages.review.verdict import review_of
from freeplay_like.server.store.views import Project, Refused, StoredCall

NOTE_LIMIT: Final = 20_000
"""The most characters of a note."""
WITHDRAWN: Final = "none"
"""Sent in the place of a verdict, it takes one back; "" leaves it as it is."""


def say(sent: Sent) -> Response:
    """Keep what somebody says of a call; what the form does not hold stays as they said it before.

    Raises:
        PageProblem: there is no such project or call, or nobody knows who says it.
        Refused: a note or a score that cannot be kept.
    """
    project = project_of(sent.state, sent.request)
    call = stored_call(sent, project)
    before = review_of(call, reviewer_of(sent).id).mine
    sent.state.store.reviews.say(project, _review(sent, call, before))
    is_done = sent.form.get("verdict") in VERDICTS
    if is_done:
        keep_place(sent, project, call.row.seq)
    if sent.is_by_script:
        return HTMLResponse(_part(sent, project), headers={"Cache-Control": "no-store"})
    here = said_address(sent.form, "here", project, call_address(project.id, call.row.record_id))
    return then(said_address(sent.form, "next", project, here) if is_done else here)


def stored_call(sent: Sent, project: Project) -> StoredCall:
    """The call that the address names.

    Raises:
        PageProblem: there is none.
    """
    record_id = sent.request.path_params["record_id"]
    call = sent.state.store.calls.get(project.id, record_id)
    if call is None:
        raise PageProblem("No such call", f"Project {project.name!r} has no call {record_id[:100]!r}.")
    return call


def reviewer_of(sent: Sent) -> Person:
    """Who says it.

    Raises:
        PageProblem: they signed in before people had names.
    """
    if not sent.person.id:
        raise PageProblem(
            "Your review needs a name",
            "This browser was signed in before people had names here. Open a new sign-in link, and say it again.",
            status=409,
        )
    return sent.person


def said_address(form: Form, field: str, project: Project, otherwise: str) -> str:
    """Where a form leads to: what it says itself, where that is a page of this project."""
    said = form.get(field)
    return said if said.startswith(f"/projects/{project.id}/") else otherwise


def keep_place(sent: Sent, project: Project, seq: int) -> None:
    """Remember how far somebody is in the saved view that the form names, if it names one."""
    view_id = sent.form.get("view")
    if view_id:
        view = sent.state.store.saved_views.get(project, view_id)
        sent.state.store.reviews.move(view, reviewer_of(sent).id, seq)


def _review(sent: Sent, call: StoredCall, before: Review | None) -> Review:
    form, person = sent.form, reviewer_of(sent)
    note = form.raw("note").strip() if form.has("note") else "" if before is None else before.note
    if len(note) > NOTE_LIMIT:
        raise Refused(f"the note has {len(note)} characters; at most {NOTE_LIMIT} are kept")
    kept = {} if before is None else before.scores
    return Review(
        record_id=call.row.record_id,
        reviewer_id=person.id,
        reviewer=person.name,
        made_at=_later_than(before, sent.state.store.now()),
        verdict=_verdict(form, None if before is None else before.verdict),
        note=note,
        scores=scores_in(form) if form.has("score_name") else kept,
    )


def _later_than(before: Review | None, now: datetime) -> datetime:
    """Now; a clock that was set back must not let an older review stand."""
    return now if before is None else max(now, before.made_at)


def _verdict(form: Form, before: Verdict | None) -> Verdict | None:
    said = form.one_of("verdict", "the verdict", ("", WITHDRAWN, *VERDICTS))
    if not said:
        return before
    return next((known for known in VERDICTS if known == said), None)


def scores_in(form: Form) -> dict[str, ScoreValue]:
    """The scores of a form: names and values in the same order; where a value is blank, there is none.

    Raises:
        Refused: a name or a value that cannot be kept.
    """
    names = [value.strip() for known, value in form.fields if known == "score_name"]
    values = [value.strip() for known, value in form.fields if known == "score_value"]
    scores: dict[str, ScoreValue] = {}
    for name, value in zip(names, values, strict=False):
        if not value:
            continue
        if not is_name(name) or name == VERDICT_SCORE:
            raise Refused(f"a score's {said_of_name(name)}, and {VERDICT_SCORE!r} is that of the verdict")
        if len(value) > TEXT_LIMIT:
            raise Refused(f"score {name!r} has {len(value)} characters; at most {TEXT_LIMIT} can be counted")
        scores[name] = score_value(value)
    if len(scores) >= SCORES_LIMIT:
        raise Refused(f"there are {len(scores)} scores; at most {SCORES_LIMIT - 1} are kept beside the verdict")
    return scores


def score_value(text: str) -> ScoreValue:
    """What somebody typed as a score: true, false, a number, or words."""
    if text in ("true", "false"):
        return text == "true"
    try:
        number = float(text)
    except ValueError:
        return text
    if not isfinite(number) or abs(number) > 1e15:
        return text
    return int(number) if number.is_integer() else number


def _part(sent: Sent, project: Project) -> str:
    """What the browser's script puts in: the form as it is now, or the marks of a row."""
    call = stored_call(sent, project)
    review = review_of(call, sent.person.id, sent.state.store.reviews.score_names(project))
    values = {"project_id": project.id, "record_id": call.row.record_id, "review": review}
    return render_part("review/marks_of_row.html" if sent.form.get("part") == "marks" else "review/said.html", values)
