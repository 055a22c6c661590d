"""The cache: what is served without asking, what stands in for an outage, and that one asks for many."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import attrs
import pytest

from freeplay_like.core.templates import PromptTemplate, TemplateMessage
from freeplay_like.errors import AuthorizationError, BackendError, TemplateNotFoundError
from freeplay_like.prompts.cache import RETRY_S, CachedPrompts
from support.waiting import until


@attrs.define
class Hands:
    """A clock that is set by hand."""

    seconds: float = 0.0

    def now(self) -> datetime:
        return datetime(2026, 1, 1, tzinfo=UTC)

    def monotonic_ns(self) -> int:
        return int(self.seconds * 1e9)

    def new_id(self) -> str:
        return "id"


@attrs.define
class Source:
    """A backend of templates: `version` is what it holds, `error` what it raises instead."""

    version: str = "1"
    error: BaseException | None = None
    before: Callable[[], object] = lambda: None
    asked: list[tuple[str, str, str]] = attrs.field(factory=list)
    is_closed: bool = False

    def get(self, project_id: str, name: str, environment: str) -> PromptTemplate:
        self.asked.append((project_id, name, environment))
        self.before()
        if self.error is not None:
            raise self.error
        message = TemplateMessage(role="user", content=f"{name} in {environment}")
        return PromptTemplate(name=name, messages=(message,), version=self.version, source="backend")

    def at_hand(self, project_id: str, name: str, environment: str) -> PromptTemplate | None:
        return None

    def close(self) -> None:
        self.is_closed = True


@pytest.fixture
def clock() -> Hands:
    return Hands()


@pytest.fixture
def source() -> Source:
    return Source()


@pytest.fixture
def cached(source: Source, clock: Hands) -> CachedPrompts:
    return CachedPrompts(source, clock=clock)


def served(cached: CachedPrompts, name: str = "a", environment: str = "prod") -> tuple[str | None, str]:
    template = cached.get("p", name, environment)
    return template.version, template.source


def test_a_fresh_copy_is_served_without_asking(cached: CachedPrompts, source: Source, clock: Hands) -> None:
    assert cached.at_hand("p", "a", "prod") is None
    assert served(cached) == ("1", "backend")
    source.version = "2"
    clock.seconds = 59.9
    assert served(cached) == ("1", "cache")
    assert cached.at_hand("p", "a", "prod") is cached.get("p", "a", "prod")
    clock.seconds = 60
    assert cached.at_hand("p", "a", "prod") is None
    assert served(cached) == ("2", "backend")
    assert len(source.asked) == 2


def test_projects_names_and_environments_are_kept_apart(cached: CachedPrompts, source: Source) -> None:
    keys = [("p", "a", "b"), ("p", "b", "a"), ("a", "p", "b"), ("p/a", "", "b"), ("p", "a/b", "")]
    texts = {cached.get(*key).messages for key in keys}
    assert source.asked == keys
    assert len(texts) == 5


def test_an_outage_is_bridged_with_one_line_in_the_log(
    cached: CachedPrompts, source: Source, clock: Hands, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    served(cached, "a")
    served(cached, "b")
    source.error = BackendError("down")
    clock.seconds = 100
    assert served(cached, "a") == ("1", "stale")
    clock.seconds += RETRY_S
    assert served(cached, "b") == ("1", "stale")
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert caplog.records[0].getMessage() == (
        "templates are served from copies while the backend is away ('a': 100 s old): down"
    )
    source.error, source.version = None, "2"
    clock.seconds += RETRY_S
    assert served(cached, "a") == ("2", "backend")
    assert caplog.records[-1].getMessage() == "the backend answers again"
    source.error = BackendError("down")
    clock.seconds += 60
    assert served(cached, "a") == ("2", "stale")
    assert [record.levelname for record in caplog.records] == ["WARNING", "INFO", "WARNING"]


def test_a_backend_that_is_away_is_left_alone_for_a_while(cached: CachedPrompts, source: Source, clock: Hands) -> None:
    served(cached, "a")
    served(cached, "b")
    source.error = BackendError("down")
    clock.seconds = 100
    served(cached, "a")
    for name in ("a", "b"):
        assert served(cached, name) == ("1", "stale")
        copy = cached.at_hand("p", name, "prod")
        assert copy is not None
        assert copy.source == "stale"
    assert len(source.asked) == 3
    with pytest.raises(BackendError):
        served(cached, "unknown")
    assert len(source.asked) == 4


def test_a_copy_that_is_too_old_does_not_stand_in(cached: CachedPrompts, source: Source, clock: Hands) -> None:
    served(cached)
    source.error = BackendError("down")
    clock.seconds = 86_400
    with pytest.raises(BackendError, match="down"):
        served(cached)
    with pytest.raises(BackendError, match="down"):
        served(cached)


def test_an_outage_without_a_copy_is_not_announced_as_bridged(
    cached: CachedPrompts, source: Source, clock: Hands, caplog: pytest.LogCaptureFixture
) -> None:
    served(cached)
    source.error = BackendError("down")
    clock.seconds = 100
    with pytest.raises(BackendError):
        served(cached, "other")
    assert not caplog.records
    clock.seconds += RETRY_S
    assert served(cached) == ("1", "stale")
    assert len(caplog.records) == 1


def test_a_template_that_is_gone_is_not_served_again(cached: CachedPrompts, source: Source, clock: Hands) -> None:
    served(cached)
    source.error = TemplateNotFoundError("gone")
    clock.seconds = 100
    with pytest.raises(TemplateNotFoundError):
        served(cached)
    source.error = BackendError("down")
    with pytest.raises(BackendError):
        served(cached)


def test_a_key_that_is_refused_is_an_error_although_there_is_a_copy(
    cached: CachedPrompts, source: Source, clock: Hands
) -> None:
    served(cached)
    source.error = AuthorizationError("wrong key")
    clock.seconds = 100
    with pytest.raises(AuthorizationError):
        served(cached)


def test_the_copy_not_used_for_longest_goes_first(source: Source, clock: Hands) -> None:
    cached = CachedPrompts(source, limit=2, clock=clock)
    for name in ("a", "b", "a", "c"):
        served(cached, name)
    assert served(cached, "a") == ("1", "cache")
    assert served(cached, "b") == ("1", "backend")


@pytest.mark.parametrize("error", [None, BackendError("down")])
def test_many_who_wait_cost_one_question(source: Source, error: BackendError | None) -> None:
    asked, go = threading.Event(), threading.Event()

    def hold() -> None:
        asked.set()
        assert go.wait(20)

    source.before, source.error = hold, error
    cached = CachedPrompts(source)

    def ask() -> str:
        try:
            return cached.get("p", "a", "prod").source
        except BackendError as exc:
            return str(exc)

    with ThreadPoolExecutor(8) as pool:
        answers = [pool.submit(ask) for _ in range(8)]
        assert asked.wait(20)
        until(lambda: len(_waiters(cached)) == 7, what="seven callers who wait")
        go.set()
        assert {answer.result(20) for answer in answers} == {"backend" if error is None else "down"}
    assert len(source.asked) == 1


def _waiters(cached: CachedPrompts) -> list[object]:
    """The threads that wait for a fetch; there is no public word for them."""
    return [waiter for flight in cached._held.flights.values() for waiter in flight._condition._waiters]  # type: ignore[attr-defined]


def test_one_who_waits_hears_of_a_fetch_that_was_broken_off(source: Source) -> None:
    asked, go = threading.Event(), threading.Event()

    def hold() -> None:
        asked.set()
        assert go.wait(20)
        raise KeyboardInterrupt

    source.before = hold
    cached = CachedPrompts(source)
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(cached.get, "p", "a", "prod")
        assert asked.wait(20)
        second = pool.submit(cached.get, "p", "a", "prod")
        until(lambda: len(_waiters(cached)) == 1, what="the second caller")
        go.set()
        with pytest.raises(KeyboardInterrupt):
            first.result(20)
        with pytest.raises(BackendError, match="'a' was broken off; ask again"):
            second.result(20)
    source.before = lambda: None
    assert served(cached) == ("1", "backend")


def test_closing_closes_the_source(cached: CachedPrompts, source: Source) -> None:
    cached.close()
    assert source.is_closed
