"""Test cases out of the text of files: everything that is wrong is told at once."""

from __future__ import annotations

import pytest

from freeplay_like.core.case_files import LEFT_OUT, FileFormat, read_text, to_csv, to_jsonl
from freeplay_like.core.wire import JsonObject


def test_all_lines_that_are_no_case_are_told_with_their_place() -> None:
    found = read_text('{"inputs": {"q": "a"}}\n{"input": {}}\n\nno JSON\n{"inputs": {}, "history": [1]}\n', "jsonl")
    assert [case.line for case in found.cases] == [1]
    assert [(problem.line, problem.part) for problem in found.problems] == [
        (2, None),
        (4, None),
        (5, "field 'history'"),
    ]
    assert found.problems[0].text.startswith("line 2: unknown field 'input'")
    assert found.problems[2].text.startswith("line 5, field 'history': message 1 has no role")


def test_good_rows_beside_bad_ones_are_still_read() -> None:
    found = read_text("q,output\na,1\nb\nc,3\n", "csv")
    assert [case.fields["inputs"] for case in found.cases] == [{"q": "a"}, {"q": "c"}]
    assert [problem.text for problem in found.problems] == ["line 3: 1 cells under 2 columns"]


def test_columns_become_what_they_are_renamed_to() -> None:
    renamed = {"Question": "q", "ideal": "output", "note": "metadata.note", "id": LEFT_OUT}
    found = read_text("Question,ideal,note,id\nwhere?,here,easy,7\n", "csv", renamed)
    assert found.columns == ("Question", "ideal", "note", "id")
    assert found.cases[0].fields == {"inputs": {"q": "where?"}, "output": "here", "metadata": {"note": "easy"}}


def test_two_columns_cannot_become_one() -> None:
    found = read_text("a,b\n1,2\n", "csv", {"b": "a"})
    assert not found.cases
    assert [problem.text for problem in found.problems] == ["line 1: there are two columns 'a'"]


@pytest.mark.parametrize("form", ["csv", "jsonl"])
def test_what_is_written_is_read_again(form: FileFormat) -> None:
    cases: list[JsonObject] = [
        {"inputs": {"q": 'a "b",\nc'}, "output": "d", "metadata": {"lang": "en"}},
        {"inputs": {"q": ""}, "history": [{"role": "user", "content": "hi"}]},
    ]
    text = to_csv(cases) if form == "csv" else to_jsonl(cases)
    assert [case.fields for case in read_text(text, form).cases] == cases
