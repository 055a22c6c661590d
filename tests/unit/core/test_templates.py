"""Templates: what rendering does with values and history, and what errors say."""

from __future__ import annotations

import json

import attrs
import pytest

from freeplay_like.core.media import Media
from freeplay_like.core.messages import Message, Role
from freeplay_like.core.records import TemplateRef
from freeplay_like.core.templates import HistorySlot, MediaSlot, PromptTemplate, Syntax, TemplateMessage
from freeplay_like.core.wire import JsonObject
from freeplay_like.errors import MissingVariablesError, TemplateError, TemplateSyntaxError

HISTORY = (
    Message(role="system", content="old rules"),
    Message(role="user", content="{{not}} {rendered}"),
    Message(role="assistant", content="Yes."),
)


def template(*contents: str, syntax: Syntax = "mustache", version: str | None = None) -> PromptTemplate:
    messages = tuple(TemplateMessage(role="user", content=content) for content in contents)
    return PromptTemplate(name="trip", messages=messages, syntax=syntax, version=version)


def only_text(rendered: tuple[Message, ...]) -> str:
    (message,) = rendered
    return message.text


def test_variables_are_filled_in_over_all_messages() -> None:
    trip = PromptTemplate(
        name="trip",
        messages=(
            TemplateMessage(role="system", content="You know {{city}}."),
            TemplateMessage(role="user", content="{{#days}}{{.}} {{/days}}in {{city}}?"),
        ),
    )
    assert trip.render({"city": "Rome", "days": ["Mon", "Tue"], "unused": object()}) == (
        Message(role="system", content="You know Rome."),
        Message(role="user", content="Mon Tue in Rome?"),
    )
    assert trip.variables == ("city",)
    assert trip.optional_variables == ("days",)


def test_one_error_lists_every_missing_variable() -> None:
    trip = template("{{city}} {{#tips}}{{tip}}{{/tips}}", "{{day}} {{city}}", version="3")
    with pytest.raises(MissingVariablesError) as caught:
        trip.render({"country": "Italy", "tips": [{}]})
    assert str(caught.value) == (
        "no value for variables 'city', 'tip', 'day' in template 'trip' version 3; given: ['country', 'tips']"
    )
    assert caught.value.variables == ("city", "tip", "day")
    assert caught.value.template == "trip"


def test_one_missing_variable_is_one() -> None:
    with pytest.raises(MissingVariablesError, match=r"no value for variable 'city' in template 'trip'; given: \[\]"):
        template("{city}", syntax="fstring").render({})


def test_a_value_that_is_not_data_is_named() -> None:
    with pytest.raises(TemplateError, match="template 'trip': variable 'city' is None; give text") as caught:
        template("{{city}}").render({"city": None})
    assert caught.value.variables == ("city",)


def test_variables_must_be_a_mapping() -> None:
    with pytest.raises(TemplateError, match="must be a mapping of names to values, not list"):
        template("x").render(["city"])  # type: ignore[arg-type]


def test_a_value_is_never_looked_into() -> None:
    values = {"a": "{{b}} {b}", "b": "{{a}}"}
    assert only_text(template("{{a}}{{b}}").render(values)) == "{{b}} {b}{{a}}"
    assert only_text(template("{a}{b}", syntax="fstring").render(values)) == "{{b}} {b}{{a}}"


def test_history_stands_in_its_slot_as_it_is() -> None:
    chat = PromptTemplate(
        name="chat",
        messages=(
            TemplateMessage(role="system", content="rules"),
            HistorySlot(),
            TemplateMessage(role="user", content="{{q}}"),
        ),
    )
    assert chat.render({"q": "?"}, HISTORY) == (
        Message(role="system", content="rules"),
        HISTORY[1],
        HISTORY[2],
        Message(role="user", content="?"),
    )
    assert [message.role for message in chat.render({"q": "?"})] == ["system", "user"]


def test_history_without_a_slot_comes_last_and_keeps_its_system_message_where_there_is_no_other() -> None:
    assert template("hi").render({}, HISTORY) == (Message(role="user", content="hi"), *HISTORY)


@pytest.mark.parametrize("own", ["system", "developer"])
def test_the_model_hears_one_set_of_instructions(own: Role) -> None:
    said = PromptTemplate(name="chat", messages=(TemplateMessage(role=own, content="new rules"),))
    aside = Message(role="developer", content="an aside")
    history = (Message(role="developer", content="older rules"), *HISTORY, aside)
    assert said.render({}, history) == (Message(role=own, content="new rules"), *HISTORY[1:], aside)


def test_a_syntax_error_names_template_message_line_and_column() -> None:
    with pytest.raises(TemplateSyntaxError) as caught:
        template("fine", "first\n  {{#open}}\n", version="2")
    assert str(caught.value) == (
        "template 'trip' version 2, message 2, line 2:3: section 'open' is never closed; expected {{/open}}"
    )


