"""Where the values of variables stand."""

from __future__ import annotations

from datetime import UTC, datetime

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from freeplay_like.core.messages import Message
from freeplay_like.core.records import Record, TemplateRef
from freeplay_like.core.templates import HistorySlot, PromptTemplate, TemplateMessage
from freeplay_like.server.pages.call.marks import Piece, marked, marks_of

RECORD = Record(
    record_id="r", project_id="p", started_at=datetime(2026, 1, 1, tzinfo=UTC), template=TemplateRef(name="t")
)


def template(*texts: str) -> PromptTemplate:
    return PromptTemplate(name="t", messages=tuple(TemplateMessage(role="system", content=text) for text in texts))


def pieces_of(text: str, made_from: PromptTemplate | None, **variables: object) -> tuple[Piece, ...]:
    record = attrs.evolve(RECORD, variables=variables)
    return marks_of(record, made_from).pieces(Message(role="system", content=text))


@given(st.text(), st.dictionaries(st.text(min_size=1), st.text()))
def test_marking_never_changes_the_text(text: str, values: dict[str, str]) -> None:
    assert "".join(piece.text for piece in marked(text, values)) == text


@given(st.dictionaries(st.sampled_from(["a", "b"]), st.text() | st.integers() | st.none() | st.lists(st.text())))
def test_with_its_template_the_text_stays_the_same_too(variables: dict[str, object]) -> None:
    made_from = template("{{a}}: {{#b}}x{{b}}{{/b}}!")
    text = "a: xb!"
    if isinstance(variables.get("a"), str | int):
        text = made_from.render({"b": False, **variables})[0].text if variables.get("b") is not None else text
    assert "".join(piece.text for piece in pieces_of(text, made_from, **variables)) == text


def test_the_template_tells_every_place_however_short_the_value() -> None:
    assert pieces_of("a is 1, a", template("{{x}} is {{n}}, a"), x="a", n=1) == (
        Piece(text="a", variable="x"),
        Piece(text=" is "),
        Piece(text="1", variable="n"),
        Piece(text=", a"),
    )


def test_a_value_inside_a_mapping_belongs_to_its_variable() -> None:
    made_from = template("Hi {{who.name}}")
    assert pieces_of("Hi Ada", made_from, who={"name": "Ada"})[1] == Piece(text="Ada", variable="who")


def test_a_text_that_the_template_did_not_make_is_searched() -> None:
    made_from = template("Dear {{name}}")
    assert pieces_of("So, Ada?", made_from, name="Ada")[1] == Piece(text="Ada", variable="name")


@pytest.mark.parametrize("value", [None, True, ["Ada"]])
def test_a_value_that_cannot_carry_a_sign_does_not_stop_the_search(value: object) -> None:
    made_from = template("{{name}} {{other}}")
    assert Piece(text="Ada", variable="name") in pieces_of("Ada and all", made_from, name="Ada", other=value)


def test_history_is_no_part_of_what_the_template_says() -> None:
    made_from = PromptTemplate(
        name="t", messages=(HistorySlot(), TemplateMessage(role="user", content="{{q}}")), syntax="mustache"
    )
    marks = marks_of(attrs.evolve(RECORD, variables={"q": "ok"}), made_from)
    assert marks.pieces(Message(role="assistant", content="ok")) == (Piece(text="ok"),)
    assert marks.pieces(Message(role="user", content="ok")) == (Piece(text="ok", variable="q"),)


def test_the_longest_value_wins_over_its_own_parts() -> None:
    found = pieces_of("New York City!", None, city="New York", place="New York City")
    assert found == (Piece(text="New York City", variable="place"), Piece(text="!"))


def test_without_the_template_values_that_would_be_found_everywhere_are_not_marked() -> None:
    assert pieces_of("a b 12", None, one="a", number=12, blank="   ") == (Piece(text="a b 12"),)


def test_nothing_is_marked_in_a_call_that_was_made_from_no_template() -> None:
    record = attrs.evolve(RECORD, template=None, variables={"name": "Ada"})
    assert marks_of(record).pieces(Message(role="user", content="Ada")) == (Piece(text="Ada"),)
