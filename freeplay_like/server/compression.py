"""Compressed bodies, of which a few bytes may claim to be gigabytes."""

from __future__ import annotations

import zlib
from typing import Final

from starlette.exceptions import HTTPException

from freeplay_like.server import http

RATIO_LIMIT: Final = 200
"""How much larger than its compressed form a body of more than a mebibyte may be; text reaches 10 to 30."""
_ALWAYS_BYTES: Final = 1 << 20


def decompressed(body: bytes, headers: http.RawHeaders, limit_bytes: int) -> bytes:
    """The body as it was before its `Content-Encoding`.

    Raises:
        HTTPException: 415 an unknown encoding, 400 no gzip, 413 more than `limit_bytes` or than any text would be.
    """
    encoding = next((value for name, value in headers if name == b"content-encoding"), b"identity").strip().lower()
    if encoding in {b"identity", b""}:
        return body
    if encoding != b"gzip":
        raise HTTPException(415, f"content encoding {encoding.decode('latin-1')!r} is not known here; use gzip or none")
    limit = min(limit_bytes, max(len(body) * RATIO_LIMIT, _ALWAYS_BYTES))
    inflater = zlib.decompressobj(wbits=31)
    try:
        data = inflater.decompress(body, limit + 1)
    except zlib.error as exc:
        raise HTTPException(400, f"the body is not gzip: {exc}") from exc
    if len(data) > limit:
        raise http.too_large("more, decompressed,", limit)
    if not inflater.eof:
        raise HTTPException(400, "the gzip body ends too early")
    return data
