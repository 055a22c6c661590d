"""An answer that hit its length limit goes on: what to ask next, and how the parts become one answer.

`Continuation` says how a caller wants it, `Joining` is one such answer on its way. `Joining` makes no call: it is fed
with each part, or with the error that came in its place, and says what is next. The shells in `session` call, wait and
raise.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, Literal, TypeAlias, get_args

import attrs

from freeplay_like.core.chunks import Usage
from freeplay_like.core.completion import Choice, CompletionResponse
from freeplay_like.core.messages import Message
from freeplay_like.core.overlap import Overlap, joined
from freeplay_like.core.wire import JsonValue
from freeplay_like.errors import ConfigurationError, IncompleteResponse, ProviderError, StreamError

ContinueMode = Literal["user_prompt", "assistant_prefill"]
"""How the model is asked to go on.

- user_prompt: its text so far as its message, then the prompt as the user's
- assistant_prefill: its text so far as the last message, which it goes on with; not every provider takes that
"""

FailureAction = Literal["raise", "return_partial", "retry"]
"""What is done about a continuation that failed."""

MAX_RETRIES: Final = 3
"""How often one continuation is made again because `on_failure` said so."""


@attrs.frozen(kw_only=True)
class ContinueState:
    """Where an answer stands before its next continuation.

    `count` is the number of that continuation, from 1, of `max_continues`; `text` all text so far, `parts` the answers
    it came in, `last` the last of them; `messages` those of the first request.
    """

    count: int
    max_continues: int
    text: str
    parts: tuple[CompletionResponse, ...]
    last: CompletionResponse
    messages: tuple[Message, ...] = ()


OnFailure: TypeAlias = Callable[[Exception, CompletionResponse], FailureAction]
OnProgress: TypeAlias = Callable[[ContinueState], None]


def _refused(name: str, value: object, words: str) -> ConfigurationError:
    return ConfigurationError(f"Continuation({name}={value!r}): {words}")


def _whole_number(instance: object, attribute: attrs.Attribute[int], value: object) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise _refused(attribute.name, value, "a whole number from 0")


def _prompt(instance: object, attribute: attrs.Attribute[str], value: object) -> None:
    if not callable(value) and not (isinstance(value, str) and value.strip()):
        raise _refused(attribute.name, value, "text that is not blank, or a function that gives it")


def _mode(instance: object, attribute: attrs.Attribute[ContinueMode], value: object) -> None:
    if value not in get_args(ContinueMode):
        raise _refused(attribute.name, value, f"one of {', '.join(map(repr, get_args(ContinueMode)))}")


def _on_error(instance: object, attribute: attrs.Attribute[str], value: object) -> None:
    if value not in ("raise", "return_partial"):
        raise _refused(attribute.name, value, "'raise' or 'return_partial'")


def _function(instance: object, attribute: attrs.Attribute[Any], value: object) -> None:
    if value is not None and not callable(value):
        raise _refused(attribute.name, value, "a function, or None")


def _boolean(instance: object, attribute: attrs.Attribute[bool], value: object) -> None:
    if not isinstance(value, bool):
        raise _refused(attribute.name, value, "True or False")


def _range(value: float | Sequence[float]) -> tuple[float, float]:
    """Seconds as a range, from one number or two."""
    numbers = tuple(value) if isinstance(value, (list, tuple)) else (value, value)
    are_numbers = all(isinstance(n, (int, float)) and not isinstance(n, bool) for n in numbers)
    if len(numbers) != 2 or not are_numbers or not 0 <= numbers[0] <= numbers[1] < float("inf"):
        raise _refused("delay_s", value, "a number of seconds from 0, or the least and the most of a random one")
    return float(numbers[0]), float(numbers[1])


@attrs.frozen(kw_only=True)
class Continuation:
    """How an answer that hit its length limit is continued.

    Only a text that ended for its length is: a truncated tool call, a filtered answer and a refusal never are. Every
    error after the first part is an `IncompleteResponse` with all text so far, the true count and the cause.

    Args:
        max_continues: how many further requests are made at most.
        prompt: what the user says to have it go on (`mode="user_prompt"`), or a function that gives it.
        mode: see `ContinueMode`.
        delay_s: the pause before every continuation, the first one too; two numbers are a range to choose from.
        ensure_complete: an answer that is still truncated after the last continuation raises `IncompleteResponse`;
            False returns it. It says nothing about errors.
        on_error: what is done about a continuation that failed; the first request is not one, and raises its own error.
        on_failure: decides that instead, given the error and the answer so far. "retry" makes the continuation again,
            at most `MAX_RETRIES` times; what a failed stream had delivered is kept, and continued.
        on_progress: told before each continuation; what it raises is logged and goes no further.
        trim_overlap: leave out what a part repeats of the end of the text before it.
    """

    max_continues: int = attrs.field(default=5, validator=_whole_number)
    prompt: str | Callable[[ContinueState], str] = attrs.field(default="continue", validator=_prompt)
    mode: ContinueMode = attrs.field(default="user_prompt", validator=_mode)
    delay_s: tuple[float, float] = attrs.field(default=(0.0, 0.0), converter=_range)
    ensure_complete: bool = attrs.field(default=True, validator=_boolean)
    on_error: Literal["raise", "return_partial"] = attrs.field(default="raise", validator=_on_error)
    on_failure: OnFailure | None = attrs.field(default=None, validator=_function)
    on_progress: OnProgress | None = attrs.field(default=None, validator=_function)
    trim_overlap: bool = attrs.field(default=False, validator=_boolean)


@attrs.frozen(kw_only=True)
class CallAgain:
    """Wait `delay_s`, then send `messages`. `state` is for `on_progress`, None where a continuation is made again."""

    messages: tuple[Message, ...]
    delay_s: float
    state: ContinueState | None


@attrs.frozen(kw_only=True)
class Joined:
    """The answer, its parts put together."""

    response: CompletionResponse


@attrs.frozen(kw_only=True)
class JoinFailed:
    """Raise this."""

    error: Exception


Step: TypeAlias = CallAgain | Joined | JoinFailed


def refuse_choices(parameters: Mapping[str, JsonValue]) -> None:
    """Say before the first request that several answers cannot be continued at once.

    Raises:
        ConfigurationError: `n` asks for more than one choice.
    """
    asked = parameters.get("n")
    if asked not in (None, 1):
        raise ConfigurationError(
            f"n={asked!r}: an answer is continued for one choice only; leave n out, or make n calls"
        )


class Joining:
    """One answer on its way: parts in, the next step out. Pure.

    Args:
        continuation: how the caller wants it.
        messages: those of the first request.
        random: gives a number from 0 to 1, for the delay.
    """

    def __init__(self, continuation: Continuation, messages: Sequence[Message], random: Callable[[], float]) -> None:
        self._continuation = continuation
        self._messages = tuple(messages)
        self._random = random
        self._parts: list[CompletionResponse] = []
        self._text = ""
        self._count = 0
        self._retries = 0

    @property
    def count(self) -> int:
        """How many continuations were asked for, one that failed included."""
        return self._count

    def overlap(self) -> Overlap:
        """What takes the text of the part to come on its way to the caller, so that it fits what came before."""
        # an assistant's last message is sent without the white space at its end, and may be continued with it
        unsent = len(self._text) - len(self._text.rstrip()) if self._continuation.mode == "assistant_prefill" else 0
        return Overlap(self._text, is_trimmed=self._continuation.trim_overlap, unsent=unsent)

    def merged(self, part: CompletionResponse | None = None) -> CompletionResponse:
        """The answer so far, with a part that is still on its way."""
        if part is None:
            return _merged(self._parts, self._text)
        return _merged([*self._parts, part], joined(self.overlap(), self._text, part.text))

    def feed(self, part: CompletionResponse) -> Step:
        """A part has come to its end."""
        self._take(part)
        self._retries = 0
        if part.finish_reason != "length":
            return Joined(response=self.merged())
        reason = self._reason_to_stop(part)
        if reason is None:
            return self._call_again(self._count + 1)
        if not self._continuation.ensure_complete:
            return Joined(response=self.merged())
        return JoinFailed(error=self._incomplete(f"the answer is truncated: {reason}"))

    def fail(self, error: Exception) -> Step:
        """A part has failed; what it had delivered is `error.partial`."""
        if not self._parts:
            return JoinFailed(error=error)
        partial = error.partial if isinstance(error, (ProviderError, StreamError)) else None
        if partial is not None and (partial.text or partial.tool_calls):
            self._take(partial)
        action, trouble = self._action(error)
        if action == "retry":
            trouble = self._reason_not_to_retry()
            if not trouble:
                self._retries += 1
                return self._call_again(self._count, is_retry=True)
        if action == "return_partial":
            return Joined(response=self.merged())
        incomplete = self._incomplete(f"continuation {self._count} failed: {_shown(error)}{trouble}")
        incomplete.__cause__ = error
        return JoinFailed(error=incomplete)

    def _take(self, part: CompletionResponse) -> None:
        self._text = joined(self.overlap(), self._text, part.text)
        self._parts.append(part)

    def _reason_to_stop(self, part: CompletionResponse) -> str | None:
        if len(part.choices) > 1:
            return f"it has {len(part.choices)} choices, and only one can be continued"
        if part.tool_calls:
            return "it ends in a tool call, which is not continued; allow more tokens"
        if part.choices[0].refusal:
            return "it is a refusal, which is not continued"
        if not self._text.strip():
            return "the tokens were spent before any text came; allow more tokens"
        if self._count >= self._continuation.max_continues:
            return f"{self._count} of {self._continuation.max_continues} continuations were made"
        return None

    def _reason_not_to_retry(self) -> str:
        if self._retries >= MAX_RETRIES:
            return f"; it was made again {MAX_RETRIES} times"
        return "; it ended in a tool call, which is not continued" if self._parts[-1].tool_calls else ""

    def _call_again(self, number: int, *, is_retry: bool = False) -> Step:
        state = ContinueState(
            count=number,
            max_continues=self._continuation.max_continues,
            text=self._text,
            parts=tuple(self._parts),
            last=self._parts[-1],
            messages=self._messages,
        )
        try:
            messages = self._next_messages(state)
        except Exception as exc:  # noqa: BLE001  (the caller's own function: kept as the cause, with the text beside it)
            incomplete = self._incomplete(f"the prompt of continuation {number} could not be made: {_shown(exc)}")
            incomplete.__cause__ = exc
            return JoinFailed(error=incomplete)
        self._count = number
        low_s, high_s = self._continuation.delay_s
        delay_s = low_s + (high_s - low_s) * self._random() if high_s > low_s else low_s
        return CallAgain(messages=messages, delay_s=delay_s, state=None if is_retry else state)

    def _next_messages(self, state: ContinueState) -> tuple[Message, ...]:
        if self._continuation.mode == "assistant_prefill":
            return (*self._messages, Message(role="assistant", content=self._text.rstrip()))
        prompt = self._continuation.prompt
        words: object = prompt if isinstance(prompt, str) else prompt(state)
        if not isinstance(words, str) or not words.strip():
            raise ConfigurationError(f"Continuation.prompt gave {words!r}; it must give text that is not blank")
        return (*self._messages, Message(role="assistant", content=self._text), Message(role="user", content=words))

    def _action(self, error: Exception) -> tuple[FailureAction, str]:
        """What is to be done about a failure, and what to say where nobody could decide."""
        decide = self._continuation.on_failure
        if decide is None:
            return self._continuation.on_error, ""
        try:
            action = decide(error, self.merged())
        except Exception as exc:  # noqa: BLE001  (told in the error that is raised)
            return "raise", f"; on_failure failed too: {_shown(exc)}"
        if action in get_args(FailureAction):
            return action, ""
        return "raise", f"; on_failure gave {action!r}, not one of {', '.join(map(repr, get_args(FailureAction)))}"

    def _incomplete(self, why: str) -> IncompleteResponse:
        return IncompleteResponse(
            f"{why}; {len(self._text)} characters came (see .partial)",
            partial=self.merged(),
            continue_count=self._count,
            max_continues=self._continuation.max_continues,
        )


def _shown(error: Exception) -> str:
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__


def _merged(parts: Sequence[CompletionResponse], text: str) -> CompletionResponse:
    """Parts as one answer: the first part's record, the last one's end, everything between put together."""
    if not parts:
        return CompletionResponse(content="", is_complete=False)
    first, last = parts[0], parts[-1]
    if len(parts) == 1:
        return attrs.evolve(first, parts=(first,))
    choices = [part.choices[0] for part in parts]
    choice = Choice(
        text=text,
        reasoning="".join(c.reasoning for c in choices),
        reasoning_blocks=choices[-1].reasoning_blocks,
        refusal="".join(c.refusal for c in choices),
        tool_calls=choices[-1].tool_calls,
        logprobs=tuple(entry for c in choices for entry in c.logprobs),
        finish_reason=choices[-1].finish_reason,
        finish_reason_raw=choices[-1].finish_reason_raw,
    )
    return CompletionResponse(
        content=text,
        is_complete=last.is_complete,
        choices=(choice, *last.choices[1:]),
        usage=_summed([part.usage for part in parts]),
        model=next((part.model for part in reversed(parts) if part.model), None),
        response_id=last.response_id or first.response_id,
        record_id=first.record_id,
        latency_ms=None if last.latency_ms is None else round(sum(part.latency_ms or 0 for part in parts), 3),
        time_to_first_chunk_ms=first.time_to_first_chunk_ms,
        parts=tuple(parts),
    )


def _summed(usages: Sequence[Usage | None]) -> Usage | None:
    """Counts added up where they are known; None stays None where no part knows."""
    known = [usage for usage in usages if usage is not None]
    if not known:
        return None

    def total(name: str) -> int | None:
        counts = [count for usage in known if isinstance(count := getattr(usage, name), int)]
        return sum(counts) if counts else None

    return Usage(
        input_tokens=total("input_tokens"),
        output_tokens=total("output_tokens"),
        cached_input_tokens=total("cached_input_tokens"),
        cache_write_tokens=total("cache_write_tokens"),
        reasoning_tokens=total("reasoning_tokens"),
    )
