"""The unmodified client freeplay 0.6.1 against a real server: calls, their sessions, and what is refused."""

from __future__ import annotations

import uuid
from typing import Any

import pytest
import requests

from freeplay_like.core.messages import Message
from support.backend import BackendProcess
from support.environments import Environment
from support.freeplay_061 import ANSWERED, SOME, TIMEOUT_S, ask, deep, record, run, said_of

pytestmark = pytest.mark.over("sqlite", "servers")


def test_a_call_is_recorded_with_everything_that_the_client_can_say(
    freeplay_061: Environment, backend: BackendProcess
) -> None:
    version = ask(
        backend,
        "POST",
        "prompt-templates/name/records-061/versions",
        {
            "template_messages": [{"role": "user", "content": "{{question}}"}],
            "model": "gpt-4o",
            "provider": "openai",
            "llm_parameters": {"temperature": 0.25},
            "environments": ["prod"],
        },
    ).json()
    session_id, completion_id, trace_id = (str(uuid.uuid4()) for _ in range(3))
    answered = run(
        freeplay_061,
        backend,
        """
session_id, completion_id, trace_id = ARGS[3:]
session = fp.sessions.restore_session(session_id, custom_metadata={"user": "u-1", "n": 3, "f": 1.5, "b": True})
prompt = fp.prompts.get_formatted(project, "records-061", "prod", {"question": "Which?"})
done = fp.recordings.create(RecordPayload(
    project_id=project,
    all_messages=prompt.all_messages({"role": "assistant", "content": "That one."}),
    session_info=session.session_info,
    inputs={"question": "Which?"},
    prompt_version_info=prompt.prompt_info,
    call_info=CallInfo.from_prompt_info(prompt.prompt_info, 1795226499.5, 1795226500.75, UsageTokens(12, 3)),
    media_inputs={"pic": MediaInputBase64("base64", "iVBORw0KGgo=", "image/png"), "doc": MediaInputUrl("url", "https://e.com")},
    tool_schema=[{"type": "function", "function": {"name": "weather", "parameters": {}}}],
    output_schema={"type": "object"},
    eval_results={"ok": True, "score": 0.5},
    test_run_info=TestRunInfo("run-061", "case-061"),
    parent_id=UUID(trace_id),
    completion_id=UUID(completion_id),
))
print(json.dumps(done.completion_id))
""",
        session_id,
        completion_id,
        trace_id,
    )
    assert answered == completion_id
    made = record(backend, completion_id)
    assert made.template is not None
    assert (made.template.name, made.template.version, made.template.environment) == ("records-061", "1", "prod")
    assert made.template.version_id == version["prompt_template_version_id"]
    assert (made.messages, made.text, made.outcome) == (
        (Message(role="user", content="Which?"),),
        "That one.",
        "complete",
    )
    assert made.variables["question"] == "Which?"
    assert made.variables["pic"] == {"type": "base64", "data": "iVBORw0KGgo=", "content_type": "image/png"}
    assert made.metadata == {"user": "u-1", "n": 3, "f": 1.5, "b": True}
    assert (made.provider, made.flavor, made.model, made.latency_ms) == ("openai", "openai_chat", "gpt-4o", 1250.0)
    assert made.usage is not None
    assert (made.usage.input_tokens, made.usage.output_tokens) == (12, 3)
    assert set(made.parameters) == {"model", "temperature", "tools", "output_schema"}
    assert (made.session_id, made.trace_id, made.parent_id) == (session_id, trace_id, trace_id)
    assert (made.test_run_id, made.test_case_id, made.sdk) == ("run-061", "case-061", "Freeplay/0.6.1")
    assert [each.scores for each in said_of(backend, completion_id)] == [{"ok": True, "score": 0.5}]


CONVERSATION = [
    {"role": "system", "content": "Be short."},
    {"role": "user", "content": "And in Ulm?"},
    {"role": "assistant", "content": "Fog."},
    {"role": "user", "content": "Thanks."},
]


