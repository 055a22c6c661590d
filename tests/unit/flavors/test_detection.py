import pytest

from freeplay_like.errors import APIKeyMissingError, ConfigurationError
from freeplay_like.flavors.anthropic_messages import AnthropicClaudeChat
from freeplay_like.flavors.azure_openai import AzureOpenAIChat
from freeplay_like.flavors.detection import flavor_for
from freeplay_like.flavors.openai_chat import OpenAIChat
from freeplay_like.flavors.transport import NO_KEY
from freeplay_like.flavors.vendors import _VENDORS, vendor_of


@pytest.fixture(autouse=True)
def no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for vendor in _VENDORS:
        monkeypatch.delenv(vendor.key_variable, raising=False)
        if vendor.base_variable:
            monkeypatch.delenv(vendor.base_variable, raising=False)


@pytest.mark.parametrize(
    ("base", "provider"),
    [
        ("https://api.openai.com/v1", "openai"),
        ("https://eu.api.openai.com/v1", "openai"),
        ("https://API.OpenAI.com/v1", "openai"),
        ("https://openrouter.ai/api/v1", "openrouter"),
        ("https://api.groq.com/openai/v1", "groq"),
        ("https://api.deepseek.com", "deepseek"),
        ("https://dashscope.aliyuncs.com/compatible-mode/v1", "dashscope"),
        ("https://dashscope-intl.aliyuncs.com/compatible-mode/v1", "dashscope"),
        ("https://api.minimax.io/v1", "minimax"),
        ("https://api.minimaxi.com/v1", "minimax"),
        ("https://api.z.ai/api/paas/v4", "zai"),
        ("https://open.bigmodel.cn/api/paas/v4", "zhipuai"),
        ("https://api.moonshot.ai/v1", "moonshotai"),
        ("https://api.moonshot.cn/v1", "moonshotai"),
        ("https://api.mistral.ai/v1", "mistral"),
        ("https://api.together.xyz/v1", "together"),
        ("https://api.fireworks.ai/inference/v1", "fireworks"),
        ("https://api.x.ai/v1", "x-ai"),
        ("https://mine.openai.azure.com/openai/v1/", "azure"),
        ("https://notopenai.com/v1", "openai-compatible"),
        ("https://api.openai.com.evil.net/v1", "openai-compatible"),
        ("https://evilapi.openai.com/v1", "openai-compatible"),
        ("http://host.example/proxy?u=api.openai.com", "openai-compatible"),
        ("http://api.openai.com@host.example/v1", "openai-compatible"),
        ("http://host.example/#api.openai.com", "openai-compatible"),
        ("http://127.0.0.1:8080/v1", "openai-compatible"),
    ],
)
def test_chat_completions_are_spoken_to_whoever_the_host_is(base: str, provider: str) -> None:
    flavor = flavor_for(base, "key")
    assert type(flavor) is OpenAIChat
    assert flavor.provider == provider


def test_anthropic_and_azure_have_flavors_of_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_VERSION", "2024-10-21")
    anthropic = flavor_for("https://api.anthropic.com", "key")
    azure = flavor_for("https://mine.openai.azure.com", "key")
    assert (type(anthropic), anthropic.provider) == (AnthropicClaudeChat, "anthropic")
    assert (type(azure), azure.provider) == (AzureOpenAIChat, "azure")
    azure.check()


def test_options_go_to_the_flavor() -> None:
    flavor = flavor_for("http://localhost:1/v1", "key", headers={"x-team": "a"}, proxy="")
    assert isinstance(flavor, OpenAIChat)
    assert flavor._headers == {"x-team": "a"}
    assert flavor._proxy == ""


@pytest.mark.parametrize("base", ["localhost:80", "", "http://[::1", "ftp://api.openai.com"])
def test_what_is_no_address_is_refused(base: str) -> None:
    with pytest.raises(ConfigurationError, match="not an address"):
        flavor_for(base, "key")


def test_only_the_key_of_the_vendor_that_is_asked_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "openai's")
    monkeypatch.setenv("GROQ_API_KEY", "groq's")
    assert OpenAIChat(None, "https://api.groq.com/openai/v1")._key() == "groq's"
    assert OpenAIChat(None, "https://api.openai.com/v1")._key() == "openai's"
    with pytest.raises(APIKeyMissingError, match="DEEPSEEK_API_KEY is not set"):
        OpenAIChat(None, "https://api.deepseek.com").check()
    with pytest.raises(APIKeyMissingError, match="ANTHROPIC_API_KEY"):
        flavor_for("https://api.anthropic.com").check()


def test_a_host_that_is_nobodys_may_do_without_a_key(monkeypatch: pytest.MonkeyPatch) -> None:
    flavor = OpenAIChat(None, "http://127.0.0.1:1/v1")
    assert flavor._key() == NO_KEY
    monkeypatch.setenv("OPENAI_API_KEY", "mine")
    assert flavor._key() == "mine"


def test_no_host_belongs_to_two() -> None:
    hosts = [host for vendor in _VENDORS for host in vendor.hosts]
    assert len(hosts) == len(set(hosts))
    assert all(vendor_of(host) is vendor for vendor in _VENDORS for host in vendor.hosts)
    assert vendor_of("") is None
