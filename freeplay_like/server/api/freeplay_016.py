"""The four addresses of Freeplay's first client, 0.1.6, which knew neither versions of an interface nor ids of its own.

Facts are read from that client, and checked against it in the tests.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import attrs

from freeplay_like.clock import SystemClock
from freeplay_like.core import fstring, mustache
from freeplay_like.core.messages import Message
from freeplay_like.core.parameters import ParameterSetting
from freeplay_like.core.records import Record, TemplateRef
from freeplay_like.core.templates import HistorySlot, PromptTemplate, Syntax
from freeplay_like.core.wire import JsonObject, WireError, from_wire, to_wire
from freeplay_like.server.api.completions import CompletionAnswer, keep, sdk_of
from freeplay_like.server.api.operations import Ask, operation
from freeplay_like.server.auth import require_scope
from freeplay_like.server.checks import check_depth
from freeplay_like.server.foreign.bodies import EpochSeconds, Text
from freeplay_like.server.foreign.messages import messages_of
from freeplay_like.server.foreign.records import choice_of, moment_of, outcome_of
from freeplay_like.server.store.records.completions import KnownVersion
from freeplay_like.server.store.views import Refused, RunDraft

_PROJECT: Final = "/api/projects/{project_id}"
_TEXT_FLAVORS: Final = frozenset({"openai_text", "anthropic_text"})


@attrs.frozen(kw_only=True)
class OldSession:
    """A session that was just begun: nothing is kept of it before its first record."""

    session_id: str


@attrs.frozen(kw_only=True)
class OldRecord:
    """The body that records a call. `prompt_content` is the prompt or, of a chat, the JSON of its messages."""

    session_id: Text
    format_type: Text
    prompt_content: str
    return_content: str | None
    is_complete: bool
    start_time: EpochSeconds
    end_time: EpochSeconds
    model: Text | None = None
    provider: Text | None = None
    llm_parameters: JsonObject | None = None
    inputs: JsonObject | None = None
    tag: Text | None = None
    project_version_id: Text | None = None
    prompt_template_id: Text | None = None
    test_run_id: Text | None = None


@attrs.frozen(kw_only=True)
class OldTestRun:
    """The body that makes a test run; a dataset was called a playlist."""

    playlist_name: Text


@operation("POST", f"{_PROJECT}/sessions/tag/{{tag}}", scope="ingest", status=201, returns=OldSession)
def begin_old_session(ask: Ask[None]) -> OldSession:
    """A new session, for a client of 0.1.6. A test run in the body need not be read: each record names it again."""
    return OldSession(session_id=SystemClock().new_id())


@operation("GET", f"{_PROJECT}/templates/all/{{tag}}", scope="read")
def list_old_templates(ask: Ask[None]) -> JsonObject:
    """The templates of an environment, for a client of 0.1.6: those that can be written with `{name}` alone."""
    found = ask.store.prompts.in_environment(ask.project.id, ask.path("tag"))
    return {"templates": [wire for stored in found if (wire := _template_to_wire(stored.template)) is not None]}


@operation(
    "POST",
    "/api/v1/record",
    scope="ingest",
    body=OldRecord,
    status=201,
    returns=CompletionAnswer,
    mends_text=True,
)
def record_old_call(ask: Ask[OldRecord]) -> CompletionAnswer:
    """Record a call of a client of 0.1.6, in the project of its key."""
    body, clock = ask.body, SystemClock()
    known = ask.store.completions.known(ask.project.id, body.project_version_id, None)
    try:
        check_depth("inputs", body.inputs)
        check_depth("llm_parameters", body.llm_parameters)
        messages = _messages(body)
    except ValueError as exc:
        raise Refused(str(exc)) from exc
    began, ended = sorted((body.start_time, body.end_time))
    parameters = {"model": body.model, **(body.llm_parameters or {})}
    answer = Message(role="assistant", content=body.return_content or "")
    choice = choice_of(answer, finish_reason="stop" if body.is_complete else "length")
    record = Record(
        record_id=clock.new_id(),
        project_id=ask.project.id,
        session_id=body.session_id,
        test_run_id=body.test_run_id,
        template=_template_of(body, known.version),
        variables=body.inputs or {},
        messages=messages,
        provider=body.provider or body.format_type.partition("_")[0],
        flavor=body.format_type,
        requested_model=body.model,
        model=body.model,
        parameters={
            name: ParameterSetting(value=value, layer="call") for name, value in parameters.items() if value is not None
        },
        request={"prompt_content": body.prompt_content},
        choices=(choice,),
        outcome=outcome_of(choice),
        started_at=moment_of(began),
        ended_at=moment_of(ended),
        latency_ms=round((ended - began) * 1000, 3),
        sdk=sdk_of(ask),
    )
    keep(ask, record)
    return CompletionAnswer(completion_id=record.record_id)


@operation("POST", f"{_PROJECT}/test-runs", scope="ingest", body=OldTestRun, status=201)
def create_old_test_run(ask: Ask[OldTestRun]) -> JsonObject:
    """A new test run for a client of 0.1.6: it gets the inputs alone. Needs the scope `read` too."""
    require_scope(ask.key, "read")
    run = ask.store.test_runs.create(ask.project, RunDraft(dataset_name=ask.body.playlist_name))
    return {"test_run_id": run.id, "inputs": [case.content.inputs for case in run.cases]}


OPERATIONS: Final = (begin_old_session, list_old_templates, record_old_call, create_old_test_run)


def _messages(body: OldRecord) -> tuple[Message, ...]:
    """The messages of a chat, or the one prompt."""
    if body.format_type in _TEXT_FLAVORS:
        return messages_of([body.prompt_content])
    try:
        said = from_wire(body.prompt_content, list)
    except WireError:
        return messages_of([body.prompt_content])
    check_depth("prompt_content", said)
    return messages_of(said)


def _template_of(body: OldRecord, version: KnownVersion | None) -> TemplateRef | None:
    if version is not None:
        return attrs.evolve(version.template, environment=body.tag)
    name = body.project_version_id or body.prompt_template_id
    if not name:
        return None
    return TemplateRef(
        name=name,
        template_id=body.prompt_template_id,
        version_id=body.project_version_id,
        environment=body.tag,
        source="backend",
    )


def _template_to_wire(template: PromptTemplate) -> JsonObject | None:
    """A template as 0.1.6 reads it, None where its client could not fill it in."""
    said = [message for message in template.messages if not isinstance(message, HistorySlot)]
    texts = [old_text(message.content, template.syntax) for message in said]
    if None in texts or any(message.media_slots for message in said):
        return None
    content = "\n\n".join(filter(None, texts))
    if template.flavor_name not in _TEXT_FLAVORS:
        chat = [{"role": message.role, "content": text} for message, text in zip(said, texts, strict=True)]
        content = to_wire(chat).decode()
    return {
        "project_version_id": template.version_id,
        "prompt_template_version_id": template.version_id,
        "prompt_template_id": template.template_id,
        "name": template.name,
        "content": content,
        "flavor_name": template.flavor_name,
        "params": {**template.parameters, **({"model": template.model} if template.model else {})},
    }


def old_text(text: str, syntax: Syntax) -> str | None:
    """A template's text as `str.format` takes it; None where it has sections, or names that are no identifiers."""
    if syntax == "fstring":
        return text
    if syntax == "none":
        return fstring.escape(text)
    return _joined(mustache.parse(text).nodes)


def _joined(nodes: Iterable[mustache.Node]) -> str | None:
    pieces = []
    for node in nodes:
        if isinstance(node, str):
            pieces.append(fstring.escape(node))
        elif isinstance(node, mustache.Variable) and len(node.path) == 1 and node.name.isidentifier():
            pieces.append(f"{{{node.name}}}")
        else:
            return None
    return "".join(pieces)
