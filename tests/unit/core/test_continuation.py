from __future__ import annotations

from collections.abc import Callable

import pytest

from freeplay_like.core.chunks import FinishReason, Usage
from freeplay_like.core.completion import Choice, CompletionResponse
from freeplay_like.core.continuation import (
    MAX_RETRIES,
    CallAgain,
    Continuation,
    ContinueState,
    FailureAction,
    Joined,
    JoinFailed,
    Joining,
    Step,
    refuse_choices,
)
from freeplay_like.core.messages import Message, ToolCall
from freeplay_like.errors import (
    ConfigurationError,
    IncompleteResponse,
    ProviderError,
    ProviderUnavailable,
    StreamInterrupted,
)

ASKED = (Message(role="user", content="count"),)
TWO_CHOICES = CompletionResponse(
    content="a",
    is_complete=False,
    choices=(Choice(text="a", finish_reason="length"), Choice(index=1, text="b", finish_reason="length")),
)


def part(
    text: str,
    finish: FinishReason | None = "length",
    *,
    usage: Usage | None = None,
    record_id: str | None = None,
    **fields: object,
) -> CompletionResponse:
    choice = Choice(text=text, finish_reason=finish, finish_reason_raw=finish, **fields)  # type: ignore[arg-type]
    return CompletionResponse(
        content=text, is_complete=finish == "stop", choices=(choice,), usage=usage, model="m", record_id=record_id
    )


def server_error() -> ProviderUnavailable:
    return ProviderUnavailable("openai: status 500", status=500, retryable=True)


def cut_stream(text: str) -> StreamInterrupted:
    return StreamInterrupted("cut", partial=part(text, None))


def joining(continuation: Continuation, random: float = 0.5) -> Joining:
    return Joining(continuation, ASKED, lambda: random)


def play(continuation: Continuation, *script: CompletionResponse | Exception) -> Step:
    """The last step of a script; every step before it must ask for another call."""
    engine = joining(continuation)
    step: Step | None = None
    for index, answer in enumerate(script):
        assert index == 0 or isinstance(step, CallAgain)
        step = engine.fail(answer) if isinstance(answer, Exception) else engine.feed(answer)
    assert step is not None
    return step


def answer(step: Step) -> CompletionResponse:
    assert isinstance(step, Joined)
    return step.response


def incomplete(step: Step) -> IncompleteResponse:
    assert isinstance(step, JoinFailed)
    assert isinstance(step.error, IncompleteResponse)
    return step.error


def again(step: Step) -> CallAgain:
    assert isinstance(step, CallAgain)
    return step


# --- the table of SDK behaviour: `one `/length, `two `/length, then `three`/stop or HTTP 500 ---


def test_parts_are_joined_until_the_model_stops() -> None:
    response = answer(play(Continuation(), part("one "), part("two "), part("three", "stop")))
    assert (response.text, response.finish_reason, response.is_complete) == ("one two three", "stop", True)
    assert [p.text for p in response.parts] == ["one ", "two ", "three"]


@pytest.mark.parametrize("on_error", ["raise", "return_partial"])
def test_an_answer_still_truncated_after_the_last_continuation_is_incomplete(on_error: str) -> None:
    error = incomplete(play(Continuation(max_continues=1, on_error=on_error), part("one "), part("two ")))  # type: ignore[arg-type]
    assert error.partial is not None
    assert (error.partial.text, error.continue_count, error.max_continues) == ("one two ", 1, 1)
    assert error.__cause__ is None
    assert "1 of 1 continuations" in str(error)


@pytest.mark.parametrize("on_error", ["raise", "return_partial"])
def test_an_answer_that_need_not_be_complete_is_returned_truncated(on_error: str) -> None:
    continuation = Continuation(max_continues=1, ensure_complete=False, on_error=on_error)  # type: ignore[arg-type]
    response = answer(play(continuation, part("one "), part("two ")))
    assert (response.text, response.finish_reason, response.is_complete) == ("one two ", "length", False)


@pytest.mark.parametrize("ensure_complete", [True, False])
def test_a_continuation_that_fails_raises_with_all_text_the_true_count_and_the_cause(ensure_complete: bool) -> None:
    cause = server_error()
    error = incomplete(play(Continuation(ensure_complete=ensure_complete), part("one "), part("two "), cause))
    assert error.partial is not None
    assert (error.partial.text, error.continue_count, error.max_continues) == ("one two ", 2, 5)
    assert error.__cause__ is cause
    assert "continuation 2 failed: ProviderUnavailable: openai: status 500" in str(error)


