"""One batch over HTTP, and what the answer means."""

from __future__ import annotations

import math
import os
import socket
import zlib
from collections.abc import Sequence
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Final, Literal, Protocol
from urllib.parse import quote

import attrs

import freeplay_like
from freeplay_like.backend_link import body_of, headers_for, load_requests, new_session
from freeplay_like.clock import Clock
from freeplay_like.core.wire import WireError, from_wire, to_wire
from freeplay_like.recording.frames import Kind, Lane
from freeplay_like.recording.live import Heard

if TYPE_CHECKING:
    import requests

Verdict = Literal["stored", "unheard", "too_large", "denied", "unacceptable", "failed", "unreachable"]
"""What the backend made of a batch.

- stored: committed, but for those it names
- unheard: 200 without a word of the amendments; an older backend, which knows none
- too_large: 413; smaller ones may pass
- denied: 401, 403, 404; the key or the project is wrong, the batch is not
- unacceptable: any other 4xx; something in the batch, or an odd proxy
- failed: 500; the backend, or something in the batch that it trips over
- unreachable: anything else; it will pass
"""

_ANSWER_LIMIT_BYTES: Final = 1024 * 1024
RETRY_AFTER_LIMIT_S: Final = 600.0
LIVE_TIMEOUT_S: Final = 1.0
_BOMB_RATIO: Final = 100
_GZIP: Final = zlib.MAX_WBITS | 16


@attrs.frozen(kw_only=True)
class Rejected:
    """A record or an amendment that the backend will never take, by its place in the batch."""

    index: int
    message: str = ""


@attrs.frozen(kw_only=True)
class _Stored:
    """The body of a 200."""

    stored: int
    rejected: tuple[Rejected, ...] = ()
    amendments_stored: int | None = None
    amendments_rejected: tuple[Rejected, ...] = ()


@attrs.frozen(kw_only=True)
class _Told:
    """The body of a 200 to running calls."""

    unknown: tuple[str, ...]


@attrs.frozen
class _Said:
    """An answer as it came."""

    status: int
    content: bytes
    retry_after_s: float | None


class Unreachable(Exception):
    """No answer came that could be read."""


@attrs.frozen(kw_only=True)
class Answer:
    """What came back. `retry_after_s` is None where the backend did not ask for a pause."""

    verdict: Verdict
    message: str = ""
    rejected: tuple[Rejected, ...] = ()
    retry_after_s: float | None = None


@attrs.frozen(kw_only=True)
class Sender:
    """Who sends: how a process that records is doing, as the backend shows it."""

    sender_id: str
    host: str
    pid: int
    sdk: str
    dropped: int = 0
    spooled_bytes: int = 0
    oldest_unsent_at: str | None = None


def this_process(sender_id: str) -> Sender:
    """This process as a sender."""
    sdk = f"freeplay_like/{freeplay_like.__version__}"
    return Sender(sender_id=sender_id, host=socket.gethostname(), pid=os.getpid(), sdk=sdk)


class Transport(Protocol):
    """Sends one batch."""

    def send(self, lane: Lane, sender: Sender, items: Sequence[bytes]) -> Answer:
        """Post the records, or the amendments (each its JSON). Never raises for what a network or a backend can do."""
        ...

    def close(self) -> None:
        """Close the connections."""
        ...


def batch_body(kind: Kind, sender: Sender, items: Sequence[bytes]) -> bytes:
    """The body of a batch: the records or amendments as they are, not decoded and encoded again."""
    joined = b",".join(items)
    if kind == "record":
        return b'{"sender":%b,"records":[%b]}' % (to_wire(sender), joined)
    return b'{"sender":%b,"records":[],"amendments":[%b]}' % (to_wire(sender), joined)


