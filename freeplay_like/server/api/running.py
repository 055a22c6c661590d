"""What programs say of calls that have not ended yet, for those who watch."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Annotated, Final

import attrs
import msgspec

from freeplay_like.core.records import Record
from freeplay_like.server.api.operations import PROJECT, Ask, operation
from freeplay_like.server.checks import check_record
from freeplay_like.server.store.live import Growth
from freeplay_like.server.store.views import Refused

CALLS_LIMIT: Final = 100
"""The most calls that are told of at once."""

_Id = Annotated[str, msgspec.Meta(min_length=1, max_length=64)]


@attrs.frozen(kw_only=True)
class RunningCall:
    """A call that runs. The first time with the `record` that it began with; after that its text alone.

    `text` follows `at` characters that were sent before; without any it says that the call still runs.
    """

    record_id: _Id
    record: Record | None = None
    at: Annotated[int, msgspec.Meta(ge=0)] = 0
    text: str = ""


@attrs.frozen(kw_only=True)
class RunningCalls:
    """The calls of one program that run now, or some of them."""

    calls: Annotated[list[RunningCall], msgspec.Meta(max_length=CALLS_LIMIT)]


@attrs.frozen(kw_only=True)
class RunningAnswer:
    """`unknown` are the calls that have to be told whole, with their records: what came before is not here."""

    unknown: list[str]


@operation("POST", f"{PROJECT}/records:live", scope="ingest", body=RunningCalls, returns=RunningAnswer, mends_text=True)
def tell_running(ask: Ask[RunningCalls]) -> RunningAnswer:
    """Show calls that have not ended yet, while they grow.

    Nothing of this is stored: a call is forgotten when its record comes, and 30 seconds after it was last told of.
    """
    live, key = ask.state.live, ask.project.key
    for call in ask.body.calls:
        if call.record is not None:
            _check(call, call.record, ask)
    unknown: list[str] = []
    for told in _rounds(ask.body.calls):
        growths = {(key, call.record_id): Growth(record=call.record, at=call.at, text=call.text) for call in told}
        unknown += [record_id for _, record_id in live.tell(growths)]
    return RunningAnswer(unknown=unknown)


def _rounds(calls: Sequence[RunningCall]) -> Iterator[Sequence[RunningCall]]:
    """What is told, in its order, so that no call is told of twice in a round."""
    told: dict[str, RunningCall] = {}
    for call in calls:
        if call.record_id in told:
            yield tuple(told.values())
            told = {}
        told[call.record_id] = call
    yield tuple(told.values())


def _check(call: RunningCall, record: Record, ask: Ask[RunningCalls]) -> None:
    try:
        check_record(record, ask.project)
    except ValueError as exc:
        raise Refused(f"call {call.record_id!r}: {exc}") from exc
    if record.record_id != call.record_id or call.at:
        raise Refused(f"call {call.record_id!r} begins with its own record, and at 0")


OPERATIONS: Final = (tell_running,)