@pytest.mark.parametrize("ensure_complete", [True, False])
def test_a_continuation_that_fails_may_return_what_came(ensure_complete: bool) -> None:
    continuation = Continuation(on_error="return_partial", ensure_complete=ensure_complete)
    response = answer(play(continuation, part("one "), part("two "), server_error()))
    assert (response.text, response.finish_reason, response.is_complete) == ("one two ", "length", False)


@pytest.mark.parametrize("action", ["raise", "return_partial"])
@pytest.mark.parametrize("on_error", ["raise", "return_partial"])
def test_on_failure_decides_in_place_of_on_error(action: FailureAction, on_error: str) -> None:
    seen: list[tuple[Exception, str]] = []

    def decide(error: Exception, partial: CompletionResponse) -> FailureAction:
        seen.append((error, partial.text))
        return action

    cause = server_error()
    step = play(Continuation(on_failure=decide, on_error=on_error), part("one "), cause)  # type: ignore[arg-type]
    assert seen == [(cause, "one ")]
    if action == "raise":
        assert incomplete(step).__cause__ is cause
    else:
        assert answer(step).text == "one "


def test_on_failure_may_ask_for_the_same_continuation_again() -> None:
    engine = joining(Continuation(on_failure=lambda error, partial: "retry"))
    first = again(engine.feed(part("one ")))
    second = again(engine.fail(server_error()))
    assert second.messages == first.messages
    assert (first.state is None, second.state) == (False, None)
    assert answer(engine.feed(part("two", "stop"))).text == "one two"
    assert engine.count == 1


def test_a_continuation_is_made_again_a_bounded_number_of_times() -> None:
    engine = joining(Continuation(on_failure=lambda error, partial: "retry"))
    engine.feed(part("one "))
    for _ in range(MAX_RETRIES):
        again(engine.fail(server_error()))
    cause = server_error()
    error = incomplete(engine.fail(cause))
    assert error.__cause__ is cause
    assert f"made again {MAX_RETRIES} times" in str(error)


def test_a_good_part_lets_the_next_continuation_be_made_again_as_often() -> None:
    engine = joining(Continuation(on_failure=lambda error, partial: "retry"))
    step = engine.feed(part("a "))
    for _ in range(3):
        for _ in range(MAX_RETRIES):
            step = again(engine.fail(server_error()))
        step = again(engine.feed(part("b ")))
    assert step.state is not None
    assert (step.state.count, step.state.text) == (4, "a b b b ")


# --- what a failed stream had delivered ---


def test_what_a_failed_continuation_had_delivered_is_part_of_the_answer() -> None:
    error = incomplete(play(Continuation(), part("one "), cut_stream("tw")))
    assert error.partial is not None
    assert (error.partial.text, error.partial.finish_reason) == ("one tw", None)
    assert [p.text for p in error.partial.parts] == ["one ", "tw"]


def test_what_a_failed_continuation_had_delivered_is_continued_and_not_asked_for_again() -> None:
    engine = joining(Continuation(on_failure=lambda error, partial: "retry"))
    engine.feed(part("one "))
    step = again(engine.fail(cut_stream("tw")))
    assert step.messages[1].content == "one tw"
    assert answer(engine.feed(part("o three", "stop"))).text == "one two three"


def test_a_tool_call_that_was_cut_off_is_not_tried_again() -> None:
    engine = joining(Continuation(on_failure=lambda error, partial: "retry"))
    engine.feed(part("one "))
    call = ToolCall(id="c", name="f", arguments='{"a')
    error = incomplete(engine.fail(StreamInterrupted("cut", partial=part("", None, tool_calls=(call,)))))
    assert "tool call" in str(error)
    assert error.partial is not None
    assert error.partial.tool_calls == (call,)


@pytest.mark.parametrize("on_error", ["raise", "return_partial"])
def test_the_first_request_raises_its_own_error(on_error: str) -> None:
    for error in (server_error(), cut_stream("on"), ValueError("no")):
        asked: list[Exception] = []

        def decide(error: Exception, partial: CompletionResponse, asked: list[Exception] = asked) -> FailureAction:
            asked.append(error)
            return "retry"

        step = play(Continuation(on_error=on_error, on_failure=decide), error)  # type: ignore[arg-type]
        assert isinstance(step, JoinFailed)
        assert step.error is error
        assert asked == []


def test_an_error_that_is_no_providers_keeps_the_text_too() -> None:
    cause = RuntimeError("no thread left")
    error = incomplete(play(Continuation(), part("one "), cause))
    assert error.__cause__ is cause
    assert error.partial is not None
    assert error.partial.text == "one "


