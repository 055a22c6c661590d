"""Which calls: one small algebra that every list, chart, search and export is narrowed with.

A filter is a `Term` (a field, an operator, a value), or filters put together by `AllOf`, `AnyOf` and `Not`. What people
type, what Freeplay's clients send and what stands in an address are each read into it (`filter_text`, `filter_json`).
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Final, Literal, TypeAlias, get_args

import attrs

from freeplay_like.server.store.views import Refused

Op = Literal["eq", "lt", "gt", "lte", "gte", "contains", "exists"]
"""How a term compares. `ne` and `between` are read into `Not` and `AllOf`."""

OPS: Final[tuple[str, ...]] = get_args(Op)

Kind = Literal["choice", "number", "time", "text", "key"]
"""What a field holds: one of few values; a number; a moment; any text; an id."""

DEPTH_LIMIT: Final = 10
"""How deep filters may lie in one another."""
TERMS_LIMIT: Final = 50
"""The most terms of one filter."""
VALUE_LIMIT: Final = 1_000
"""The most characters of a value."""
NUMBER_LIMIT: Final = 1e15
"""No value that is compared is larger."""

METADATA: Final = "metadata."
SCORE: Final = "score."


class BadFilter(Refused):
    """A filter that makes no sense; `field` is the one it speaks of, "" where it speaks of none."""

    def __init__(self, message: str, field: str = "") -> None:
        super().__init__(message)
        self.field = field


@attrs.frozen(kw_only=True)
class Field:
    """Something a call can be found by. `unit` is what its numbers are counted in."""

    name: str
    kind: Kind
    about: str
    unit: str = ""


@attrs.frozen
class Term:
    """One comparison. Made by `term`, which checks it and brings the value into the field's own form.

    `value` is text for a choice, a key or a text, a float in the field's unit for a number, an aware moment in UTC for
    a time; True for `exists`.
    """

    field: str
    op: Op
    value: str | float | datetime | bool


@attrs.frozen
class AllOf:
    """Every part holds. Without parts: every call."""

    parts: tuple[Filter, ...] = ()


@attrs.frozen
class AnyOf:
    """At least one part holds. Without parts: no call."""

    parts: tuple[Filter, ...] = ()


@attrs.frozen
class Not:
    """The part does not hold; so a call that has no value at all is found too."""

    part: Filter


Filter: TypeAlias = Term | AllOf | AnyOf | Not

EVERYTHING: Final = AllOf()

_FIELDS: Final = (
    Field(name="model", kind="choice", about="the model that answered, or the one that was asked for"),
    Field(name="outcome", kind="choice", about="how the call ended: complete, error, ..."),
    Field(name="template", kind="choice", about="the name of the prompt template"),
    Field(name="version", kind="choice", about="the label of the template's version"),
    Field(name="version_id", kind="choice", about="the id of the template's version"),
    Field(name="environment", kind="choice", about="the environment the template was asked for in"),
    Field(name="provider", kind="choice", about="who answered: openai, anthropic, ..."),
    Field(name="flavor", kind="choice", about="the wire format: openai_chat, ..."),
    Field(name="error", kind="choice", about="the type of the error"),
    Field(name="feedback", kind="choice", about="the last thumb a person gave: positive or negative"),
    Field(name="api_key", kind="choice", about="the id of the API key the record came with"),
    Field(name="test_run", kind="choice", about="the id of the test run"),
    Field(name="stream", kind="choice", about="true or false"),
    Field(name="is_replay", kind="choice", about="true where the call asked another one again"),
    Field(name="latency_ms", kind="number", unit="ms", about="how long the whole call took"),
    Field(name="time_to_first_chunk_ms", kind="number", unit="ms", about="how long until the first piece came"),
    Field(name="cost_usd", kind="number", unit="USD", about="what the call cost"),
    Field(name="input_tokens", kind="number", unit="tokens", about="tokens that went in"),
    Field(name="output_tokens", kind="number", unit="tokens", about="tokens that came out"),
    Field(name="tokens", kind="number", unit="tokens", about="both together"),
    Field(name="started_at", kind="time", about="when the call began"),
    Field(name="session", kind="key", about="the id of the session"),
    Field(name="trace", kind="key", about="the id of the trace"),
    Field(name="record", kind="key", about="the id of the call itself"),
    Field(name="test_case", kind="key", about="the id of the test case"),
    Field(name="replay_of", kind="key", about="the id of the call that was asked again"),
    Field(name="template_id", kind="key", about="the id of the prompt template"),
    Field(name="agent", kind="key", about="the name of the agent of the call's trace"),
    Field(name="reviewed_by", kind="key", about="the name of somebody who reviewed the call"),
    Field(name="good_by", kind="key", about="the name of somebody who found the answer good"),
    Field(name="bad_by", kind="key", about="the name of somebody who found the answer bad"),
    Field(name="text", kind="text", about="prompt, answer, error and metadata"),
    Field(name="input", kind="text", about="the messages that went in"),
    Field(name="output", kind="text", about="the answer, or the error"),
)
FIELDS: Final = {field.name: field for field in _FIELDS}
"""Every field but the open ones, `metadata.<key>` and `score.<name>`."""

_ALIASES: Final = {
    "agent_name": "agent",
    "api_key_id": "api_key",
    "completion": "output",
    "completion_id": "record",
    "completion_text": "output",
    "content": "text",
    "customer_feedback": "feedback",
    "end_user_feedback": "feedback",
    "env": "environment",
    "error_type": "error",
    "flavor_name": "flavor",
    "id": "record",
    "inputs": "input",
    "model_name": "model",
    "prompt": "template",
    "prompt_name": "template",
    "prompt_template": "template",
    "prompt_template_id": "template_id",
    "prompt_template_name": "template",
    "prompt_template_version_id": "version_id",
    "provider_name": "provider",
    "record_id": "record",
    "session_id": "session",
    "start_time": "started_at",
    "status": "outcome",
    "test_case_id": "test_case",
    "test_run_id": "test_run",
    "total_tokens": "tokens",
    "trace_id": "trace",
}
_SCALED: Final = {
    "cost": ("cost_usd", 1.0),
    "latency": ("latency_ms", 1_000.0),
    "time_to_first_chunk": ("time_to_first_chunk_ms", 1_000.0),
    "ttft": ("time_to_first_chunk_ms", 1_000.0),
}
"""Names whose numbers are counted in another unit: latencies without a unit in the name are seconds."""
_OPEN: Final = {
    METADATA: Field(name=METADATA, kind="choice", about="a value of the record's metadata"),
    "custom_metadata.": Field(name=METADATA, kind="choice", about="a value of the record's metadata"),
    SCORE: Field(name=SCORE, kind="choice", about="the last value of a score"),
    "evaluation_results.": Field(name=SCORE, kind="choice", about="the last value of a score"),
    "eval_results.": Field(name=SCORE, kind="choice", about="the last value of a score"),
}
_UNENCODABLE: Final = re.compile("[\ud800-\udfff]")


def find_field(name: str) -> tuple[Field, float]:
    """The field that a name means, and what its numbers are multiplied with.

    Raises:
        BadFilter: there is none; the message lists those there are.
    """
    canonical, scale = _SCALED.get(name, (_ALIASES.get(name, name), 1.0))
    if canonical in FIELDS:
        return FIELDS[canonical], scale
    for prefix, field in _OPEN.items():
        if name.startswith(prefix) and len(name) > len(prefix):
            return attrs.evolve(field, name=field.name + name[len(prefix) :]), 1.0
    known = ", ".join((*FIELDS, f"{METADATA}<key>", f"{SCORE}<name>"))
    raise BadFilter(f"there is no field {name[:100]!r} to filter by; there are {known}", field=name[:100])


def term(name: str, op: str, value: object = True) -> Filter:
    """A comparison of a field, checked. `ne` gives a `Not`, `between` (a list of two) an `AllOf`.

    Raises:
        BadFilter: no such field or operator, or a value that the field cannot have.
    """
    field, scale = find_field(name)
    if op == "ne":
        return Not(term(name, "eq", value))
    if op == "between":
        if not (isinstance(value, (list, tuple)) and len(value) == 2):
            raise BadFilter(f"{name}: between takes a list of two values, not {_shown(value)}", name)
        return AllOf((term(name, "gte", value[0]), term(name, "lte", value[1])))
    for known in get_args(Op):
        if op == known:
            return _term(name, field, scale, known, value)
    raise BadFilter(f"{name}: there is no operator {op[:50]!r}; there are {', '.join((*OPS, 'ne', 'between'))}", name)


def _term(name: str, field: Field, scale: float, op: Op, value: object) -> Filter:
    takes = _OPS_OF[field.kind]
    if op not in takes:
        raise BadFilter(f"{name} cannot be compared with {op!r}; it takes {', '.join(takes)}", name)
    if op == "exists":
        if not isinstance(value, bool):
            raise BadFilter(f"{name}: exists takes true or false, not {_shown(value)}", name)
        found = Term(field.name, op, True)
        return found if value else Not(found)
    if field.kind == "number":
        return Term(field.name, op, _number(name, value) * scale)
    if field.kind == "time":
        return Term(field.name, op, _moment(name, value))
    return Term(field.name, op, _text(name, value))


_OPS_OF: Final[dict[Kind, tuple[Op, ...]]] = {
    "choice": ("eq", "contains", "lt", "gt", "lte", "gte", "exists"),
    "number": ("eq", "lt", "gt", "lte", "gte", "exists"),
    "time": ("eq", "lt", "gt", "lte", "gte"),
    "text": ("contains",),
    "key": ("eq",),
}


def _number(name: str, value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        raise BadFilter(f"{name}: {_shown(value)} is not a number", name)
    try:
        number = float(value)
    except (ValueError, OverflowError) as exc:
        raise BadFilter(f"{name}: {_shown(value)} is not a number", name) from exc
    if not math.isfinite(number) or abs(number) > NUMBER_LIMIT:
        raise BadFilter(f"{name}: {_shown(value)} is beyond what is compared, {NUMBER_LIMIT:g}", name)
    return number


def _moment(name: str, value: object) -> datetime:
    """A moment from a date, a date and time (UTC where no zone is said), or seconds since 1970."""
    try:
        if isinstance(value, str):
            moment = datetime.fromisoformat(value)
        elif isinstance(value, (int, float)) and not isinstance(value, bool):
            moment = datetime.fromtimestamp(value, UTC)
        else:
            raise ValueError("neither text nor a number")
        moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError, OSError) as exc:
        raise BadFilter(f"{name}: {_shown(value)} is not a time; write it as 2026-01-31T09:30:00Z", name) from exc
    if moment.year < 1970:
        raise BadFilter(f"{name}: {_shown(value)} is before 1970", name)
    return moment


def _text(name: str, value: object) -> str:
    if isinstance(value, bool):
        value = "true" if value else "false"
    if isinstance(value, float) and value.is_integer() and abs(value) < NUMBER_LIMIT:
        value = int(value)
    if not isinstance(value, (str, int, float)):
        raise BadFilter(f"{name}: {_shown(value)} is not a text, a number, true or false", name)
    if isinstance(value, int) and value.bit_length() > 64:
        raise BadFilter(f"{name}: the number is beyond what is compared, {NUMBER_LIMIT:g}", name)
    text = str(value)
    if not text:
        raise BadFilter(f"{name}: the value is empty", name)
    if len(text) > VALUE_LIMIT:
        raise BadFilter(f"{name}: the value has {len(text)} characters; at most {VALUE_LIMIT} are compared", name)
    if "\0" in text or _UNENCODABLE.search(text):
        raise BadFilter(f"{name}: {_shown(text)} holds a character that no text has (NUL, or half of a pair)", name)
    return text


def _shown(value: object) -> str:
    if isinstance(value, int) and value.bit_length() > 128:
        return "a number of that many digits"
    shown = repr(value)
    return ascii(shown if len(shown) <= 60 else f"{shown[:60]}...")[1:-1]


def all_of(parts: Iterable[Filter]) -> Filter:
    """Every part holds, in the plainest form: no part that is itself an `AllOf`, no `AllOf` of one."""
    flat = [each for part in parts for each in (part.parts if isinstance(part, AllOf) else (part,))]
    return flat[0] if len(flat) == 1 else AllOf(tuple(flat))


def any_of(parts: Iterable[Filter]) -> Filter:
    """At least one part holds, in the plainest form."""
    flat = [each for part in parts for each in (part.parts if isinstance(part, AnyOf) else (part,))]
    return flat[0] if len(flat) == 1 else AnyOf(tuple(flat))


def not_(part: Filter) -> Filter:
    """The part does not hold, in the plainest form."""
    return part.part if isinstance(part, Not) else Not(part)


def plain(filter: Filter) -> Filter:
    """The same filter in its plainest form."""
    if isinstance(filter, Term):
        return filter
    if isinstance(filter, Not):
        return not_(plain(filter.part))
    if isinstance(filter, AllOf):
        return all_of(map(plain, filter.parts))
    return any_of(map(plain, filter.parts)) if filter.parts else Not(EVERYTHING)


def check_size(filter: Filter) -> Filter:
    """The filter itself, where it is small enough to be answered.

    Raises:
        BadFilter: it has too many terms, or is too deep.
    """
    count = sum(1 for _ in terms_of(filter, DEPTH_LIMIT))
    if count > TERMS_LIMIT:
        raise BadFilter(f"the filter has {count} comparisons; at most {TERMS_LIMIT} are answered")
    return filter


def terms_of(filter: Filter, depth: int = DEPTH_LIMIT) -> Iterable[Term]:
    """Every term of a filter.

    Raises:
        BadFilter: the filter is deeper than `depth`.
    """
    if depth < 0:
        raise BadFilter(f"the filter is more than {DEPTH_LIMIT} levels deep; write it flatter")
    if isinstance(filter, Term):
        yield filter
    elif isinstance(filter, Not):
        yield from terms_of(filter.part, depth - 1)
    else:
        for part in filter.parts:
            yield from terms_of(part, depth - 1)
