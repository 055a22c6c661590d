"""Scorers: functions that say how good an answer is, built in or the caller's own."""

from __future__ import annotations

import importlib
import math
import sys
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Final, TypeAlias

import attrs

from freeplay_like.core.answer_checks import ANSWER_CHECKS, AnswerCheck
from freeplay_like.core.completion import CompletionResponse
from freeplay_like.core.records import ScoreValue
from freeplay_like.errors import ConfigurationError
from freeplay_like.session.test_cases import TestCase

ScorerFunction: TypeAlias = Callable[[TestCase, CompletionResponse], object]
"""What it says is a score under its own name (True, False, a number or a text), several scores by name, or None."""


NAME_LIMIT: Final = 200
TEXT_LIMIT: Final = 1_000
"""What the backend takes as a score."""


class ScorerFailed(Exception):
    """A scorer raised, or said what is no score."""


@attrs.frozen(kw_only=True)
class Scorer:
    """A function and the name that its plain scores have."""

    name: str
    function: ScorerFunction

    def scores(self, case: TestCase, response: CompletionResponse) -> dict[str, ScoreValue]:
        """What it says of an answer, by name.

        Raises:
            ScorerFailed: it raised, or said what is no score.
        """
        try:
            said = self.function(case, response)
        except Exception as exc:
            raise ScorerFailed(f"scorer {self.name!r} failed: {type(exc).__name__}: {exc}") from exc
        if said is None:
            return {}
        by_name: dict[object, object] = dict(said) if isinstance(said, Mapping) else {self.name: said}
        return {_name(self.name, name): _score(self.name, name, value) for name, value in by_name.items()}


def _name(scorer: str, name: object) -> str:
    if isinstance(name, str) and 0 < len(name.strip()) <= NAME_LIMIT and name.isprintable():
        return name
    raise ScorerFailed(f"scorer {scorer!r} named a score {name!r}; a name has 1 to {NAME_LIMIT} printable characters")


def _score(scorer: str, name: object, value: object) -> ScoreValue:
    if isinstance(value, str) and len(value) > TEXT_LIMIT:
        raise ScorerFailed(
            f"scorer {scorer!r} said a text of {len(value)} characters; at most {TEXT_LIMIT} are a score"
        )
    if isinstance(value, float) and not math.isfinite(value):
        raise ScorerFailed(f"scorer {scorer!r} said {name!r}: {value!r}, which is no number")
    if isinstance(value, (bool, int, float, str)):
        return value
    raise ScorerFailed(f"scorer {scorer!r} said {name!r}: {value!r}; a score is True, False, a number or a text")


def _built_in(check: AnswerCheck) -> ScorerFunction:
    return lambda case, response: check(case.expected, response.content)


BUILT_IN: Final[Mapping[str, ScorerFunction]] = {name: _built_in(check) for name, check in ANSWER_CHECKS.items()}


def load_scorers(names: Iterable[str]) -> tuple[Scorer, ...]:
    """The scorers of these names: a built-in one, or `module:function`, found from the current folder too.

    Raises:
        ConfigurationError: there is none of a name, or its module cannot be imported.
    """
    return tuple(Scorer(name=name.rpartition(":")[2], function=_function(name)) for name in names)


def _function(name: str) -> ScorerFunction:
    if name in BUILT_IN:
        return BUILT_IN[name]
    module, _, attribute = name.partition(":")
    if not module or not attribute:
        raise ConfigurationError(f"no scorer {name!r}; built in: {', '.join(BUILT_IN)}; or write module:function")
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)
    try:
        function = getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError) as exc:
        raise ConfigurationError(f"scorer {name!r} cannot be loaded: {exc}") from exc
    if not callable(function):
        raise ConfigurationError(f"scorer {name!r} is a {type(function).__name__}, not a function")
    found: ScorerFunction = function
    return found
