"""What the specification's cases do not say: names, limits, positions, values that are not data."""

from __future__ import annotations

import enum
from collections import UserDict, UserList, defaultdict
from collections.abc import Iterator, Mapping

import pytest

from freeplay_like.core import mustache
from freeplay_like.core.interpolation import (
    MAX_OUTPUT_CHARACTERS,
    STEP_CHARACTERS,
    LimitProblem,
    Rendering,
    SyntaxProblem,
    ValueProblem,
)


def render(text: str, data: object) -> str:
    rendering = Rendering()
    written = mustache.parse(text).render(data, rendering)
    assert not rendering.missing
    return written


class Colour(enum.StrEnum):
    RED = "red"


class Level(enum.IntEnum):
    HIGH = 3


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("a & <b>", "a & <b>"),
        ("", ""),
        (True, "True"),
        (False, "False"),
        (0, "0"),
        (-1.5, "-1.5"),
        (1e22, "1e+22"),
        (Colour.RED, "red"),
        (Level.HIGH, "3"),
        ([1, "ä", None, True], '[1,"ä",null,true]'),
        ({"a": {"b": [1.0]}}, '{"a":{"b":[1.0]}}'),
        ((1, 2), "[1,2]"),
        (UserDict({1: "one"}), '{"1":"one"}'),
        (UserList(["x"]), '["x"]'),
        ({}, "{}"),
    ],
)
def test_a_value_is_written_as_documented(value: object, text: str) -> None:
    assert render("<{{x}}|{{{x}}}|{{&x}}>", {"x": value}) == f"<{text}|{text}|{text}>"


@pytest.mark.parametrize(
    "value",
    [None, object(), b"bytes", {1, 2}, len, float, (n for n in [1]), [object()], {"a": b"x"}, {None: 1}],
)
def test_a_value_that_is_not_data_is_refused_by_its_name(value: object) -> None:
    with pytest.raises(ValueProblem, match=r"variable 'user\.x' is ") as caught:
        render("{{user.x}}", {"user": {"x": value}})
    assert caught.value.variable == "user.x"


def test_what_json_cannot_say_is_refused() -> None:
    with pytest.raises(ValueProblem, match="'x' cannot be written as JSON"):
        render("{{x}}", {"x": [float("nan")]})
    with pytest.raises(ValueProblem, match="'x' is a number too long"):
        render("{{x}}", {"x": 10**5000})
    with pytest.raises(ValueProblem, match="'x' cannot be written as JSON"):
        render("{{x}}", {"x": [10**5000]})


def test_a_value_in_a_circle_is_refused() -> None:
    circle: list[object] = []
    circle.append(circle)
    with pytest.raises(ValueProblem, match="nests deeper than 32"):
        render("{{x}}", {"x": circle})


def test_attributes_are_never_names() -> None:
    class Account:
        secret = "sk-1"

    rendering = Rendering()
    parsed = mustache.parse("{{a.secret}}{{text.upper}}{{rows.append}}{{map.items}}{{text.0}}")
    assert parsed.render({"a": Account(), "text": "t", "rows": [], "map": {}}, rendering) == ""
    assert list(rendering.missing) == ["a.secret", "text.upper", "rows.append", "map.items", "text.0"]


def test_numbers_index_sequences_and_name_keys_of_mappings() -> None:
    data = {"rows": [["a", "b"], ["c"]], "map": {"0": "zero"}}
    assert render("{{rows.0.1}} {{map.0}} {{#rows}}{{0}}{{/rows}}", data) == "b zero ac"
    rendering = Rendering()
    mustache.parse("{{rows.2}}{{rows.\u0660}}{{rows.99999999999999999999}}").render(data, rendering)
    assert list(rendering.missing) == ["rows.2", "rows.\u0660", "rows.99999999999999999999"]


def test_looking_a_name_up_adds_nothing_to_a_mapping() -> None:
    data: defaultdict[str, str] = defaultdict(lambda: "made up")
    rendering = Rendering()
    mustache.parse("{{x}}{{#y}}{{/y}}").render(data, rendering)
    assert not data
    assert list(rendering.missing) == ["x"]


@pytest.mark.parametrize("value", [None, False, 0, 0.0, "", [], {}, ()])
def test_a_section_is_skipped_where_its_value_is_false_zero_or_empty(value: object) -> None:
    assert render("{{#x}}yes{{/x}}{{^x}}no{{/x}}", {"x": value}) == "no"


@pytest.mark.parametrize("value", [True, 1, "text", {"a": 1}, ["one"]])
def test_a_section_is_rendered_otherwise(value: object) -> None:
    assert render("{{#x}}yes{{/x}}{{^x}}no{{/x}}", {"x": value}) == "yes"


def test_a_section_over_something_that_is_not_data_is_refused() -> None:
    with pytest.raises(ValueProblem, match="'x' is or holds a value of type object"):
        render("{{^x}}{{/x}}", {"x": object()})


