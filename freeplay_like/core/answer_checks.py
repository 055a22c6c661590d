"""Checks of answers that need nothing but the answer and what is expected; each is a score of its name."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Final, TypeAlias

AnswerCheck: TypeAlias = Callable[[str | None, str], bool | None]
"""Takes what is expected, None where nothing is, and the answer; None is no score."""


def exact_match(expected: str | None, answer: str) -> bool | None:
    """Whether the answer is what is expected, but for white space around it; nothing where nothing is expected."""
    return None if expected is None else answer.strip() == expected.strip()


def contains(expected: str | None, answer: str) -> bool | None:
    """Whether what is expected is a part of the answer, in capitals or not; nothing where nothing is expected."""
    return None if expected is None else expected.strip().casefold() in answer.casefold()


def json_valid(expected: str | None, answer: str) -> bool:
    """Whether the answer is JSON."""
    try:
        json.loads(answer)
    except (ValueError, RecursionError):
        return False
    return True


ANSWER_CHECKS: Final[Mapping[str, AnswerCheck]] = {
    "exact_match": exact_match,
    "contains": contains,
    "json_valid": json_valid,
}
