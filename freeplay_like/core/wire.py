"""JSON in and out: the one codec that the journal, delivery, intake and store share.

attrs classes are encoded and decoded by msgspec as they are: validators run, unknown fields are ignored (an
older reader takes a newer writer's records), and a wrong type is named by its path.
"""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Mapping
from typing import Final, TypeAlias, TypeVar, cast

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
_making = threading.RLock()


def _after_fork() -> None:
    """A thread that held the lock is not there in the child."""
    global _making
    _making = threading.RLock()


os.register_at_fork(after_in_child=_after_fork)


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


def decoder_of(kind: type[T]) -> msgspec.json.Decoder[T]:
    """The one decoder of a type, made when it is first asked for, by one thread at a time.

    msgspec (0.22) notes what it finds out about an attrs class at the class itself, and before it is all there: a
    thread that decodes the same class meanwhile reads an empty place, and the process dies. Once a decoder of a class
    is made, all is there, for every use of the class.
    """
    decoder = _decoders.get(kind)
    if decoder is None:
        with _making:
            decoder = _decoders.setdefault(kind, msgspec.json.Decoder(kind))
    return cast("msgspec.json.Decoder[T]", decoder)


def prepare(kind: object) -> None:
    """Have msgspec find out all about a type, for uses of it that are no decoder of ours; see `decoder_of`."""
    with _making:
        msgspec.json.Decoder(kind)


def from_wire(data: bytes | str, kind: type[T]) -> T:
    """One value of `kind` (an attrs class, or a plain JSON type).

    Raises:
        WireError: not JSON, too deeply nested, or not of that shape; names the field.
    """
    try:
        return decoder_of(kind).decode(data)
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