@pytest.mark.parametrize(
    ("flavor", "answer"),
    [
        ("openai_chat", {"role": "assistant", "content": "Bye."}),
        ("azure_openai_chat", {"role": "assistant", "content": "Bye."}),
        (
            "openai_responses",
            {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "Bye."}]},
        ),
        ("anthropic_chat", {"role": "assistant", "content": [{"type": "text", "text": "Bye."}]}),
        ("gemini_chat", {"role": "model", "parts": [{"text": "Bye."}]}),
        ("gemini_api_chat", {"role": "model", "parts": [{"text": "Bye."}]}),
        ("amazon_bedrock_converse", {"role": "assistant", "content": [{"text": "Bye."}]}),
        ("mistral_chat", {"role": "assistant", "content": "Bye."}),
        ("baseten_mistral_chat", {"role": "assistant", "content": "Bye."}),
        ("perplexity_chat", {"role": "assistant", "content": "Bye."}),
    ],
)
def test_a_conversation_formatted_by_each_adapter_reads_alike(
    freeplay_061: Environment, backend: BackendProcess, flavor: str, answer: dict[str, Any]
) -> None:
    completion_id = run(
        freeplay_061,
        backend,
        """
from freeplay.resources.adapters import adaptor_for_flavor
flavor, conversation, answer = ARGS[3:]
messages = adaptor_for_flavor(flavor).to_llm_syntax(conversation)
payload = RecordPayload(project_id=project, all_messages=[*messages, answer])
print(json.dumps(fp.recordings.create(payload).completion_id))
""",
        flavor,
        CONVERSATION,
        answer,
    )
    made = record(backend, completion_id)
    said = [(message.role, message.text) for message in made.messages if message.role != "system"]
    assert said == [("user", "And in Ulm?"), ("assistant", "Fog."), ("user", "Thanks.")]
    assert (made.text, made.outcome) == ("Bye.", "complete")
    assert made.request is not None
    assert made.request["messages"][-1] == answer  # type: ignore[index]


