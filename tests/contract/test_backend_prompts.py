"""Templates over HTTP: what is asked, what every kind of answer becomes, and that nothing local leaks in."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from freeplay_like.core.templates import PromptTemplate, TemplateMessage
from freeplay_like.errors import (
    APIKeyMissingError,
    AuthorizationError,
    BackendError,
    ConfigurationError,
    TemplateError,
    TemplateNotFoundError,
)
from freeplay_like.prompts.backend import BackendPrompts
from support.scripted_http import Asked, Reply, ScriptedServer, scripted_server

TEMPLATE = PromptTemplate(
    name="trip",
    messages=(TemplateMessage(role="user", content="To {{city}}"),),
    project_id="p-1",
    template_id="t",
    version_id="v",
    version="3",
    environment="prod",
    source="backend",
)
BODY = json.dumps(TEMPLATE.to_wire()).encode()


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    with scripted_server(lambda asked: Reply(body=BODY)) as running:
        yield running


@pytest.fixture
def prompts(server: ScriptedServer) -> Iterator[BackendPrompts]:
    source = BackendPrompts(server.base, "key-1", timeout_s=20)
    yield source
    source.close()


def test_a_template_is_asked_for_by_project_name_and_environment(
    prompts: BackendPrompts, server: ScriptedServer
) -> None:
    assert prompts.get("p-1", "trip", "prod") == TEMPLATE
    (asked,) = server.asked
    assert asked.path == "/api/v2/projects/p-1/prompt-templates/name/trip?environment=prod"
    assert asked.headers["Authorization"] == "Bearer key-1"
    assert asked.headers["User-Agent"].startswith("freeplay-like/")
    assert prompts.at_hand("p-1", "trip", "prod") is None


def test_every_part_of_the_address_is_quoted(prompts: BackendPrompts, server: ScriptedServer) -> None:
    prompts.get("p/../x?", "smol/ä plan?#", "a&b=c")
    assert server.asked[0].path == (
        "/api/v2/projects/p%2F..%2Fx%3F/prompt-templates/name/smol/%C3%A4%20plan%3F%23?environment=a%26b%3Dc"
    )


def test_one_connection_serves_many_questions(prompts: BackendPrompts, server: ScriptedServer) -> None:
    for _ in range(3):
        prompts.get("p-1", "trip", "prod")
    assert len({asked.peer for asked in server.asked}) == 1


def test_a_template_that_has_not_changed_is_not_sent_again(prompts: BackendPrompts, server: ScriptedServer) -> None:
    def answer(asked: Asked) -> Reply:
        if asked.headers.get("If-None-Match") == '"v"':
            return Reply(304)
        return Reply(body=BODY, headers={"ETag": '"v"'})

    server.answer = answer
    first = prompts.get("p-1", "trip", "prod")
    assert prompts.get("p-1", "trip", "prod") is first
    assert "If-None-Match" not in server.asked[0].headers
    prompts.get("p-1", "trip", "dev")
    assert "If-None-Match" not in server.asked[2].headers


def test_a_refusal_is_not_followed_by_an_old_copy(prompts: BackendPrompts, server: ScriptedServer) -> None:
    server.answer = lambda asked: Reply(body=BODY, headers={"ETag": '"v"'})
    prompts.get("p-1", "trip", "prod")
    server.answer = lambda asked: Reply(404, b'{"message": "gone"}')
    with pytest.raises(TemplateNotFoundError):
        prompts.get("p-1", "trip", "prod")
    server.answer = lambda asked: Reply(304)
    with pytest.raises(BackendError, match="answered 304"):
        prompts.get("p-1", "trip", "prod")
    assert "If-None-Match" not in server.asked[-1].headers


def test_a_version_is_asked_for_by_its_ids(prompts: BackendPrompts, server: ScriptedServer) -> None:
    def answer(asked: Asked) -> Reply:
        if asked.headers.get("If-None-Match") == '"v"':
            return Reply(304)
        return Reply(body=BODY, headers={"ETag": '"v"'})

    server.answer = answer
    first = prompts.version("p-1", "t", "v/1")
    assert first == TEMPLATE
    assert prompts.version("p-1", "t", "v/1") is first
    assert {asked.path for asked in server.asked} == {"/api/v2/projects/p-1/prompt-templates/id/t/versions/v%2F1"}
    for ids in (("", "t", "v"), ("p", "", "v"), ("p", "t", "..")):
        with pytest.raises(ConfigurationError, match=r"is no (project|template|version) id"):
            prompts.version(*ids)
    assert len(server.asked) == 2


def test_an_unknown_version_is_a_template_not_found(prompts: BackendPrompts, server: ScriptedServer) -> None:
    server.answer = lambda asked: Reply(404, b"{\"message\": \"no version 'v' of template 't' in project 'p'\"}")
    with pytest.raises(TemplateNotFoundError, match=r"^no version 'v' of template 't' in project 'p' \(http") as caught:
        prompts.version("p-1", "t", "v")
    assert caught.value.template == "t"


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("near names: 'trips'", "no template 'trip' in environment 'prod': near names: 'trips' (http"),
        (
            "no template 'trip' in environment 'prod' of project 'p'; near",
            "no template 'trip' in environment 'prod' of",
        ),
    ],
)
def test_not_found_passes_the_backends_words_on_and_says_nothing_twice(
    prompts: BackendPrompts, server: ScriptedServer, said: str, told: str
) -> None:
    server.answer = lambda asked: Reply(404, json.dumps({"message": said}).encode())
    with pytest.raises(TemplateNotFoundError) as caught:
        prompts.get("p-1", "trip", "prod")
    assert str(caught.value).startswith(told)
    assert str(caught.value).count("no template 'trip'") == 1


@pytest.mark.parametrize("status", [401, 403])
def test_a_key_that_is_not_taken_is_named_but_not_shown(
    prompts: BackendPrompts, server: ScriptedServer, status: int
) -> None:
    server.answer = lambda asked: Reply(status, b'{"message": "wrong scope"}')
    with pytest.raises(AuthorizationError, match=rf"\({status}: wrong scope\).*FREEPLAY_LIKE_API_KEY") as caught:
        prompts.get("p-1", "trip", "prod")
    assert caught.value.status == status
    assert "key-1" not in str(caught.value)


@pytest.mark.parametrize(
    ("reply", "words"),
    [
        (Reply(404, b"<h1>Not Found</h1>"), "answered 404; the answer is not from a backend of this kind; .* /api"),
        (Reply(500, b'{"message": "disk full"}'), "answered 500; it says: disk full"),
        (Reply(301, headers={"Location": "https://x/api"}), "answered 301; it points to 'https://x/api'; set api_base"),
        (Reply(200, b"<html>"), "no template"),
        (Reply(200, b"[]"), "no template"),
        (Reply(204), "answered 204"),
    ],
)
def test_an_answer_that_is_no_template_names_the_address_and_a_way_out(
    prompts: BackendPrompts, server: ScriptedServer, reply: Reply, words: str
) -> None:
    server.answer = lambda asked: reply
    with pytest.raises(BackendError, match=words) as caught:
        prompts.get("p-1", "trip", "prod")
    assert caught.value.status == reply.status
    assert caught.value.url is not None
    assert caught.value.url.startswith(server.base)
    assert len(server.asked) == 1


def test_a_template_of_another_form_names_the_field(prompts: BackendPrompts, server: ScriptedServer) -> None:
    server.answer = lambda asked: Reply(body=b'{"prompt_template_name": "trip", "content": {}}')
    with pytest.raises(TemplateError, match="template 'trip' has 'content' = dict; expected a list"):
        prompts.get("p-1", "trip", "prod")


def test_a_connection_that_was_closed_meanwhile_is_made_again(prompts: BackendPrompts, server: ScriptedServer) -> None:
    prompts.get("p-1", "trip", "prod")
    server.answer = lambda asked: Reply(cuts=len(server.asked) == 2, body=BODY)
    assert prompts.get("p-1", "trip", "prod") == TEMPLATE
    assert len(server.asked) == 3


def test_a_backend_that_is_not_there_is_named_with_a_way_out() -> None:
    with socket.create_server(("127.0.0.1", 0)) as unused:
        base = f"http://127.0.0.1:{unused.getsockname()[1]}/api"
    prompts = BackendPrompts(base, "key-1")
    with pytest.raises(BackendError, match=r"did not answer at .*ConnectionError; .*FolderPrompts") as caught:
        prompts.get("p-1", "trip", "prod")
    assert caught.value.status is None
    assert caught.value.__cause__ is not None


def test_a_backend_that_does_not_answer_in_time_is_given_up() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        prompts = BackendPrompts(f"http://127.0.0.1:{silent.getsockname()[1]}/api", "key-1", timeout_s=0.05)
        with pytest.raises(BackendError, match="ReadTimeout"):
            prompts.get("p-1", "trip", "prod")
        prompts.close()


def test_an_answer_that_never_ends_is_given_up(
    prompts: BackendPrompts, server: ScriptedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("freeplay_like.backend_link.ANSWER_LIMIT_BYTES", 100_000)
    server.answer = lambda asked: Reply(body=b" " * 17_000_000)
    with pytest.raises(BackendError, match=r"did not answer at .*: TimeoutError"):
        prompts.get("p-1", "trip", "prod")


def test_a_netrc_file_does_not_replace_the_key(
    prompts: BackendPrompts, server: ScriptedServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login someone password else\n")
    monkeypatch.setenv("NETRC", str(netrc))
    prompts.get("p-1", "trip", "prod")
    assert server.asked[0].headers["Authorization"] == "Bearer key-1"


def test_a_proxy_of_the_environment_is_used(server: ScriptedServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", server.base.removesuffix("/api"))
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    prompts = BackendPrompts("http://backend.invalid/api", "key-1")
    assert prompts.get("p-1", "trip", "prod") == TEMPLATE
    assert server.asked[0].path.startswith("http://backend.invalid/api/v2/")
    prompts.close()


def test_a_session_of_ones_own_is_used_and_made_again_after_closing(server: ScriptedServer) -> None:
    made: list[requests.Session] = []

    def factory() -> requests.Session:
        made.append(requests.Session())
        made[-1].headers["X-Tenant"] = "t-1"
        return made[-1]

    prompts = BackendPrompts(server.base + "/", " key-1\n", session_factory=factory)
    assert not made
    prompts.get("p-1", "trip", "prod")
    prompts.close()
    prompts.close()
    prompts.get("p-1", "trip", "prod")
    prompts.close()
    assert len(made) == 2
    assert {asked.headers["X-Tenant"] for asked in server.asked} == {"t-1"}


@pytest.mark.parametrize("name", ["", "../sessions", "a//b", "/a"])
def test_a_name_that_leads_elsewhere_is_not_asked_for(
    prompts: BackendPrompts, server: ScriptedServer, name: str
) -> None:
    with pytest.raises(TemplateError, match="cannot name a template"):
        prompts.get("p-1", name, "prod")
    with pytest.raises(ConfigurationError, match="is no project id"):
        prompts.get("..", "trip", "prod")
    assert not server.asked


@pytest.mark.parametrize(
    ("api_base", "words"),
    [
        ("", "api_base is ''; expected an address such as"),
        ("localhost:8000", "api_base is 'localhost:8000'; expected"),
        ("http://", "api_base is 'http://'; expected"),
        ("http://h:port/api", "api_base is no address"),
        ("http://[::1/api", "api_base is no address"),
        ("http://user:pw@h/api", "api_base holds a user, a query or a fragment"),
        ("http://h/api?x=1", "api_base holds a user, a query or a fragment"),
    ],
)
def test_an_address_that_is_none_is_refused_at_once(api_base: str, words: str) -> None:
    with pytest.raises(ConfigurationError, match=words.replace("?", r"\?")) as caught:
        BackendPrompts(api_base, "key-1")
    assert "pw" not in str(caught.value)


def test_a_key_that_is_none_is_refused_at_once() -> None:
    with pytest.raises(APIKeyMissingError, match="is blank"):
        BackendPrompts("http://h/api", "  ")
    with pytest.raises(ConfigurationError, match="no header can carry") as caught:
        BackendPrompts("http://h/api", "key-1\r\nX: y")
    assert "key-1" not in str(caught.value)
