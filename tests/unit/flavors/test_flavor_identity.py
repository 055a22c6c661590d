import subprocess
import sys

import pytest

from freeplay_like.errors import ConfigurationError
from freeplay_like.flavors import registry
from freeplay_like.flavors.anthropic_messages import AnthropicClaudeChat
from freeplay_like.flavors.openai_chat import OpenAIChat


@pytest.fixture(autouse=True)
def no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OPENAI_BASE_URL", "OPENAI_API_KEY", "ANTHROPIC_BASE_URL", "ANTHROPIC_API_KEY"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize(
    ("base", "provider", "endpoint"),
    [
        (None, "openai", "api.openai.com:443"),
        ("https://api.openai.com/v1/", "openai", "api.openai.com:443"),
        ("https://EU.api.openai.com/v1", "openai", "eu.api.openai.com:443"),
        ("https://evil-api.openai.com.example.org/v1", "openai-compatible", "evil-api.openai.com.example.org:443"),
        ("https://notapi.openai.com/v1", "openai-compatible", "notapi.openai.com:443"),
        ("http://127.0.0.1:8080/v1", "openai-compatible", "127.0.0.1:8080"),
        ("http://example.org/api.openai.com", "openai-compatible", "example.org:80"),
    ],
)
def test_the_host_says_who_answers(base: str | None, provider: str, endpoint: str) -> None:
    flavor = OpenAIChat("key", base)
    assert (flavor.provider, flavor.endpoint) == (provider, endpoint)


def test_anthropic_has_names_of_its_own() -> None:
    assert AnthropicClaudeChat("key").provider == "anthropic"
    assert AnthropicClaudeChat("key", "http://localhost:1").provider == "anthropic-compatible"


def test_the_address_may_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_BASE_URL", "http://localhost:9/v1")
    assert OpenAIChat().endpoint == "localhost:9"
    assert OpenAIChat(None, "http://localhost:8/v1").endpoint == "localhost:8"


def test_the_key_may_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", " key \n")
    assert OpenAIChat()._key() == "key"
    assert OpenAIChat("other")._key() == "other"


def test_an_address_that_is_none_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="'localhost:80'"):
        OpenAIChat("key", "localhost:80")


def test_the_key_is_not_shown() -> None:
    assert "secret" not in repr(OpenAIChat("secret"))


def test_headers_are_copied() -> None:
    headers = {"x-team": "a"}
    flavor = OpenAIChat("key", headers=headers)
    headers["x-team"] = "b"
    handed = flavor._client_arguments()["default_headers"]
    assert handed == {"x-team": "a"}
    assert isinstance(handed, dict)
    handed["authorization"] = "a client's own"
    assert flavor._client_arguments()["default_headers"] == {"x-team": "a"}


@pytest.mark.parametrize("proxy", ["proxy.example.org:3128", "//", "http://", "http://user:secret@[::1"])
def test_a_proxy_that_is_no_address_is_refused_and_not_shown(proxy: str) -> None:
    with pytest.raises(ConfigurationError, match="proxy is not an address") as caught:
        OpenAIChat("key", proxy=proxy)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    "flavor", [OpenAIChat("key", proxy="gopher://x:1"), AnthropicClaudeChat("key", proxy="gopher://x:1")]
)
def test_a_proxy_that_the_client_does_not_take_is_a_matter_of_configuration(flavor: OpenAIChat) -> None:
    with pytest.raises(ConfigurationError, match=r"the provider's client cannot be made: .*gopher"):
        flavor.warm()


def test_making_a_flavor_loads_no_provider() -> None:
    program = (
        "import sys\n"
        "from freeplay_like.flavors.openai_chat import OpenAIChat\n"
        "from freeplay_like.flavors.anthropic_messages import AnthropicClaudeChat\n"
        "OpenAIChat('key').check(); AnthropicClaudeChat('key').check()\n"
        "sys.exit(bool({'openai', 'anthropic', 'httpx2'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


def test_warming_up_loads_it() -> None:
    program = (
        "import sys\n"
        "from freeplay_like.flavors.openai_chat import OpenAIChat\n"
        "OpenAIChat('key').warm()\n"
        "sys.exit('openai' not in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


def test_flavors_are_found_by_name() -> None:
    assert registry.flavor_named("openai_chat") is OpenAIChat
    assert registry.flavor_named("anthropic_chat") is AnthropicClaudeChat
    assert {"openai_chat", "anthropic_chat"} <= set(registry.flavor_names())


def test_every_built_in_name_is_its_flavors_own() -> None:
    for name in registry._BUILT_IN:
        assert registry.flavor_named(name).name == name


def test_an_unknown_name_lists_those_that_are_known() -> None:
    with pytest.raises(ConfigurationError, match=r"'openai_chart'; known: .*openai_chat"):
        registry.flavor_named("openai_chart")


def test_third_parties_add_flavors_by_entry_point(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "theirs-1.dist-info").mkdir()
    (tmp_path / "theirs-1.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: theirs\nVersion: 1\n")
    (tmp_path / "theirs-1.dist-info" / "entry_points.txt").write_text(
        "[freeplay_like.flavors]\ntheirs = theirs_module:make\nbroken = no_such_module:make\n"
    )
    (tmp_path / "theirs_module.py").write_text("def make():\n    return 'a flavor'\n")
    monkeypatch.syspath_prepend(tmp_path)
    assert registry.flavor_named("theirs")() == "a flavor"
    assert "theirs" in registry.flavor_names()
    with pytest.raises(ConfigurationError, match="no_such_module"):
        registry.flavor_named("broken")
