"""What a call can be found by, taken from its row: the values of its choices, and its numbers. Pure.

The writer derives facets from this, and readers judge with it what nobody has derived yet.
"""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from operator import attrgetter
from typing import Final, NamedTuple, TypeAlias

import attrs
import msgspec

from freeplay_like.core.bitmaps import NUMBER_LIMIT
from freeplay_like.core.records import Feedback, ScoreValue
from freeplay_like.core.wire import JsonObject, to_wire
from freeplay_like.server.store.derived.filters import METADATA, SCORE
from freeplay_like.server.store.records.tables import record

VALUE_LIMIT: Final = 200
"""The most characters of a facet's value; a longer one ends in a digest of the whole."""
METADATA_KEYS: Final = 32
METADATA_KEY_LIMIT: Final = 100
METADATA_VALUES: Final = 10
"""How many texts of a list of them are kept."""

EVERY: Final = "#"
"""The name of the facet that every call has, and the mark of those that nobody is offered."""
ANSWERED: Final = "#model"
"""The name of the facet of the one model that a call counts for: the one that answered, or else that was asked for."""
HAS: Final = "#has"
"""The name of the facet that tells which open fields (`metadata.channel`) a call has at all."""


FacetName: TypeAlias = tuple[str, str]
"""A facet: the name of a field, and a value."""

FAILED: Final[FacetName] = ("outcome", "error")
"""The facet of the calls that count as errors."""


@attrs.frozen(kw_only=True)
class Said:
    """What was said of a call, as far as it is looked for: the last thumb, and the last value of each score."""

    feedback: Feedback | None = None
    scores: Mapping[str, ScoreValue] = attrs.field(factory=dict)


NOTHING_SAID: Final = Said()


class Facts(NamedTuple):
    """A row of `record`, as far as anything is derived from it, and what was said of the call."""

    seq: int
    project_key: int
    record_id: str
    session_id: str | None
    template_name: str | None
    template_version: str | None
    template_version_id: str | None
    environment: str | None
    provider: str
    flavor: str
    requested_model: str | None
    model: str | None
    outcome: str
    started_at: int
    latency_ms: float | None
    time_to_first_chunk_ms: float | None
    input_tokens: int | None
    output_tokens: int | None
    is_stream: bool
    error_type: str | None
    test_run_id: str | None
    api_key_id: str | None
    cost_nano_usd: int | None
    metadata: str | None
    replay_of: str | None = None
    said: Said = NOTHING_SAID

    @property
    def is_replay(self) -> bool:
        """Whether the call asked another one again."""
        return self.replay_of is not None


COLUMNS: Final = tuple(record.c[name] for name in Facts._fields if name != "said")


def facet_value(text: str) -> str:
    """A value as it is kept: one that is too long keeps its beginning, and a digest that tells it from others."""
    text = _without_nul(text)
    if len(text) <= VALUE_LIMIT:
        return text
    digest = hashlib.blake2b(text.encode(), digest_size=8).hexdigest()
    return f"{text[: VALUE_LIMIT - 17]}~{digest}"


def _without_nul(text: str) -> str:
    """A text as every database keeps it: PostgreSQL has none with the character NUL."""
    return text.replace("\0", "\ufffd")


def kept_metadata(metadata: JsonObject) -> str | None:
    """The metadata of a record as its row keeps it: a JSON object of texts or lists of them; None where it is empty.

    Kept are texts, numbers, true and false, and lists of these, under the first `METADATA_KEYS` keys that are short
    enough.
    """
    if not metadata:
        return None
    kept: dict[str, str | list[str]] = {}
    for key, value in metadata.items():
        if len(kept) == METADATA_KEYS:
            break
        if not 0 < len(key) <= METADATA_KEY_LIMIT:
            continue
        if isinstance(value, str):
            kept[key] = value if len(value) <= VALUE_LIMIT else facet_value(value)
        elif isinstance(value, (int, float)):
            kept[key] = _text(value)
        elif isinstance(value, (list, tuple)):
            texts = [_text(each) for each in value[:METADATA_VALUES] if isinstance(each, (str, int, float))]
            if texts:
                kept[key] = texts
    return to_wire(kept).decode() if kept else None


def _text(value: str | int | float) -> str:
    return facet_value(value if isinstance(value, str) else json.dumps(value))


def metadata_of(facts: Facts) -> dict[str, tuple[str, ...]]:
    """The metadata of a row: the values of each key."""
    if facts.metadata is None:
        return {}
    kept = msgspec.json.decode(facts.metadata, type=dict[str, str | list[str]])
    listed = ((key, (value,) if isinstance(value, str) else value) for key, value in kept.items())
    return {_without_nul(key): tuple(dict.fromkeys(map(_without_nul, values))) for key, values in listed}


