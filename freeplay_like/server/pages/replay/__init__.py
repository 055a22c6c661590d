"""Asking again: one recorded call or many, and the playground, where anything can be asked."""

from __future__ import annotations

from starlette.routing import BaseRoute

from freeplay_like.server.pages.forms import action
from freeplay_like.server.pages.page import page
from freeplay_like.server.pages.replay.many import begin_many, build_many, build_replays
from freeplay_like.server.pages.replay.one import begin_one, build_one
from freeplay_like.server.pages.replay.playground import act_in_playground, build_playground
from freeplay_like.server.pages.replay.results import build_result, cancel_replay
from freeplay_like.server.state import State

__all__ = ["routes"]


def routes(state: State) -> list[BaseRoute]:
    """The forms that begin replays, what came of them, and the playground."""
    project = "/projects/{project_id}"
    one, replays, playground = f"{project}/calls/{{record_id}}/replay", f"{project}/replays", f"{project}/playground"
    return [
        *page(one, "replay/one.html", build_one, state),
        action(one, begin_one, state),
        *page(f"{replays}/new", "replay/many.html", build_many, state),
        action(f"{replays}/new", begin_many, state),
        *page(replays, "replay/replays.html", build_replays, state),
        *page(f"{replays}/{{replay_id}}", "replay/result.html", build_result, state),
        action(f"{replays}/{{replay_id}}/cancel", cancel_replay, state),
        *page(playground, "replay/playground.html", build_playground, state),
        action(playground, act_in_playground, state),
    ]
