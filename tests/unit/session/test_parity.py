"""The twins have the same names and the same signatures."""

from __future__ import annotations

import inspect

import pytest

from freeplay_like import (
    AsyncChatSession,
    AsyncCompletionStream,
    AsyncContinuedStream,
    AsyncFreeplay,
    AsyncSession,
    AsyncTestRun,
    ChatSession,
    CompletionStream,
    ContinuedStream,
    Freeplay,
    Session,
    TestRun,
)
from freeplay_like.session.reading import AsyncReading, SyncReading
from freeplay_like.session.sse import AsyncSseBody, SseBody

TWINS = [
    (Freeplay, AsyncFreeplay),
    (Session, AsyncSession),
    (ChatSession, AsyncChatSession),
    (CompletionStream, AsyncCompletionStream),
    (ContinuedStream, AsyncContinuedStream),
    (TestRun, AsyncTestRun),
    (SyncReading, AsyncReading),
    (SseBody, AsyncSseBody),
]
RENAMED = {"aclose": "close"}
"""The one name that differs where a class is closed by `aclose`, as Python's own async iterators are."""


def public(cls: type) -> dict[str, object]:
    return {RENAMED.get(name, name): getattr(cls, name) for name in dir(cls) if not name.startswith("_")}


@pytest.mark.parametrize(("sync", "twin"), TWINS, ids=lambda cls: cls.__name__)
def test_twins_have_the_same_names(sync: type, twin: type) -> None:
    assert public(sync).keys() == public(twin).keys()


@pytest.mark.parametrize(("sync", "twin"), TWINS, ids=lambda cls: cls.__name__)
def test_twins_take_the_same_arguments(sync: type, twin: type) -> None:
    compared = 0
    for name, member in public(sync).items():
        if callable(member):
            assert (
                inspect.signature(member).parameters == inspect.signature(public(twin)[name]).parameters  # type: ignore[arg-type]
            ), name
            compared += 1
    assert compared > 0
