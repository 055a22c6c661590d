from __future__ import annotations

import attrs
import pytest

from freeplay_like.core.chunks import CompletionChunk, ToolCallDelta
from freeplay_like.core.completion import CompletionBuilder, CompletionResponse
from freeplay_like.errors import ConfigurationError, StructuredOutputError


@attrs.frozen
class Person:
    name: str


def built(*chunks: CompletionChunk) -> CompletionResponse:
    builder = CompletionBuilder()
    for chunk in chunks:
        builder.feed(chunk)
    return builder.build()


def test_a_choice_is_put_together_once_until_it_is_fed_again() -> None:
    builder = CompletionBuilder()
    builder.feed(CompletionChunk(text="a"))
    builder.feed(CompletionChunk(text="x", choice=1))
    one, other = builder.choices()
    assert builder.choices()[0] is one
    assert builder.build().choices[0] is one
    builder.feed(CompletionChunk(text="b"))
    assert builder.text == "ab"
    assert builder.choices()[0].text == "ab"
    assert builder.choices()[1] is other
    assert one.text == "a"


def test_tool_calls_are_told_apart_by_index_whenever_their_ids_come() -> None:
    response = built(
        CompletionChunk(tool_calls=(ToolCallDelta(index=1, arguments='{"b"'),)),
        CompletionChunk(tool_calls=(ToolCallDelta(index=0, id="a", name="f"),)),
        CompletionChunk(tool_calls=(ToolCallDelta(index=1, id="b", name="g", arguments=":1}"),)),
        CompletionChunk(finish_reason="tool_calls"),
    )
    assert [(c.id, c.name, c.arguments) for c in response.tool_calls] == [("a", "f", "{}"), ("b", "g", '{"b":1}')]


def test_each_choice_has_its_own_finish_reason() -> None:
    response = built(
        CompletionChunk(text="b", choice=1),
        CompletionChunk(choice=1, finish_reason="length", finish_reason_raw="max"),
        CompletionChunk(text="a", finish_reason="stop"),
    )
    assert [(c.index, c.text, c.finish_reason) for c in response.choices] == [(0, "a", "stop"), (1, "b", "length")]
    assert response.is_complete


def test_an_answer_is_parsed_as_a_class_or_a_json_schema_has_it() -> None:
    response = built(CompletionChunk(text='```json\n{"name": "Ada"}\n```', finish_reason="stop"))
    assert response.parse(Person) == Person("Ada")
    assert response.parse({"type": "object", "required": ["name"]}) == {"name": "Ada"}


def test_an_answer_that_does_not_fit_says_why_and_is_on_the_error() -> None:
    response = built(CompletionChunk(text='{"name": 1}', finish_reason="length"))
    with pytest.raises(StructuredOutputError, match=r"\(finish_reason='length'\) is no Person: \$\.name") as raised:
        response.parse(Person)
    error = raised.value
    assert error.problems == ("$.name: must be a string, not 1",)
    assert (error.text, error.response) == ('{"name": 1}', response)


def test_a_kind_that_is_none_is_refused_and_not_taken_for_a_bad_answer() -> None:
    with pytest.raises(ConfigurationError):
        built(CompletionChunk(text="{}")).parse(object)
