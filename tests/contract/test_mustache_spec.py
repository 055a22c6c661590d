"""The official mustache cases: what is supported renders as they say, what is not is refused in plain words."""

from __future__ import annotations

import html
import json
from pathlib import Path
from typing import Any

import pytest

from freeplay_like.core import mustache
from freeplay_like.core.interpolation import Rendering, SyntaxProblem, ValueProblem

CASES = Path(__file__).parents[2] / "fixtures" / "mustache_spec"

UNESCAPED = {"HTML Escaping", "Implicit Iterators - HTML Escaping", "Implicit Iterator - HTML Escaping"}
"""A prompt is no page: `{{x}}` writes what `{{{x}}}` writes."""

NULL = {"Basic Null Interpolation", "Triple Mustache Null Interpolation", "Ampersand Null Interpolation"}
"""None where text is wanted is a mistake to hear of."""

MISSING = {
    "Basic Context Miss Interpolation": "cannot",
    "Triple Mustache Context Miss Interpolation": "cannot",
    "Ampersand Context Miss Interpolation": "cannot",
    "Dotted Names - Broken Chains": "a.b.c",
    "Dotted Names - Broken Chain Resolution": "a.b.c.name",
    "Dotted Names - Context Precedence": "b.c",
}
"""A name that is found nowhere is noted, and an error in the end; beside that the text is what the case expects."""


def cases(module: str) -> list[Any]:
    tests = json.loads((CASES / f"{module}.json").read_text())["tests"]
    return [pytest.param(test, id=f"{module}: {test['name']}") for test in tests]


SUPPORTED = [
    pytest.param(module, *case.values, id=case.id)
    for module in ("interpolation", "sections", "inverted", "comments")
    for case in cases(module)
]


@pytest.mark.parametrize(("module", "case"), SUPPORTED)
def test_a_supported_case_renders_as_the_specification_says(module: str, case: dict[str, Any]) -> None:
    rendering = Rendering()
    parsed = mustache.parse(case["template"])
    if case["name"] in NULL:
        with pytest.raises(ValueProblem, match="is None"):
            parsed.render(case["data"], rendering)
        return
    expected = html.unescape(case["expected"]) if case["name"] in UNESCAPED else case["expected"]
    assert parsed.render(case["data"], rendering) == expected
    missing = MISSING.get(case["name"]) if module == "interpolation" else None
    assert list(rendering.missing) == ([] if missing is None else [missing])


@pytest.mark.parametrize("case", cases("partials"))
def test_partials_are_refused(case: dict[str, Any]) -> None:
    with pytest.raises(SyntaxProblem, match=r"partials .* are not supported"):
        mustache.parse(case["template"])


@pytest.mark.parametrize("case", cases("delimiters"))
def test_changes_of_delimiters_are_refused(case: dict[str, Any]) -> None:
    with pytest.raises(SyntaxProblem, match=r"delimiters .* not supported|partials .* not supported"):
        mustache.parse(case["template"])


@pytest.mark.parametrize("case", cases("inheritance"))
def test_parents_and_blocks_are_refused(case: dict[str, Any]) -> None:
    with pytest.raises(SyntaxProblem, match=r"(parents|blocks|partials) .* not supported"):
        mustache.parse(case["template"])


CALLED = [case for case in cases("lambdas") if "{{=" not in case.values[0]["template"]]
"""The cases of lambdas that do not change delimiters besides."""


@pytest.mark.parametrize("case", CALLED)
def test_lambdas_are_refused_and_never_called(case: dict[str, Any]) -> None:
    def called(*_: object) -> str:
        raise AssertionError("a value was called")

    parsed = mustache.parse(case["template"])
    with pytest.raises(ValueProblem, match="'lambda' is or holds a value of type function"):
        parsed.render({**case["data"], "lambda": called}, Rendering())
