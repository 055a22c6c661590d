"""What is taken out of a record or an amendment before it is written anywhere: the one gate to disk and wire.

Provider keys and authorization headers always go. A user's hook may take out more; where it fails, everything
that could hold content goes, and only what says how the call went is kept.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Final

import attrs

from freeplay_like.core.completion import Choice
from freeplay_like.core.parameters import ParameterSetting
from freeplay_like.core.records import Amendment, ErrorInfo, Record, ScoreValue
from freeplay_like.core.wire import JsonObject, JsonValue, from_wire, to_wire
from freeplay_like.recording.base import Redact
from freeplay_like.recording.frames import MAX_FRAME_BYTES
from freeplay_like.recording.troubles import Troubles

MASK: Final = "[redacted]"
_MASK_BYTES: Final = MASK.encode()
_SECRET_NAMES: Final = frozenset(
    {
        "authorization",
        "proxy-authorization",
        "api-key",
        "api_key",
        "apikey",
        "x-api-key",
        "x-goog-api-key",
        "cookie",
        "set-cookie",
    }
)


def _searches(*hints: bytes) -> tuple[Callable[[bytes], object], ...]:
    """What finds each hint. In JSON of some KB a pattern of one literal takes half the time that `in` takes."""
    return tuple(re.compile(re.escape(hint)).search for hint in hints)


_NAME_HINTS: Final = _searches(b'authorization"', b'key"', b'cookie"')

# A key may stand at the start of a JSON text or after an escape such as \n, whose last letter is no part of a word.
_BEFORE: Final = rb"(?:(?<![A-Za-z0-9])|(?<=\\[bfnrt])|(?<=\\u[0-9a-fA-F]{4}))"
_SHAPES: Final = re.compile(
    _BEFORE
    + rb"(?:sk-[A-Za-z0-9_-]{16,}"  # OpenAI, Anthropic and most of those compatible with them
    + rb"|AKIA[A-Z0-9]{16}"  # AWS
    + rb"|AIza[A-Za-z0-9_-]{30,}"  # Google
    + rb"|[Bb]earer [A-Za-z0-9._~+/=-]{20,})"
)
_SHAPE_HINTS: Final = _searches(b"sk-", b"AKIA", b"AIza", b"earer ")

# In errors and addresses a short key is a key too, and there is no prose to spare.
_TEXT_RULES: Final = (
    (re.compile(r"(?i)\b(bearer|basic)\s+[^\s\"',;]+"), rf"\1 {MASK}"),
    (re.compile(r"\bsk-[A-Za-z0-9_*.-]{4,}"), MASK),
    (re.compile(r"\b(?:AKIA|ASIA)[A-Z0-9]{12,}"), MASK),
    (re.compile(r"\bAIza[A-Za-z0-9_-]{10,}"), MASK),
    (
        re.compile(r"(?i)\b((?:x-)?(?:goog-)?api[-_]?key|authorization|cookie)(['\"]?\s*[:=]\s*['\"]?)[^\s\"',;}]+"),
        rf"\1\2{MASK}",
    ),
    (re.compile(r"(?i)([?&](?:api[-_]?key|key|access_token|token|sig|signature)=)[^&\s\"'#]+"), rf"\1{MASK}"),
    (re.compile(r"(://)[^/\s@:]*(?::[^/\s@]*)?@"), rf"\1{MASK}@"),
)


def mask_text(text: str) -> str:
    """An error's text or an address without its secrets."""
    for pattern, replacement in _TEXT_RULES:
        text = pattern.sub(replacement, text)
    return text


@functools.lru_cache(maxsize=64)
def _masked_endpoint(endpoint: str) -> str:
    """A program asks few providers, and each of them with every call."""
    return mask_text(endpoint)


def mask_bytes(data: bytes) -> bytes:
    """JSON without what has the shape of a provider's key. The mask needs no escape, so that it stays JSON."""
    if any(search(data) for search in _SHAPE_HINTS):
        return _SHAPES.sub(_MASK_BYTES, data)
    return data


