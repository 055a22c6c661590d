import json
from collections.abc import Iterator

import pytest

from freeplay_like.core.messages import Message
from freeplay_like.core.parameters import merge
from freeplay_like.errors import APIKeyMissingError, ConfigurationError
from freeplay_like.flavors.azure_openai import AzureOpenAIChat
from freeplay_like.flavors.base import Request
from support.scripted_http import Asked, Reply, ScriptedServer, scripted_server
from support.wire import read

MESSAGES = (Message(role="developer", content="Be brief."), Message(role="user", content="Hello"))
EVENTS = (
    {"id": "", "object": "", "model": "", "choices": [], "prompt_filter_results": [{"prompt_index": 0}]},
    {
        "id": "c1",
        "object": "chat.completion.chunk",
        "model": "m",
        "choices": [{"index": 0, "delta": {"content": "Hi"}}],
    },
    {
        "id": "",
        "object": "",
        "model": "",
        "choices": [{"index": 0, "content_filter_offsets": {}, "finish_reason": None}],
    },
    {"id": "c1", "object": "x", "model": "m", "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]},
)
BODY = b"".join(b"data: " + json.dumps(event).encode() + b"\n\n" for event in EVENTS) + b"data: [DONE]\n\n"


@pytest.fixture(autouse=True)
def no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AZURE_OPENAI_API_KEY", "AZURE_OPENAI_AD_TOKEN", "AZURE_OPENAI_ENDPOINT", "OPENAI_API_VERSION"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def azure() -> Iterator[ScriptedServer]:
    def answer(asked: Asked) -> Reply:
        return Reply(body=BODY, headers={"Content-Type": "text/event-stream", "X-Request-Id": "r1"})

    with scripted_server(answer) as server:
        yield server


def request(flavor: AzureOpenAIChat) -> Request:
    layers = [("flavor", flavor.default_parameters), ("call", {"model": "gpt-4o"})]
    return flavor.format(MESSAGES, merge(layers), is_stream=True)


async def test_the_model_is_the_deployment_and_the_key_has_a_header_of_its_own(azure: ScriptedServer) -> None:
    flavor = AzureOpenAIChat("a key", azure.base, "2024-10-21", headers={"X-Team": "a"})
    asked = request(flavor)
    answer = read(flavor.reader(asked), flavor.open(asked))
    connection = await flavor.aopen(asked)
    async for _ in connection:
        pass
    assert (answer.error, answer.response.text, answer.response.finish_reason) == (None, "Hi", "stop")
    assert (answer.response.model, answer.response.response_id) == ("m", "c1")
    for seen in azure.asked:
        assert seen.path.endswith("/openai/deployments/gpt-4o/chat/completions?api-version=2024-10-21")
        headers = {name.lower(): value for name, value in seen.headers.items()}
        assert (headers["api-key"], headers["x-team"]) == ("a key", "a")
        assert "authorization" not in headers
        assert [message["role"] for message in json.loads(seen.body)["messages"]] == ["system", "user"]
    assert len(azure.asked) == 2


def test_a_deployment_may_have_another_name_and_a_token_come_from_elsewhere(azure: ScriptedServer) -> None:
    flavor = AzureOpenAIChat(
        None, azure.base, "2024-10-21", deployment="mine", azure_ad_token_provider=lambda: "a token"
    )
    flavor.check()
    flavor.open(request(flavor)).close()
    (seen,) = azure.asked
    assert "/deployments/mine/chat/completions" in seen.path
    headers = {name.lower(): value for name, value in seen.headers.items()}
    assert headers["authorization"] == "Bearer a token"
    assert "api-key" not in headers


def test_everything_may_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AZURE_OPENAI_ENDPOINT", "https://mine.openai.azure.com/")
    monkeypatch.setenv("AZURE_OPENAI_API_KEY", "a key")
    monkeypatch.setenv("OPENAI_API_VERSION", "2024-10-21")
    flavor = AzureOpenAIChat()
    flavor.check()
    assert (flavor.provider, flavor.endpoint) == ("azure", "mine.openai.azure.com:443")


def test_a_gateway_of_ones_own_is_azure_all_the_same() -> None:
    flavor = AzureOpenAIChat(None, "http://gateway.example", "2024-10-21")
    assert flavor.provider == "azure"
    with pytest.raises(APIKeyMissingError, match="AZURE_OPENAI_API_KEY"):
        flavor.check()


def test_what_is_missing_is_named() -> None:
    with pytest.raises(ConfigurationError, match="AZURE_OPENAI_ENDPOINT"):
        AzureOpenAIChat("a key")
    with pytest.raises(ConfigurationError, match="OPENAI_API_VERSION"):
        AzureOpenAIChat("a key", "https://mine.openai.azure.com").check()
