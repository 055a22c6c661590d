"""Templates, versions and environments over HTTP: statuses, shapes and refusals."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import requests

from support.backend import BackendProcess, Deployment

pytestmark = pytest.mark.over("sqlite", "servers")

TIMEOUT_S = 30
UNKNOWN = "0" * 36


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, deployment: Deployment) -> Iterator[BackendProcess]:
    with deployment.running(tmp_path_factory.mktemp("prompts") / "data", project="prompts") as process:
        yield process


@pytest.fixture(scope="module")
def weak_key(server: BackendProcess) -> str:
    """A key that may do everything but move protected environments."""
    with server.store() as store:
        project = store.projects.get(server.project_id)
        assert project is not None
        return store.keys.create(project, frozenset({"ingest", "read", "prompts", "admin"}))


def call(
    server: BackendProcess, method: str, path: str, status: int = 200, *, key: str | None = None, **more: object
) -> requests.Response:
    """Ask below the project, or below the API where the path says so; the status has to be this."""
    base = f"{server.api_base}/v2" if path.startswith("/environments") else f"{server.project_base}/prompt-templates"
    headers = {"Authorization": f"Bearer {key or server.api_key}"}
    answer = requests.request(method, base + path, headers=headers, timeout=TIMEOUT_S, **more)  # type: ignore[arg-type]
    assert answer.status_code == status, answer.text
    return answer


def version(text: str = "Hello {{name}}", **more: object) -> dict[str, object]:
    messages = [{"role": "user", "content": text}]
    return {"template_messages": messages, "model": "gpt-x", "provider": "openai", **more}


def make(server: BackendProcess, name: str, text: str = "Hello {{name}}", **more: object) -> dict[str, str]:
    return call(server, "POST", f"/name/{name}/versions", 201, json=version(text, **more)).json()


def ids(made: dict[str, str]) -> str:
    return f"/id/{made['prompt_template_id']}/versions/{made['prompt_template_version_id']}"


def message_of(answer: requests.Response) -> str:
    assert list(answer.json()) == ["message"]
    return str(answer.json()["message"])


# --- templates


def test_a_template_is_made_read_renamed_and_put_away(server: BackendProcess) -> None:
    body = {"name": "life/cycle", "id": "made-by-me", "description": "D"}
    made = call(server, "POST", "", 201, json=body).json()
    assert (made["id"], made["versions"], made["latest_version"], made["environments"]) == ("made-by-me", 0, None, {})
    assert (
        call(server, "POST", "/id/made-by-me/versions", 201, json=version()).json()["prompt_template_name"]
        == "life/cycle"
    )
    assert "already" in message_of(call(server, "POST", "", 409, json=body))
    read = call(server, "GET", "/id/made-by-me").json()
    assert (read["name"], read["description"], read["latest_version"]) == ("life/cycle", "D", "1")
    assert call(server, "PATCH", "/id/made-by-me", json={"name": "life/renamed"}).json()["description"] == "D"
    named = call(server, "GET", "/name/life/renamed").json()
    assert (named["prompt_template_id"], named["prompt_template_name"]) == ("made-by-me", "life/renamed")
    assert call(server, "DELETE", "/id/made-by-me", 204).content == b""
    for method, path in (("GET", "/id/made-by-me"), ("DELETE", "/id/made-by-me"), ("GET", "/name/life/renamed")):
        call(server, method, path, 404)
    assert call(server, "GET", ids(named)).json()["prompt_template_name"] == "life/renamed"
    assert make(server, "life/renamed")["prompt_template_id"] != "made-by-me"


def test_templates_and_versions_are_listed_in_pages(server: BackendProcess) -> None:
    for name in ("pages/a", "pages/b"):
        make(server, name)
    made = make(server, "pages/a", "second", environments=["listed"], version_name="V", version_description="D")
    page = call(server, "GET", "?page_size=1").json()
    assert page["pagination"] == {"page": 1, "page_size": 1, "has_next": True}
    listed = [each for each in call(server, "GET", "?page_size=100").json()["data"] if each["name"] == "pages/a"]
    vid = made["prompt_template_version_id"]
    assert [each["environments"] for each in listed] == [{"listed": vid, "latest": vid}]
    path = f"/id/{made['prompt_template_id']}/versions"
    (newest,) = call(server, "GET", f"{path}?page=1&page_size=1").json()["data"]
    assert (newest["version"], newest["version_name"], newest["version_description"]) == ("2", "V", "D")
    assert newest["metadata"] == {"provider": "openai", "flavor": "openai_chat", "model": "gpt-x"}
    assert call(server, "GET", f"{path}?page=2&page_size=1").json()["pagination"]["has_next"] is False
    assert "'page'" in message_of(call(server, "GET", f"{path}?page=0", 400))


def test_a_version_is_deleted_unless_an_environment_points_at_it(server: BackendProcess) -> None:
    made = make(server, "deleted", environments=["deleted-from"])
    assert "deleted-from" in message_of(call(server, "DELETE", ids(made), 409))
    call(server, "POST", f"{ids(made)}/environments", json={"environments": []})
    call(server, "DELETE", ids(made), 204)
    call(server, "GET", ids(made), 404)
    call(server, "DELETE", ids(made), 404)
    assert "near names" in message_of(call(server, "GET", "/name/deleted", 404))


def test_a_template_that_is_renamed_is_sent_again_to_those_who_know_it(server: BackendProcess) -> None:
    made = make(server, "tagged")
    tag = call(server, "GET", ids(made)).headers["ETag"]
    call(server, "PATCH", f"/id/{made['prompt_template_id']}", json={"name": "retagged"})
    headers = {"If-None-Match": tag, **server.headers}
    answer = requests.get(f"{server.project_base}/prompt-templates{ids(made)}", headers=headers, timeout=TIMEOUT_S)
    assert (answer.status_code, answer.json()["prompt_template_name"]) == (200, "retagged")


def test_a_version_is_only_made_on_top_of_the_one_that_it_is_based_on(server: BackendProcess) -> None:
    first = make(server, "based", based_on="")
    refused = call(server, "POST", "/name/based/versions", 409, json=version("two", based_on=""))
    assert first["prompt_template_version_id"] in message_of(refused)
    second = make(server, "based", "two", based_on=first["prompt_template_version_id"])
    assert make(server, "based")["prompt_template_version_id"] == first["prompt_template_version_id"]
    third = make(server, "based", based_on=second["prompt_template_version_id"], is_renewal=True)
    assert third["version"] == "3"


def test_tools_are_given_in_freeplays_words_and_in_their_own(server: BackendProcess) -> None:
    own = [{"type": "function", "function": {"name": "t", "parameters": {"type": "object"}}}, {"type": "web_search"}]
    made = make(server, "tools", tool_schema=own)
    assert made["tools"] == own
    assert made["tool_schema"] == [
        {"name": "t", "description": "", "parameters": {"type": "object"}},
        {"name": "web_search", "description": "", "parameters": {}},
    ]
    plain = make(server, "tools/plain", tool_schema=made["tool_schema"])
    assert "tools" not in plain


def test_versions_are_compared_with_the_one_before_and_with_any_other(server: BackendProcess) -> None:
    made = [make(server, "compared", text, model=model) for text, model in (("a", "m"), ("b", "m"), ("b", "n"))]
    found = call(server, "GET", f"{ids(made[2])}/diff").json()
    assert (found["before_version"], found["after_version"], found["messages"]) == ("2", "3", [])
    assert found["fields"] == [{"name": "model", "before": "m", "after": "n"}]
    against = made[0]["prompt_template_version_id"]
    (change,) = call(server, "GET", f"{ids(made[2])}/diff?against={against}").json()["messages"]
    assert (change["kind"], change["before"]["content"], change["after"]["content"]) == ("changed", "a", "b")
    assert "first version" in message_of(call(server, "GET", f"{ids(made[0])}/diff", 400))
    call(server, "GET", f"{ids(made[0])}/diff?against={UNKNOWN}", 404)


# --- filled in


def test_a_version_is_filled_in_with_history_and_media(server: BackendProcess) -> None:
    messages = [
        {"role": "system", "content": "S {{a}}"},
        {"kind": "history"},
        {"role": "user", "content": "U {{b}}", "media_slots": [{"type": "image", "placeholder_name": "pic"}]},
    ]
    made = make(server, "bound/whole", template_messages=messages)
    body = {
        "variables": {"a": "1", "b": ["x"]},
        "history": [
            {"role": "user", "content": "q"},
            {"role": "assistant", "tool_calls": [{"id": "c", "name": "f", "arguments": '{"x": 1}'}]},
            {"role": "tool", "tool_call_id": "c", "content": "42"},
        ],
        "media_inputs": {"pic": {"type": "base64", "data": "aGk=", "content_type": "image/png"}},
    }
    plain = call(server, "POST", ids(made), json=body).json()
    assert [message["role"] for message in plain["content"]] == ["system", "user", "assistant", "tool", "user"]
    assert (plain["system_content"], plain["formatted_content"]) == ("S 1", None)
    openai = call(server, "POST", "/name/bound/whole?environment=latest&format=openai", json=body).json()
    assert openai["formatted_content"] == openai["content"] == plain["content"]
    assert openai["content"][-1]["content"][1]["image_url"]["url"] == "data:image/png;base64,aGk="
    assert openai["metadata"]["model"] == "gpt-x"
    anthropic = call(server, "POST", f"{ids(made)}?format=anthropic", json=body).json()["formatted_content"]
    assert anthropic == [
        {"role": "user", "content": "q"},
        {"role": "assistant", "content": [{"type": "tool_use", "id": "c", "name": "f", "input": {"x": 1}}]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "c", "content": "42"}]},
        {
            "role": "user",
            "content": [
                {"type": "text", "text": 'U ["x"]'},
                {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "aGk="}},
            ],
        },
    ]


@pytest.mark.parametrize(
    ("query", "body", "words"),
    [
        ("", {}, "'a', 'b'"),
        ("", {"variables": {"a": "1"}}, "'b'"),
        ("", {"variables": {"a": None, "b": ""}}, "variable 'a' is None"),
        ("", {"variables": []}, "$.variables"),
        ("", {"history": [{"role": "king"}]}, "king"),
        ("", {"history": [1]}, "$.history[0]"),
        ("?format=martian", {"variables": {"a": "", "b": ""}}, "known: openai"),
    ],
)
def test_what_cannot_be_filled_in_is_told_at_once(
    server: BackendProcess, query: str, body: dict[str, object], words: str
) -> None:
    made = make(server, "bound/refused", "{{a}} {{b}}")
    assert words in message_of(call(server, "POST", f"{ids(made)}{query}", 400, json=body))


@pytest.mark.parametrize("medium", [{"type": "url"}, {"type": "base64", "data": "!", "content_type": "image/png"}])
def test_a_medium_of_no_use_is_refused(server: BackendProcess, medium: dict[str, str]) -> None:
    slots = [{"type": "image", "placeholder_name": "pic"}]
    made = make(server, "bound/media", template_messages=[{"role": "user", "content": "x", "media_slots": slots}])
    answer = call(server, "POST", ids(made), 400, json={"media_inputs": {"pic": medium}})
    assert "media_inputs" in message_of(answer)


# --- environments


def test_environments_are_made_changed_and_deleted(server: BackendProcess) -> None:
    made = call(server, "POST", "/environments", 201, json={"name": "qa"}).json()
    assert (made["name"], made["is_protected"], made["templates"]) == ("qa", False, 0)
    listed = call(server, "GET", "/environments?page_size=100").json()["data"]
    assert [listed[0]["name"], listed[0]["is_latest"]] == ["latest", True]
    assert made in listed
    path = f"/environments/{made['id']}"
    assert call(server, "GET", path).json() == made
    assert call(server, "PATCH", path, json={"name": "qa-2"}).json()["name"] == "qa-2"
    assert "already" in message_of(call(server, "POST", "/environments", 409, json={"name": "latest"}))
    call(server, "DELETE", path, 204)
    call(server, "GET", path, 404)
    call(server, "DELETE", path, 404)


def test_latest_is_nobodys_to_change(server: BackendProcess) -> None:
    assert call(server, "GET", "/environments/latest").json()["is_latest"]
    assert "newest" in message_of(call(server, "PATCH", "/environments/latest", 400, json={"name": "x"}))
    call(server, "DELETE", "/environments/latest", 400)
    made = make(server, "latest-only", "one")
    make(server, "latest-only", "two")
    call(server, "POST", f"{ids(made)}/environments", 400, json={"environments": ["latest"]})


def test_a_protected_environment_wants_a_key_that_may_and_a_reason(server: BackendProcess, weak_key: str) -> None:
    first, second = make(server, "guarded", "one", environments=["guarded-prod"]), make(server, "guarded", "two")
    (prod,) = [
        each
        for each in call(server, "GET", "/environments?page_size=100").json()["data"]
        if each["name"] == "guarded-prod"
    ]
    path = f"/environments/{prod['id']}"
    assert "deploy" in message_of(call(server, "PATCH", path, 403, key=weak_key, json={"is_protected": True}))
    call(server, "POST", "/environments", 403, key=weak_key, json={"name": "other", "is_protected": True})
    call(server, "PATCH", path, json={"is_protected": True})
    body = {"environments": ["guarded-prod"], "reason": "tested"}
    call(server, "POST", f"{ids(second)}/environments", 403, key=weak_key, json=body)
    call(server, "POST", "/name/guarded/versions", 403, key=weak_key, json=version("three", **body))
    call(server, "DELETE", f"/id/{first['prompt_template_id']}", 403, key=weak_key)
    call(server, "DELETE", path, 403, key=weak_key)
    unsaid = call(server, "POST", f"{ids(second)}/environments", 400, json={"environments": ["guarded-prod"]})
    assert "'reason'" in message_of(unsaid)
    call(server, "POST", f"{ids(second)}/environments", json=body)
    history = call(server, "GET", f"/id/{first['prompt_template_id']}/history").json()["data"]
    assert [
        (move["from_version"] and move["from_version"]["version"], move["to_version"]["version"]) for move in history
    ] == [
        ("1", "2"),
        (None, "1"),
    ]
    assert (history[0]["reason"], history[0]["by"]["kind"]) == ("tested", "key")
    assert history[0]["by"]["id"] == server.api_key.split("_")[1]
    call(server, "DELETE", f"/id/{first['prompt_template_id']}", 400)
    call(server, "DELETE", f"/id/{first['prompt_template_id']}?reason=done", 204)


# --- refusals


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"version_name": ""}, "$.version_name"),
        ({"version_name": "x" * 201}, "$.version_name"),
        ({"version_description": "a\0b"}, "'version_description' holds a NUL"),
        ({"model": "m\0"}, "'model' holds a NUL"),
        ({"environments": ["x"] * 51}, "$.environments"),
        ({"environments": ["a\nb"]}, "environment's name"),
        ({"tool_schema": "x"}, "$.tool_schema"),
        ({"tool_schema": [1]}, "$.tool_schema[0]"),
        ({"output_schema": []}, "$.output_schema"),
        ({"llm_parameters": []}, "$.llm_parameters"),
        ({"template_messages": [{"kind": "history"}, {"kind": "history"}]}, "2 history slots"),
        ({"template_messages": [{"role": "user", "content": None}]}, "content[0].content"),
    ],
)
def test_a_version_that_cannot_be_kept_is_refused_by_its_field(
    server: BackendProcess, change: dict[str, object], words: str
) -> None:
    answer = call(server, "POST", "/name/refused/versions", 400, json={**version(), **change})
    assert words in message_of(answer)


def test_a_body_that_nests_without_end_is_refused(server: BackendProcess) -> None:
    deep: object = 1
    for _ in range(200):
        deep = [deep]
    assert "llm_parameters is nested deeper" in message_of(
        call(server, "POST", "/name/deep/versions", 400, json=version(llm_parameters={"x": deep}))
    )
    bound = {"history": [{"role": "user", "content": [{"type": "text", "text": deep}]}]}
    assert "history is nested deeper" in message_of(call(server, "POST", ids(make(server, "deep")), 400, json=bound))
    for depth in (900, 5_000, 100_000):
        body = '{"template_messages": [], "llm_parameters": {"x": ' + "[" * depth + "]" * depth + "}}"
        call(server, "POST", "/name/deep/versions", 400, data=body)


@pytest.mark.parametrize("body", [{"name": ""}, {"name": "a//b"}, {"name": "x", "id": "a/b"}, {"name": "x" * 201}, {}])
def test_a_template_that_cannot_be_named_so_is_refused(server: BackendProcess, body: dict[str, object]) -> None:
    assert message_of(call(server, "POST", "", 400, json=body))


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", f"/id/{UNKNOWN}", None),
        ("PATCH", f"/id/{UNKNOWN}", {"name": "x"}),
        ("DELETE", f"/id/{UNKNOWN}", None),
        ("GET", f"/id/{UNKNOWN}/versions", None),
        ("POST", f"/id/{UNKNOWN}/versions", version()),
        ("GET", f"/id/{UNKNOWN}/history", None),
        ("GET", f"/id/{UNKNOWN}/versions/{UNKNOWN}", None),
        ("POST", f"/id/{UNKNOWN}/versions/{UNKNOWN}", {}),
        ("DELETE", f"/id/{UNKNOWN}/versions/{UNKNOWN}", None),
        ("GET", f"/id/{UNKNOWN}/versions/{UNKNOWN}/diff", None),
        ("POST", f"/id/{UNKNOWN}/versions/{UNKNOWN}/environments", {"environments": ["prod"]}),
        ("POST", f"/name/{UNKNOWN}", {}),
    ],
)
def test_what_is_not_there_is_not_found(
    server: BackendProcess, method: str, path: str, body: dict[str, object] | None
) -> None:
    assert message_of(call(server, method, path, 404, json=body))
