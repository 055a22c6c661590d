"""A call as a program: what is written is run, against a simulated provider."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import UTC, datetime

import attrs
import pytest

from freeplay_like.core.parameters import Overridden, ParameterSetting
from freeplay_like.core.records import Record, TemplateRef
from freeplay_like.core.wire import JsonObject
from freeplay_like.local.simulator import Simulator
from freeplay_like.server.pages.call.copying import CODE_LIMIT_CHARACTERS, copies_of

API_BASE = "http://127.0.0.1:1/api"
HOSTILE = "it's \"quoted\" $HOME `id` $(id) \\ \n END_OF_REQUEST\nEND_OF_REQUEST\n € 李 '''\x1b"
MESSAGES = [{"role": "user", "content": HOSTILE}]

REQUESTS: dict[str, JsonObject] = {
    "openai_chat": {"model": "gpt-4o-mini", "messages": MESSAGES, "stream": True, "strange_field": [1, None, True]},
    "openai_text": {"model": "gpt-3.5-turbo-instruct", "prompt": HOSTILE, "stream": False},
    "openai_responses": {"model": "gpt-4o-mini", "input": MESSAGES, "stream": True},
    "azure_openai_chat": {"model": "my dep/loy$ment", "messages": MESSAGES, "stream": False},
    "anthropic_chat": {"model": "claude-haiku-4-5", "max_tokens": 9, "messages": MESSAGES, "stream": True},
    "anthropic_text": {"model": "claude-haiku-4-5", "max_tokens": 9, "messages": MESSAGES, "stream": False},
}


def record(flavor: str, **fields: object) -> Record:
    made = Record(
        record_id="r",
        project_id="p",
        started_at=datetime(2026, 1, 1, tzinfo=UTC),
        flavor=flavor,
        request=REQUESTS[flavor],
    )
    return attrs.evolve(made, **fields)  # type: ignore[arg-type]  # fields of a record


def environment(simulator: Simulator) -> dict[str, str]:
    return {
        "PATH": os.environ["PATH"],
        "HOME": "/nowhere",
        "OPENAI_API_KEY": "sk-test",
        "OPENAI_BASE_URL": simulator.openai_base,
        "AZURE_OPENAI_API_KEY": "az-test",
        "AZURE_OPENAI_ENDPOINT": simulator.azure_endpoint,
        "OPENAI_API_VERSION": "2024-10-21",
        "ANTHROPIC_API_KEY": "ant-test",
        "ANTHROPIC_BASE_URL": simulator.anthropic_base,
    }


@pytest.mark.parametrize("flavor", REQUESTS)
def test_curl_sends_the_same_request(simulator: Simulator, flavor: str) -> None:
    text = copies_of(record(flavor), API_BASE).curl
    assert text is not None
    done = subprocess.run(
        ["/bin/sh", "-eu"], input=text, env=environment(simulator), capture_output=True, text=True, timeout=30
    )
    assert done.returncode == 0, done.stderr
    (seen,) = simulator.requests
    assert seen.body == REQUESTS[flavor]
    assert "-test" in str(seen.headers)
    assert "error" not in done.stdout[:60]


@pytest.mark.parametrize("flavor", REQUESTS)
def test_the_providers_own_client_sends_the_same_request(simulator: Simulator, flavor: str) -> None:
    text = copies_of(record(flavor), API_BASE).provider_python
    assert text is not None
    done = subprocess.run(
        [sys.executable, "-"], input=text, env=environment(simulator), capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()
    (seen,) = simulator.requests
    sent = {name: value for name, value in REQUESTS[flavor].items() if (name, value) != ("stream", False)}
    assert {name: seen.body.get(name) for name in sent} == sent


def test_our_sdk_asks_for_the_template_with_what_was_set_over_it() -> None:
    made = record(
        "openai_chat",
        template=TemplateRef(name="it's \u202e$x", environment="prod"),
        variables={"q": HOSTILE},
        is_stream=True,
        parameters={
            "model": ParameterSetting(value="m", layer="template"),
            "temperature": ParameterSetting(
                value=0.3, layer="call", overrode=(Overridden(layer="template", value=0.7),)
            ),
            "top_p": ParameterSetting(value=None, layer="session", is_removed=True),
        },
    )
    text = copies_of(made, API_BASE).sdk_python
    assert text is not None
    assert text.isascii() or "€" in text
    said: dict[str, object] = {}

    class Stream(list[object]):
        def __enter__(self) -> Stream:
            return self

        def __exit__(self, *exc: object) -> None: ...

    class Freeplay(Stream):
        def __init__(self, flavor: object, *, api_base: str) -> None:
            said["api_base"] = api_base

        def get_completion_stream(self, *arguments: object, **parameters: object) -> Stream:
            said.update(arguments=arguments, parameters=parameters)
            return Stream()

    program = text.replace("from freeplay_like import Freeplay, OpenAIChat\n", "")
    exec(program, {"Freeplay": Freeplay, "OpenAIChat": object})  # noqa: S102  it is what is tested
    assert said == {
        "api_base": API_BASE,
        "arguments": ("p", "it's \u202e$x", {"q": HOSTILE}),
        "parameters": {"tag": "prod", "temperature": 0.3, "top_p": None},
    }


@pytest.mark.parametrize(
    ("endpoint", "address"),
    [
        (None, "${OPENAI_BASE_URL:-https://api.openai.com/v1}/chat"),
        ("api.openai.com:443", "${OPENAI_BASE_URL:-https://api.openai.com/v1}/chat"),
        ("127.0.0.1:8080", "${OPENAI_BASE_URL:-http://127.0.0.1:8080/v1}/chat"),
        ("evil.example", "${OPENAI_BASE_URL:?the address of evil.example}/chat"),
        ('x"; rm -rf ~ #', "${OPENAI_BASE_URL:?the address it is sent to}/chat"),
        ("api.openai.com.evil.example", "${OPENAI_BASE_URL:?the address of api.openai.com.evil.example}/chat"),
        ("$(id)", "${OPENAI_BASE_URL:?the address it is sent to}/chat"),
    ],
)
def test_a_key_is_led_to_no_address_that_a_record_names(endpoint: str | None, address: str) -> None:
    copies = copies_of(record("openai_chat", endpoint=endpoint), API_BASE)
    assert copies.curl is not None
    assert address in copies.curl
    assert copies.provider_python is not None
    assert "base_url" not in copies.provider_python


def test_what_cannot_be_said_says_why() -> None:
    assert "flavor 'mine'" in copies_of(attrs.evolve(record("openai_chat"), flavor="mine"), API_BASE).why_not[0]
    gone = copies_of(record("openai_chat", request=None), API_BASE)
    assert (gone.curl, gone.provider_python, gone.sdk_python) == (None, None, None)
    assert len(gone.why_not) == 2
    long = copies_of(record("openai_chat", request={"prompt": "x" * CODE_LIMIT_CHARACTERS}), API_BASE)
    assert long.curl is None
    assert "too long" in long.why_not[-1]
