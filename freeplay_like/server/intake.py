"""Where records come in: this one address is asked more than all others together.

A batch is answered once it is committed. Records, and what is said of records, are read one by one, so that a bad
one does not keep the others out.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Final, TypeAlias, TypeVar

import attrs
import msgspec
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.types import Receive, Scope, Send

from freeplay_like.core.records import Amendment, Record
from freeplay_like.core.wire import WireError, from_wire, to_wire
from freeplay_like.server import http
from freeplay_like.server.auth import Keys
from freeplay_like.server.checks import check_amendment, check_record
from freeplay_like.server.compression import decompressed
from freeplay_like.server.protocol import Answer
from freeplay_like.server.state import State
from freeplay_like.server.store.views import (
    ApiKey,
    Batch,
    Incoming,
    IncomingAmendment,
    Project,
    Sender,
    StoreBusy,
    StoreResult,
    StoreUnavailable,
)
from freeplay_like.server.store.writer import Settled

logger = logging.getLogger(__name__)

BODY_LIMIT_BYTES: Final = 8 * 1024 * 1024
"""The largest body, as it comes and decompressed."""
RECORDS_LIMIT: Final = 500
"""The most records of a batch, and the most amendments beside them."""
THREAD_BYTES: Final = 128 * 1024
"""A body larger than this is decoded in a thread: it takes milliseconds, and everybody else would wait."""
PACKED_FACTOR: Final = 8
"""About how much larger JSON is than its gzip."""
RETRY_AFTER_S: Final = 1

_PREFIX: Final = "/api/v2/projects/"
_SUFFIX: Final = "/records:batch"
_PLAIN: Final = (
    b'{"stored":%d,"duplicates":%d,"rejected":[],'
    b'"amendments_stored":0,"amendments_duplicates":0,"amendments_rejected":[]}'
)
"""The answer to records of which none was refused."""


class _Envelope(msgspec.Struct):
    records: list[msgspec.Raw]
    amendments: list[msgspec.Raw] = []
    sender: Sender | None = None


class _RecordId(msgspec.Struct):
    record_id: str | None = None


class _AmendmentId(msgspec.Struct):
    amendment_id: str | None = None


T = TypeVar("T")

Respond: TypeAlias = Callable[[Answer], None]
_Refusal: TypeAlias = tuple[int, str | None, str]
"""The index of what cannot be stored, its id, and why."""


@attrs.frozen(kw_only=True)
class _Decoded:
    """What of a body can be stored, and why the rest cannot."""

    batch: Batch
    records: list[_Refusal]
    amendments: list[_Refusal]

    def answer(self, result: StoreResult) -> bytes:
        """The answer, once the batch was stored."""
        if not (self.records or self.amendments or self.batch.amendments or result.rejected):
            return _PLAIN % (result.stored, result.duplicates)
        record_ids = {incoming.index: incoming.record.record_id for incoming in self.batch.records}
        amendment_ids = {incoming.index: incoming.amendment.amendment_id for incoming in self.batch.amendments}
        records = [*self.records, *((i, record_ids[i], why) for i, why in result.rejected)]
        amendments = [*self.amendments, *((i, amendment_ids[i], why) for i, why in result.amendments_rejected)]
        said = {
            "stored": result.stored,
            "duplicates": result.duplicates,
            "rejected": [{"index": i, "record_id": named, "message": why} for i, named, why in sorted(records)],
            "amendments_stored": result.amendments_stored,
            "amendments_duplicates": result.amendments_duplicates,
            "amendments_rejected": [
                {"index": i, "amendment_id": named, "message": why} for i, named, why in sorted(amendments)
            ],
        }
        return to_wire(said)


class Intake:
    """Takes batches of records for the store: from the protocol at once, or by way of ASGI."""

    def __init__(self, state: State, keys: Keys) -> None:
        self._state = state
        self._keys = keys
        self._hosts = http.HostList([state.settings.host], is_remote=state.settings.is_remote)
        self._read: list[tuple[_Decoded, Respond]] = []
        self._waiting: dict[Batch, tuple[_Decoded, Respond]] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        """Listen to what becomes of batches."""

        def tell(settled: Sequence[Settled]) -> None:
            loop.call_soon_threadsafe(self._told, settled)

        self._state.store.on_settled(tell)
        self._state.live.start(loop)

    @staticmethod
    def is_for(path: str) -> bool:
        """Whether a path is this address."""
        return path.endswith(_SUFFIX) and path.startswith(_PREFIX)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request that came by ASGI."""
        try:
            answer = await self._answer(scope, receive)
        except ClientDisconnect:
            return  # nobody is there to be answered, and nothing was taken
        headers = [
            (b"content-type", b"application/json"),
            (b"content-length", b"%d" % len(answer.body)),
            (b"x-content-type-options", b"nosniff"),
            *answer.headers,
        ]
        await send({"type": "http.response.start", "status": answer.status, "headers": headers})
        await send({"type": "http.response.body", "body": answer.body})

    def take(self, path: str, headers: http.RawHeaders, body: bytes, respond: Respond) -> None:
        """Take a whole request. `respond` is called once: now where it is refused, else when its batch is committed."""
        project_id = path[len(_PREFIX) : -len(_SUFFIX)]
        try:
            self._check_host(headers)
            key = self._keys.recall(headers, project_id, "ingest")
            if key is None or _is_long(body, headers):
                task = asyncio.get_running_loop().create_task(self._take_slowly(project_id, headers, body, respond))
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)
            else:
                self._submit(_decode(body, headers, key), respond)
        except Exception as exc:  # noqa: BLE001  it is answered, and logged where nobody expected it
            self._give(respond, _refusal(exc))

    async def _take_slowly(self, project_id: str, headers: http.RawHeaders, body: bytes, respond: Respond) -> None:
        try:
            key = await self._keys.grant(headers, project_id, "ingest")
            self._submit(await run_in_threadpool(_decode, body, headers, key), respond)
        except Exception as exc:  # noqa: BLE001  it is answered, and logged where nobody expected it
            self._give(respond, _refusal(exc))

    async def _answer(self, scope: Scope, receive: Receive) -> Answer:
        headers, path = scope["headers"], scope["path"]
        try:
            if scope["method"] != "POST":
                raise HTTPException(405, "Method Not Allowed", {"Allow": "POST"})
            self._check_host(headers)
            await self._keys.check(headers, path[len(_PREFIX) : -len(_SUFFIX)], "ingest")
            body = await http.read_body(headers, receive, BODY_LIMIT_BYTES)
        except HTTPException as exc:
            refusal = _refusal(exc)
            self._state.requests.count("intake", refusal.status)
            return refusal
        answered: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()

        def respond(answer: Answer) -> None:
            if not answered.done():  # the server may have stopped waiting
                answered.set_result(answer)

        self.take(path, headers, body, respond)
        return await answered

    def _check_host(self, headers: http.RawHeaders) -> None:
        problem = self._hosts.problem(headers)
        if problem is not None:
            raise HTTPException(400, problem)

    def _submit(self, decoded: _Decoded, respond: Respond) -> None:
        """Hand a batch to the store, once all that has come by now is read: then it is committed together."""
        if not self._read:
            asyncio.get_running_loop().call_soon(self._submit_all)
        self._read.append((decoded, respond))

    def _submit_all(self) -> None:
        read, self._read = self._read, []
        for decoded, respond in read:
            try:
                self._state.store.submit(decoded.batch)
            except Exception as exc:  # noqa: BLE001  as in `take`
                self._give(respond, _refusal(exc))
            else:
                self._waiting[decoded.batch] = decoded, respond

    def _told(self, settled: Sequence[Settled]) -> None:
        """Pass on what became of a group of batches; runs on the event loop."""
        for batch, result in settled:
            if not isinstance(result, StoreUnavailable):
                for incoming in batch.records:
                    # of a process that was only taken for dead, the next sign of life begins the call anew
                    self._state.live.end((batch.project_key, incoming.record.record_id))
            waiting = self._waiting.pop(batch, None)
            if waiting is None:
                continue
            decoded, respond = waiting
            if isinstance(result, StoreUnavailable):
                self._give(respond, _refusal(result))
            else:
                self._give(respond, Answer(200, decoded.answer(result)))
        self._state.news.announce()

    def _give(self, respond: Respond, answer: Answer) -> None:
        self._state.requests.count("intake", answer.status)
        respond(answer)


