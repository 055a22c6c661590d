"""Reviewing calls: good or bad, notes, queues, and how far two reviewers agree."""

from __future__ import annotations

from starlette.routing import BaseRoute

from freeplay_like.server.pages.forms import action
from freeplay_like.server.pages.page import page
from freeplay_like.server.pages.review.cases import add_case, build_case_form
from freeplay_like.server.pages.review.overview import build_review
from freeplay_like.server.pages.review.page_of_agreement import build_agreement
from freeplay_like.server.pages.review.queues import build_queue, skip
from freeplay_like.server.pages.review.saying import say
from freeplay_like.server.state import State

__all__ = ["routes"]


def routes(state: State) -> list[BaseRoute]:
    """The pages of this room, and what its forms send."""
    room, call = "/projects/{project_id}/review", "/projects/{project_id}/calls/{record_id}"
    return [
        *page(room, "review/review.html", build_review, state),
        *page(f"{room}/agreement", "review/agreement.html", build_agreement, state),
        *page(f"{room}/calls", "review/queue.html", build_queue, state),
        action(f"{room}/skip", skip, state),
        *page(f"{room}/{{view_id}}", "review/queue.html", build_queue, state),
        action(f"{call}/review", say, state),
        *page(f"{call}/case", "review/case.html", build_case_form, state),
        action(f"{call}/case", add_case, state),
    ]
