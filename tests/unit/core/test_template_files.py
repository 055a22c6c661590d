"""Files of templates: what people write is read, what is written reads back, and mistakes are named by line."""

from __future__ import annotations

from pathlib import Path

import pytest

from freeplay_like.core.template_files import check_name, file_path, from_text, to_text
from freeplay_like.core.templates import HistorySlot, MediaSlot, PromptTemplate, TemplateMessage
from freeplay_like.errors import TemplateError, TemplateSyntaxError

WRITTEN = """+++
description = "Answers \\"short\\" questions"
model = "gpt-4o-mini"
flavor = "openai_chat"
provider = "openai"

[parameters]
temperature = 0.2
stop = ["\\n", "END"]
"odd key" = {deep = true}
+++
=== system ===
You help {{name}}.

Be short.

=== history ===

=== user ===
{{question}}
\\=== user ===
\\=== image photo ===
=== image photo ===
=== file the contract ===

=== assistant ===
I see.
"""

TEMPLATE = PromptTemplate(
    name="answer",
    messages=(
        TemplateMessage(role="system", content="You help {{name}}.\n\nBe short."),
        HistorySlot(),
        TemplateMessage(
            role="user",
            content="{{question}}\n=== user ===\n=== image photo ===",
            media_slots=(MediaSlot(name="photo", kind="image"), MediaSlot(name="the contract", kind="file")),
        ),
        TemplateMessage(role="assistant", content="I see."),
    ),
    provider="openai",
    flavor_name="openai_chat",
    model="gpt-4o-mini",
    parameters={"temperature": 0.2, "stop": ["\n", "END"], "odd key": {"deep": True}},
    description='Answers "short" questions',
)


def test_a_file_is_read_and_written_back_to_the_letter() -> None:
    assert from_text(WRITTEN, name="answer") == TEMPLATE
    assert to_text(TEMPLATE) == WRITTEN


def test_line_ends_of_windows_make_no_difference() -> None:
    assert from_text(WRITTEN.replace("\n", "\r\n"), name="answer") == TEMPLATE


def test_a_head_is_not_needed_and_markers_need_no_blank_lines() -> None:
    read = from_text("\n=== system ===\nA\n=== user ===\n\nB\n\n", name="n")
    assert read.messages == (
        TemplateMessage(role="system", content="A"),
        TemplateMessage(role="user", content="\nB"),
    )
    assert from_text("", name="n").messages == ()


@pytest.mark.parametrize("content", ["", "\n", "a\n", "a\n\n", "\n\na", "a\rb\r\n", "\\=== user ===", "\u2028", "+++"])
@pytest.mark.parametrize("is_last", [True, False])
def test_blank_lines_at_the_edges_of_a_message_are_kept(content: str, is_last: bool) -> None:
    after = () if is_last else (TemplateMessage(role="assistant", content="next"),)
    for slots in ((), (MediaSlot(name="a ===", kind="audio"),)):
        first = TemplateMessage(role="user", content=content, media_slots=slots)
        template = PromptTemplate(name="n", messages=(first, *after))
        assert from_text(to_text(template), name="n") == template


def test_tools_and_schema_may_be_toml_or_json() -> None:
    toml = '+++\ntools = [{name = "f"}]\n[output_schema]\ntype = "object"\n+++\n'
    json = '+++\ntools = \'[{"name": "f"}]\'\noutput_schema = \'{"type": "object"}\'\n+++\n'
    assert from_text(toml, name="n") == from_text(json, name="n")
    assert from_text(json, name="n").tools == [{"name": "f"}]


@pytest.mark.parametrize(
    "value", [{"enum": ["a", None]}, {"text": "it'''s"}, "just text", [], False, 0, {"x": [1.5, "\x7f\x01"]}]
)
def test_every_json_value_comes_back_out_of_a_file(value: object) -> None:
    template = PromptTemplate(name="n", messages=(), output_schema=value, tools=[value], parameters={"p": value})
    assert from_text(to_text(template), name="n") == template


