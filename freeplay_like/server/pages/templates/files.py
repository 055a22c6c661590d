"""A version as a file, in the form that `freeplay-like prompts pull` writes."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from urllib.parse import quote

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from freeplay_like.core.template_files import SUFFIX, to_text
from freeplay_like.errors import TemplateError
from freeplay_like.server.auth import require_person
from freeplay_like.server.pages.page import PageProblem, message_page, project_of
from freeplay_like.server.pages.templates.one_template import version_of
from freeplay_like.server.state import State


def file_endpoint(state: State) -> Callable[[Request], Awaitable[Response]]:
    """Answers with the version that the address names, to be saved."""

    def answer(request: Request) -> Response:
        try:
            project = project_of(state, request)
            ids = request.path_params["template_id"], request.path_params["version_id"]
            template = version_of(state, project, *ids).template
            text = to_text(template)
        except PageProblem as problem:
            return message_page(problem.title, problem.message, status=problem.status)
        except TemplateError as exc:
            return message_page("This cannot be a file", f"{exc}.", status=400)
        name = quote(template.name.rpartition("/")[2] + SUFFIX, safe="")
        headers = {"Content-Disposition": f"attachment; filename*=UTF-8''{name}", "Cache-Control": "private, no-cache"}
        return Response(text, media_type="text/plain; charset=utf-8", headers=headers)

    async def endpoint(request: Request) -> Response:
        require_person(request)
        return await run_in_threadpool(answer, request)

    return endpoint
