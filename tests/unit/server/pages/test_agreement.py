"""How far two reviewers agree, against values worked out by hand."""

from __future__ import annotations

import pytest

from freeplay_like.core.reviews import Verdict
from freeplay_like.server.pages.review.agreement import (
    Agreement,
    agreement_by_version,
    agreement_of,
    verdicts_by_version,
)
from freeplay_like.server.store.records.reviews import Judged


def a_call(version: str | None = "1", last: Verdict | None = None, **verdicts: Verdict) -> Judged:
    template = None if version is None else "shop/answer"
    return Judged(seq=1, record_id="r", template_name=template, template_version=version, verdicts=verdicts, last=last)


@pytest.mark.parametrize(
    ("counts", "observed", "by_chance", "kappa", "in_words"),
    [
        ((20, 5, 10, 15), 0.70, 0.50, 0.40, "fair"),  # Cohen's kappa on Wikipedia, read 2026-11-21
        ((45, 15, 25, 15), 0.60, 0.54, 3 / 23, "slight"),  # the same page: 0.1304
        ((25, 35, 5, 35), 0.60, 0.46, 7 / 27, "fair"),  # the same page: 0.2593
        ((10, 0, 0, 10), 1.0, 0.5, 1.0, "almost perfect"),
        ((0, 10, 10, 0), 0.0, 0.5, -1.0, "none"),
        ((5, 5, 5, 5), 0.5, 0.5, 0.0, "none"),
    ],
)
def test_kappa_is_agreement_beyond_chance(
    counts: tuple[int, int, int, int], observed: float, by_chance: float, kappa: float, in_words: str
) -> None:
    good_good, good_bad, bad_good, bad_bad = counts
    agreement = Agreement(good_good=good_good, good_bad=good_bad, bad_good=bad_good, bad_bad=bad_bad)
    assert agreement.observed == pytest.approx(observed)
    assert agreement.by_chance == pytest.approx(by_chance)
    assert agreement.kappa == pytest.approx(kappa)
    assert agreement.in_words == in_words


def test_kappa_is_not_defined_where_both_said_only_one_thing_or_nothing() -> None:
    assert Agreement(good_good=7).observed == 1
    assert Agreement(good_good=7).kappa is None
    assert Agreement(good_good=7).in_words == "not defined"
    nothing = Agreement()
    assert (nothing.observed, nothing.by_chance, nothing.kappa) == (None, None, None)


def test_only_calls_that_both_judged_are_compared() -> None:
    calls = [
        a_call(ada="good", bob="good"),
        a_call(ada="good", bob="bad"),
        a_call(ada="bad", eve="good"),
        a_call(bob="bad"),
        a_call(),
    ]
    agreement = agreement_of(calls, "ada", "bob")
    assert agreement == Agreement(good_good=1, good_bad=1)
    assert agreement_of(calls, "bob", "ada") == Agreement(good_good=1, bad_good=1)
    assert (agreement.calls, agreement.agreed, agreement.count("good", "bad")) == (2, 1, 1)


def test_versions_are_compared_apart_that_of_most_calls_first() -> None:
    calls = [
        a_call("1", ada="good", bob="bad"),
        a_call("2", ada="good", bob="good"),
        a_call("2", ada="bad", bob="good"),
        a_call("3", ada="bad"),
        a_call(None, ada="bad", bob="bad"),
    ]
    lines = agreement_by_version(calls, "ada", "bob")
    assert [(line.template, line.version, line.agreement.calls) for line in lines] == [
        ("shop/answer", "2", 2),
        (None, None, 1),
        ("shop/answer", "1", 1),
    ]


def test_the_last_verdict_of_a_call_counts_for_its_version() -> None:
    calls = [a_call("1", "good", ada="bad"), a_call("1", "bad"), a_call("1", "good"), a_call("2", None)]
    (line,) = verdicts_by_version(calls)
    assert (line.template, line.version, line.good, line.bad) == ("shop/answer", "1", 2, 1)
    assert line.share == pytest.approx(2 / 3)
