import pytest

from freeplay_like.errors import ConfigurationError
from freeplay_like.local.scripts import Script, openai_stream, with_faults


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
    assert Script.parse(script).pieces(messages) == pieces


@pytest.mark.parametrize(
    ("script", "kinds"),
    [
        ("chunks=2", ["open", "content", "content", "close", "close"]),
        ("chunks=2,cut_after=0", ["open", "cut"]),
        ("chunks=2,cut_after=2", ["open", "content", "content", "cut"]),
        ("chunks=2,hang_after=1", ["open", "content", "hang"]),
        ("chunks=2,eof_after=1", ["open", "content"]),
        ("chunks=2,error_after=1", ["open", "content", "close"]),
        ("chunks=2,cut_after=9", ["open", "content", "content", "close", "close"]),
    ],
)
def test_faults_come_after_so_many_pieces(script: str, kinds: list[str]) -> None:
    parsed = Script.parse(script)
    assert [kind for _, kind in with_faults(parsed, openai_stream(parsed, {}), b"")] == kinds