def _refusal(exc: Exception) -> Answer:
    """The answer to a request that came to nothing."""
    again = ((b"retry-after", b"%d" % RETRY_AFTER_S),)
    if isinstance(exc, HTTPException):
        headers = tuple((name.lower().encode(), value.encode()) for name, value in (exc.headers or {}).items())
        return Answer(exc.status_code, to_wire({"message": exc.detail}), headers)
    if isinstance(exc, StoreUnavailable):
        return Answer(429 if isinstance(exc, StoreBusy) else 503, to_wire({"message": str(exc)}), again)
    logger.error("a batch of records could not be answered", exc_info=exc)
    return Answer(500, to_wire({"message": "the server failed to answer; its log says why"}))


def _is_long(body: bytes, headers: http.RawHeaders) -> bool:
    """Whether decoding it takes milliseconds."""
    is_packed = any(name == b"content-encoding" for name, _ in headers)
    return len(body) * (PACKED_FACTOR if is_packed else 1) > THREAD_BYTES


def _decode(body: bytes, headers: http.RawHeaders, key: ApiKey) -> _Decoded:
    """The records and amendments of a body: those that can be stored, and why the others cannot."""
    envelope = _envelope(decompressed(body, headers, BODY_LIMIT_BYTES))
    for name, raws in (("records", envelope.records), ("amendments", envelope.amendments)):
        if len(raws) > RECORDS_LIMIT:
            raise HTTPException(413, f"the batch has {len(raws)} {name}; {RECORDS_LIMIT} are taken at once")
    records, bad_records = _read(envelope.records, Record, check_record, _record_id_in, key.project)
    amendments, bad_amendments = _read(envelope.amendments, Amendment, check_amendment, _amendment_id_in, key.project)
    batch = Batch(
        project_key=key.project.key,
        records=tuple(Incoming(index=index, record=record, body=data) for index, record, data in records),
        amendments=tuple(
            IncomingAmendment(index=index, amendment=amendment, body=data) for index, amendment, data in amendments
        ),
        received_at=datetime.now(UTC),
        sender=envelope.sender,
        api_key_id=key.key_id,
    )
    return _Decoded(batch=batch, records=bad_records, amendments=bad_amendments)


