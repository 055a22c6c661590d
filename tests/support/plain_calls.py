"""What lists, counts, charts and searches must answer, worked out in the plainest way: one record after another."""

from __future__ import annotations

import json
import math
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import datetime

import attrs

from freeplay_like.core.records import Amendment, Record
from freeplay_like.server.store.derived.filters import AllOf, AnyOf, Filter, Not, Term


@attrs.define
class PlainCall:
    """A stored call, and what was said of it."""

    seq: int
    record: Record
    cost_nano_usd: int | None = None
    amendments: list[Amendment] = attrs.field(factory=list)

    def said(self) -> list[Amendment]:
        return sorted(self.amendments, key=lambda said: (said.made_at, said.amendment_id))


def plain_text(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def values(call: PlainCall, field: str) -> set[str]:
    record = call.record
    template = record.template
    if field.startswith("metadata."):
        value = record.metadata.get(field.removeprefix("metadata."))
        found = value if isinstance(value, list) else [value]
        return {plain_text(each) for each in found if each is not None}
    if field.startswith("score."):
        scores: dict[str, object] = {}
        for said in call.said():
            scores.update(said.scores)
        name = field.removeprefix("score.")
        return {plain_text(scores[name])} if name in scores else set()
    if field == "feedback":
        thumbs = [said.feedback for said in call.said() if said.feedback]
        return {thumbs[-1]} if thumbs else set()
    known: dict[str, Sequence[str | None]] = {
        "model": (record.model, record.requested_model),
        "outcome": (record.outcome,),
        "template": (template and template.name,),
        "version": (template and template.version,),
        "environment": (template and template.environment,),
        "provider": (record.provider,),
        "error": (record.error and record.error.type,),
        "session": (record.session_id,),
        "stream": ("true" if record.is_stream else "false",),
    }
    return {value for value in known[field] if value}


def number(call: PlainCall, field: str) -> float | None:
    record, usage = call.record, call.record.usage
    counts = (usage.input_tokens, usage.output_tokens) if usage else (None, None)
    known = [count for count in counts if count is not None]
    return {
        "latency_ms": record.latency_ms,
        "time_to_first_chunk_ms": record.time_to_first_chunk_ms,
        "cost_usd": None if call.cost_nano_usd is None else call.cost_nano_usd / 1e9,
        "input_tokens": counts[0],
        "output_tokens": counts[1],
        "tokens": sum(known) if known else None,
    }[field]


def folded(text: str) -> str:
    once = unicodedata.normalize("NFKC", text).casefold()
    return " ".join(unicodedata.normalize("NFKC", once).split())


def texts(call: PlainCall, field: str) -> list[str]:
    record = call.record
    output = [choice.text for choice in record.choices]
    output += [record.error.message, record.error.type] if record.error else []
    asked = [message.text for message in record.messages]
    known = [
        f"{name}: {each if isinstance(each, str) else json.dumps(each, separators=(',', ':'))}"
        for name, each in record.metadata.items()
    ]
    return {"output": output, "input": asked, "text": [*output, *asked, *known]}[field]


def holds(call: PlainCall, filter: Filter) -> bool:
    if isinstance(filter, AllOf):
        return all(holds(call, part) for part in filter.parts)
    if isinstance(filter, AnyOf):
        return any(holds(call, part) for part in filter.parts)
    if isinstance(filter, Not):
        return not holds(call, filter.part)
    return _term_holds(call, filter)


def _term_holds(call: PlainCall, term: Term) -> bool:
    if term.field in ("text", "input", "output"):
        return any(folded(str(term.value)) in folded(text) for text in texts(call, term.field))
    if isinstance(term.value, datetime):
        return _compared(call.record.started_at, term.op, term.value)
    if isinstance(term.value, float):
        own = number(call, term.field)
        return own is not None and _compared(round(own, 9), term.op, round(term.value, 9))
    found = values(call, term.field)
    if term.op == "exists":
        return bool(found)
    if term.op == "contains":
        return any(folded(str(term.value)) in folded(value) for value in found)
    return str(term.value) in found


def _compared(own: object, op: str, other: object) -> bool:
    return {
        "eq": lambda: own == other,
        "lt": lambda: own < other,  # type: ignore[operator]
        "gt": lambda: own > other,  # type: ignore[operator]
        "lte": lambda: own <= other,  # type: ignore[operator]
        "gte": lambda: own >= other,  # type: ignore[operator]
    }[op]()


def rank(numbers: Iterable[float | None], share: float) -> float | None:
    ordered = sorted(number for number in numbers if number is not None)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)] if ordered else None


def counts(calls: Iterable[PlainCall], field: str) -> Counter[str]:
    return Counter(value for call in calls for value in values(call, field))