class HttpTransport:
    """Posts to `{api_base}/v2/projects/{project_id}/records:batch` and `records:live`. For one thread."""

    def __init__(self, api_base: str, api_key: str, *, timeout_s: float, clock: Clock) -> None:
        self._api_base = api_base
        self._api_key = api_key
        self._timeout_s = timeout_s
        self._clock = clock
        self._session: requests.Session | None = None

    def send(self, lane: Lane, sender: Sender, items: Sequence[bytes]) -> Answer:
        """Post the records, or the amendments."""
        try:
            body, encoding = _packed(batch_body(lane.kind, sender, items))
            said = self._post(lane.project_id, "records:batch", body, encoding, self._timeout_s)
        except Unreachable as exc:
            return Answer(verdict="unreachable", message=str(exc))
        return answer_of(said.status, said.content, said.retry_after_s, lane.kind)

    def tell(self, project_id: str, calls: Sequence[bytes]) -> tuple[Heard, frozenset[str]]:
        """Post running calls. Nothing rests on it, and records may be waiting: there is little time for it."""
        try:
            body = b'{"calls":[%b]}' % b",".join(calls)
            said = self._post(project_id, "records:live", body, "identity", LIVE_TIMEOUT_S)
            if said.status == 200:
                return "heard", frozenset(from_wire(said.content, _Told).unknown)
        except (Unreachable, WireError):
            return "away", frozenset()
        return "deaf" if said.status in (404, 405) else "away", frozenset()

    def _post(self, project_id: str, what: str, body: bytes, encoding: str, timeout_s: float) -> _Said:
        """What came back.

        Raises:
            Unreachable: nothing that could be read.
        """
        load_requests()
        import requests

        try:
            session = self._session = self._session or new_session(self._api_base)
            with session.post(
                f"{self._api_base}/v2/projects/{quote(project_id, safe='')}/{what}",
                data=body,
                headers={
                    **headers_for(self._api_key),
                    "Content-Type": "application/json",
                    "Content-Encoding": encoding,
                },
                timeout=timeout_s,
                allow_redirects=False,
                stream=True,
            ) as response:
                content = body_of(response, timeout_s, _ANSWER_LIMIT_BYTES, self._clock)
                wanted_s = retry_after_s(response.headers.get("Retry-After"), self._clock.now())
                return _Said(response.status_code, content, wanted_s)
        except (requests.RequestException, OSError, ValueError) as exc:
            raise Unreachable(f"{self._api_base} did not answer: {_innermost(exc)}") from exc

    def close(self) -> None:
        """Close the connections."""
        session, self._session = self._session, None
        if session is not None:
            session.close()


def answer_of(status: int, content: bytes, wanted_s: float | None = None, kind: Kind = "record") -> Answer:
    """What a status and a body mean for what was sent; `wanted_s` is the pause that the backend asked for."""
    said = content[:300].decode("utf-8", "replace").strip()
    message = f"the backend answered {status}: {said}" if said else f"the backend answered {status}"
    if status == 200:
        try:
            stored = from_wire(content, _Stored)
        except WireError as exc:
            return Answer(verdict="unreachable", message=f"200 did not come from a backend of this package: {exc}")
        if kind == "record":
            return Answer(verdict="stored", rejected=stored.rejected)
        if stored.amendments_stored is None:
            return Answer(verdict="unheard", message="the backend answered 200, but knows no amendments")
        return Answer(verdict="stored", rejected=stored.amendments_rejected)
    verdict: Verdict = "unreachable"
    if status == 413:
        verdict = "too_large"
    elif status in (401, 403, 404):
        verdict = "denied"
    elif 400 <= status < 500 and status not in (408, 425, 429):
        verdict = "unacceptable"
    elif status == 500:
        verdict = "failed"
    return Answer(verdict=verdict, message=message, retry_after_s=wanted_s)


def _packed(body: bytes) -> tuple[bytes, str]:
    """The body compressed, and how. One that shrinks as much as a bomb does would be taken for one."""
    packer = zlib.compressobj(level=1, wbits=_GZIP)
    packed = packer.compress(body) + packer.flush()
    return (packed, "gzip") if len(packed) * _BOMB_RATIO > len(body) else (body, "identity")


def _innermost(error: BaseException) -> str:
    """What the operating system said, without what three libraries have wrapped around it."""
    while (inner := error.__context__) is not None:
        error = inner
    return f"{type(error).__name__}: {error}"


def retry_after_s(header: str | None, now: datetime) -> float | None:
    """Seconds from a Retry-After header, a number or a date (RFC 9110, 10.2.3); bounded, for it is foreign."""
    if header is None:
        return None
    try:
        seconds = float(header)
    except ValueError:
        try:
            seconds = (parsedate_to_datetime(header) - now).total_seconds()
        except (ValueError, TypeError):
            return None
    return min(max(0.0, seconds), RETRY_AFTER_LIMIT_S) if math.isfinite(seconds) else None
