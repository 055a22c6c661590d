"""What stands in the playground's editor, and what it makes."""

from __future__ import annotations

import attrs
import pytest

from freeplay_like.core.messages import Message, ToolCall
from freeplay_like.core.template_messages import HistorySlot, MediaSlot, TemplateMessage
from freeplay_like.core.templates import PromptTemplate
from freeplay_like.server.pages.forms import Form
from freeplay_like.server.pages.replay import sheet as sheets
from freeplay_like.server.pages.replay.playground import _EDITS
from freeplay_like.server.pages.replay.reading import json_object, variables_in
from freeplay_like.server.pages.replay.sheet import Column, Line, Sheet
from freeplay_like.server.store.trials.replay_views import Change, ReplaySpec
from freeplay_like.server.store.views import Refused
from support.plain_records import a_record

ASKED = Sheet(
    lines=(Line(role="system", content="Be a {{role}}."), Line(role="user", content="{{#x}}{{question}}{{/x}}?")),
    variables={"role": "baker"},
    columns=(Column(flavor="openai_chat", model="m"),),
    parameters='{"temperature": 0.5}',
)


def fields_of(sheet: Sheet) -> Form:
    """What a browser sends that shows this sheet."""
    fields = [("lines", str(len(sheet.lines))), ("columns", str(len(sheet.columns))), ("syntax", sheet.syntax)]
    for place, line in enumerate(sheet.lines):
        fields += [(f"role.{place}", line.role), (f"content.{place}", line.content.replace("\n", "\r\n"))]
    for place, column in enumerate(sheet.columns):
        fields += [(f"flavor.{place}", column.flavor), (f"model.{place}", column.model)]
    fields += [(f"var.{name}", str(value)) for name, value in sheet.variables.items()]
    return Form((*fields, ("parameters", sheet.parameters)))


def test_a_form_is_read_as_it_was_shown() -> None:
    sheet = attrs.evolve(ASKED, lines=(*ASKED.lines, Line(role="user", content="two\n lines ")))
    assert sheets.sheet_of_form(fields_of(sheet)) == sheet


def test_a_sheet_makes_a_template_and_says_which_variables_it_looks_at() -> None:
    checked = sheets.check(ASKED)
    assert (checked.problems, checked.required, checked.optional) == ((), ("role",), ("x", "question"))
    assert checked.written is not None
    assert checked.written.variables == {"role": "baker"}
    assert checked.template is not None
    assert (checked.template.model, checked.template.parameters) == ("m", {"temperature": 0.5})


def test_all_that_is_wrong_is_said_at_once() -> None:
    wrong = attrs.evolve(
        ASKED,
        lines=(
            Line(role="user", content="{{#a}}"),
            Line(role="user", content="{{b}}"),
            Line(role="user", content="{{"),
        ),
        parameters="{",
        tools='{"no": "list"}',
    )
    checked = sheets.check(wrong)
    assert [
        part for part in ("message 1", "message 3", "Parameters", "Tools") if part in " ".join(checked.problems)
    ] == [
        "message 1",
        "message 3",
        "Parameters",
        "Tools",
    ]
    assert checked.required == ("b",), "what parses is looked at all the same"
    assert (checked.template, checked.written) == (None, None)


def test_a_value_that_is_missing_is_a_problem() -> None:
    checked = sheets.check(attrs.evolve(ASKED, variables={}))
    assert "no value for variable 'role'" in "".join(checked.problems).lower()


def test_a_template_comes_back_from_the_editor_as_it_was() -> None:
    slot = MediaSlot(name="photo", kind="image")
    messages = (
        TemplateMessage(role="system", content="Be kind."),
        HistorySlot(),
        TemplateMessage(role="user", content="{{q}}", media_slots=(slot,)),
    )
    template = PromptTemplate(name="shop", messages=messages, model="m", flavor_name="openai_chat", template_id="t")
    checked = sheets.check(sheets.sheet_of_template(template))
    assert checked.template is not None
    assert checked.template.fingerprint == template.fingerprint


def test_what_cannot_be_typed_of_a_call_is_kept_as_a_conversation() -> None:
    call = ToolCall(id="1", name="look", arguments="{}")
    messages = (
        Message(role="user", content="{{not a variable}}"),
        Message(role="assistant", tool_calls=(call,)),
        Message(role="tool", tool_call_id="1", content="rye"),
    )
    sheet = sheets.sheet_of_record(a_record("p", messages=messages), None)
    assert [line.role for line in sheet.lines] == ["user", "history"]
    checked = sheets.check(attrs.evolve(sheet, columns=(Column(flavor="openai_chat", model="m"),)))
    assert checked.problems == ()
    assert checked.written is not None
    assert [message["role"] for message in checked.written.history] == ["assistant", "tool"]


def test_a_run_is_restored_to_the_sheet_it_came_from() -> None:
    sheet = attrs.evolve(ASKED, columns=(*ASKED.columns, Column(flavor="anthropic_chat", model="n")))
    checked = sheets.check(sheet)
    assert checked.written is not None
    spec = ReplaySpec(changes=sheets.changes_of(sheet), written=checked.written)
    restored = sheets.sheet_of_run(spec)
    assert restored is not None
    assert (restored.lines, restored.variables, restored.columns) == (sheet.lines, sheet.variables, sheet.columns)
    assert sheets.sheet_of_run(ReplaySpec(changes=(Change(),))) is None


@pytest.mark.parametrize(
    ("button", "at", "roles"),
    [
        ("add", -1, ["system", "user", "assistant"]),
        ("remove", 0, ["user"]),
        ("up", 1, ["user", "system"]),
        ("down", 0, ["user", "system"]),
        ("up", 0, ["system", "user"]),
        ("down", 7, ["system", "user"]),
    ],
)
def test_buttons_move_messages(button: str, at: int, roles: list[str]) -> None:
    assert [line.role for line in _EDITS[button](ASKED, at).lines] == roles


def test_models_are_added_and_dropped() -> None:
    two = _EDITS["column"](ASKED, -1)
    assert two.columns == ASKED.columns * 2
    assert len(_EDITS["column"](_EDITS["column"](two, -1), -1).columns) == sheets.MOST_COLUMNS
    assert _EDITS["drop"](two, 1).columns == ASKED.columns
    assert _EDITS["drop"](ASKED, 0).columns == ASKED.columns, "somebody has to be asked"


def test_values_keep_their_kind() -> None:
    typed = {"n": "3", "flag": "true", "list": "[1, 2]", "text": "[see below", "kept": "0"}
    form = Form(tuple((f"var.{name}", value) for name, value in typed.items()))
    assert variables_in(form, {"kept": 0}) == {
        "n": "3",
        "flag": True,
        "list": [1, 2],
        "text": "[see below",
        "kept": 0,
    }
    with pytest.raises(Refused, match="no JSON object"):
        json_object("[1]", "Parameters")
