"""What every answer has in common: JSON, one shape for errors, and headers that keep browsers out of trouble."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Mapping, Sequence
from typing import Final, TypeAlias, TypeVar

import attrs
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import Receive

from freeplay_like.core.wire import JsonObject, JsonValue, WireError, from_wire, to_wire

T = TypeVar("T")

RawHeaders: TypeAlias = Iterable[tuple[bytes, bytes]]

BODY_LIMIT_BYTES: Final = 4 * 1024 * 1024
"""The largest body of anything but a batch of records."""

CONTENT_SECURITY_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "font-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)

SECURITY_HEADERS: Final[tuple[tuple[bytes, bytes], ...]] = (
    (b"content-security-policy", CONTENT_SECURITY_POLICY.encode()),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"same-origin"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"x-frame-options", b"DENY"),
)

_GOOD_LIMIT: Final = 64
"""How many good Host headers are remembered as they came."""
_LOOPBACK_NAMES: Final = frozenset({"127.0.0.1", "localhost", "::1"})


def json_response(value: object, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """An answer in JSON."""
    return Response(to_wire(value), status, headers, media_type="application/json")


def json_error(status: int, message: str, headers: Mapping[str, str] | None = None) -> Response:
    """The one shape of every error: `{"message": ...}`."""
    return json_response({"message": message}, status, headers)


async def read_body(headers: RawHeaders, receive: Receive, limit_bytes: int) -> bytes:
    """The body as it came. That it comes at all within some time is `protocol`'s care.

    Raises:
        HTTPException: 413, before it is read where its length was announced.
        ClientDisconnect: it broke off.
    """
    for name, value in headers:
        if name == b"content-length" and (not value.isdigit() or int(value) > limit_bytes):
            raise too_large(f"{value.decode('latin-1')} bytes", limit_bytes)
    parts, size, is_more = [], 0, True
    while is_more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        part: bytes = message.get("body", b"")
        parts.append(part)
        size += len(part)
        if size > limit_bytes:
            raise too_large("more", limit_bytes)
        is_more = message.get("more_body", False)
    return parts[0] if len(parts) == 1 else b"".join(parts)


def too_large(found: str, limit_bytes: int) -> HTTPException:
    """The refusal of a body."""
    return HTTPException(413, f"the body has {found}, and {limit_bytes} bytes are taken at once: send less in one go")


async def read_json(request: Request, kind: type[T]) -> T:
    """The body of a request as a value of `kind`; 400 where it is not one, naming the field."""
    try:
        return from_wire(await read_body(request.scope["headers"], request.receive, BODY_LIMIT_BYTES), kind)
    except WireError as exc:
        raise HTTPException(400, f"the body is not what this address takes: {exc}") from exc


def query_number(request: Request, name: str, *, default: int, highest: int) -> int:
    """A number from 1 in the query of an address; 400 where it is none, naming it."""
    text = request.query_params.get(name)
    if text is None:
        return default
    # no more digits than the highest has: Python refuses to read a number of thousands
    if text.isascii() and text.isdigit() and len(text) <= len(str(highest)) and 1 <= int(text) <= highest:
        return int(text)
    raise HTTPException(400, f"{name!r} is a number from 1 to {highest}, not {text[:100]!r}")


@attrs.frozen
class PageOf:
    """Which page of a list is asked for, counted from 1, in the words of Freeplay's interface."""

    number: int
    size: int

    @classmethod
    def asked_for(cls, request: Request) -> PageOf:
        """The page that the query of an address names (`page`, `page_size`); 400 where it names none."""
        return cls(
            number=query_number(request, "page", default=1, highest=1_000_000),
            size=query_number(request, "page_size", default=30, highest=100),
        )

    @property
    def offset(self) -> int:
        """How many rows come before it."""
        return (self.number - 1) * self.size

    @property
    def limit(self) -> int:
        """How many rows to ask for: one more than it has, to know whether there is a next page."""
        return self.size + 1

    def answer(self, rows: Sequence[JsonValue]) -> JsonObject:
        """The rows that were asked for, as they are answered."""
        pagination = {"page": self.number, "page_size": self.size, "has_next": len(rows) > self.size}
        return {"data": rows[: self.size], "pagination": pagination}


class HostList:
    """The names this server answers to.

    A page of somebody else's can point its own name at 127.0.0.1 and then read what a local server says as if it
    were its own (DNS rebinding): so only names that cannot be somebody else's are answered. A bare address is never
    a name; it is let in where the server listens beyond the loopback.
    """

    def __init__(self, names: Iterable[str], *, is_remote: bool) -> None:
        self._names = _LOOPBACK_NAMES | {name.lower() for name in names}
        self._is_remote = is_remote
        self._good: set[bytes] = set()

    def problem(self, headers: RawHeaders) -> str | None:
        """Why a request for this host is not answered, None where it is."""
        host = next((value for name, value in headers if name == b"host"), b"")
        if host in self._good:
            return None
        name = _host_name(host)
        if name in self._names or (self._is_remote and _is_address(name)):
            if len(self._good) < _GOOD_LIMIT:
                self._good.add(host)
            return None
        return f"this server does not answer to the host name {name!r}; start it with --url to give it that name"


def _host_name(header: bytes) -> str:
    """The name in a Host header, without its port, in lower case."""
    host = header.decode("latin-1").lower()
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.partition(":")[0]


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
