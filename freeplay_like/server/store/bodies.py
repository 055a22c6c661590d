"""How whole values lie in the database: their JSON, compressed.

A record is small, and half of it is the names of its fields, so a compressor that begins with nothing does little. It
begins with a dictionary instead: packed bodies are 0.6 of the size, in 0.6 of the time. The dictionary was made from
generated records (`benchmarks/body_dictionary.py`), so nobody's text is in it, and it is never changed: what was
packed with it names it by its number.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Final, TypeVar

from freeplay_like.core.wire import from_wire

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

T = TypeVar("T")

LEVEL: Final = 1
"""A prompt and its answer shrink to about the same at any level; the first takes a fraction of the third's time."""

_dictionary: Final = zstd.ZstdDict((Path(__file__).parent / "bodies_1.zdict").read_bytes())


class Packer:
    """Packs many bodies with one compressor: setting one up costs more than packing a small body."""

    def __init__(self) -> None:
        self._compressor = zstd.ZstdCompressor(level=LEVEL, zstd_dict=_dictionary.as_digested_dict)

    def pack(self, body: bytes) -> bytes:
        """JSON as it is stored."""
        return self._compressor.compress(body, zstd.ZstdCompressor.FLUSH_FRAME)


def raw(packed: bytes) -> bytes:
    """The JSON that was packed, with the dictionary or, by the first releases, without."""
    return zstd.decompress(packed, zstd_dict=_dictionary)


def unpack(packed: bytes, kind: type[T]) -> T:
    """The value that was packed.

    Raises:
        WireError: what was stored is none that this release can read.
    """
    return from_wire(raw(packed), kind)