# --- what is not continued ---


@pytest.mark.parametrize("finish", ["stop", "content_filter", "refusal", "tool_calls", "pause", "other"])
def test_only_an_answer_that_hit_its_length_is_continued(finish: FinishReason) -> None:
    response = answer(play(Continuation(), part("one ", finish)))
    assert (response.text, response.finish_reason) == ("one ", finish)
    assert answer(play(Continuation(), part("one "), part("two", finish))).finish_reason == finish


@pytest.mark.parametrize(
    ("cut", "word"),
    [
        (part("", tool_calls=(ToolCall(id="c", name="f", arguments='{"a'),)), "tool call"),
        (part("", refusal="I can"), "refusal"),
        (part(""), "before any text"),
        (part("", reasoning="so much to think of"), "before any text"),
        (part(" \n"), "before any text"),
        (TWO_CHOICES, "2 choices"),
    ],
)
def test_what_cannot_be_continued_is_incomplete_and_says_why(cut: CompletionResponse, word: str) -> None:
    error = incomplete(play(Continuation(), cut))
    assert word in str(error)
    assert (error.continue_count, error.__cause__) == (0, None)
    assert error.partial is not None
    assert error.partial.choices == cut.choices
    assert answer(play(Continuation(ensure_complete=False), cut)).choices == cut.choices


def test_no_continuation_is_made_where_none_is_allowed() -> None:
    assert incomplete(play(Continuation(max_continues=0), part("one "))).continue_count == 0
    assert answer(play(Continuation(max_continues=0, ensure_complete=False), part("one "))).text == "one "


def test_several_choices_are_refused_before_the_first_request() -> None:
    with pytest.raises(ConfigurationError, match="n=2"):
        refuse_choices({"n": 2})
    for parameters in ({}, {"n": 1}, {"n": None}):
        refuse_choices(parameters)


# --- what is sent ---


def test_the_text_so_far_is_one_message_and_the_prompt_follows_it() -> None:
    engine = joining(Continuation(prompt="go on"))
    engine.feed(part("one "))
    step = again(engine.feed(part("two ")))
    assert step.messages == (
        *ASKED,
        Message(role="assistant", content="one two "),
        Message(role="user", content="go on"),
    )


def test_a_prefill_ends_with_the_text_so_far_without_its_white_space() -> None:
    engine = joining(Continuation(mode="assistant_prefill"))
    step = again(engine.feed(part("one \n")))
    assert step.messages == (*ASKED, Message(role="assistant", content="one"))
    assert answer(engine.feed(part(" \n two", "stop"))).text == "one \n two"


def test_a_prompt_may_be_made_of_where_the_answer_stands() -> None:
    states: list[ContinueState] = []

    def prompt(state: ContinueState) -> str:
        states.append(state)
        return f"part {state.count + 1} of at most {state.max_continues + 1}"

    engine = joining(Continuation(prompt=prompt, max_continues=3))
    first, second = again(engine.feed(part("one "))), again(engine.feed(part("two ")))
    assert first.messages[-1].content == "part 2 of at most 4"
    assert second.messages[-1].content == "part 3 of at most 4"
    assert [(s.count, s.text, s.last.text, len(s.parts), s.messages) for s in states] == [
        (1, "one ", "one ", 1, ASKED),
        (2, "one two ", "two ", 2, ASKED),
    ]
    assert second.state == states[1]


def test_the_delay_is_the_same_before_every_continuation() -> None:
    engine = joining(Continuation(delay_s=0.3))
    assert [again(engine.feed(part("a"))).delay_s for _ in range(3)] == [0.3, 0.3, 0.3]


@pytest.mark.parametrize(("random", "delay_s"), [(0.0, 1.0), (0.5, 2.0), (1.0, 3.0)])
@pytest.mark.parametrize("made", [tuple, list])
def test_a_delay_may_be_chosen_from_a_range(random: float, delay_s: float, made: Callable[..., object]) -> None:
    continuation = Continuation(delay_s=made((1, 3)))  # type: ignore[arg-type]
    assert again(joining(continuation, random).feed(part("a"))).delay_s == delay_s


# --- functions of the caller's own that fail ---


def raising(*_: object) -> str:
    raise RuntimeError("broken")


@pytest.mark.parametrize("prompt", [raising, lambda state: " ", lambda state: None])
def test_a_prompt_that_cannot_be_made_loses_nothing(prompt: Callable[[ContinueState], str]) -> None:
    error = incomplete(play(Continuation(prompt=prompt, on_error="return_partial"), part("one ")))
    assert error.partial is not None
    assert (error.partial.text, error.continue_count) == ("one ", 0)
    assert isinstance(error.__cause__, (RuntimeError, ConfigurationError))


