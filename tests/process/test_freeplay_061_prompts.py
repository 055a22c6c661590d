"""The unmodified freeplay 0.6.1, its SDK and its command line, reads and writes templates of ours."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import cast

import pytest
import requests

from support.backend import CLI, START_S, BackendProcess, Deployment
from support.environments import Environment

pytestmark = pytest.mark.over("sqlite", "servers")

CLIENT = """
from freeplay import Freeplay
BASE, KEY, PROJECT = ARGS[:3]
fp = Freeplay(freeplay_api_key=KEY, api_base=BASE)

def ids(template):
    return [template.prompt_info.prompt_template_id, template.prompt_info.prompt_template_version_id]

def failure(call):
    try:
        call()
    except Exception as exc:
        return [type(exc).__name__, str(exc)]
"""

TOOL = {"name": "weather", "description": "tells it", "parameters": {"type": "object", "properties": {}}}
SCHEMA = {"type": "object", "properties": {"answer": {"type": "string"}}}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, deployment: Deployment) -> Iterator[BackendProcess]:
    with deployment.running(tmp_path_factory.mktemp("freeplay") / "data") as process:
        yield process


def program(server: BackendProcess, env: Environment, code: str, *arguments: object) -> dict[str, object]:
    """What a program of that client prints, given the server's address, key and project."""
    known = (server.api_base, server.api_key, server.project_id)
    return cast("dict[str, object]", env.program(CLIENT + code, *known, *arguments))


def make(server: BackendProcess, name: str, **more: object) -> dict[str, str]:
    """A version, made over HTTP as a page would."""
    body = {
        "template_messages": [
            {"role": "system", "content": "You help {{name}}."},
            {"kind": "history"},
            {
                "role": "user",
                "content": "{{question}}",
                "media_slots": [{"type": "image", "placeholder_name": "pic"}],
            },
        ],
        "model": "gpt-x",
        "provider": "openai",
        "llm_parameters": {"temperature": 0.25},
        **more,
    }
    url = f"{server.project_base}/prompt-templates/name/{name}/versions"
    answer = requests.post(url, json=body, headers=server.headers, timeout=START_S)
    assert answer.status_code == 201, answer.text
    return answer.json()


def test_a_version_is_made_again_the_same_and_environments_are_moved(
    server: BackendProcess, freeplay_061: Environment
) -> None:
    code = """
from freeplay.support import HistoryTemplateMessage, TemplateChatMessage, ToolSchema
messages = [
    TemplateChatMessage("system", "S {{x}}"), HistoryTemplateMessage("history"), TemplateChatMessage("user", "{{q}}")]
def make(model, environments=None):
    return fp.prompts.create_version(
        PROJECT, "made by 0.6.1/trip", messages, model, "openai", version_name="V", version_description="D",
        llm_parameters={"temperature": 0.5}, tool_schema=[ToolSchema("t", "d", {"type": "object"})],
        environments=environments)
first, again, second = make("m-1", ["dev", "prod"]), make("m-1"), make("m-2")
tid = first.prompt_template_id
fp.prompts.update_version_environments(PROJECT, tid, second.prompt_template_version_id, ["prod"])
at = {env: fp.prompts.get(PROJECT, "made by 0.6.1/trip", env).prompt_info.model for env in ("dev", "prod", "latest")}
wrong = failure(lambda: fp.prompts.update_version_environments(PROJECT, tid, "none", ["prod"]))
print(json.dumps({
    "same": first.prompt_template_version_id == again.prompt_template_version_id,
    "names": [first.version_name, first.version_description, first.prompt_template_name, first.project_id],
    "flavor": first.metadata.flavor, "tools": [t.name for t in first.tool_schema], "format": first.format_version,
    "at": at, "wrong": wrong}))
"""
    found = program(server, freeplay_061, code)
    assert found["same"] is True
    assert found["names"] == ["V", "D", "made by 0.6.1/trip", server.project_id]
    assert (found["flavor"], found["tools"], found["format"]) == ("openai_chat", ["t"], 3)
    assert found["at"] == {"dev": "m-1", "prod": "m-2", "latest": "m-2"}
    name, message = cast("list[str]", found["wrong"])
    assert name == "FreeplayClientError"
    assert "no version 'none'" in message
    assert message.endswith("[404]")


def test_a_protected_environment_is_refused_in_words_that_the_client_can_read(
    server: BackendProcess, freeplay_061: Environment
) -> None:
    made = make(server, "guarded")
    url = f"{server.api_base}/v2/environments"
    body = {"name": "vault", "is_protected": True}
    assert requests.post(url, json=body, headers=server.headers, timeout=START_S).status_code == 201
    ids = made["prompt_template_id"], made["prompt_template_version_id"]
    code = """
wrong = failure(lambda: fp.prompts.update_version_environments(PROJECT, *ARGS[3:], ["vault"]))
print(json.dumps({"wrong": wrong}))
"""
    name, message = cast("list[str]", program(server, freeplay_061, code, *ids)["wrong"])
    assert name == "FreeplayClientError"
    assert "'vault' is protected" in message


