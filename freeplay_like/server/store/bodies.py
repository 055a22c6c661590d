"""How a whole record lies in the database: its JSON, compressed."""

from __future__ import annotations

import sys
from typing import Final

from freeplay_like.core.records import Record
from freeplay_like.core.wire import from_wire

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

_LEVEL: Final = 1
"""A prompt and its answer shrink to about half at any level; the first takes a fraction of the third's time."""


class Packer:
    """Packs many bodies with one compressor: setting one up costs more than packing a small body."""

    def __init__(self) -> None:
        self._compressor = zstd.ZstdCompressor(level=_LEVEL)

    def pack(self, body: bytes) -> bytes:
        """The JSON of a record as it is stored."""
        return self._compressor.compress(body, zstd.ZstdCompressor.FLUSH_FRAME)


def unpack(packed: bytes) -> Record:
    """The record that was packed.

    Raises:
        WireError: what was stored is not a record that this release can read.
    """
    return from_wire(zstd.decompress(packed), Record)
