"""Unified parameters in the words of chat completions."""

import pytest

from freeplay_like.core.messages import Message, ToolCall
from freeplay_like.core.parameters import Layer, merge
from freeplay_like.core.wire import JsonObject
from freeplay_like.errors import ParameterError
from freeplay_like.flavors.openai_chat import OpenAIChat

HELLO = (Message(role="user", content="Hello"),)
BASES = {
    "openai": "https://api.openai.com/v1",
    "groq": "https://api.groq.com/openai/v1",
    "deepseek": "https://api.deepseek.com",
    "zai": "https://api.z.ai/api/paas/v4",
    "minimax": "https://api.minimax.io/v1",
    "moonshotai": "https://api.moonshot.ai/v1",
    "dashscope": "https://dashscope.aliyuncs.com/compatible-mode/v1",
    "openrouter": "https://openrouter.ai/api/v1",
    "anthropic": "https://api.anthropic.com/v1",
    "openai-compatible": "http://127.0.0.1:1/v1",
}


def body(*layers: tuple[Layer, dict[str, object]], to: str = "openai") -> JsonObject:
    merged = merge([("template", {"model": "m"}), *layers])
    sent = OpenAIChat("key", BASES[to]).format(HELLO, merged, is_stream=False).body
    return {name: value for name, value in sent.items() if name not in ("model", "messages")}


def called(to: str = "openai", **values: object) -> JsonObject:
    return body(("call", values), to=to)


# --- reasoning ---


@pytest.mark.parametrize(
    ("to", "asked", "sent"),
    [
        ("openai", True, {"reasoning_effort": "medium"}),
        ("openai", False, {"reasoning_effort": "none"}),
        ("openai", {"effort": "xhigh"}, {"reasoning_effort": "xhigh"}),
        ("openai", {"effort": "none"}, {"reasoning_effort": "none"}),
        ("groq", {"effort": "low"}, {"reasoning_effort": "low"}),
        ("deepseek", True, {"thinking": {"type": "enabled"}}),
        ("deepseek", False, {"thinking": {"type": "disabled"}}),
        ("deepseek", {"effort": "none"}, {"thinking": {"type": "disabled"}}),
        ("deepseek", {"effort": "max"}, {"thinking": {"type": "enabled"}, "reasoning_effort": "max"}),
        ("zai", True, {"thinking": {"type": "enabled"}}),
        ("minimax", True, {"thinking": {"type": "enabled"}}),
        ("moonshotai", False, {"thinking": {"type": "disabled"}}),
        ("moonshotai", {"effort": "none"}, {"thinking": {"type": "disabled"}}),
        ("dashscope", True, {"enable_thinking": True}),
        ("dashscope", False, {"enable_thinking": False}),
        ("dashscope", {"max_tokens": 500}, {"enable_thinking": True, "thinking_budget": 500}),
        ("openrouter", True, {"reasoning": {"enabled": True}}),
        ("openrouter", False, {"reasoning": {"effort": "none"}}),
        ("openrouter", {"effort": "high", "exclude": True}, {"reasoning": {"effort": "high", "exclude": True}}),
        ("openrouter", {"max_tokens": 500}, {"reasoning": {"max_tokens": 500}}),
        ("openrouter", {"enabled": False}, {"reasoning": {"enabled": False}}),
    ],
)
def test_reasoning_is_said_in_the_words_of_each(to: str, asked: object, sent: JsonObject) -> None:
    assert called(to, reasoning=asked) == sent


@pytest.mark.parametrize(
    ("to", "asked", "said"),
    [
        ("openai", {"max_tokens": 500}, "names 'max_tokens', which cannot be said to openai"),
        ("openai", {"effort": "low", "summary": "auto"}, "names 'summary'"),
        ("groq", True, "must say an effort to groq"),
        ("groq", {"max_tokens": 500}, "names 'max_tokens'"),
        ("zai", {"effort": "low"}, "names 'effort', which cannot be said to zai"),
        ("deepseek", {"max_tokens": 500}, "names 'max_tokens'"),
        ("dashscope", {"effort": "low"}, "names 'effort'"),
        ("openrouter", {"effort": "low", "max_tokens": 500}, "either 'effort' or 'max_tokens'"),
        ("anthropic", True, "cannot be put into words for anthropic"),
        ("openai-compatible", True, "pass the parameter that the server itself has"),
    ],
)
def test_what_a_vendor_has_no_words_for_is_refused(to: str, asked: object, said: str) -> None:
    with pytest.raises(ParameterError, match=said) as caught:
        called(to, reasoning=asked)
    assert (caught.value.parameter, caught.value.layer) == ("reasoning", "call")
    assert str(caught.value).endswith(f"; the call set it to {asked!r}")


@pytest.mark.parametrize("native", ["reasoning_effort", "thinking", "enable_thinking", "thinking_budget"])
def test_reasoning_said_twice_is_refused(native: str) -> None:
    with pytest.raises(ParameterError, match=f"says the same as '{native}', which is set as well"):
        body(("template", {native: "low"}), ("call", {"reasoning": True}))


def test_the_servers_own_parameters_pass() -> None:
    own = {"reasoning_effort": "low", "chat_template_kwargs": {"enable_thinking": False}}
    assert called("openai-compatible", **own) == own
    assert called("openai-compatible", extra_body={"reasoning": {"x": 1}}) == {"reasoning": {"x": 1}}