def test_objects_and_bytes_of_providers_clients_are_recorded(
    freeplay_061: Environment, backend: BackendProcess
) -> None:
    ids = run(
        freeplay_061,
        backend,
        """
from anthropic.types import TextBlock, ToolUseBlock
from openai.types.chat import ChatCompletionMessage
call = {"id": "c1", "type": "function", "function": {"name": "weather", "arguments": '{"city":"Ulm"}'}}
spoken = ChatCompletionMessage.model_validate({"role": "assistant", "content": None, "tool_calls": [call]})
city = {"city": "Ulm"}
blocks = [
    TextBlock(type="text", text="Let me see."), ToolUseBlock(type="tool_use", id="c1", name="weather", input=city)
]
picture = {"image": {"format": "png", "source": {"bytes": b"\\x89PNG"}}}
bedrock = {"role": "user", "content": [{"text": "What is it?"}, picture]}
used = {"role": "assistant", "content": [{"toolUse": {"toolUseId": "c1", "name": "weather", "input": city}}]}
asked = {"role": "user", "content": "Which?"}
ids = []
for messages, provider in (
    ([asked, spoken.model_dump()], "openai"),
    ([asked, {"role": "assistant", "content": [block.model_dump() for block in blocks]}], "anthropic"),
    ([bedrock, used], "bedrock"),
):
    payload = RecordPayload(project_id=project, all_messages=messages, call_info=CallInfo(provider=provider, model="m"))
    ids.append(fp.recordings.create(payload).completion_id)
print(json.dumps(ids))
""",
    )
    for record_id in ids:
        made = record(backend, record_id)
        (called,) = made.choices[0].tool_calls
        assert (called.id, called.name, called.arguments) == ("c1", "weather", '{"city":"Ulm"}')
        assert made.choices[0].finish_reason == "tool_calls"
    parts = record(backend, ids[2]).messages[0].content
    assert isinstance(parts, tuple)
    assert parts[1] == {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw=="}}


def test_a_call_that_waits_for_its_answer_gets_it_by_an_update(
    freeplay_061: Environment, backend: BackendProcess
) -> None:
    completion_id = run(
        freeplay_061,
        backend,
        """
batch = CallInfo(provider="openai", model="m", start_time=1.0, end_time=2.0, api_style="batch")
done = fp.recordings.create(RecordPayload(project, [{"role": "user", "content": "Q"}], call_info=batch))
fp.recordings.update(RecordUpdatePayload(
    project, done.completion_id, [{"role": "assistant", "content": [{"type": "text", "text": "later"}]}], {"e": 1.0}
))
fp.recordings.update(RecordUpdatePayload(project, done.completion_id, [{"role": "assistant", "content": "and more"}]))
print(json.dumps(done.completion_id))
""",
    )
    made = record(backend, completion_id)
    assert (made.text, made.outcome, made.ended_at is not None) == ("later", "complete", True)
    scored, added = said_of(backend, completion_id)
    assert (scored.scores, scored.new_messages) == ({"e": 1.0}, ())
    assert added.new_messages == (Message(role="assistant", content="and more"),)


def test_two_hundred_calls_at_once_into_one_session_are_all_there(
    freeplay_061: Environment, backend: BackendProcess
) -> None:
    session_id, ids = run(
        freeplay_061,
        backend,
        """
from concurrent.futures import ThreadPoolExecutor
session = fp.sessions.create()

def post(number):
    said = [{"role": "user", "content": "Q"}, {"role": "assistant", "content": f"A{number}"}]
    return fp.recordings.create(RecordPayload(project, said, session_info=session.session_info)).completion_id

with ThreadPoolExecutor(32) as pool:
    print(json.dumps([session.session_id, list(pool.map(post, range(200)))]))
""",
    )
    found = ask(backend, "GET", f"sessions/{session_id}").json()
    assert len(set(ids)) == 200
    assert {each["record_id"] for each in found["records"]} == set(ids)
    assert {each["choices"][0]["text"] for each in found["records"]} == {f"A{number}" for number in range(200)}


def test_a_call_that_is_sent_again_is_stored_once(backend: BackendProcess) -> None:
    path, completion_id = f"sessions/{uuid.uuid4()}/completions", str(uuid.uuid4())
    body = {
        "messages": [{"role": "user", "content": "Q"}, {"role": "assistant", "content": "first"}],
        "completion_id": completion_id,
        "eval_results": {"ok": True},
    }
    again = {**body, "messages": [{"role": "assistant", "content": "second"}]}
    assert [ask(backend, "POST", path, each).json() for each in (body, again)] == [{"completion_id": completion_id}] * 2
    assert record(backend, completion_id).text == "first"
    assert len(said_of(backend, completion_id)) == 1


def test_an_unknown_version_is_kept_as_it_was_said(backend: BackendProcess) -> None:
    body = {**ANSWERED, "prompt_info": {"prompt_template_version_id": "nobody-knows", "environment": "prod"}}
    made = record(backend, ask(backend, "POST", f"sessions/{SOME}/completions", body).json()["completion_id"])
    assert made.template is not None
    assert (made.template.version_id, made.template.environment) == ("nobody-knows", "prod")


def test_half_an_emoji_does_not_cost_the_record(backend: BackendProcess) -> None:
    data = b'{"messages":[{"role":"assistant","content":"half: \\ud83d"}]}'
    url = f"{backend.project_base}/sessions/{SOME}/completions"
    answer = requests.post(url, data=data, headers=backend.headers, timeout=TIMEOUT_S)
    assert record(backend, answer.json()["completion_id"]).text == "half: \ufffd"


def test_a_session_is_deleted(freeplay_061: Environment, backend: BackendProcess) -> None:
    session_id, completion_id, again = run(
        freeplay_061,
        backend,
        """
session = fp.sessions.create()
asked = [{"role": "user", "content": "Q"}, {"role": "assistant", "content": "A"}]
done = fp.recordings.create(RecordPayload(project, asked, session_info=session.session_info))
session.create_trace("in").record_output(project, "out")
fp.sessions.delete(project, session.session_id)
again = refused(lambda: fp.sessions.delete(project, session.session_id))
print(json.dumps([session.session_id, done.completion_id, again]))
""",
    )
    assert again == ["FreeplayClientError", "Error while deleting session. [404]"]
    for path in (f"sessions/{session_id}", f"completions/{completion_id}"):
        assert ask(backend, "GET", path).status_code == 404
    assert ask(backend, "GET", f"sessions/{session_id}/traces").json()["data"] == []


def test_sessions_are_listed_with_their_calls_newest_first(freeplay_061: Environment, backend: BackendProcess) -> None:
    mark = str(uuid.uuid4())
    first, second = run(
        freeplay_061,
        backend,
        """
ids = []
for text in ("one", "two"):
    session = fp.sessions.create({"mark": ARGS[3]})
    asked = [{"role": "user", "content": "Q"}, {"role": "assistant", "content": text}]
    done = fp.recordings.create(RecordPayload(
        project, asked, inputs={"a": 1}, session_info=session.session_info, eval_results={"ok": True}
    ))
    fp.customer_feedback.update(project, done.completion_id, {"freeplay_feedback": "negative"})
    ids.append(session.session_id)
print(json.dumps(ids))
""",
        mark,
    )
    found = ask(backend, "GET", f"sessions?custom_metadata.mark={mark}").json()
    assert [each["session_id"] for each in found] == [second, first]
    (message,) = found[0]["messages"]
    assert found[0]["custom_metadata"] == {"mark": mark}
    assert (message["message_type"], message["prompt"]) == ("completion", [{"role": "user", "content": "Q"}])
    assert (message["response"], message["input_variables"]) == ("two", {"a": 1})
    assert message["customer_feedback"] == {"freeplay_feedback": "negative"}
    assert message["client_evaluation_results"] == [{"name": "ok", "value": True}]
    paged = ask(backend, "GET", f"sessions?custom_metadata.mark={mark}&page=2&page_size=1").json()
    assert [each["session_id"] for each in paged] == [first]
    assert ask(backend, "GET", f"sessions?custom_metadata.mark={mark}&to_date=2020-01-01").json() == []


# --- what is refused


def test_unknown_ids_and_wrong_keys_are_refused_in_words_that_the_client_shows(
    freeplay_061: Environment, backend: BackendProcess
) -> None:
    said = run(
        freeplay_061,
        backend,
        """
asked = [{"role": "user", "content": "Q"}, {"role": "assistant", "content": "A"}]
session = fp.sessions.create()
nobody = str(uuid4())
stranger = Freeplay(freeplay_api_key="nobody", api_base=api_base)
named = fp.sessions.restore_session("456").session_info
print(json.dumps({
    "session id": refused(lambda: fp.recordings.create(RecordPayload(project, asked, session_info=named))),
    "key": refused(lambda: stranger.recordings.create(RecordPayload(project, asked))),
    "project": refused(lambda: fp.recordings.create(RecordPayload(nobody, asked))),
    "completion": refused(lambda: fp.recordings.update(RecordUpdatePayload(project, nobody, eval_results={"a": 1.0}))),
    "feedback": refused(lambda: fp.customer_feedback.update(project, nobody, {"a": 1})),
    "trace feedback": refused(lambda: fp.customer_feedback.update_trace(project, nobody, {"a": 1})),
    "session metadata": refused(lambda: fp.metadata.update_session(project, nobody, {"a": 1})),
    "trace metadata": refused(lambda: fp.metadata.update_trace(project, nobody, nobody, {"a": 1})),
    "trace": refused(lambda: fp.sessions.restore_session("456").create_trace("in").record_output(project, "out")),
}))
""",
    )
    recording = "There was an error recording to Freeplay. Call will not be logged. Status: "
    assert said["session id"] == ["FreeplayError", f"{recording}400. Session ID 456 is not a valid uuid4 format."]
    assert said["key"][1].startswith(f"{recording}401. ")
    assert said["project"][1] == f"{recording}404. Project not found"
    assert said["completion"][1].startswith("There was an error updating the completion. Status: 404.no record ")
    assert {name: text[-5:] for name, (_, text) in said.items() if text.endswith("]")} == {
        "feedback": "[404]",
        "trace feedback": "[404]",
        "session metadata": "[404]",
        "trace metadata": "[404]",
        "trace": "[400]",
    }


@pytest.mark.parametrize(
    ("method", "path", "body", "message"),
    [
        ("POST", f"sessions/{SOME}/completions", {}, "messages"),
        ("POST", f"sessions/{SOME}/completions", {**ANSWERED, "completion_id": "a/b"}, "record_id must be"),
        ("POST", f"sessions/{SOME}/completions", {**ANSWERED, "inputs": {"a": deep(101)}}, "inputs is nested deeper"),
        ("POST", f"sessions/{SOME}/completions", {"messages": [{"role": "user", "content": deep(101)}]}, "messages is"),
        ("POST", f"sessions/{SOME}/completions", {**ANSWERED, "eval_results": {"": 1}}, "a score's name"),
        (
            "POST",
            f"sessions/{SOME}/completions",
            {**ANSWERED, "call_info": {"start_time": "x"}},
            "$.call_info.start_time",
        ),
        ("POST", f"sessions/{SOME}/traces/id/456", {}, "Trace ID 456 is not a valid uuid4 format."),
        ("POST", f"sessions/{SOME}/traces/id/{SOME}", {"input": deep(101)}, "input is nested deeper"),
        ("POST", f"sessions/{SOME}/traces/id/{SOME}", {"start_time": "0001-01-01T00:00:00+23:00"}, "start_time"),
        ("POST", f"sessions/{SOME}/traces/id/{SOME}", {"custom_metadata": {"a": [1]}}, "$.custom_metadata"),
        ("PATCH", f"sessions/{SOME}/traces/id/{SOME}", {}, "changes nothing"),
        ("PATCH", f"sessions/{SOME}/traces/id/{SOME}", {"feedback": {"freeplay_feedback": "so"}}, "'positive' or"),
        ("PATCH", f"sessions/id/{SOME}/metadata", {"": 1}, "a field's name"),
        ("PATCH", f"sessions/id/{SOME}/metadata", {"a": 2**64}, "body is not what"),
        ("POST", f"trace-feedback/id/{SOME}", {}, "says nothing"),
        ("GET", "sessions?page_size=0", None, "'page_size'"),
        ("GET", "sessions?from_date=yesterday", None, "from_date"),
    ],
)
def test_a_bad_request_is_refused_by_its_field(
    backend: BackendProcess, method: str, path: str, body: object, message: str
) -> None:
    answer = ask(backend, method, path, body)
    assert answer.status_code == 400, answer.text
    assert message in answer.json()["message"]