def mask_headers(value: JsonValue) -> JsonValue:
    """The same JSON value, with the mask in place of whatever stands under the name of a secret header."""
    if isinstance(value, Mapping):
        return {
            key: MASK if isinstance(key, str) and key.lower() in _SECRET_NAMES else mask_headers(item)
            for key, item in value.items()
        }
    if isinstance(value, Sequence) and not isinstance(value, (str, bytes)):
        return [mask_headers(item) for item in value]
    return value


def without_contents(record: Record, reason: str) -> Record:
    """What is left when contents must not be kept: ids, names, models, timings, outcome and counts.

    `reason` is kept in the metadata, under `redaction`.
    """
    error, usage = record.error, record.usage
    return attrs.evolve(
        record,
        messages=(),
        variables={},
        metadata={"redaction": reason},
        request=None,
        parameters={
            name: attrs.evolve(setting, overrode=())
            for name, setting in record.parameters.items()
            if isinstance(setting.value, (bool, int, float))
        },
        choices=tuple(
            Choice(index=c.index, finish_reason=c.finish_reason, finish_reason_raw=c.finish_reason_raw)
            for c in record.choices
        ),
        usage=None if usage is None else attrs.evolve(usage, raw=None),
        error=None if error is None else attrs.evolve(error, message=MASK, cause=None),
        attempts=tuple(attrs.evolve(attempt, message=MASK) for attempt in record.attempts),
    )


def without_comments(amendment: Amendment, reason: str) -> Amendment:
    """What is left of an amendment when contents must not be kept: ids, the thumb, and scores that are no text."""
    return attrs.evolve(
        amendment,
        comments={"redaction": reason},
        scores={name: score for name, score in amendment.scores.items() if not isinstance(score, str)},
        new_messages=(),
    )


