"""How whole values lie in the database: their JSON, compressed."""

from __future__ import annotations

import sys
from typing import Final, TypeVar

from freeplay_like.core.wire import from_wire

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

T = TypeVar("T")

_LEVEL: Final = 1
"""A prompt and its answer shrink to about half at any level; the first takes a fraction of the third's time."""


class Packer:
    """Packs many bodies with one compressor: setting one up costs more than packing a small body."""

    def __init__(self) -> None:
        self._compressor = zstd.ZstdCompressor(level=_LEVEL)

    def pack(self, body: bytes) -> bytes:
        """JSON as it is stored."""
        return self._compressor.compress(body, zstd.ZstdCompressor.FLUSH_FRAME)


def raw(packed: bytes) -> bytes:
    """The JSON that was packed."""
    return zstd.decompress(packed)


def unpack(packed: bytes, kind: type[T]) -> T:
    """The value that was packed.

    Raises:
        WireError: what was stored is none that this release can read.
    """
    return from_wire(raw(packed), kind)
