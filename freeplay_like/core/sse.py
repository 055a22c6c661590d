"""Server-sent events, read from bytes.

The rules are those of the WHATWG HTML standard, section 9.2.6 (read 2026-11-21). They are applied to bytes and not to
text: a character may be cut between two reads, and U+2028 and its like, which end a line for `str.splitlines`, are
part of the text here.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple

MAX_EVENT_BYTES: Final = 16 * 1024 * 1024
"""The most that is collected while waiting for the end of one event."""

_BOM: Final = b"\xef\xbb\xbf"


class SseEvent(NamedTuple):
    """One event: its name (`message` where none was given) and its data. A tuple: there is one for every token."""

    event: str
    data: bytes


class SseError(ValueError):
    """The stream cannot be read as events."""


class SseParser:
    """Bytes in, in whatever pieces they come; events out."""

    def __init__(self, *, max_event_bytes: int = MAX_EVENT_BYTES) -> None:
        self._max_event_bytes = max_event_bytes
        self._rest = bytearray()
        self._is_after_cr = False
        self._is_at_start = True

    @property
    def rest(self) -> bytes:
        """What came after the last whole event. At the end of a stream it is dropped; it is empty after a clean end."""
        return bytes(self._rest).lstrip(b"\n")

    def feed(self, data: bytes) -> Iterator[SseEvent]:
        """The events that these bytes complete. The bytes are taken at once, the events made as they are asked for.

        Raises:
            SseError: an event is larger than `max_event_bytes`; the events before it come first.
        """
        data = self._with_plain_line_ends(data)
        if self._is_at_start:
            data = self._without_bom(data)
        if self._rest:
            # Only the new bytes are searched, and the one before them: the end may lie on the seam.
            seam = len(self._rest) - 1
            self._rest += data
            end = self._rest.rfind(b"\n\n", seam)
            data = bytes(self._rest[:end]) if end >= 0 else b""
            if end >= 0:
                del self._rest[: end + 2]
        else:
            end = data.rfind(b"\n\n")
            self._rest += data[end + 2 :] if end >= 0 else data
            data = data[:end] if end >= 0 else b""
        return self._events(data.split(b"\n\n") if data else ())

    def _events(self, blocks: Iterable[bytes]) -> Iterator[SseEvent]:
        limit = self._max_event_bytes
        for block in blocks:
            if len(block) > limit:
                raise SseError(f"one event of the stream is larger than {limit} bytes")
            if block.startswith(b"data: ") and b"\n" not in block:
                yield SseEvent("message", block[6:])
            elif (event := _parse(block)) is not None:
                yield event
        if len(self._rest) > limit:
            raise SseError(f"one event of the stream is larger than {limit} bytes")

    def _with_plain_line_ends(self, data: bytes) -> bytes:
        """CR LF and CR become LF; a CR at the end of a piece counts at once, and an LF that follows it is dropped."""
        if self._is_after_cr and data:
            self._is_after_cr = False
            if data[0] == 0x0A:
                data = data[1:]
        if b"\r" in data:
            self._is_after_cr = data.endswith(b"\r")
            data = data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        return data

    def _without_bom(self, data: bytes) -> bytes:
        """The first bytes of the stream without a byte order mark; b"" while they may still become one."""
        data = bytes(self._rest) + data
        self._rest.clear()
        if len(data) < len(_BOM) and _BOM.startswith(data):
            self._rest += data
            return b""
        self._is_at_start = False
        return data.removeprefix(_BOM)


def _parse(block: bytes) -> SseEvent | None:
    """The event of a block's lines, None where it holds no data."""
    event = b""
    data: list[bytes] = []
    for line in block.split(b"\n"):
        name, _, value = line.partition(b":")
        if value.startswith(b" "):
            value = value[1:]
        if name == b"data":
            data.append(value)
        elif name == b"event":
            event = value
    if not data:
        return None
    return SseEvent(event.decode("utf-8", "replace") or "message", data[0] if len(data) == 1 else b"\n".join(data))