def test_a_parameter_that_takes_a_value_away_is_kept() -> None:
    template = PromptTemplate(name="n", messages=(), parameters={"temperature": None})
    assert from_text(to_text(template), name="n").parameters == {"temperature": None}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("+++\nmodel = 1\n", "line 1: the head is never closed"),
        ("+++\nmodel\n+++\n", r"the head is not TOML: .*line 2"),
        ("+++\nmodel = 1\n+++\n", "'model' is 1; expected text in quotes"),
        ("+++\ntemperature = 1\n+++\n", r"unknown key 'temperature' .* belongs under \[parameters\]"),
        ("+++\nparameters = 3\n+++\n", "'parameters' must be a table"),
        ("+++\n[parameters]\nday = 2026-01-01\n+++\n", "'parameters.day' holds a date"),
        ("+++\ntools = '['\n+++\n", "the text of 'tools' is not JSON"),
        ("+++\nsyntax = 'jinja'\n+++\n", "has syntax 'jinja'"),
        ("+++\n+++\nhello\n", "line 3: text before the first marker"),
        ("=== history ===\n\nhello\n", "line 3: text under '=== history ==='"),
        ("=== user ===\n=== sytem ===\n", "line 2: '=== sytem ===' is no marker; known: === system ==="),
        ("=== user ===\n===user===\n", "line 2: '===user===' is no marker"),
        ("=== user === \n", "is no marker"),
        ("=== history ===\n=== history ===\n", "2 history slots"),
        ("=== user ===\n=== image  a ===\n", "line 2: '=== image  a ===' is no marker; known: .* === image NAME ==="),
        ("=== user ===\n=== video a ===\nhi\n", "line 3: text under '=== video a ==='"),
        ("=== image a ===\n", "line 1: '=== image a ===' follows no message"),
        ("=== history ===\n\n=== image a ===\n", "line 3: '=== image a ===' follows no message"),
        ("=== user ===\nhi {{#x}}\n", "'n', message 1, line 1:4: section 'x' is never closed"),
    ],
)
def test_a_mistake_in_a_file_is_named(text: str, words: str) -> None:
    with pytest.raises(TemplateError, match=words) as caught:
        from_text(text, name="n")
    assert caught.value.template == "n"


def test_headings_of_markdown_are_text() -> None:
    content = "Title\n======\n=== ===\n==== user ====\n=== two words ===\n=== images of it ===\n=== image"
    read = from_text(f"=== user ===\n{content}\n", name="n")
    assert read.messages == (TemplateMessage(role="user", content=content),)


def test_what_no_file_can_hold_is_refused() -> None:
    half = PromptTemplate(name="n", messages=(TemplateMessage(role="user", content="\ud83d"),))
    with pytest.raises(TemplateError, match="'n' holds half a character"):
        to_text(half)
    with pytest.raises(TemplateError, match="'tools' is not JSON"):
        to_text(PromptTemplate(name="n", messages=(), tools=[object()]))


@pytest.mark.parametrize("name", ["greeting", "smol/plan", "a b", "Ünïcode", "..a/b..", ".hidden"])
def test_a_plain_path_names_a_template(name: str) -> None:
    assert file_path(name) == f"{name}.prompt"


@pytest.mark.parametrize(
    "name", ["", "/", "/etc/passwd", "..", "../x", "a/../b", "a/./b", "a//b", "a/", "a\\b", "a\0", "a\n"]
)
def test_any_other_name_is_refused(name: str) -> None:
    with pytest.raises(TemplateError, match="cannot name a template"):
        check_name(name)


def test_the_demo_templates_are_in_order() -> None:
    folder = Path(__file__).parents[3] / "fixtures" / "projects" / "demo"
    files = sorted(folder.rglob("*.prompt"))
    assert len(files) == 3
    for file in files:
        text = file.read_text(encoding="utf-8")
        template = from_text(text, name=file.stem)
        assert to_text(template) == text
        assert template.model == "smollm2-135m-instruct"
        assert (template.flavor_name, template.provider) == ("openai_chat", "openai")


def test_the_demo_templates_render() -> None:
    folder = Path(__file__).parents[3] / "fixtures" / "projects" / "demo"
    rewrite = from_text((folder / "rewrite.prompt").read_text(encoding="utf-8"), name="rewrite")
    assert rewrite.render({"sentence": "Hi."})[1].text == "Rewrite this sentence:\nHi."
    opening = from_text((folder / "story" / "opening.prompt").read_text(encoding="utf-8"), name="story/opening")
    assert opening.render({"hero": "Ann", "places": ["Rome", "Oslo"]})[0].text == (
        "Write the first two sentences of a story about Ann.\nIt passes through Rome.\nIt passes through Oslo.\n"
    )


def test_a_syntax_error_in_a_head_is_of_the_class_for_it() -> None:
    with pytest.raises(TemplateSyntaxError):
        from_text("+++\nnonsense", name="n")
