"""Test runs, in Freeplay's words: made over a dataset, and looked at while records come in that name them."""

from __future__ import annotations

import attrs
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from freeplay_like.core.wire import JsonObject
from freeplay_like.server.auth import require_key
from freeplay_like.server.checks import TEXT_LIMIT, is_name, said_of_name
from freeplay_like.server.http import json_response, read_json
from freeplay_like.server.state import state_of
from freeplay_like.server.store.datasets import DatasetNotFound
from freeplay_like.server.store.test_runs import DatasetEmpty
from freeplay_like.server.store.views import DatasetCase, NewRun, Project, RunDraft


@attrs.frozen(kw_only=True)
class NewTestRun:
    """The body that makes a test run. `target_evaluation_ids` is taken and not used: no evaluation runs here."""

    dataset_name: str
    include_outputs: bool = False
    test_run_name: str | None = None
    test_run_description: str | None = None
    flavor_name: str | None = None
    target_evaluation_ids: list[str] | None = None


@attrs.frozen(kw_only=True)
class NewPlaylistRun:
    """The body that makes a test run in the words of 0.1.6, where a dataset was called a playlist."""

    playlist_name: str


async def create_test_run(request: Request) -> Response:
    """A new test run, and the cases to be tried; their expected outputs only where they are asked for."""
    project = await _require_key(request)
    body = await read_json(request, NewTestRun)
    name = None if body.test_run_name is None else body.test_run_name.strip()
    if name and not is_name(name):
        raise HTTPException(400, f"test_run_name: a test run's {said_of_name(name)}")
    if body.flavor_name is not None and len(body.flavor_name) > TEXT_LIMIT:
        raise HTTPException(400, f"flavor_name has {len(body.flavor_name)} characters; at most {TEXT_LIMIT} are kept")
    draft = RunDraft(
        dataset_name=body.dataset_name,
        name=name or None,
        description=body.test_run_description or "",
        flavor=body.flavor_name,
    )
    run = await _create(request, project, draft)
    cases = [_case_to_wire(case, has_output=body.include_outputs) for case in run.cases]
    return json_response({"test_run_id": run.id, "test_cases": cases, "trace_test_cases": None}, 201)


async def create_playlist_run(request: Request) -> Response:
    """A new test run for a client of 0.1.6: it gets the inputs alone."""
    project = await _require_key(request)
    draft = RunDraft(dataset_name=(await read_json(request, NewPlaylistRun)).playlist_name)
    run = await _create(request, project, draft)
    return json_response({"test_run_id": run.id, "inputs": [case.content.inputs for case in run.cases]}, 201)


async def get_test_run(request: Request) -> Response:
    """Where a test run stands."""
    project = await require_key(request, "read")
    run_id = request.path_params["test_run_id"]
    run = await run_in_threadpool(state_of(request).store.test_runs.get, project.id, run_id)
    if run is None:
        raise HTTPException(404, f"no test run {run_id!r} in project {project.name!r}")
    return json_response(
        {
            "id": run.id,
            "name": run.name,
            "description": run.description,
            "status": "complete" if run.finished >= run.cases else "in-progress",
            "summary_statistics": {
                "auto_evaluation": {},
                "human_evaluation": {},
                "client_evaluation": run.scores,
            },
            "dataset_id": run.dataset_id,
            "dataset_name": run.dataset_name,
            "flavor_name": run.flavor,
            "created_at": run.created_at,
            "test_cases": run.cases,
            "finished_test_cases": run.finished,
            "records": run.records,
        }
    )


async def _require_key(request: Request) -> Project:
    """Who makes a run is given what is in the dataset, and sends records."""
    await require_key(request, "read")
    return await require_key(request, "ingest")


async def _create(request: Request, project: Project, draft: RunDraft) -> NewRun:
    try:
        return await run_in_threadpool(state_of(request).store.test_runs.create, project, draft)
    except DatasetNotFound as exc:
        raise HTTPException(404, str(exc)) from exc
    except DatasetEmpty as exc:
        raise HTTPException(400, str(exc)) from exc


def _case_to_wire(case: DatasetCase, *, has_output: bool) -> JsonObject:
    content = case.content
    wire: JsonObject = {
        "test_case_id": case.id,
        "test_case_type": "completion",
        "variables": content.inputs,
        "output": content.output if has_output else None,
        "history": content.history,
        "custom_metadata": content.metadata,
        "media_variables": content.media_inputs,
    }
    if has_output and content.output_message is not None:
        wire["output_message"] = content.output_message
    return wire