@pytest.mark.parametrize(
    ("flavor", "system"),
    [
        ("openai_chat", True),
        ("azure_openai_chat", True),
        ("openai_responses", False),
        ("anthropic_chat", False),
        ("gemini_chat", False),
        ("gemini_api_chat", False),
        ("amazon_bedrock_converse", False),
        ("mistral_chat", True),
        ("baseten_mistral_chat", True),
        ("perplexity_chat", True),
        ("llama_3_chat", None),
    ],
)
def test_every_flavor_that_the_client_knows_is_formatted(
    server: BackendProcess, freeplay_061: Environment, flavor: str, system: bool | None
) -> None:
    is_openai = flavor in ("openai_chat", "azure_openai_chat", "openai_responses")
    takes_tools = is_openai or flavor in ("anthropic_chat", "gemini_api_chat", "amazon_bedrock_converse")
    make(
        server,
        f"flavors/{flavor}",
        flavor=flavor,
        provider="some",
        tool_schema=[TOOL] if takes_tools else None,
        output_schema=SCHEMA if is_openai else None,
    )
    code = """
formatted = fp.prompts.get_formatted(PROJECT, f"flavors/{ARGS[3]}", "latest", {"name": "Ann", "question": "Why?"},
                                     history=[{"role": "user", "content": "Hello"}])
print(json.dumps({"prompt": formatted.llm_prompt, "text": getattr(formatted, "llm_prompt_text", None),
                  "tools": formatted.tool_schema, "schema": formatted.formatted_output_schema,
                  "system": formatted.system_content, "flavor": formatted.prompt_info.flavor_name,
                  "parameters": formatted.prompt_info.model_parameters}))
"""
    found = program(server, freeplay_061, code, flavor)
    text = json.dumps(found["prompt"] or found["text"])
    assert "Hello" in text
    assert "Why?" in text
    assert system is None or ("You help Ann." in text) is system
    assert (found["flavor"], found["system"]) == (flavor, "You help Ann.")
    assert found["parameters"] == {"temperature": 0.25}
    assert ("weather" in json.dumps(found["tools"])) is takes_tools
    assert found["schema"] == (SCHEMA if is_openai else None)


def test_templates_come_by_environment_version_and_project(server: BackendProcess, freeplay_061: Environment) -> None:
    made = make(server, "by/version", environments=["by-environment"])
    code = """
by_version = fp.prompts.get_by_version_id(PROJECT, *ARGS[3:])
whole = fp.prompts.get_formatted_by_version_id(PROJECT, *ARGS[3:], {"name": "Ann", "question": "Why?"})
missing = failure(lambda: fp.prompts.get(PROJECT, "by/version", "nowhere"))
unknown = failure(lambda: fp.prompts.get_by_version_id(PROJECT, ARGS[3], "none"))
foreign = failure(lambda: fp.prompts.get_all("none", "latest"))
everywhere = fp.prompts.get_all_for_environment("by-environment").prompt_templates
print(json.dumps({
    "ids": ids(by_version), "environment": by_version.prompt_info.environment, "last": whole.llm_prompt[-1],
    "all": [t.prompt_template_name for t in fp.prompts.get_all(PROJECT, "by-environment").prompt_templates],
    "everywhere": [t.prompt_template_name for t in everywhere],
    "errors": [missing, unknown, foreign]}))
"""
    ids = [made["prompt_template_id"], made["prompt_template_version_id"]]
    found = program(server, freeplay_061, code, *ids)
    assert (found["ids"], found["environment"]) == (ids, "")
    assert found["last"] == {"role": "user", "content": "Why?"}
    assert found["all"] == found["everywhere"] == ["by/version"]
    for name, message in cast("list[list[str]]", found["errors"]):
        assert name == "FreeplayClientError"
        assert "[404]" in message


def test_media_are_put_into_their_places(server: BackendProcess, freeplay_061: Environment) -> None:
    make(server, "media")
    code = """
from freeplay.model import MediaInputUrl
formatted = fp.prompts.get_formatted(PROJECT, "media", "latest", {"name": "A", "question": "Q"}, history=[],
                                     media_inputs={"pic": MediaInputUrl(type="url", url="https://x/y.png")})
print(json.dumps(formatted.llm_prompt[-1]))
"""
    assert "https://x/y.png" in json.dumps(program(server, freeplay_061, code))


def test_one_template_with_a_providers_own_tools_does_not_hide_the_others(
    server: BackendProcess, freeplay_061: Environment
) -> None:
    make(server, "own-tools", tool_schema=[{"type": "web_search"}, {"type": "function", "function": TOOL}])
    code = """
found = {t.prompt_template_name: t for t in fp.prompts.get_all(PROJECT, "latest").prompt_templates}
print(json.dumps({"tools": [t.name for t in found["own-tools"].tool_schema]}))
"""
    assert program(server, freeplay_061, code)["tools"] == ["web_search", "weather"]


