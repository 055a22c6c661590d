"""What the simulated provider can be told to do. Pure.

A script is written as `key=value` pairs (`chunks=20,delay_ms=5,cut_after=3`; a value may be percent-encoded), in the
header `x-simulate` or behind `sim:` in the model name. `dialects` holds what is then said in which wire format.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final, Literal, TypeAlias, cast, get_type_hints
from urllib.parse import unquote

import attrs
import msgspec

from freeplay_like.core.wire import JsonValue
from freeplay_like.errors import ConfigurationError

UsagePlace = Literal["auto", "last", "finish", "every", "none"]
"""Where token counts are said: as the request asks, in an own last chunk, with the finish, on every chunk, nowhere."""

StepKind = Literal["open", "content", "close", "cut", "hang", "idle"]
"""What a step of an answer is: its beginning, a piece of it, its end; or from here on a cut connection, silence, or
nothing but comments."""

Step: TypeAlias = tuple[bytes, StepKind]

MODEL_PREFIX: Final = "sim:"
PROMPT_TOKENS: Final = 9
CACHED_TOKENS: Final = 4
CREATED: Final = 1_795_000_000
COMMENT: Final = b": keep-alive\n\n"

WEATHER: Final = "get_weather"
WEATHER_PIECES: Final = ('{"ci', 'ty":"Paris"}')
"""The tool that is called, and its arguments."""


@attrs.frozen(kw_only=True)
class Script:
    """How one answer goes. Counts of `*_after` are pieces of content sent before it happens.

    `text` is cut into `chunks` pieces (by default into words); without it the pieces are ` tok0`, ` tok1`, ... (5 of
    them). `echo` answers with the last message's text. `tools`, `reasoning` are numbers of tool calls and of pieces
    of reasoning. How many choices, and whether log probabilities and usage come, is for the request to say; what a
    wire format has no words for is left out. `finish` is the provider's own word for why it stopped.

    `delay_ms` passes before each piece, `first_delay_ms` before the response's head. `batch` events go into one
    write. `idle_after` sends comments for ever, `delay_ms` apart. `status` answers with an error, with `fail_times`
    only so often before it goes well; `retry_after` is sent with it. `hang` says nothing at all, `reset` resets the
    connection. `raw` is a file that is sent as it is (`.sse`, `.json` or other), `split` bytes at a time.
    """

    chunks: int | None = None
    text: str | None = None
    echo: bool = False
    model: str | None = None
    finish: str | None = None
    tools: int = 0
    reasoning: int = 0
    reasoning_field: str = "reasoning_content"
    refusal: bool = False
    usage: UsagePlace = "auto"
    no_done: bool = False
    comments: bool = False
    delay_ms: float = 0
    first_delay_ms: float = 0
    batch: int = 1
    error_after: int | None = None
    cut_after: int | None = None
    eof_after: int | None = None
    bad_json_after: int | None = None
    hang_after: int | None = None
    idle_after: int | None = None
    status: int | None = None
    retry_after: str | None = None
    fail_times: int | None = None
    hang: bool = False
    reset: bool = False
    raw: str | None = None
    split: int = 0

    @classmethod
    def parse(cls, text: str) -> Script:
        """A script out of `key=value,key=value`; a key alone means true.

        Raises:
            ConfigurationError: an unknown key, or a value of the wrong type.
        """
        values: dict[str, str] = {}
        for pair in filter(None, (part.strip() for part in text.split(","))):
            name, has_value, value = pair.partition("=")
            values[name] = unquote(value) if has_value else "true"
        unknown = values.keys() - _KINDS.keys()
        if unknown:
            raise ConfigurationError(f"unknown script keys {sorted(unknown)}; known: {', '.join(_KINDS)}")
        try:
            parsed = {name: msgspec.convert(value, _KINDS[name], strict=False) for name, value in values.items()}
        except msgspec.ValidationError as exc:
            raise ConfigurationError(f"script {text!r}: {exc}") from exc
        return cls(**parsed)

    def pieces(self, body: Mapping[str, JsonValue]) -> list[str]:
        """The text of the answer to this request, piece by piece."""
        text = _last_text(body) if self.echo else self.text
        if text is None:
            return [f" tok{i}" for i in range(5 if self.chunks is None else self.chunks)]
        if self.chunks is None:
            words = text.split(" ")
            return [words[0], *(" " + word for word in words[1:])] if text else []
        size = max(1, -(-len(text) // max(1, self.chunks)))
        return [text[i : i + size] for i in range(0, len(text), size)]

    def thoughts(self) -> list[str]:
        """The reasoning of the answer, piece by piece."""
        return [f" hm{i}" for i in range(self.reasoning)]


_KINDS: Final[dict[str, object]] = get_type_hints(Script)


def _last_text(body: Mapping[str, JsonValue]) -> str:
    """The text of the last message of a request."""
    asked = body.get("messages", body.get("input", body.get("prompt")))
    last = asked[-1] if isinstance(asked, list) and asked else asked
    content = last.get("content", last.get("output")) if isinstance(last, dict) else last
    if isinstance(content, list):
        return "".join(str(part.get("text", "")) for part in content if isinstance(part, dict))
    return content if isinstance(content, str) else ""


def choices_of(body: Mapping[str, JsonValue]) -> range:
    """The places of the choices that a request asks for."""
    n = body.get("n")
    return range(n if isinstance(n, int) and n > 0 else 1)


def raw_steps(script: Script) -> Iterator[Step]:
    """The recorded bytes of `script.raw`, in pieces of `script.split` bytes.

    Raises:
        ConfigurationError: the file cannot be read.
    """
    try:
        data = Path(script.raw or "").read_bytes()
    except OSError as exc:
        raise ConfigurationError(f"script raw={script.raw!r} cannot be read: {exc}") from exc
    size = script.split or len(data) or 1
    return ((data[i : i + size], "content") for i in range(0, len(data), size))


def with_faults(script: Script, steps: Iterator[Step], error_event: bytes) -> Iterator[Step]:
    """The steps of an answer, with what the script wants to go wrong in the middle of them."""
    faults: dict[int | None, str] = {
        script.error_after: "error",
        script.eof_after: "eof",
        script.bad_json_after: "bad_json",
        script.cut_after: "cut",
        script.hang_after: "hang",
        script.idle_after: "idle",
    }
    faults.pop(None, None)
    sent = 0
    for data, kind in steps:
        fault = None if kind == "open" else faults.pop(sent, None)
        if fault == "bad_json":
            yield b'data: {"id": "brok\n\n', "content"
        elif fault == "error":
            yield error_event, "close"
            return
        elif fault in ("cut", "hang", "idle"):
            yield b"", cast("StepKind", fault)
            return
        elif fault == "eof":
            return
        if kind == "content":
            sent += 1
            if script.comments:
                yield COMMENT, "open"
        yield data, kind
