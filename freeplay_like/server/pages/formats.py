"""How values are written for people. Pure; `now` is handed in."""

from __future__ import annotations

import re
from datetime import datetime
from decimal import Decimal
from math import floor, log10
from typing import Final

import msgspec

from freeplay_like.core.records import Outcome, Record
from freeplay_like.core.wire import MAX_DEPTH, JsonValue, to_wire

MISSING = "\N{EN DASH}"
"""Stands where nothing is known."""

_STEPS = ((60, 1, "s"), (3600, 60, "min"), (86400, 3600, "h"), (86400 * 30, 86400, "d"))

_EXPLANATIONS: dict[Outcome, str] = {
    "complete": "The model ran to its natural end.",
    "truncated": "The model hit a length limit: the answer stops in the middle.",
    "refused": "The model, or a filter of the provider's, declined to answer.",
    "cancelled": "The caller closed the stream before its end: this is what had been delivered.",
    "abandoned": "The caller dropped the stream without closing it: this is what had been delivered.",
    "interrupted": "The stream ended without saying that it was finished: this is what had arrived.",
    "error": "The provider, or the way there, failed.",
}


def explanation_of(record: Record) -> str:
    """How the call ended, in one sentence."""
    if record.outcome == "interrupted" and record.ended_at is None:
        if not record.text:  # a batch call is recorded like this too, until its answer is added
            return "No answer has arrived: it is still to come, or the process ended before."
        return "The process ended before the call did: this is what had arrived."
    if record.outcome == "complete" and any(choice.finish_reason == "tool_calls" for choice in record.choices):
        return "The model asked for tools."
    if record.outcome == "error" and record.text:
        return "The provider, or the way there, failed in the middle: this is what had arrived."
    return _EXPLANATIONS[record.outcome]


def ago(then: datetime, now: datetime) -> str:
    """How long ago: `12 s ago`, `3 min ago`, `5 h ago`, `2 d ago`, or the date."""
    seconds = (now - then).total_seconds()
    if seconds < 1:
        return "now"
    for below, unit, name in _STEPS:
        if seconds < below:
            return f"{int(seconds // unit)} {name} ago"
    return then.strftime("%Y-%m-%d")


def exact(then: datetime) -> str:
    """To the millisecond, in UTC."""
    return f"{then:%Y-%m-%d %H:%M:%S}.{then.microsecond // 1000:03d} UTC"


def duration(ms: float | None) -> str:
    """`0.4 ms`, `840 ms`, `1.24 s`, `2 min 03 s`."""
    if ms is None:
        return MISSING
    if ms < 10:
        return f"{ms:.1f} ms"
    if ms < 999.5:
        return f"{ms:.0f} ms"
    if ms < 59_995:
        return f"{ms / 1000:.2f} s"
    minutes, seconds = divmod(round(ms / 1000), 60)
    return f"{minutes} min {seconds:02d} s"


def count(number: float | None) -> str:
    """With thousands apart: `1,234`."""
    return MISSING if number is None else f"{number:,.0f}"


def compact(number: float) -> str:
    """In four places or so: `9,211`, `38.4k`, `1.25M`."""
    for unit, letter in ((1e9, "G"), (1e6, "M"), (1e4, "k")):
        if number >= unit:
            scale = 1e3 if letter == "k" else unit
            return f"{number / scale:.{2 if number < 10 * scale else 1 if number < 1000 * scale else 0}f}{letter}"
    return count(number)


def dollars(nano_usd: int | None) -> str:
    """Cents, and what is less than a dime with two digits that say something: `$12.30`, `$0.0035`, `$0`."""
    if nano_usd is None:
        return MISSING
    if nano_usd == 0:
        return "$0"
    usd = nano_usd / 1_000_000_000
    return f"${usd:,.{max(2, 1 - floor(log10(usd)))}f}"


def size(number: float) -> str:
    """Bytes as people say them: `812 B`, `1.2 kB`, `35 MB`."""
    for unit in ("B", "kB", "MB"):
        if number < 999.5:
            return f"{number:.1f} {unit}" if unit != "B" and number < 9.95 else f"{number:.0f} {unit}"
        number /= 1000
    return f"{number:.1f} GB"


def clipped(text: str, limit: int) -> str:
    """The beginning of a text, with a sign where more was left out."""
    return text if len(text) <= limit else f"{text[:limit]}…"


def amount(usd: Decimal) -> str:
    """Dollars to the last digit that is not nothing, cents at least: `0.15`, `3.00`, `0.0000345`."""
    whole, _, rest = f"{usd:f}".partition(".")
    return f"{int(whole):,}.{rest.rstrip('0').ljust(2, '0')}"


def rate(number: float | None) -> str:
    """One decimal where it says something: `7.4`, `123`."""
    if number is None:
        return MISSING
    return f"{number:,.1f}" if number < 100 else f"{number:,.0f}"


def output_tokens_per_s(record: Record) -> float | None:
    """Output tokens a second, counted from the first chunk of a stream; None where that cannot be known."""
    tokens = record.usage.output_tokens if record.usage else None
    if tokens is None or record.latency_ms is None:
        return None
    elapsed_ms = record.latency_ms - (record.time_to_first_chunk_ms or 0.0 if record.is_stream else 0.0)
    return tokens * 1000 / elapsed_ms if elapsed_ms > 0 else None


def pretty(value: JsonValue) -> str:
    """JSON for people: two spaces a level, characters as they are."""
    return indented(to_wire(value)).decode()


_STRING: Final = re.compile(rb'"(?:[^"\\]|\\.)*"')
_NOT_BRACKETS: Final = bytes(byte for byte in range(256) if byte not in b"[]{}")


def indented(data: bytes) -> bytes:
    """JSON with two spaces a level; as it is where it nests deeper than anything a person reads.

    A few kilobytes of brackets would otherwise become hundreds of megabytes of spaces.
    """
    brackets = _STRING.sub(b"", data).translate(None, _NOT_BRACKETS)
    for _ in range(MAX_DEPTH):  # each time the innermost level goes
        if not brackets:
            return msgspec.json.format(data, indent=2)
        brackets = brackets.replace(b"[]", b"").replace(b"{}", b"")
    return data


def pretty_text(text: str) -> str:
    """JSON text for people; text that is not JSON stays as it is."""
    return laid_out(text) or text


def laid_out(text: str) -> str | None:
    """JSON text with its lines; None where it is not JSON."""
    data = text.encode(errors="replace")
    try:
        msgspec.json.decode(data, type=msgspec.Raw)
        return indented(data).decode()
    except (msgspec.DecodeError, RecursionError):
        return None


def inline(value: JsonValue) -> str:
    """A value in one line: text as it is, everything else as JSON."""
    return value if isinstance(value, str) else to_wire(value).decode()
