"""UUIDv7 (RFC 9562): ids that sort by the time they were made."""

from __future__ import annotations

import uuid


def uuid7(unix_ms: int, entropy: bytes) -> str:
    """The UUIDv7 of a moment, as its usual 36 characters.

    Args:
        unix_ms: milliseconds since 1970, of which 48 bits are kept.
        entropy: at least 10 random bytes, of which 74 bits are kept.
    """
    random = int.from_bytes(entropy[:10], "big")
    value = (unix_ms & 0xFFFF_FFFF_FFFF) << 80
    value |= 0x7 << 76
    value |= ((random >> 62) & 0xFFF) << 64
    value |= 0b10 << 62
    value |= random & 0x3FFF_FFFF_FFFF_FFFF
    return str(uuid.UUID(int=value))
