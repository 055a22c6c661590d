"""From the SDK to the store: a real program's calls, and what is left of them when something on the way dies."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from freeplay_like import (
    AnthropicClaudeChat,
    AsyncFreeplay,
    AuthorizationError,
    BackendError,
    Freeplay,
    MissingVariablesError,
    OpenAIChat,
    ProviderUnavailable,
    Record,
    TemplateNotFoundError,
)
from freeplay_like.core.wire import from_wire
from freeplay_like.flavors.base import Flavor
from freeplay_like.local.simulator import Simulator
from support.backend import BackendProcess
from support.waiting import until

VARIABLES = {"name": "Ann", "question": "What is a tide?"}


@pytest.fixture
def project(own_backend: BackendProcess) -> BackendProcess:
    """A backend of the test's own, with one template."""
    made = requests.post(
        f"{own_backend.project_base}/prompt-templates/name/assistant/versions",
        json={
            "template_messages": [
                {"role": "system", "content": "You help {{name}}."},
                {"role": "user", "content": "{{question}}"},
            ],
            "model": "sim:chunks=4",
            "provider": "openai",
            "llm_parameters": {"temperature": 0.2},
        },
        headers=own_backend.headers,
        timeout=10,
    )
    assert made.status_code == 201, made.text
    return own_backend


