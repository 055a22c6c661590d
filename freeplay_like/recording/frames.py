"""The journal's line format: one frame a line, each with its own checksum.

    \\n<8 hex digits of crc32> {"k":"start","r":{...}}\\n       a call is about to be made; r is the whole record
    \\n<8 hex digits of crc32> {"k":"progress","id":"...","text":"..."}\\n
    \\n<8 hex digits of crc32> {"k":"end","r":{...}}\\n         a call has ended; the last word for its id
    \\n<8 hex digits of crc32> {"k":"amend","r":{...}}\\n       something was said of a record; r is the amendment

A frame brings its own line start as well as its line end: whatever a short write or a bad sector left before it
is a line of its own, so that damage never reaches the neighbours. Blank lines mean nothing.
"""

from __future__ import annotations

import os
import zlib
from collections.abc import Iterator
from typing import Final, Literal, NamedTuple

import attrs
import msgspec

from freeplay_like.core.wire import WireError, from_wire, to_wire

MAX_FRAME_BYTES: Final = 32 * 1024 * 1024
"""A longer line is damage; the recorder writes nothing near it."""

_CHUNK_BYTES: Final = 256 * 1024
_CHECKSUM_CHARS: Final = 8
_NO_RECORD: Final = msgspec.Raw()  # a value, not a factory: msgspec 0.22 refuses raw fields that have a factory


def seal(body: bytes) -> bytes:
    """The body with its checksum in front."""
    return b"%08x %b" % (zlib.crc32(body), body)


def unseal(line: bytes) -> bytes | None:
    """The body where the checksum is right, else None."""
    body = line[_CHECKSUM_CHARS + 1 :]
    return body if line[: _CHECKSUM_CHARS + 1] == b"%08x " % zlib.crc32(body) else None


def encode_frame(body: bytes) -> bytes:
    """One frame around a JSON body that has no line break in it."""
    return b"\n%b\n" % seal(body)


def start_frame(record: bytes) -> bytes:
    """The frame of a call that is about to be made."""
    return encode_frame(b'{"k":"start","r":%b}' % record)


def end_frame(record: bytes) -> bytes:
    """The frame of a call that has ended."""
    return encode_frame(b'{"k":"end","r":%b}' % record)


def amend_frame(amendment: bytes) -> bytes:
    """The frame of something that was said of a record."""
    return encode_frame(b'{"k":"amend","r":%b}' % amendment)


def progress_frame(record_id: str, text: str) -> bytes:
    """The frame of text that has arrived meanwhile."""
    return encode_frame(to_wire({"k": "progress", "id": record_id, "text": text}))


@attrs.frozen
class Frame:
    """A frame that was read. `k` is its kind; kinds that are not known here are for a later version to read."""

    k: str
    r: msgspec.Raw = _NO_RECORD
    id: str = ""
    text: str = ""


Kind = Literal["record", "amendment"]
"""What is delivered."""


class Lane(NamedTuple):
    """What goes together: one project's records, or its amendments. A backend may take the ones and not the others."""

    project_id: str
    kind: Kind


@attrs.frozen
class Head:
    """What delivery needs to know of a record or an amendment; the rest stays bytes.

    `record_id` is the record's own, or that of the record which is amended.
    """

    record_id: str
    project_id: str
    amendment_id: str | None = None
    started_at: str | None = None
    made_at: str | None = None

    @property
    def lane(self) -> Lane:
        """With what it goes."""
        return Lane(self.project_id, "record" if self.amendment_id is None else "amendment")

    @property
    def at(self) -> str | None:
        """When the call began, or the amendment was made."""
        return self.started_at if self.amendment_id is None else self.made_at


@attrs.frozen
class Line:
    """A line that is not blank, and its place in the file.

    `body` is None where the checksum is wrong; `raw` is the line as it stands (nothing of one that is far too long).
    """

    start: int
    end: int
    body: bytes | None
    raw: bytes


def decode_frame(body: bytes) -> Frame:
    """The frame in a line's body.

    Raises:
        WireError: the checksum was right, but what it covers is not a frame.
    """
    return from_wire(body, Frame)


def head_of(data: bytes) -> Head:
    """What delivery needs to know of the JSON of a record or an amendment.

    Raises:
        WireError: neither.
    """
    return from_wire(data, Head)


def held_by(frame: Frame) -> Head | None:
    """The head of the record or amendment in a frame, None where its kind holds neither.

    Raises:
        WireError: it is not what the frame's kind says.
    """
    if frame.k not in ("start", "end", "amend"):
        return None
    head = head_of(bytes(frame.r))
    if (frame.k == "amend") != (head.amendment_id is not None):
        raise WireError(f"a frame of kind {frame.k!r} holds something else")
    return head


def read_lines(fd: int, offset: int, *, is_closed: bool) -> Iterator[Line]:
    """The lines of a segment from `offset` to its present end.

    Memory stays at the longest line. Where the segment `is_closed` a last line without its end is a line too, and
    mostly damage; else it is a frame that is being written, and is left for the next time.

    Raises:
        OSError: the file cannot be read.
    """
    buffer, searched, is_oversized = bytearray(), 0, False
    while piece := os.pread(fd, _CHUNK_BYTES, offset + len(buffer)):
        buffer += piece
        consumed = 0
        while (at := buffer.find(b"\n", max(searched, consumed))) >= 0:
            line = bytes(buffer[consumed:at])
            if line or is_oversized:
                yield Line(offset + consumed, offset + at + 1, None if is_oversized else unseal(line), line)
            consumed, is_oversized = at + 1, False
        del buffer[:consumed]
        offset += consumed
        searched = len(buffer)
        if searched > MAX_FRAME_BYTES:
            yield Line(offset, offset + searched, None, b"")
            offset, searched, is_oversized = offset + searched, 0, True
            buffer.clear()
    if buffer and is_closed:
        line = bytes(buffer)
        yield Line(offset, offset + len(line), None if is_oversized else unseal(line), line)
