"""JSON in and out: the one codec that the journal, delivery, intake and store share.

attrs classes are encoded and decoded by msgspec as they are: validators run, unknown fields are ignored (an
older reader takes a newer writer's records), and a wrong type is named by its path.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Final, TypeAlias, TypeVar

import msgspec

JsonValue: TypeAlias = object
"""Any JSON value: None, bool, int, float, str, list or dict of them. `object`, so that it is looked into
before it is used."""

JsonObject: TypeAlias = dict[str, object]
"""A JSON object."""

MAX_DEPTH: Final = 100

T = TypeVar("T")

_encoder = msgspec.json.Encoder()
_decoders: dict[type, msgspec.json.Decoder[object]] = {}


class WireError(ValueError):
    """The bytes are not the JSON that was expected; the message names the field."""


def _mended(value: object, depth: int = 0) -> object:
    """The same value as plain JSON can hold it: lone surrogates replaced, keys made text, nesting cut short."""
    if isinstance(value, str):
        return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if depth > MAX_DEPTH:
        return f"<nested deeper than {MAX_DEPTH}>"
    fields = getattr(type(value), "__attrs_attrs__", None)
    if fields is not None:
        return {field.name: _mended(getattr(value, field.name), depth + 1) for field in fields}
    if isinstance(value, Mapping):
        return {str(_mended(str(k))): _mended(v, depth + 1) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [_mended(item, depth + 1) for item in value]
    return value


def to_wire(value: object) -> bytes:
    """JSON bytes of attrs values and plain JSON.

    A pair of surrogates becomes its character, a lone one (a model can emit half an emoji) U+FFFD. A value that
    JSON cannot hold is written as its `repr`, nesting is cut at `MAX_DEPTH`: a record is never lost for what a caller
    put into its metadata.
    """
    try:
        return _encoder.encode(value)
    except (UnicodeEncodeError, TypeError, RecursionError):
        return msgspec.json.encode(_mended(value), enc_hook=repr)


def from_wire(data: bytes | str, kind: type[T]) -> T:
    """One value of `kind` (an attrs class, or a plain JSON type).

    Raises:
        WireError: not JSON, too deeply nested, or not of that shape; names the field.
    """
    decoder = _decoders.get(kind)
    if decoder is None:
        decoder = _decoders.setdefault(kind, msgspec.json.Decoder(kind))
    try:
        return decoder.decode(data)  # type: ignore[return-value]
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, ValueError) as exc:
        raise WireError(str(exc) or type(exc).__name__) from exc


def from_wire_mended(data: bytes, kind: type[T]) -> T:
    """As `from_wire`, but half a character (`"\\ud83d"`) is read as U+FFFD.

    A model can emit half an emoji, and Python's own JSON writes and reads it.

    Raises:
        WireError: as `from_wire`.
    """
    try:
        return from_wire(data, kind)
    except WireError as exc:
        if b"\\ud" not in data.lower():
            raise
        try:
            mended = to_wire(json.loads(data))
        except (ValueError, RecursionError):
            raise exc from None
    return from_wire(mended, kind)