@pytest.fixture
def spool(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("FREEPLAY_LIKE_SPOOL_DIR", str(tmp_path / "spool"))
    return tmp_path / "spool"


@pytest.fixture
def fp(project: BackendProcess, simulator: Simulator, spool: Path) -> Iterator[Freeplay]:
    with Freeplay(OpenAIChat("k", simulator.openai_base), project.api_key, project.api_base) as client:
        yield client


def stored(backend: BackendProcess, record_id: str) -> Record | None:
    answer = requests.get(f"{backend.project_base}/completions/{record_id}", headers=backend.headers, timeout=10)
    assert answer.status_code in (200, 404), answer.text
    return from_wire(answer.content, Record) if answer.ok else None


@pytest.mark.parametrize("provider", ["openai", "anthropic"])
def test_a_chat_goes_from_template_to_store(
    provider: str, project: BackendProcess, simulator: Simulator, spool: Path
) -> None:
    flavor: Flavor = (
        OpenAIChat("k", simulator.openai_base)
        if provider == "openai"
        else AnthropicClaudeChat("k", simulator.anthropic_base)
    )
    with Freeplay(flavor, project.api_key, project.api_base, max_tokens=64) as fp:
        chat, messages, stream = fp.start_chat_stream(project.project_id, "assistant", VARIABLES, temperature=0.7)
        delivered = "".join(chunk.text for chunk in stream)
        answer = chat.send("And then?")
        report = fp.flush(20)
    assert (report.sent, report.pending, report.dropped) == (2, 0, 0)
    first, second = stored(project, stream.record_id), stored(project, str(answer.record_id))
    assert first is not None
    assert second is not None
    assert first.text == delivered == " tok0 tok1 tok2 tok3"
    assert first.outcome == second.outcome == "complete"
    assert first.session_id == second.session_id == chat.session_id
    assert [message.to_chat() for message in first.messages] == messages
    assert (first.requested_model, first.provider) == ("sim:chunks=4", f"{provider}-compatible")
    assert first.parameters["temperature"].layer == "call"
    assert [o.layer for o in first.parameters["temperature"].overrode] == ["template"]
    assert first.template is not None
    assert first.template.source in ("backend", "cache")
    assert first.usage is not None
    assert first.usage.output_tokens is not None
    assert first.is_stream
    assert not second.is_stream
    assert len(second.messages) == 4


def test_leaving_the_block_closes_the_provider_s_connection(
    fp: Freeplay, project: BackendProcess, simulator: Simulator
) -> None:
    model = "sim:chunks=10000,delay_ms=5"
    with fp.get_completion_stream(project.project_id, "assistant", VARIABLES, model=model) as stream:
        for chunk in stream:
            if "tok2" in chunk.text:
                break
    (request,) = simulator.wait_for_requests(1)
    assert request.client_left.wait(20)
    fp.flush(20)
    record = stored(project, stream.record_id)
    assert record is not None
    assert (record.outcome, record.text) == ("cancelled", " tok0 tok1 tok2")


def test_dropping_a_stream_closes_the_provider_s_connection(
    fp: Freeplay, project: BackendProcess, simulator: Simulator
) -> None:
    model = "sim:chunks=10000,delay_ms=5"
    stream = fp.get_completion_stream(project.project_id, "assistant", VARIABLES, model=model)
    record_id = stream.record_id
    next(stream)
    del stream
    (request,) = simulator.wait_for_requests(1)
    assert request.client_left.wait(20)
    fp.flush(20)
    record = until(lambda: stored(project, record_id))
    assert record is not None
    assert (record.outcome, record.text) == ("abandoned", " tok0")


async def test_a_dropped_async_stream_closes_the_provider_s_connection(
    project: BackendProcess, simulator: Simulator, spool: Path
) -> None:
    import asyncio

    async with AsyncFreeplay(OpenAIChat("k", simulator.openai_base), project.api_key, project.api_base) as fp:
        stream = await fp.get_completion_stream(
            project.project_id, "assistant", VARIABLES, model="sim:chunks=10000,delay_ms=5"
        )
        record_id = stream.record_id
        await anext(stream)
        del stream
        (request,) = simulator.wait_for_requests(1)
        assert await asyncio.to_thread(request.client_left.wait, 20)
        await fp.flush(20)
    record = stored(project, record_id)
    assert record is not None
    assert (record.outcome, record.text) == ("abandoned", " tok0")


def test_ten_calls_while_the_backend_is_down_are_there_when_it_is_up_again(
    fp: Freeplay, project: BackendProcess
) -> None:
    warm = fp.get_completion(project.project_id, "assistant", VARIABLES)
    assert fp.flush(20).is_complete
    project.stop()
    answers = [fp.get_completion(project.project_id, "assistant", VARIABLES) for _ in range(10)]
    down = fp.flush(0.2)
    assert (down.pending, down.spooled, down.dropped) == (10, 10, 0)
    assert down.errors
    project.start()
    up = fp.flush(60)
    assert (up.sent, up.pending, up.dropped) == (11, 0, 0)
    records = [stored(project, str(answer.record_id)) for answer in [warm, *answers]]
    assert [record.outcome for record in records if record] == ["complete"] * 11


PROGRAM = """
import sys
from freeplay_like import Freeplay, OpenAIChat
fp = Freeplay(OpenAIChat("k", sys.argv[1]))
stream = fp.get_completion_stream(sys.argv[2], "assistant", {"name": "Ann", "question": "?"})
print(stream.record_id, flush=True)
for chunk in stream:
    print(chunk.text, flush=True)
"""


def test_a_program_killed_in_mid_stream_leaves_a_record_that_the_next_run_delivers(
    project: BackendProcess, simulator: Simulator, spool: Path
) -> None:
    simulator.default = simulator.default.parse("chunks=100000,delay_ms=5")
    environment = {
        **os.environ,
        "FREEPLAY_LIKE_API_KEY": project.api_key,
        "FREEPLAY_LIKE_API_BASE": project.api_base,
    }
    requests.post(
        f"{project.project_base}/prompt-templates/name/assistant/versions",
        json={"template_messages": [{"role": "user", "content": "{{question}}"}], "model": "m", "provider": "openai"},
        headers=project.headers,
        timeout=10,
    ).raise_for_status()
    command = [sys.executable, "-c", PROGRAM, simulator.openai_base, project.project_id]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as program:
        assert program.stdout is not None
        record_id = program.stdout.readline().strip()
        seen = ""
        while "tok150" not in seen:
            seen += program.stdout.readline().removesuffix("\n")
        program.send_signal(signal.SIGKILL)
        program.wait()
    assert stored(project, record_id) is None
    simulator.default = simulator.default.parse("chunks=1")
    next_run = subprocess.run(command, env=environment, check=True, capture_output=True, text=True, timeout=60)
    record = until(lambda: stored(project, record_id), what="the killed program's record")
    assert stored(project, next_run.stdout.split()[0]) is not None
    assert record is not None
    assert record.outcome == "interrupted"
    assert record.text.startswith(" tok0 tok1 tok2")
    assert seen.startswith(record.text) or record.text.startswith(seen)
    assert record.ended_at is None


def test_errors_say_what_is_wrong_and_what_to_do(
    fp: Freeplay, project: BackendProcess, simulator: Simulator, spool: Path
) -> None:
    with pytest.raises(MissingVariablesError, match=r"no value for variables 'name', 'question' in template 'assist"):
        fp.start_chat_stream(project.project_id, "assistant", {"country": "x"})
    with pytest.raises(TemplateNotFoundError, match="assistant"):
        fp.start_chat_stream(project.project_id, "asistant", VARIABLES)
    with (
        Freeplay(OpenAIChat("k", simulator.openai_base), "fpl_wrong", project.api_base) as wrong,
        pytest.raises(AuthorizationError, match="key"),
    ):
        wrong.start_chat_stream(project.project_id, "assistant", VARIABLES)
    with (
        Freeplay(OpenAIChat("k", simulator.openai_base), "k", "http://127.0.0.1:9/api") as nowhere,
        pytest.raises(BackendError, match=r"127\.0\.0\.1:9"),
    ):
        nowhere.start_chat_stream(project.project_id, "assistant", VARIABLES)
    assert simulator.requests == []
    with (
        Freeplay(OpenAIChat("k", "http://127.0.0.1:9/v1"), project.api_key, project.api_base) as dead,
        pytest.raises(ProviderUnavailable, match="openai-compatible") as caught,
    ):
        dead.start_chat_stream(project.project_id, "assistant", VARIABLES)
    assert caught.value.retryable
    assert caught.value.partial is not None
    record = until(lambda: stored(project, str(caught.value.partial.record_id)))
    assert record is not None
    assert record.outcome == "error"
    assert record.error is not None
    assert record.error.type == "ProviderUnavailable"