@pytest.mark.parametrize(("decide", "words"), [(raising, "RuntimeError: broken"), (lambda *_: "redo", "'redo'")])
def test_an_on_failure_that_fails_loses_neither_text_nor_cause(
    decide: Callable[[Exception, CompletionResponse], FailureAction], words: str
) -> None:
    cause = server_error()
    error = incomplete(play(Continuation(on_failure=decide, on_error="return_partial"), part("one "), cause))
    assert error.__cause__ is cause
    assert error.partial is not None
    assert error.partial.text == "one "
    assert words in str(error)


# --- what is put together ---


def test_usage_is_added_up_where_it_is_known_and_nought_stays_nought() -> None:
    used = Usage(input_tokens=7, output_tokens=3, reasoning_tokens=0, raw={"x": 1})
    response = answer(play(Continuation(), part("a", usage=used), part("b", usage=used), part("c", "stop", usage=used)))
    assert response.usage == Usage(input_tokens=21, output_tokens=9, reasoning_tokens=0)
    assert response.usage is not None
    assert response.usage.total_tokens == 30


def test_usage_that_nobody_told_is_none() -> None:
    assert answer(play(Continuation(), part("a"), part("b", "stop"))).usage is None
    mixed = answer(play(Continuation(), part("a", usage=Usage(output_tokens=0)), part("b", "stop")))
    assert mixed.usage == Usage(output_tokens=0)


def test_the_answer_has_the_record_of_its_first_part() -> None:
    response = answer(play(Continuation(), part("a", record_id="r1"), part("b", "stop", record_id="r2")))
    assert response.record_id == "r1"
    assert [p.record_id for p in response.parts] == ["r1", "r2"]


def test_reasoning_and_log_probabilities_of_all_parts_are_kept() -> None:
    one = part("a", reasoning="hm ", logprobs=({"content": [1]},))
    two = part("b", "stop", reasoning="so", logprobs=({"content": [2]},))
    choice = answer(play(Continuation(), one, two)).choices[0]
    assert (choice.reasoning, choice.logprobs) == ("hm so", ({"content": [1]}, {"content": [2]}))


def test_an_answer_in_one_part_is_that_part() -> None:
    one = part("a", "stop", record_id="r", usage=Usage(input_tokens=1, raw={"x": 1}))
    response = answer(play(Continuation(), one))
    assert response.parts == (one,)
    assert (response.text, response.usage, response.record_id) == ("a", one.usage, "r")


def test_the_answer_can_be_had_with_the_part_that_is_on_its_way() -> None:
    engine = joining(Continuation())
    assert engine.merged().text == ""
    assert engine.merged(part("on", None)).text == "on"
    engine.feed(part("one "))
    assert engine.merged(part("tw", None)).text == "one tw"
    assert engine.merged().text == "one "


def test_repetitions_at_joins_are_kept_unless_they_are_to_be_trimmed() -> None:
    script = (part("one two "), part("two three", "stop"))
    assert answer(play(Continuation(), *script)).text == "one two two three"
    assert answer(play(Continuation(trim_overlap=True), *script)).text == "one two three"


# --- what is refused when it is made ---


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("max_continues", -1),
        ("max_continues", True),
        ("max_continues", 1.5),
        ("prompt", ""),
        ("prompt", " \n"),
        ("prompt", None),
        ("mode", "prefill"),
        ("delay_s", -1),
        ("delay_s", float("inf")),
        ("delay_s", float("nan")),
        ("delay_s", True),
        ("delay_s", "1"),
        ("delay_s", (3, 1)),
        ("delay_s", (1,)),
        ("delay_s", (1, 2, 3)),
        ("on_error", "retry"),
        ("on_error", None),
        ("on_failure", "retry"),
        ("on_progress", 1),
        ("ensure_complete", "no"),
        ("trim_overlap", 1),
    ],
)
def test_a_continuation_is_checked_before_anything_is_sent(name: str, value: object) -> None:
    with pytest.raises(ConfigurationError, match=name) as raised:
        Continuation(**{name: value})  # type: ignore[arg-type]
    assert repr(value) in str(raised.value)


def test_an_error_of_the_first_part_keeps_what_it_had_delivered() -> None:
    error = ProviderError("cut")
    error.partial = part("on", None)
    step = play(Continuation(), error)
    assert isinstance(step, JoinFailed)
    assert isinstance(step.error, ProviderError)
    assert step.error.partial is not None
    assert step.error.partial.text == "on"