# --- its command line, and bundles


def download(
    server: BackendProcess, env: Environment, folder: Path, *arguments: str, key: str | None = None
) -> subprocess.CompletedProcess[str]:
    variables = {
        "FREEPLAY_API_KEY": key or server.api_key,
        "FREEPLAY_SUBDOMAIN": "any",
        "FREEPLAY_API_URL": server.url,
    }
    return env.run("freeplay", *arguments, "--output-dir", str(folder), env=variables)


@pytest.fixture
def alone(tmp_path: Path) -> Iterator[BackendProcess]:
    """A backend whose templates are those of this test."""
    with BackendProcess(tmp_path / "data") as process:
        make(process, "first", environments=["prod"], tool_schema=[{"type": "function", "function": TOOL}])
        make(process, "first", model="gpt-y", output_schema=SCHEMA)
        make(process, "second", environments=["prod"], provider="anthropic", model="claude", llm_parameters=None)
        yield process


def prompts(server: BackendProcess, *arguments: str) -> str:
    env = {**os.environ, "FREEPLAY_LIKE_API_BASE": server.api_base, "FREEPLAY_LIKE_API_KEY": server.api_key}
    command = [*CLI, "prompts", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=START_S, env=env)
    assert done.returncode == 0, (done.stdout, done.stderr)
    return done.stdout


def versions_of(server: BackendProcess) -> dict[str, list[str]]:
    """The models of each template's versions, newest first, with what points at them."""
    base = f"{server.project_base}/prompt-templates"
    found = {}
    for known in requests.get(base, headers=server.headers, timeout=START_S).json()["data"]:
        listed = requests.get(f"{base}/id/{known['id']}/versions", headers=server.headers, timeout=START_S).json()[
            "data"
        ]
        found[known["name"]] = [f"{each['metadata']['model']} {each['environments']}" for each in listed]
    return found


def test_a_downloaded_bundle_is_read_by_the_client_and_taken_back_as_the_same_versions(
    alone: BackendProcess, freeplay_061: Environment, tmp_path: Path
) -> None:
    bundle = tmp_path / "bundle"
    for environment in ("prod", "latest"):
        done = download(
            alone, freeplay_061, bundle, "download", "--project-id", alone.project_id, "--environment", environment
        )
        assert done.returncode == 0, done.stderr
        assert "Found 2 prompt templates" in done.stdout
    code = """
from pathlib import Path
from freeplay.resources.prompts import FilesystemTemplateResolver
fp = Freeplay(freeplay_api_key="none", api_base="http://127.0.0.1:9/api",
              template_resolver=FilesystemTemplateResolver(Path(ARGS[3])))
found = {name: fp.prompts.get_formatted(PROJECT, name, "prod", {"name": "Ann", "question": "Why?"}, history=[])
         for name in ("first", "second")}
print(json.dumps({name: [f.prompt_info.model, f.llm_prompt[-1]["content"]] for name, f in found.items()}))
"""
    offline = program(alone, freeplay_061, code, str(bundle))
    assert offline == {"first": ["gpt-x", "Why?"], "second": ["claude", "Why?"]}
    before = versions_of(alone)
    said = prompts(alone, "import", str(bundle))
    assert versions_of(alone) == before
    assert "was made" not in said
    assert "first (prod): is version 1 already" in said
    assert "first (latest): is version 2 already" in said


def test_a_bundle_moves_templates_to_another_backend(
    alone: BackendProcess, freeplay_061: Environment, tmp_path: Path
) -> None:
    bundle = tmp_path / "bundle"
    assert download(alone, freeplay_061, bundle, "download-all", "--environment", "prod").returncode == 0
    with BackendProcess(tmp_path / "other") as other:
        assert "first (prod): version 1 was made, environment 'prod' points at it" in prompts(
            other, "import", str(bundle)
        )
        assert versions_of(other) == {"first": ["gpt-x ['prod']"], "second": ["claude ['prod']"]}


def test_the_command_line_ends_as_its_errors_ask(
    alone: BackendProcess, freeplay_061: Environment, tmp_path: Path
) -> None:
    assert download(alone, freeplay_061, tmp_path, "download-all").returncode == 0
    wrong = download(alone, freeplay_061, tmp_path, "download-all", key="wrong")
    assert (wrong.returncode, "[401]" in wrong.stderr) == (1, True)
    foreign = download(alone, freeplay_061, tmp_path, "download", "--project-id", "none", "--environment", "prod")
    assert (foreign.returncode, "[404]" in foreign.stderr) == (1, True)
    nothing = download(alone, freeplay_061, tmp_path, "download-all", "--environment", "nowhere")
    assert (nothing.returncode, "Found 0" in nothing.stdout) == (0, True)
