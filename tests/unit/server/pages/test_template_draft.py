from __future__ import annotations

from datetime import UTC, datetime
from urllib.parse import parse_qsl, urlencode

import attrs
import pytest

from freeplay_like.core.templates import HistorySlot, MediaSlot, PromptTemplate, TemplateMessage
from freeplay_like.server.pages.forms import Form
from freeplay_like.server.pages.templates.checking import check
from freeplay_like.server.pages.templates.draft import MESSAGES_LIMIT, MessageDraft, TemplateDraft
from freeplay_like.server.pages.templates.rendering import render_draft
from freeplay_like.server.store.views import Refused, TemplateVersion

TEMPLATE = PromptTemplate(
    name="shop/answer",
    messages=(
        TemplateMessage(role="system", content="\nHelp {{customer}}.\n"),
        HistorySlot(),
        TemplateMessage(role="user", content="{{question}}", media_slots=(MediaSlot(name="the photo", kind="image"),)),
    ),
    model="gpt-4o-mini",
    provider="openai",
    flavor_name="openai_chat",
    parameters={"temperature": 0.2},
    tools=[{"name": "get_stock"}],
    output_schema={"type": "object"},
    source="backend",
)
DRAFT = TemplateDraft.of(TemplateVersion(template=TEMPLATE, name=None, created_at=datetime.now(UTC)), "v1")


def form_of(draft: TemplateDraft) -> Form:
    """What a browser sends of the editor, with its line ends."""
    fields = [(name, value) for name, value in attrs.asdict(draft, recurse=False).items() if isinstance(value, str)]
    for number, message in enumerate(draft.messages):
        fields += [(f"m{number}-{name}", value) for name, value in attrs.asdict(message).items()]
    sent = urlencode([(name, value.replace("\n", "\r\n")) for name, value in fields])
    return Form(tuple(parse_qsl(sent, keep_blank_values=True)))


def test_a_version_goes_through_the_editor_unchanged() -> None:
    read = TemplateDraft.read(form_of(DRAFT))
    assert read == DRAFT
    checked = check(read)
    assert checked.problems == ()
    assert checked.template == TEMPLATE


def test_messages_keep_the_order_of_their_numbers() -> None:
    form = Form((("m10-role", "user"), ("m10-text", "ten"), ("m2-role", "system"), ("m2-text", "two")))
    assert [message.text for message in TemplateDraft.read(form).messages] == ["two", "ten"]


def test_more_messages_than_the_editor_takes_are_refused() -> None:
    fields = tuple((f"m{number}-role", "user") for number in range(MESSAGES_LIMIT + 1))
    with pytest.raises(Refused, match=f"takes {MESSAGES_LIMIT} messages"):
        TemplateDraft.read(Form(fields))


@pytest.mark.parametrize(
    ("do", "texts", "focus"),
    [
        ("add", ["a", "b", "c", ""], "m3-text"),
        ("up:1", ["b", "a", "c"], "m0-text"),
        ("up:0", ["a", "b", "c"], "m0-text"),
        ("down:1", ["a", "c", "b"], "m2-text"),
        ("down:2", ["a", "b", "c"], "m2-text"),
        ("remove:2", ["a", "b"], "m1-text"),
    ],
)
def test_a_button_changes_the_messages_and_says_where_to_go_on(do: str, texts: list[str], focus: str) -> None:
    draft = TemplateDraft(messages=tuple(MessageDraft(text=text) for text in "abc"))
    changed, told = draft.changed(do)
    assert [message.text for message in changed.messages] == texts
    assert told == focus


@pytest.mark.parametrize("do", ["", "add:1x", "up:9", "up:-1", "save:0", "remove:", "up:٢"])
def test_a_button_that_is_none_is_refused(do: str) -> None:
    with pytest.raises(Refused, match="there is no button"):
        TemplateDraft(messages=(MessageDraft(),)).changed(do)


def test_all_that_is_wrong_is_told_at_once_with_its_place() -> None:
    draft = TemplateDraft(
        name="/x",
        messages=(
            MessageDraft(role="system", text="fine\n  {{#open}}"),
            MessageDraft(role="user", text="{{>partial}}"),
            MessageDraft(role="history", text="lost?"),
            MessageDraft(role="history"),
            MessageDraft(role="king", text="", media="picture x, image"),
        ),
        parameters='{"temperature": 0.2,\n "stream": tru}',
        tools='{"name": "x"}',
        output_schema="[1]",
        version_name="n" * 201,
    )
    told = [(problem.control, problem.where) for problem in check(draft).problems]
    assert told == [
        ("name", "Name"),
        ("m0-text", "Message 1, line 2:3"),
        ("m1-text", "Message 2, line 1:1"),
        ("m2-text", "Message 3"),
        ("m4-role", "Message 5"),
        ("m4-media", "Message 5, media"),
        ("m4-media", "Message 5, media"),
        ("m3-role", "Message 4"),
        ("version_name", "Name of this version"),
        ("parameters", "Parameters, line 2:12"),
        ("tools", "Tools"),
        ("output_schema", "Output schema"),
    ]


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ('{"stream": true}', "stream"),
        ("[]", "an object"),
        ('{"a": NaN}', "NaN is no number"),
        ('{"a": ' + "[" * 200 + "]" * 200 + "}", "nested deeper"),
        ('{"a": ' + "[" * 100_000, "nest"),
    ],
)
def test_parameters_that_nobody_could_send_are_told(parameters: str, message: str) -> None:
    (problem,) = check(attrs.evolve(DRAFT, parameters=parameters)).problems
    assert problem.control == "parameters"
    assert message in problem.message


def test_a_draft_without_messages_is_no_template() -> None:
    (problem,) = check(attrs.evolve(DRAFT, messages=())).problems
    assert problem.control == "add"


def test_a_rendering_fills_in_and_tells_what_is_missing_and_unused() -> None:
    rendering = render_draft(attrs.evolve(DRAFT, variables='{"customer": "Ada", "shop": 3}'))
    assert [view.content for view in rendering.messages] == ["\nHelp Ada.\n", "", "{{question}}"]
    assert rendering.missing == ("question",)
    assert rendering.unused == ("shop",)
    assert rendering.needed == ("customer", "question", "the photo")
    assert rendering.summary == "1 problem"


def test_a_rendering_shows_what_it_can_beside_what_is_wrong() -> None:
    messages = (MessageDraft(text="{{name}}"), MessageDraft(text="{{"), MessageDraft(text="{{nothing}}"))
    draft = TemplateDraft(name="x", messages=messages, variables='{"name": "Ada", "nothing": null}')
    rendering = render_draft(draft)
    assert [view.content for view in rendering.messages] == ["Ada", "{{", "{{nothing}}"]
    assert [(problem.control, problem.where) for problem in rendering.problems] == [
        ("m1-text", "Message 2, line 1:1"),
        ("variables", "Message 3"),
    ]


def test_variables_that_are_no_json_are_told_with_their_place() -> None:
    rendering = render_draft(attrs.evolve(DRAFT, variables='{"customer": }'))
    assert [(problem.control, problem.where) for problem in rendering.problems] == [
        ("variables", "Variables, line 1:14")
    ]
    assert rendering.missing == ()
