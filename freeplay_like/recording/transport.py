"""One batch over HTTP, and what the answer means.

`requests` is imported when the first batch is sent: it costs a third of a second, and a program that records
nothing must not pay it. The session does not read the environment on every request (a `.netrc` could replace our
key); proxies and the certificate bundle are taken from the environment once, when the session is made.
"""

from __future__ import annotations

import math
import os
import socket
import threading
import zlib
from collections.abc import Sequence
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Final, Literal, Protocol
from urllib.parse import quote

import attrs

import freeplay_like
from freeplay_like.clock import Clock
from freeplay_like.core.wire import WireError, from_wire, to_wire

if TYPE_CHECKING:
    import requests

Verdict = Literal["stored", "too_large", "denied", "unacceptable", "failed", "unreachable"]
"""What the backend made of a batch.

- stored: committed, but for the records it names
- too_large: 413; smaller ones may pass
- denied: 401, 403, 404; the key or the project is wrong, the records are not
- unacceptable: any other 4xx; something in the batch, or an odd proxy
- failed: 500; the backend, or something in the batch that it trips over
- unreachable: anything else; it will pass
"""

_ANSWER_LIMIT_BYTES: Final = 1024 * 1024
_PIECE_BYTES: Final = 64
RETRY_AFTER_LIMIT_S: Final = 600.0
_BOMB_RATIO: Final = 100
_GZIP: Final = zlib.MAX_WBITS | 16


@attrs.frozen(kw_only=True)
class Rejected:
    """A record that the backend will never take, by its place in the batch."""

    index: int
    record_id: str | None = None
    message: str = ""


@attrs.frozen(kw_only=True)
class _Stored:
    """The body of a 200."""

    stored: int
    rejected: tuple[Rejected, ...] = ()


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

    def send(self, project_id: str, sender: Sender, records: Sequence[bytes]) -> Answer:
        """Post the records (each its JSON). Never raises for what a network or a backend can do."""
        ...

    def close(self) -> None:
        """Close the connections."""
        ...


def batch_body(sender: Sender, records: Sequence[bytes]) -> bytes:
    """The body of a batch: the records as they are, not decoded and encoded again."""
    return b'{"sender":%b,"records":[%b]}' % (to_wire(sender), b",".join(records))


class HttpTransport:
    """Posts to `{api_base}/v2/projects/{project_id}/records:batch`. For one thread."""

    def __init__(self, api_base: str, api_key: str, *, timeout_s: float, clock: Clock) -> None:
        self._api_base = api_base
        self._api_key = api_key
        self._timeout_s = timeout_s
        self._clock = clock
        self._session: requests.Session | None = None

    def send(self, project_id: str, sender: Sender, records: Sequence[bytes]) -> Answer:
        """Post the records."""
        _load_requests()
        import requests

        url = f"{self._api_base}/v2/projects/{quote(project_id, safe='')}/records:batch"
        body, encoding = _packed(batch_body(sender, records))
        try:
            session = self._session = self._session or self._new_session()
            with session.post(
                url,
                data=body,
                headers={"Content-Encoding": encoding},
                timeout=self._timeout_s,
                allow_redirects=False,
                stream=True,
            ) as response:
                content = self._content(response)
                wanted_s = retry_after_s(response.headers.get("Retry-After"), self._clock.now())
                return answer_of(response.status_code, content, wanted_s)
        except (requests.RequestException, OSError, ValueError) as exc:
            return Answer(verdict="unreachable", message=f"{self._api_base} did not answer: {_innermost(exc)}")

    def close(self) -> None:
        """Close the connections."""
        session, self._session = self._session, None
        if session is not None:
            session.close()

    def _new_session(self) -> requests.Session:
        import requests

        session = requests.Session()
        session.trust_env = False
        session.proxies = dict(requests.utils.get_environ_proxies(self._api_base))
        session.verify = os.environ.get("REQUESTS_CA_BUNDLE") or os.environ.get("CURL_CA_BUNDLE") or True
        session.headers.update(
            {
                "Authorization": f"Bearer {self._api_key}",
                "Content-Type": "application/json",
            }
        )
        return session

    def _content(self, response: requests.Response) -> bytes:
        """The body, in small pieces: each read has the timeout for itself, and a dripping answer must end too."""
        deadline_ns, content = self._clock.monotonic_ns() + int(self._timeout_s * 1e9), bytearray()
        for piece in response.iter_content(_PIECE_BYTES):
            content += piece
            if self._clock.monotonic_ns() > deadline_ns or len(content) > _ANSWER_LIMIT_BYTES:
                raise TimeoutError(f"the answer had not ended after {self._timeout_s:g} s or {len(content)} bytes")
        return bytes(content)


def answer_of(status: int, content: bytes, wanted_s: float | None = None) -> Answer:
    """What a status and a body mean; `wanted_s` is the pause that the backend asked for."""
    said = content[:300].decode("utf-8", "replace").strip()
    message = f"the backend answered {status}: {said}" if said else f"the backend answered {status}"
    if status == 200:
        try:
            return Answer(verdict="stored", rejected=from_wire(content, _Stored).rejected)
        except WireError as exc:
            return Answer(verdict="unreachable", message=f"200 did not come from a backend of this package: {exc}")
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


_importing = threading.Lock()
_forking = threading.local()
_FORK_WAITS_S: Final = 1.0


def _load_requests() -> None:
    """Import what a first request needs, where no fork can come between."""
    with _importing:
        import encodings.idna  # noqa: F401 - the first connection needs it

        import requests  # noqa: F401 - for `send`


def _before_fork() -> None:
    """A child that is forked while a thread imports finds that module locked for ever. So a fork waits for the
    import, but not without an end: the thread that forks may itself hold a module that the import needs."""
    _forking.has_lock = _importing.acquire(timeout=_FORK_WAITS_S)


def _after_fork_in_parent() -> None:
    if _forking.has_lock:
        _importing.release()


def _after_fork_in_child() -> None:
    global _importing
    _importing = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before_fork, after_in_parent=_after_fork_in_parent, after_in_child=_after_fork_in_child)


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
