"""What the verdict form sends, read."""

from __future__ import annotations

import pytest

from freeplay_like.core.records import ScoreValue
from freeplay_like.server.pages.forms import Form
from freeplay_like.server.pages.review.saying import said_address, score_value, scores_in
from freeplay_like.server.store.views import Project, Refused
from support.clocks import SetClock

PROJECT = Project(key=1, id="p", name="first", created_at=SetClock.moment)


def scores_form(*pairs: tuple[str, str]) -> Form:
    return Form(tuple(field for name, value in pairs for field in (("score_name", name), ("score_value", value))))


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("4", 4),
        ("4.0", 4),
        ("0.5", 0.5),
        ("-1e3", -1000),
        ("true", True),
        ("false", False),
        ("yes", "yes"),
        ("nan", "nan"),
        ("inf", "inf"),
        ("1e99", "1e99"),
        ("4 of 5", "4 of 5"),
    ],
)
def test_a_score_is_a_number_true_false_or_words(text: str, value: ScoreValue) -> None:
    assert score_value(text) == value
    assert type(score_value(text)) is type(value)


def test_scores_are_read_in_pairs_and_blank_ones_left_out() -> None:
    form = scores_form(("accuracy", " 4 "), ("tone", ""), ("", ""), (" style ", "dry"))
    assert scores_in(form) == {"accuracy": 4, "style": "dry"}


@pytest.mark.parametrize(
    ("pairs", "said"),
    [
        ([("", "4")], "name has 1 to 200"),
        ([("review", "good")], "'review' is that of the verdict"),
        ([("x" * 201, "4")], "name has 1 to 200"),
        ([("tone", "x" * 1_001)], "1001 characters"),
        ([(f"s{number}", "1") for number in range(100)], "at most 99"),
    ],
)
def test_scores_that_cannot_be_kept_are_refused(pairs: list[tuple[str, str]], said: str) -> None:
    with pytest.raises(Refused, match=said):
        scores_in(scores_form(*pairs))


@pytest.mark.parametrize(
    ("sent", "leads_to"),
    [
        ("/projects/p/review/calls?after=3", "/projects/p/review/calls?after=3"),
        ("https://evil.example/projects/p/", "/here"),
        ("//evil.example", "/here"),
        ("/projects/other/calls", "/here"),
        ("", "/here"),
    ],
)
def test_a_form_leads_only_to_a_page_of_its_project(sent: str, leads_to: str) -> None:
    assert said_address(Form((("next", sent),)), "next", PROJECT, "/here") == leads_to