@pytest.mark.parametrize(
    ("text", "column"),
    [
        ("{x.y}", 1),
        ("a {x!r}", 3),
        ("{x:>9}", 1),
        ("{}", 1),
        ("{0}", 1),
        ("{ x }", 1),
        ("}", 1),
        ("x {", 3),
        ("{1a}", 1),
    ],
)
def test_fstring_takes_names_alone(text: str, column: int) -> None:
    with pytest.raises(TemplateSyntaxError, match=rf"line 1:{column}: found .* expected a name alone in braces"):
        template(text, syntax="fstring")


def test_fstring_fills_names_in_and_halves_doubled_braces() -> None:
    filled = template('{{"a": {a}}} {größe_1} {a}', syntax="fstring")
    assert only_text(filled.render({"a": [1], "größe_1": 2})) == '{"a": [1]} 2 [1]'
    assert filled.variables == ("a", "größe_1")
    assert filled.optional_variables == ()


def test_none_sends_text_as_it_is() -> None:
    assert only_text(template("{{a}} {b} {", syntax="none").render({"a": 1})) == "{{a}} {b} {"
    assert template("{{a}}", syntax="none").variables == ()


def test_texts_and_outputs_have_a_limit() -> None:
    for syntax in ("mustache", "fstring", "none"):
        with pytest.raises(TemplateSyntaxError, match="message 1: the text has 1,000,001 characters"):
            template("x" * 1_000_001, syntax=syntax)
    with pytest.raises(TemplateSyntaxError, match="more than 4,000,000 characters"):
        template("{{a}}", "{{a}}", "{{a}}").render({"a": "x" * 1_500_000})


def test_what_a_template_cannot_be_is_refused() -> None:
    with pytest.raises(TemplateError, match="'trip' has syntax 'jinja'; known: mustache, fstring, none"):
        template("x", syntax="jinja")  # type: ignore[arg-type]
    with pytest.raises(TemplateError, match="has 2 history slots"):
        PromptTemplate(name="trip", messages=(HistorySlot(), HistorySlot()))
    with pytest.raises(TemplateError, match="message 1 has role 'tool'; known: system, developer, user, assistant"):
        PromptTemplate(name="trip", messages=(TemplateMessage(role="tool", content=""),))


FULL = PromptTemplate(
    name="support/answer",
    messages=(
        TemplateMessage(role="developer", content="You help {{name}}."),
        HistorySlot(),
        TemplateMessage(role="user", content="{{question}}"),
    ),
    project_id="p-1",
    template_id="t-1",
    version_id="v-1",
    version="3",
    environment="prod",
    provider="openai",
    flavor_name="openai_chat",
    model="gpt-4o",
    parameters={"temperature": 0.2},
    tools=[{"name": "get_weather", "description": "", "parameters": {"type": "object"}}],
    output_schema={"type": "object"},
    description="shorter",
    source="backend",
)


CAT = Media.from_url("https://example.com/cat.png", kind="image")
NOTE = Media.from_bytes(b"hi", "application/pdf", filename="note.pdf")
LOOK = PromptTemplate(
    name="look",
    messages=(
        TemplateMessage(
            role="user",
            content="What is {{thing}}?",
            media_slots=(MediaSlot(name="photo", kind="image"), MediaSlot(name="note", kind="file")),
        ),
        TemplateMessage(role="user", content="", media_slots=(MediaSlot(name="photo", kind="image"),)),
    ),
)


def test_media_go_after_the_text_of_their_message() -> None:
    assert LOOK.variables == ("thing", "photo", "note")
    first, second = LOOK.render({"thing": "it", "photo": CAT, "note": NOTE})
    assert first.content == (
        {"type": "text", "text": "What is it?"},
        {"type": "image_url", "image_url": {"url": "https://example.com/cat.png"}},
        {"type": "file", "file": {"file_data": "data:application/pdf;base64,aGk=", "filename": "note.pdf"}},
    )
    assert second.content == (CAT.to_part(),)


def test_missing_media_are_told_with_the_missing_variables() -> None:
    with pytest.raises(MissingVariablesError) as caught:
        LOOK.render({"note": NOTE})
    assert caught.value.variables == ("thing", "photo")


@pytest.mark.parametrize(
    ("variables", "words"),
    [
        (
            {"photo": "cat.png"},
            "variable 'photo' is of type str, and stands where media of kind 'image' goes; make one",
        ),
        ({"photo": NOTE}, "variable 'photo' is media of kind 'file', and stands where media of kind 'image' goes"),
        ({"photo": None}, "variable 'photo' is of type NoneType"),
        ({"photo": CAT, "thing": CAT}, "variable 'thing' is or holds a value of type Media; give text"),
    ],
)
def test_text_and_media_do_not_stand_for_one_another(variables: JsonObject, words: str) -> None:
    with pytest.raises(TemplateError, match=words) as caught:
        LOOK.render({"thing": "it", "note": NOTE, **variables})
    assert caught.value.variables == (next(reversed(variables)),)


def test_a_wrong_media_slot_is_refused() -> None:
    slots = (MediaSlot(name="photo", kind="picture"),)  # type: ignore[arg-type]
    with pytest.raises(TemplateError, match="'trip', message 1 has media slot 'photo' of kind 'picture'; known: image"):
        PromptTemplate(name="trip", messages=(TemplateMessage(role="user", content="", media_slots=slots),))