def test_names_in_a_rendered_section_are_missing_where_nobody_has_them() -> None:
    rendering = Rendering()
    parsed = mustache.parse(
        "{{#items}}{{title}}{{price}}{{/items}}{{#absent}}{{never}}{{/absent}}{{^absent}}{{else-}}{{/absent}}"
    )
    parsed.render({"items": [{"title": "t"}], "outside": 1}, rendering)
    assert list(rendering.missing) == ["price", "else-"]


def test_names_are_told_apart_by_whether_every_rendering_needs_them() -> None:
    parsed = mustache.parse("{{#a}}{{b}}{{.}}{{/a}}{{c.d}}{{^e}}{{c}}{{f}}{{/e}}{{f}}{{c}}")
    assert parsed.required == ("c", "f")
    assert parsed.optional == ("a", "b", "e")


def test_braces_are_written_as_text_with_a_quoted_tag() -> None:
    assert render('{{"{{"}}x}} {{ "}}" }}{{"a"}}', {}) == "{{x}} }}a"
    assert mustache.escape("{{x}} {{{y}}} {") == '{{"{{"}}x}} {{"{{{"}}y}}} {{"{"}}'


@pytest.mark.parametrize(
    ("text", "offset", "words"),
    [
        ("ab {{x", 3, "never closed; expected }}"),
        ("{{{x}}", 0, "never closed; expected }}}"),
        ("{{}}", 0, "'' is not a name"),
        ("{{a b}}", 0, "'a b' is not a name"),
        ("{{x.}}", 0, "'x.' is not a name"),
        ("{{#if x}}{{/if}}", 0, "'if x' is not a name"),
        ("{{x|upper}}", 0, "is not a name"),
        ("{{x()}}", 0, "is not a name"),
        ("a{{#x}}\nb", 1, "'x' is never closed; expected {{/x}}"),
        ("{{#x}}{{/y}}", 6, "expected {{/x}}, found {{/y}}"),
        ("{{#x}}{{#y}}{{/x}}{{/y}}", 12, "expected {{/y}}, found {{/x}}"),
        ("{{/x}}", 0, "{{/x}} closes nothing"),
        ("{{> file}}", 0, "partials"),
        ("{{>*dynamic}}", 0, "partials"),
        ("{{=<% %>=}}", 0, "change of delimiters"),
        ("{{" + "x" * 99 + " y}}", 0, "xxx...' is not a name"),
    ],
)
def test_a_mistake_is_named_with_its_place(text: str, offset: int, words: str) -> None:
    with pytest.raises(SyntaxProblem) as caught:
        mustache.parse(text)
    assert words in str(caught.value)
    assert caught.value.offset == offset


def test_sections_nest_to_a_depth_and_no_further() -> None:
    assert render("{{#a}}" * 32 + "x" + "{{/a}}" * 32, {"a": True}) == "x"
    with pytest.raises(SyntaxProblem, match="deeper than 32"):
        mustache.parse("{{#a}}" * 33 + "{{/a}}" * 33)


def test_an_output_that_grows_without_end_is_stopped() -> None:
    ten = list(range(10))
    bomb = "{{#a}}" * 20 + "{{/a}}" * 20
    with pytest.raises(LimitProblem, match="more than 4,000,000 characters"):
        render(bomb, {"a": ten})
    with pytest.raises(LimitProblem, match="more than 4,000,000 characters"):
        render("{{#a}}{{x}}{{/a}}", {"a": ten, "x": "y" * 500_000})


def test_a_small_value_that_is_large_as_json_is_stopped() -> None:
    doubled: list[object] = [1]
    for _ in range(30):
        doubled = [doubled, doubled]
    with pytest.raises(LimitProblem, match="characters"):
        render("{{x}}", {"x": doubled})
    with pytest.raises(LimitProblem, match="characters"):
        render("{{x}}", {"x": ["y" * 1_000_000] * 100})


def test_an_output_up_to_the_limit_is_written() -> None:
    text = "y" * (MAX_OUTPUT_CHARACTERS - STEP_CHARACTERS)
    assert render("{{x}}", {"x": text}) == text
    with pytest.raises(LimitProblem):
        render("{{x}}", {"x": text + "y"})


def test_a_template_of_many_tags_on_one_line_parses_in_time_that_grows_with_it() -> None:
    text = "{{! }}" * 160_000
    assert mustache.parse(text).nodes == ()


def test_mappings_need_not_be_dicts() -> None:
    class Lazy(Mapping[str, str]):
        def __getitem__(self, key: str) -> str:
            if key == "name":
                return "Ann"
            raise KeyError(key)

        def __iter__(self) -> Iterator[str]:
            return iter(["name"])

        def __len__(self) -> int:
            return 1

    assert render("{{user.name}} {{#user}}{{name}}{{/user}}", {"user": Lazy()}) == "Ann Ann"
