"""How cases are judged, drawn, typed and imported."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from freeplay_like.core.run_results import Result, compare, summarize
from freeplay_like.server.pages.forms import Form
from freeplay_like.server.pages.trials.case_import import choose_columns, form_of, suggested
from freeplay_like.server.pages.trials.cases import expected_of, fields_of, from_fields, from_json
from freeplay_like.server.pages.trials.comparing_runs import change_of
from freeplay_like.server.pages.trials.drawing import BARS, HEIGHT, plots
from freeplay_like.server.pages.trials.judging import is_failing, judged, shows, worst_first
from freeplay_like.server.pages.trials.new_runs import parameters_of, thresholds_of
from freeplay_like.server.store.views import CaseContent, Refused


def a_result(name: str, **said: object) -> Result:
    return Result(**{"test_case_id": name, "record_id": f"r-{name}", "outcome": "complete", **said})  # type: ignore[arg-type]


def test_the_worst_case_comes_first() -> None:
    good = a_result("good", scores={"ok": True, "grade": 5})
    poor = a_result("poor", scores={"ok": True, "grade": 2})
    wrong = a_result("wrong", scores={"ok": False, "grade": 5})
    disliked = a_result("disliked", scores={"ok": False, "grade": 4}, feedback="negative")
    lost = a_result("lost", outcome="error")
    order = worst_first([good, poor, wrong, disliked, lost])
    assert [each.test_case_id for each in order] == ["lost", "disliked", "wrong", "poor", "good"]
    assert [each.test_case_id for each in order if is_failing(each)] == ["lost", "disliked", "wrong"]


def test_a_case_without_a_result_waits_and_is_among_all() -> None:
    assert [show for show in ("all", "failing", "passing", "unanswered", "waiting") if shows(None, show)] == [  # type: ignore[arg-type]
        "all",
        "waiting",
    ]


def test_a_threshold_is_not_reached_by_a_score_that_no_answer_has() -> None:
    summary = summarize([a_result("a", scores={"ok": True}), a_result("b", scores={"ok": False})])
    found = judged({"ok": 0.5, "kind": 0.1, "only_made": 0.0}, summary)
    assert [(each.name, each.is_reached) for each in found] == [("ok", True), ("kind", False)]


@given(st.lists(st.lists(st.floats(-1e12, 1e12), max_size=50), min_size=1, max_size=4))
def test_bars_count_every_number_and_fit_the_plot(rows: list[list[float]]) -> None:
    drawn = plots(rows)
    assert len(drawn) == (len(rows) if any(rows) else 0)
    for row, plot in zip(rows, drawn, strict=False):
        assert sum(bar.count for bar in plot.bars) == len(row)
        assert all(0 < bar.height <= HEIGHT for bar in plot.bars)
        assert len(plot.bars) <= BARS


def test_rows_of_different_length_are_drawn_to_one_scale() -> None:
    few, many = plots([[1.0, 2.0], [1.0] * 50 + [2.0] * 50])
    assert [bar.height for bar in few.bars] == [bar.height for bar in many.bars]


def test_a_case_is_worse_where_anything_is_and_better_where_the_answer_came_back() -> None:
    before = [
        a_result("mixed", scores={"a": 1, "b": 1}),
        a_result("lost", scores={}),
        a_result("won", outcome="error"),
        a_result("gone"),
    ]
    after = [a_result("mixed", scores={"a": 2, "b": 0}), a_result("lost", outcome="error"), a_result("won")]
    cases = {case.test_case_id: case for case in compare(before, after).cases}
    assert {name: change_of(case, None, ()) for name, case in cases.items()} == {
        "mixed": "worse",
        "lost": "worse",
        "won": "better",
        "gone": "only",
    }
    assert change_of(cases["mixed"], "a", ()) == "better"
    assert change_of(cases["mixed"], "a", ("a",)) == "worse"
    assert change_of(cases["won"], "a", ()) == "same"


def test_a_case_is_better_by_its_latency_where_it_is_faster() -> None:
    found = compare([a_result("q", latency_ms=20.0)], [a_result("q", latency_ms=10.0)]).cases[0]
    assert change_of(found, "latency_ms", ()) == "better"
    assert change_of(found, None, ()) == "same"


def a_form(**fields: str) -> Form:
    return Form(tuple(fields.items()))


def test_a_case_typed_field_by_field_keeps_what_the_form_has_no_field_for() -> None:
    before = CaseContent(inputs={"q": "old", "n": 3}, output="x", metadata={"lang": "en"})
    assert [(field.name, field.is_json) for field in fields_of(before, ("q",))] == [("q", False), ("n", True)]
    form = Form((("input.q", "new\r\nline"), ("json.n", "[4]"), ("expects", "on"), ("output", " y ")))
    after = from_fields(form, before, "prompt")
    assert after == CaseContent(inputs={"q": "new\nline", "n": [4]}, output=" y ", metadata={"lang": "en"})
    assert from_fields(a_form(output="y"), before, "prompt").output is None


def test_what_an_agent_is_expected_to_answer_stays_json() -> None:
    before = CaseContent(inputs={"input": "go"}, agent_output={"steps": 2})
    assert expected_of(before) == '{"steps":2}'
    form = Form((("input.input", "go"), ("expects", "on"), ("output", '{"steps": 3}')))
    assert from_fields(form, before, "agent").agent_output == {"steps": 3}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "no JSON of a test case"),
        ('{"inputs": {}, "ouput": "x"}', "has no field 'ouput'"),
        ('{"inputs": {}, "history": [{"content": "x"}]}', "has no role"),
    ],
)
def test_json_that_is_no_case_is_refused_with_the_reason(text: str, said: str) -> None:
    with pytest.raises(Refused, match=said):
        from_json(text)


def test_what_other_tools_call_expected_becomes_the_output() -> None:
    assert suggested(("id", "question", "Ideal")) == {"id": "", "Ideal": "output"}
    assert suggested(("question", "output", "ideal")) == {}


def test_a_text_is_taken_for_what_it_looks_like_unless_said() -> None:
    assert form_of(a_form(), ' \n{"inputs": {}}') == "jsonl"
    assert form_of(a_form(), "question,output\n") == "csv"
    assert form_of(a_form(format="csv"), "{a},b\n") == "csv"


def test_columns_and_what_they_become_belong_together_by_their_order() -> None:
    form = Form((("column", "a"), ("becomes", "x "), ("column", "b"), ("becomes", "")))
    assert choose_columns(form) == {"a": "x", "b": ""}


def test_the_model_is_one_of_the_parameters_that_go_over_a_versions_own() -> None:
    assert parameters_of(a_form(model=" m ", parameters='{"temperature": 0.2}')) == {"temperature": 0.2, "model": "m"}
    with pytest.raises(Refused, match="no JSON object"):
        parameters_of(a_form(parameters="[1]"))


def test_a_threshold_is_a_percentage_of_a_check_that_is_chosen() -> None:
    form = Form(
        (("check", "contains"), ("least.contains", "80 %"), ("check", "json_valid"), ("least.exact_match", "9"))
    )
    assert thresholds_of(form) == {"contains": 0.8, "json_valid": 0.0}
    for text in ("101", "-1", "nan", "many"):
        with pytest.raises(Refused, match="a percentage from 0 to 100"):
            thresholds_of(Form((("check", "contains"), ("least.contains", text))))
    with pytest.raises(Refused, match="no check 'taste'"):
        thresholds_of(Form((("check", "taste"),)))
