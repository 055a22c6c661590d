import pytest

from freeplay_like.errors import ConfigurationError
from freeplay_like.local.dialects import dialect_of
from freeplay_like.local.scripts import Script, with_faults
from freeplay_like.local.simulated_openai import chat_stream


def test_a_script_is_read_with_its_types() -> None:
    script = Script.parse("chunks=20, delay_ms=0.5,no_done,text=a%2C%20b,usage=finish,refusal=false")
    assert script == Script(chunks=20, delay_ms=0.5, no_done=True, text="a, b", usage="finish", refusal=False)


@pytest.mark.parametrize(
    ("text", "said"), [("chunk=2", "known: chunks"), ("chunks=x", "int"), ("usage=often", "often")]
)
def test_a_script_that_cannot_be_read_says_why(text: str, said: str) -> None:
    with pytest.raises(ConfigurationError, match=said):
        Script.parse(text)


@pytest.mark.parametrize(
    ("script", "pieces"),
    [
        ("", [" tok0", " tok1", " tok2", " tok3", " tok4"]),
        ("chunks=1", [" tok0"]),
        ("chunks=0", []),
        ("text=The river bends", ["The", " river", " bends"]),
        ("text=abcdef,chunks=4", ["ab", "cd", "ef"]),
        ("text=", []),
        ("echo", ["you", " there?"]),
    ],
)
def test_the_text_comes_in_pieces(script: str, pieces: list[str]) -> None:
    messages = [{"role": "user", "content": [{"type": "text", "text": "you there?"}]}]
    assert Script.parse(script).pieces({"messages": messages}) == pieces


@pytest.mark.parametrize(
    "body",
    [
        {"messages": [{"role": "user", "content": "you there?"}]},
        {"prompt": "you there?"},
        {"prompt": ["you there?"]},
        {"input": "you there?"},
        {"input": [{"role": "user", "content": [{"type": "input_text", "text": "you there?"}]}]},
        {"input": [{"type": "function_call_output", "call_id": "1", "output": "you there?"}]},
    ],
)
def test_an_echo_is_the_last_thing_said_in_every_wire_format(body: dict[str, object]) -> None:
    assert Script(echo=True).pieces(body) == ["you", " there?"]


@pytest.mark.parametrize(
    ("script", "kinds"),
    [
        ("chunks=2", ["open", "content", "content", "close", "close"]),
        ("chunks=2,cut_after=0", ["open", "cut"]),
        ("chunks=2,cut_after=2", ["open", "content", "content", "cut"]),
        ("chunks=2,hang_after=1", ["open", "content", "hang"]),
        ("chunks=2,idle_after=1", ["open", "content", "idle"]),
        ("chunks=2,eof_after=1", ["open", "content"]),
        ("chunks=2,error_after=1", ["open", "content", "close"]),
        ("chunks=2,cut_after=9", ["open", "content", "content", "close", "close"]),
    ],
)
def test_faults_come_after_so_many_pieces(script: str, kinds: list[str]) -> None:
    parsed = Script.parse(script)
    assert [kind for _, kind in with_faults(parsed, chat_stream(parsed, {}), b"")] == kinds


@pytest.mark.parametrize(
    ("path", "begins"),
    [
        ("/v1/chat/completions", b"chat.completion.chunk"),
        ("/anything/chat/completions?a=b", b"chat.completion.chunk"),
        ("http://127.0.0.1:1/v1/completions", b"text_completion"),
        ("/v1/responses", b"response.created"),
        ("/v1/messages", b"message_start"),
        ("/openai/deployments/sim:chunks=1/chat/completions?api-version=1", b"prompt_filter_results"),
    ],
)
def test_the_address_says_what_is_spoken(path: str, begins: bytes) -> None:
    dialect = dialect_of(path)
    assert dialect is not None
    first, _ = next(dialect.stream(Script(chunks=1), {}))
    assert begins in first


@pytest.mark.parametrize("path", ["/", "/v1/models", "/v1/responses/resp_1", "/v1/completions/x"])
def test_elsewhere_nothing_is_spoken(path: str) -> None:
    assert dialect_of(path) is None