@attrs.frozen
class Redactor:
    """Records and amendments in, JSON out that may be written.

    `hook` is the user's; `own_key` the backend's key, which no record may carry whatever its shape.
    """

    troubles: Troubles
    hook: Redact | None = None
    own_key: str = ""

    @property
    def keeps_progress(self) -> bool:
        """Whether the text of a call may be written while it runs: a hook has not seen it yet, so not with one."""
        return self.hook is None

    def record_json(self, record: Record) -> bytes:
        """The record's JSON. Never raises: what cannot be written whole is written without its contents."""
        try:
            data = self.mask(self._encoded(self._with_errors_masked(self._hooked(record))))
            if len(data) < MAX_FRAME_BYTES // 2:
                return data
            reason = f"the record was too large to keep ({len(data)} bytes)"
        except Exception as exc:  # noqa: BLE001 - a record that cannot be written whole is kept without its contents
            reason = f"the record could not be written ({type(exc).__name__})"
        self.troubles.note("contents", f"record {record.record_id!r} is kept without its contents: {reason}")
        return self.mask(to_wire(without_contents(self._with_errors_masked(record), reason)))

    def amendment_json(self, amendment: Amendment) -> bytes:
        """The amendment's JSON. Never raises, in the same way."""
        try:
            kept = self._hooked_amendment(amendment)
            data = to_wire(kept)
            lowered = data.lower()
            if any(search(lowered) for search in _NAME_HINTS):
                data = to_wire({**from_wire(data, dict), "comments": mask_headers(kept.comments)})
            data = self.mask(data)
            if len(data) < MAX_FRAME_BYTES // 2:
                return data
            reason = f"the amendment was too large to keep ({len(data)} bytes)"
        except Exception as exc:  # noqa: BLE001 - what cannot be written whole is kept without its contents
            reason = f"the amendment could not be written ({type(exc).__name__})"
        self.troubles.note(
            "contents", f"what was said of record {amendment.record_id!r} is kept without its contents: {reason}"
        )
        return self.mask(to_wire(without_comments(amendment, reason)))

    def progress_text(self, text: str) -> str:
        """The text of a call that runs, as it may be written."""
        return self.mask(text.encode("utf-8", "surrogatepass")).decode("utf-8", "surrogatepass")

    def mask(self, data: bytes) -> bytes:
        """JSON bytes without what has the shape of a key."""
        key = self.own_key.encode()
        if key and key in data:
            data = data.replace(key, _MASK_BYTES)
        return mask_bytes(data)

    def _hooked(self, record: Record) -> Record:
        if self.hook is None:
            return record
        kept = self._asked(self.hook, record)
        if isinstance(kept, Record):
            return attrs.evolve(kept, record_id=record.record_id, project_id=record.project_id)
        return without_contents(record, kept)

    def _hooked_amendment(self, amendment: Amendment) -> Amendment:
        """A hook knows records, so it is shown what is free in the amendment as one."""
        texts = {name: score for name, score in amendment.scores.items() if isinstance(score, str)}
        if self.hook is None or not (texts or amendment.comments or amendment.new_messages):
            return amendment
        shown = Record(
            record_id=amendment.record_id,
            project_id=amendment.project_id,
            started_at=amendment.made_at,
            messages=amendment.new_messages,
            metadata=amendment.comments,
            variables=dict(texts),
        )
        kept = self._asked(self.hook, shown)
        if not isinstance(kept, Record):
            return without_comments(amendment, kept)
        scores: dict[str, ScoreValue] = {n: score for n, score in amendment.scores.items() if n not in texts}
        scores |= {n: text for n, text in kept.variables.items() if n in texts and isinstance(text, str)}
        return attrs.evolve(amendment, comments=kept.metadata, scores=scores, new_messages=kept.messages)

    def _asked(self, hook: Redact, record: Record) -> Record | str:
        """What the hook wants to be kept; the reason where it let nothing through."""
        try:
            kept = hook(record)
        except Exception as exc:  # noqa: BLE001 - a hook that fails must not let contents through, nor fail the call
            self.troubles.note("hook", f"the redact hook raised {type(exc).__name__}; contents were dropped")
            return f"the redact hook raised {type(exc).__name__}"
        return kept if isinstance(kept, Record) else "the redact hook gave nothing back"

    @staticmethod
    def _with_errors_masked(record: Record) -> Record:
        endpoint = None if record.endpoint is None else _masked_endpoint(record.endpoint)
        if record.error is None and endpoint == record.endpoint and not record.attempts:
            return record
        return attrs.evolve(
            record,
            error=None if record.error is None else _masked_error(record.error),
            endpoint=endpoint,
            attempts=tuple(attrs.evolve(attempt, message=mask_text(attempt.message)) for attempt in record.attempts),
        )

    @staticmethod
    def _encoded(record: Record) -> bytes:
        data = to_wire(record)
        lowered = data.lower()
        if any(search(lowered) for search in _NAME_HINTS):
            values: JsonObject = from_wire(data, dict)
            masked = {name: mask_headers(values[name]) for name in ("request", "metadata", "headers")}
            parameters = {name: _masked_parameter(name, value) for name, value in record.parameters.items()}
            data = to_wire({**values, **masked, "parameters": parameters})
        return data


def _masked_parameter(name: str, setting: ParameterSetting) -> ParameterSetting:
    """Extra headers come as parameters too."""
    if name.lower() in _SECRET_NAMES:
        return attrs.evolve(setting, value=MASK, overrode=())
    overrode = tuple(attrs.evolve(before, value=mask_headers(before.value)) for before in setting.overrode)
    return attrs.evolve(setting, value=mask_headers(setting.value), overrode=overrode)


def _masked_error(error: ErrorInfo) -> ErrorInfo:
    cause = None if error.cause is None else mask_text(error.cause)
    return attrs.evolve(error, message=mask_text(error.message), cause=cause)
