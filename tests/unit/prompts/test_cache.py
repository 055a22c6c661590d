"""The cache: what is served without waiting, what stands in for an outage, and that one asks for many."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import attrs
import pytest

from freeplay_like.core.templates import PromptTemplate, TemplateMessage
from freeplay_like.errors import AuthorizationError, BackendError, TemplateNotFoundError, TemplateSyntaxError
from freeplay_like.prompts.cache import RETRY_S, CachedPrompts, TemplateKey, VersionKey
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

    def sleep(self, seconds: float) -> None:
        self.seconds += seconds

    async def asleep(self, seconds: float) -> None:
        self.seconds += seconds


@attrs.define
class Source:
    """A backend of templates: `version_now` is what it holds, `error` what it raises instead."""

    version_now: str = "1"
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
        return PromptTemplate(name=name, messages=(message,), version=self.version_now, source="backend")

    def version(self, project_id: str, template_id: str, version_id: str) -> PromptTemplate:
        return attrs.evolve(self.get(project_id, template_id, version_id), version_id=version_id)

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
def cached(source: Source, clock: Hands) -> Iterator[CachedPrompts]:
    made = CachedPrompts(source, clock=clock)
    yield made
    at_rest(made)


def at_rest(cached: CachedPrompts) -> None:
    """Wait until nothing is asked in the background; a thread that stayed would fail here."""
    until(lambda: cached._held.refresher is None, what="the end of the thread")
    assert not cached._held.due


def served(cached: CachedPrompts, name: str = "a", environment: str = "prod") -> tuple[str | None, str]:
    template = cached.get("p", name, environment)
    return template.version, template.source


def test_a_fresh_copy_is_served_without_asking(cached: CachedPrompts, source: Source, clock: Hands) -> None:
    assert cached.at_hand("p", "a", "prod") is None
    assert served(cached) == ("1", "backend")
    source.version_now = "2"
    clock.seconds = 9.9
    assert served(cached) == ("1", "cache")
    assert cached.at_hand("p", "a", "prod") is cached.get("p", "a", "prod")
    at_rest(cached)
    assert len(source.asked) == 1


def test_a_copy_that_is_not_fresh_is_served_at_once_and_asked_for_meanwhile(
    cached: CachedPrompts, source: Source, clock: Hands
) -> None:
    served(cached)
    go = threading.Event()
    source.version_now, source.before = "2", lambda: go.wait(20)
    clock.seconds = 10
    for _ in range(5):
        assert served(cached) == ("1", "cache")
        copy = cached.at_hand("p", "a", "prod")
        assert copy is not None
        assert (copy.version, copy.source) == ("1", "cache")
    go.set()
    at_rest(cached)
    assert served(cached) == ("2", "cache")
    assert len(source.asked) == 2
    clock.seconds += 9.9
    assert served(cached) == ("2", "cache")
    at_rest(cached)
    assert len(source.asked) == 2


def test_the_first_call_after_a_quiet_time_waits_for_the_source(
    cached: CachedPrompts, source: Source, clock: Hands
) -> None:
    served(cached)
    source.version_now = "2"
    clock.seconds = 60
    assert cached.at_hand("p", "a", "prod") is None
    assert served(cached) == ("2", "backend")
    assert len(source.asked) == 2


def test_callers_can_be_made_to_wait_for_what_is_not_fresh(source: Source, clock: Hands) -> None:
    cached = CachedPrompts(source, fresh_s=30, revalidate_s=0, clock=clock)
    served(cached)
    source.version_now = "2"
    clock.seconds = 29.9
    assert served(cached) == ("1", "cache")
    clock.seconds = 30
    assert cached.at_hand("p", "a", "prod") is None
    assert served(cached) == ("2", "backend")


def test_one_who_waits_joins_the_question_that_is_asked_in_the_background(
    cached: CachedPrompts, source: Source, clock: Hands
) -> None:
    served(cached)
    asked, go = threading.Event(), threading.Event()

    def hold() -> None:
        asked.set()
        assert go.wait(20)

    source.before, source.version_now = hold, "2"
    clock.seconds = 59
    assert served(cached) == ("1", "cache")
    assert asked.wait(20)
    clock.seconds = 60
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(served, cached)
        until(lambda: len(_waiters(cached)) == 1, what="the caller who waits")
        go.set()
        assert answer.result(20) == ("2", "backend")
    assert len(source.asked) == 2


def test_many_templates_are_asked_for_by_one_thread_that_ends(
    cached: CachedPrompts, source: Source, clock: Hands
) -> None:
    names = [f"t{number}" for number in range(20)]
    for name in names:
        served(cached, name)
    threads: set[str] = set()
    source.before = lambda: threads.add(threading.current_thread().name)
    clock.seconds = 10
    for name in names:
        assert served(cached, name) == ("1", "cache")
    at_rest(cached)
    assert threads == {"freeplay_like-prompts"}
    assert sorted(name for _, name, _ in source.asked[20:]) == sorted(names)


@pytest.mark.parametrize(
    "error", [AuthorizationError("wrong key"), TemplateNotFoundError("gone"), TemplateSyntaxError("odd")]
)
def test_what_the_source_refuses_in_the_background_the_next_caller_hears(
    cached: CachedPrompts, source: Source, clock: Hands, error: Exception
) -> None:
    served(cached)
    source.error = error
    clock.seconds = 10
    assert served(cached) == ("1", "cache")
    at_rest(cached)
    assert cached.at_hand("p", "a", "prod") is None
    for _ in range(2):
        with pytest.raises(type(error)):
            served(cached)
    source.error, source.version_now = None, "2"
    assert served(cached) == ("2", "backend")
    assert served(cached) == ("2", "cache")


def test_without_a_thread_to_be_had_later_callers_wait(
    cached: CachedPrompts, source: Source, clock: Hands, monkeypatch: pytest.MonkeyPatch
) -> None:
    def none_left(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    served(cached)
    source.version_now = "2"
    clock.seconds = 10
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", none_left)
        assert served(cached) == ("1", "cache")
    at_rest(cached)
    clock.seconds = 60
    assert served(cached) == ("2", "backend")


def test_closing_ends_what_is_asked_in_the_background(cached: CachedPrompts, source: Source, clock: Hands) -> None:
    for name in "abc":
        served(cached, name)
    asked, go = threading.Event(), threading.Event()

    def hold() -> None:
        asked.set()
        assert go.wait(20)

    source.before = hold
    clock.seconds = 10
    for name in "abc":
        served(cached, name)
    assert asked.wait(20)
    with ThreadPoolExecutor(1) as pool:
        closing = pool.submit(cached.close)
        until(lambda: not cached._held.due, what="the beginning of close")
        go.set()
        closing.result(20)
    assert source.is_closed
    assert not [thread for thread in threading.enumerate() if thread.name == "freeplay_like-prompts"]
    assert len(source.asked) == 4


def test_a_refresh_by_hand_asks_although_the_copy_is_fresh(cached: CachedPrompts, source: Source) -> None:
    served(cached)
    source.version_now = "2"
    template = cached.refresh("p", "a", "prod")
    assert (template.version, template.source) == ("2", "backend")
    assert served(cached) == ("2", "cache")
    source.error = BackendError("down")
    assert cached.refresh("p", "a", "prod").source == "stale"


def test_what_was_asked_before_a_refresh_does_not_replace_its_answer(cached: CachedPrompts, source: Source) -> None:
    asked, go = threading.Event(), threading.Event()

    def hold() -> None:
        if not asked.is_set():
            asked.set()
            assert go.wait(20)

    source.before = hold
    with ThreadPoolExecutor(1) as pool:
        early = pool.submit(served, cached)
        assert asked.wait(20)
        source.version_now = "2"
        assert cached.refresh("p", "a", "prod").version == "2"
        source.version_now = "early"
        go.set()
        assert early.result(20) == ("early", "backend")
    assert served(cached) == ("2", "cache")


def test_what_is_forgotten_is_asked_for_again(cached: CachedPrompts, source: Source) -> None:
    for name in "ab":
        served(cached, name)
        served(cached, name, "dev")
    cached.version("p", "t", "v")
    cached.forget("a")
    source.version_now = "2"
    assert served(cached, "a") == ("2", "backend")
    assert served(cached, "a", "dev") == ("2", "backend")
    assert served(cached, "b") == ("1", "cache")
    assert cached.version("p", "t", "v").source == "cache"
    cached.forget()
    assert served(cached, "b") == ("2", "backend")
    assert cached.version("p", "t", "v").source == "backend"


def test_a_version_is_kept_for_ever_within_the_bound(source: Source, clock: Hands) -> None:
    cached = CachedPrompts(source, limit=2, clock=clock)
    assert cached.version("p", "t", "v").source == "backend"
    clock.seconds, source.error = 1e9, BackendError("down")
    kept = cached.version("p", "t", "v")
    assert (kept.version_id, kept.source) == ("v", "cache")
    with pytest.raises(BackendError, match="down"):
        cached.version("p", "t", "other")
    source.error = None
    served(cached, "a")
    served(cached, "b")
    assert cached.version("p", "t", "v").source == "backend"


def test_a_version_is_not_taken_for_a_template_of_the_same_words(cached: CachedPrompts, source: Source) -> None:
    assert TemplateKey("p", "t", "v") != VersionKey("p", "t", "v")
    cached.version("p", "t", "v")
    assert cached.at_hand("p", "t", "v") is None


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
    at_rest(cached)
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert caplog.records[0].getMessage() == (
        "templates are served from copies while the backend is away ('a': 100 s old): down"
    )
    source.error, source.version_now = None, "2"
    clock.seconds += RETRY_S
    assert served(cached, "a") == ("1", "stale")
    at_rest(cached)
    assert served(cached, "a") == ("2", "cache")
    assert caplog.records[-1].getMessage() == "the backend answers again"
    source.error = BackendError("down")
    clock.seconds += 60
    assert served(cached, "a") == ("2", "stale")
    assert [record.levelname for record in caplog.records] == ["WARNING", "INFO", "WARNING"]


def test_a_backend_that_is_away_is_left_alone_for_a_while_and_nobody_waits_for_it(
    cached: CachedPrompts, source: Source, clock: Hands
) -> None:
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
    at_rest(cached)
    assert len(source.asked) == 3
    with pytest.raises(BackendError):
        served(cached, "unknown")
    assert len(source.asked) == 4
    clock.seconds += RETRY_S
    copy = cached.at_hand("p", "a", "prod")
    assert copy is not None
    assert copy.source == "stale"
    at_rest(cached)
    assert len(source.asked) == 5


def test_an_outage_of_long_ago_is_not_believed(cached: CachedPrompts, source: Source, clock: Hands) -> None:
    served(cached)
    source.error = BackendError("down")
    clock.seconds = 100
    assert served(cached) == ("1", "stale")
    source.error, source.version_now = None, "2"
    clock.seconds += 60
    assert cached.at_hand("p", "a", "prod") is None
    assert served(cached) == ("2", "backend")


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
    at_rest(cached)
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