def test_media_slots_go_over_the_wire_and_back() -> None:
    wire = json.loads(json.dumps(LOOK.to_wire()))
    assert PromptTemplate.from_wire(wire, source="inline") == LOOK
    assert wire["content"][1]["media_slots"] == [{"type": "image", "placeholder_name": "photo"}]
    without = attrs.evolve(LOOK, messages=(attrs.evolve(LOOK.messages[0], media_slots=()), LOOK.messages[1]))
    assert without.fingerprint != LOOK.fingerprint


def test_a_template_goes_over_the_wire_and_back() -> None:
    wire = json.loads(json.dumps(FULL.to_wire()))
    assert PromptTemplate.from_wire(wire, source="backend") == FULL
    assert wire["content"][1] == {"kind": "history"}
    assert wire["content"][2] == {"role": "user", "content": "{{question}}", "media_slots": []}
    assert wire["metadata"] == {
        "provider": "openai",
        "flavor": "openai_chat",
        "model": "gpt-4o",
        "params": {"temperature": 0.2},
        "provider_info": None,
    }
    assert wire["format_version"] == 3


def test_freeplays_own_template_json_is_read() -> None:
    read = PromptTemplate.from_wire(
        {
            "prompt_template_id": "t",
            "prompt_template_version_id": "v",
            "prompt_template_name": "n",
            "format_version": 3,
            "project_id": "p",
            "environment": None,
            "content": [{"role": "system", "content": "You help {{name}}.", "media_slots": []}, {"kind": "history"}],
            "metadata": {"provider": "openai", "flavor": "openai_chat", "params": {"model": "gpt-4o", "top_p": 1}},
            "tool_schema": None,
            "version_name": "v1",
            "extra": 1,
        },
        source="backend",
    )
    assert (read.syntax, read.version, read.model, read.parameters) == ("mustache", "v1", "gpt-4o", {"top_p": 1})
    assert read.messages == (TemplateMessage(role="system", content="You help {{name}}."), HistorySlot())


SLOTTED: JsonObject = {"role": "user", "content": ""}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"content": None}, "'content' = None; expected a list"),
        ({"content": [1]}, r"'content\[0\]' = 1; expected an object"),
        ({"content": [{"role": "robot", "content": ""}]}, r"'content\[0\].role' = 'robot'; expected one of system"),
        ({"content": [{"role": [], "content": ""}]}, r"'content\[0\].role' = list; expected one of"),
        ({"content": [{"role": "user", "content": None}]}, r"'content\[0\].content' = None; expected text"),
        ({"content": [{**SLOTTED, "media_slots": {"a": 1}}]}, r"'content\[0\].media_slots' = dict; expected a list"),
        ({"content": [{**SLOTTED, "media_slots": ["pic"]}]}, r"media_slots\[0\]' = 'pic'; expected an object"),
        (
            {"content": [{**SLOTTED, "media_slots": [{"type": "photo", "placeholder_name": "pic"}]}]},
            r"media_slots\[0\].type' = 'photo'; expected one of image, audio, video, file",
        ),
        (
            {"content": [{**SLOTTED, "media_slots": [{"type": "image"}]}]},
            r"media_slots\[0\].placeholder_name' = None; expected text",
        ),
        (
            {"content": [{**SLOTTED, "media_slots": [{"type": "image", "placeholder_name": " "}]}]},
            "message 1 has a media slot named ' '",
        ),
        ({"metadata": []}, "'metadata' = list; expected an object"),
        ({"metadata": {"params": "x"}}, "'metadata.params' = 'x'; expected an object"),
        ({"metadata": {"model": 4}}, "'metadata.model' = 4; expected text"),
        ({"prompt_template_name": ""}, "has no 'prompt_template_name'"),
        ({"prompt_template_name": 7}, "'prompt_template_name' = 7; expected text"),
        ({"syntax": "jinja"}, "has syntax 'jinja'"),
    ],
)
def test_a_wrong_field_on_the_wire_is_named(change: JsonObject, words: str) -> None:
    with pytest.raises(TemplateError, match=words):
        PromptTemplate.from_wire({**FULL.to_wire(), **change}, source="backend")


def test_a_record_keeps_the_reference() -> None:
    assert FULL.ref == TemplateRef(
        name="support/answer", template_id="t-1", version_id="v-1", version="3", environment="prod", source="backend"
    )


def test_the_fingerprint_follows_what_changes_behaviour_and_nothing_else() -> None:
    same = attrs.evolve(FULL, version="4", version_id="v-2", environment="dev", source="cache", description=None)
    assert same.fingerprint == FULL.fingerprint
    changes: list[JsonObject] = [
        {"syntax": "none"},
        {"messages": FULL.messages[1:]},
        {"model": "gpt-4o-mini"},
        {"flavor_name": None},
        {"provider": "azure"},
        {"parameters": {"temperature": 0.3}},
        {"tools": None},
        {"output_schema": {}},
    ]
    prints = {attrs.evolve(FULL, **change).fingerprint for change in changes}
    assert len(prints) == len(changes)
    assert FULL.fingerprint not in prints