_CHOICES: Final[dict[str, Callable[[Facts], tuple[str | None, ...]]]] = {
    "model": lambda facts: (facts.model, facts.requested_model),
    "outcome": lambda facts: (facts.outcome,),
    "template": lambda facts: (facts.template_name,),
    "version": lambda facts: (facts.template_version,),
    "version_id": lambda facts: (facts.template_version_id,),
    "environment": lambda facts: (facts.environment,),
    "provider": lambda facts: (facts.provider,),
    "flavor": lambda facts: (facts.flavor,),
    "error": lambda facts: (facts.error_type,),
    "feedback": lambda facts: (facts.said.feedback,),
    "api_key": lambda facts: (facts.api_key_id,),
    "test_run": lambda facts: (facts.test_run_id,),
    "stream": lambda facts: ("true" if facts.is_stream else "false",),
    "is_replay": lambda facts: ("true" if facts.is_replay else None,),
    ANSWERED: lambda facts: (facts.model or facts.requested_model,),
}


def values_of(facts: Facts, name: str) -> tuple[str, ...]:
    """The values that a call has in a choice; a blank one is none."""
    if name.startswith(METADATA):
        return metadata_of(facts).get(name[len(METADATA) :], ())
    if name.startswith(SCORE):
        value = facts.said.scores.get(name[len(SCORE) :])
        return () if value is None else (_text(value),)
    return tuple(dict.fromkeys(facet_value(value) for value in _CHOICES[name](facts) if value))


def facets_of(calls: Iterable[Facts]) -> Iterator[tuple[list[Facts], Iterable[FacetName]]]:
    """Every facet of calls: calls, and facets that each of them has.

    What calls that are alike have in common is put together once for all of them: most are alike in most.
    """
    by_choices: dict[tuple[object, ...], list[Facts]] = defaultdict(list)
    by_metadata: dict[str, list[Facts]] = defaultdict(list)
    for facts in calls:
        by_choices[_chosen(facts)].append(facts)
        if facts.metadata is not None:
            by_metadata[facts.metadata].append(facts)
        if facts.said is not NOTHING_SAID:
            yield [facts], said_facets_of(facts.said)
    for alike in by_choices.values():
        yield alike, _choice_facets(alike[0])
    for alike in by_metadata.values():
        yield alike, _metadata_facets(alike[0])


_chosen: Final[Callable[[Facts], tuple[object, ...]]] = attrgetter(
    "template_name",
    "template_version",
    "template_version_id",
    "environment",
    "provider",
    "flavor",
    "requested_model",
    "model",
    "outcome",
    "is_stream",
    "error_type",
    "test_run_id",
    "api_key_id",
    "is_replay",
)
"""All that the choices of a call are taken from, but for what was said of it."""


def _choice_facets(facts: Facts) -> Iterator[FacetName]:
    yield EVERY, ""
    for name in _CHOICES:
        if name != "feedback":
            for value in values_of(facts, name):
                yield name, value


def _metadata_facets(facts: Facts) -> Iterator[FacetName]:
    for key, values in metadata_of(facts).items():
        yield HAS, METADATA + key
        for value in values:
            yield METADATA + key, value


def said_facets_of(said: Said) -> Iterator[FacetName]:
    """The facets that come from what was said of a call."""
    if said.feedback:
        yield "feedback", said.feedback
    for name, value in said.scores.items():
        yield HAS, SCORE + name
        yield SCORE + name, _text(value)


_SCALES: Final = {
    "latency_ms": 1_000.0,
    "time_to_first_chunk_ms": 1_000.0,
    "cost_usd": 1e9,
    "input_tokens": 1.0,
    "output_tokens": 1.0,
    "tokens": 1.0,
}
NUMBERS: Final = (*_SCALES, "started_at")
"""The names of the numbers that are kept as columns."""


def scaled(name: str, number: float) -> int:
    """A number in its field's unit, as the whole number that is kept: microseconds, nano-dollars, tokens."""
    return round(number * _SCALES[name])


def unscaled(name: str, kept: int) -> float:
    """The number in its field's unit."""
    return kept / _SCALES[name]


def number_of(facts: Facts, name: str) -> int | None:
    """A number of a call as it is kept, from 0 to `NUMBER_LIMIT`; moments in milliseconds since 1970."""
    if name == "started_at":
        number: float | None = facts.started_at // 1_000
    elif name == "cost_usd":
        number = facts.cost_nano_usd
    elif name == "tokens":
        counts = [count for count in (facts.input_tokens, facts.output_tokens) if count is not None]
        number = sum(counts) if counts else None
    else:
        said: float | None = getattr(facts, name)
        number = None if said is None else min(said, float(NUMBER_LIMIT)) * _SCALES[name]
    return None if number is None else min(max(round(number), 0), NUMBER_LIMIT)