def test_reasoning_that_was_taken_away_is_not_said() -> None:
    assert body(("client", {"reasoning": True}), ("call", {"reasoning": None}), to="openai-compatible") == {}


# --- tools ---

SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}}
PLAIN = {"name": "f", "description": "d", "parameters": SCHEMA}
WRAPPED = {"type": "function", "function": PLAIN}


@pytest.mark.parametrize(
    ("tool", "sent"),
    [
        (PLAIN, WRAPPED),
        (WRAPPED, WRAPPED),
        ({"name": "f", "description": "d", "input_schema": SCHEMA}, WRAPPED),
        ({"name": "g"}, {"type": "function", "function": {"name": "g"}}),
        ({"type": "custom", "custom": {"name": "h"}}, {"type": "custom", "custom": {"name": "h"}}),
    ],
)
def test_tools_are_taken_in_either_shape(tool: JsonObject, sent: JsonObject) -> None:
    assert called(tools=(tool,)) == {"tools": [sent]}


@pytest.mark.parametrize(
    ("choice", "sent"),
    [
        ("required", "required"),
        ({"name": "f"}, {"type": "function", "function": {"name": "f"}}),
        ({"type": "function", "function": {"name": "f"}}, {"type": "function", "function": {"name": "f"}}),
        ({"type": "allowed_tools", "allowed_tools": {}}, {"type": "allowed_tools", "allowed_tools": {}}),
    ],
)
def test_a_choice_of_tool_is_taken_by_name(choice: object, sent: object) -> None:
    assert called(tool_choice=choice) == {"tool_choice": sent}


# --- output schema ---


def test_a_schema_binds_the_answer_and_its_title_names_it() -> None:
    schema = {"title": "A trip: plan!", **SCHEMA}
    assert called(output_schema=schema) == {
        "response_format": {"type": "json_schema", "json_schema": {"name": "A_trip_plan", "schema": schema}}
    }


def test_a_schema_that_is_closed_throughout_is_strict() -> None:
    closed = {**SCHEMA, "additionalProperties": False, "required": ["city"]}
    (sent,) = called(output_schema=closed).values()
    assert sent["json_schema"]["strict"] is True
    assert sent["json_schema"]["name"] == "answer"
    nested = {**closed, "properties": {"city": SCHEMA}}
    (sent,) = called(output_schema=nested).values()
    assert "strict" not in sent["json_schema"]


def test_a_schema_and_a_response_format_are_one_too_many() -> None:
    with pytest.raises(ParameterError, match="'response_format'") as caught:
        body(("template", {"output_schema": SCHEMA}), ("call", {"response_format": {"type": "text"}}))
    assert (caught.value.parameter, caught.value.layer) == ("output_schema", "template")


def test_vendors_that_cannot_be_bound_say_so() -> None:
    assert not OpenAIChat("key", BASES["deepseek"]).takes_output_schema
    assert OpenAIChat("key", BASES["openai-compatible"]).takes_output_schema
    with pytest.raises(ParameterError, match="cannot be said to deepseek"):
        called("deepseek", output_schema=SCHEMA)


# --- stops, other names, extra body ---


def test_more_stops_than_openai_takes_are_refused_before_it_does() -> None:
    assert called(stop=["a", "b", "c", "d"]) == {"stop": ["a", "b", "c", "d"]}
    assert called("openai-compatible", stop=list("abcde")) == {"stop": list("abcde")}
    for name in ("stop", "stop_sequences"):
        with pytest.raises(ParameterError, match="at most 4") as caught:
            called(**{name: list("abcde")})
        assert caught.value.parameter == name


def test_other_formats_names_are_understood() -> None:
    assert called(stop_sequences=["a"], max_tokens_to_sample=5) == {"stop": ["a"], "max_tokens": 5}


def test_extra_names_go_into_the_body_as_they_are() -> None:
    assert called(extra_body={"x": 1, "provider": {"order": ["a"]}}) == {"x": 1, "provider": {"order": ["a"]}}


@pytest.mark.parametrize("name", ["model", "temperature", "response_format"])
def test_an_extra_name_that_is_there_already_is_refused(name: str) -> None:
    with pytest.raises(ParameterError, match=f"names '{name}', which the request has already") as caught:
        called(temperature=1, output_schema=SCHEMA, extra_body={name: 1})
    assert caught.value.parameter == "extra_body"


# --- messages ---


def test_reasoning_goes_back_to_those_who_want_it_and_to_nobody_else() -> None:
    call = ToolCall(id="1", name="f")
    message = Message(
        role="assistant", tool_calls=(call,), reasoning="because", reasoning_blocks=({"type": "thinking"},)
    )

    def sent(to: str, message: Message) -> JsonObject:
        request = OpenAIChat("key", BASES[to]).format((message,), merge([("call", {"model": "m"})]), is_stream=False)
        (only,) = request.body["messages"]
        return only

    assert sent("deepseek", message)["reasoning_content"] == "because"
    assert set(sent("openai", message)) == {"role", "content", "tool_calls"}
    assert set(sent("deepseek", Message(role="assistant", content="a", reasoning="because"))) == {"role", "content"}