def _read(
    raws: Sequence[msgspec.Raw],
    kind: type[T],
    check: Callable[[T, Project], None],
    id_in: Callable[[bytes], str | None],
    project: Project,
) -> tuple[list[tuple[int, T, bytes]], list[_Refusal]]:
    """The values that can be stored, each with its index and its JSON, and why the others cannot."""
    taken: list[tuple[int, T, bytes]] = []
    refused: list[_Refusal] = []
    for index, raw in enumerate(raws):
        data = bytes(raw)
        try:
            value = from_wire(data, kind)
            check(value, project)
        except (WireError, ValueError) as exc:
            refused.append((index, id_in(data), str(exc)))
        else:
            taken.append((index, value, data))
    return taken, refused


def _envelope(data: bytes) -> _Envelope:
    try:
        return from_wire(data, _Envelope)
    except WireError as exc:
        problem = exc
    if b"\\ud" in data.lower():
        # A model can emit half an emoji, and Python's own JSON writes and reads it. `to_wire` makes it U+FFFD.
        with contextlib.suppress(ValueError, RecursionError):
            return from_wire(to_wire(json.loads(data)), _Envelope)
    raise HTTPException(400, f"the body is not a batch of records: {problem}") from problem


def _record_id_in(data: bytes) -> str | None:
    """The id of a record that could not be read, if that much can be."""
    try:
        return from_wire(data, _RecordId).record_id
    except WireError:
        return None  # the rejection that names it by its index says why


def _amendment_id_in(data: bytes) -> str | None:
    """The id of an amendment that could not be read, if that much can be."""
    try:
        return from_wire(data, _AmendmentId).amendment_id
    except WireError:
        return None  # as above
