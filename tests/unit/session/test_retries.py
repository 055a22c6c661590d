"""What is tried again, what is not, how long is waited, and what is told of it; both twins."""

from __future__ import annotations

import pytest

from freeplay_like import (
    Attempt,
    ConfigurationError,
    Freeplay,
    PromptTemplate,
    ProviderRateLimited,
    ProviderRejected,
    ProviderTimeout,
    ProviderUnavailable,
    RateLimit,
    Retry,
    TemplateMessage,
    Timeout,
)
from freeplay_like.core.chunks import CompletionChunk, Usage
from freeplay_like.testing import FakeAnswer, FakeFlavor, MemoryRecorder, StaticPrompts
from support.clocks import SleeplessClock
from support.twins import Twin

GREETING = PromptTemplate(
    name="greeting", model="fake-1", messages=(TemplateMessage(role="user", content="Greet {{name}}."),)
)
NAME = {"name": "Ann"}


def unavailable(**fields: object) -> ProviderUnavailable:
    return ProviderUnavailable("boom", provider="fake", status=503, request_id="r-1", retryable=True, **fields)


class Scene:
    """A client of one twin over a fake provider, with a clock that does not wait."""

    def __init__(self, twin: Twin, *answers: FakeAnswer, **options: object) -> None:
        self.twin = twin
        self.flavor, self.recorder, self.clock = FakeFlavor(*answers), MemoryRecorder(), SleeplessClock()
        self.fp = twin.client(
            self.flavor, prompts=StaticPrompts(GREETING), recorder=self.recorder, clock=self.clock, **options
        )

    def whole(self) -> object:
        return self.twin.do(self.fp.get_completion("p", "greeting", NAME))

    def stream(self) -> object:
        return self.twin.do(self.fp.get_completion_stream("p", "greeting", NAME))


def test_a_call_that_failed_before_it_delivered_anything_is_tried_again(twin: Twin) -> None:
    scene = Scene(twin, unavailable(), unavailable(), "Hello")
    assert scene.whole().content == "Hello"
    (record,) = scene.recorder.records
    assert record.outcome == "complete"
    assert [(a.number, a.status, a.error, a.request_id, a.phase) for a in record.attempts] == [
        (1, 503, "ProviderUnavailable", "r-1", "open"),
        (2, 503, "ProviderUnavailable", "r-1", "open"),
    ]
    first, second = scene.clock.slept
    assert 0.375 <= first <= 0.5
    assert 0.75 <= second <= 1.0
    assert [a.waited_ms for a in record.attempts] == pytest.approx([first * 1000, second * 1000], abs=0.01)
    assert len(scene.recorder.started) == 1


def test_what_the_provider_asks_to_wait_is_waited(twin: Twin) -> None:
    scene = Scene(twin, ProviderRateLimited("slow down", status=429, retryable=True, retry_after_s=7.0), "Hello")
    assert scene.stream().text == ""
    assert scene.clock.slept == [7.0]


def test_a_wait_that_is_too_long_is_not_waited(twin: Twin) -> None:
    limited = ProviderRateLimited("come tomorrow", status=429, retryable=True, retry_after_s=3600.0)
    scene = Scene(twin, limited, "Hello")
    with pytest.raises(ProviderRateLimited, match="come tomorrow"):
        scene.whole()
    assert scene.clock.slept == []
    assert scene.recorder.records[0].outcome == "error"


@pytest.mark.parametrize(
    "error", [ProviderRejected("no", status=401), ProviderUnavailable("quota", retryable=False), ValueError("bug")]
)
def test_what_cannot_get_better_is_not_tried_again(twin: Twin, error: Exception) -> None:
    scene = Scene(twin, error, "Hello")
    with pytest.raises(type(error)) as caught:
        scene.stream()
    assert caught.value is error
    assert len(scene.flavor.requests) == 1


def test_the_last_error_comes_out_as_it_is_with_the_tries_before(twin: Twin) -> None:
    last = unavailable()
    scene = Scene(twin, unavailable(), unavailable(), last, "never")
    with pytest.raises(ProviderUnavailable) as caught:
        scene.whole()
    assert caught.value is last
    assert (last.status, len(last.attempts), len(scene.flavor.requests)) == (503, 2, 3)
    (record,) = scene.recorder.records
    assert (record.outcome, record.error.status, len(record.attempts)) == ("error", 503, 2)


def test_a_stream_that_fails_before_its_first_chunk_is_tried_again(twin: Twin) -> None:
    role = CompletionChunk(model="first-model", usage=Usage(input_tokens=9, reasoning_tokens=7))
    scene = Scene(twin, [role, unavailable()], ["Hel", "lo"])
    stream = scene.stream()
    assert "".join(chunk.text for chunk in twin.chunks(stream)) == "Hello"
    (record,) = scene.recorder.records
    assert [a.phase for a in record.attempts] == ["first_chunk"]
    assert record.model == "fake-1"
    assert record.usage.reasoning_tokens is None
    assert scene.flavor.connections[0].is_closed


def test_a_whole_answer_that_breaks_off_is_tried_again(twin: Twin) -> None:
    scene = Scene(twin, [unavailable()], "Hello")
    assert scene.whole().content == "Hello"
    assert [a.phase for a in scene.recorder.records[0].attempts] == ["body"]


def test_a_stream_that_delivered_a_chunk_is_never_begun_again(twin: Twin) -> None:
    scene = Scene(twin, ["Hel", unavailable()], "never")
    stream = scene.stream()
    assert twin.next(stream).text == "Hel"
    with pytest.raises(ProviderUnavailable) as caught:
        twin.next(stream)
    assert caught.value.partial.content == "Hel"
    assert len(scene.flavor.requests) == 1


def test_on_retry_is_told_of_each_failed_try_and_cannot_hurt(twin: Twin, caplog: pytest.LogCaptureFixture) -> None:
    told: list[Attempt] = []

    def on_retry(attempt: Attempt) -> None:
        told.append(attempt)
        raise RuntimeError("the caller's own bug")

    scene = Scene(twin, unavailable(), "Hello", retry=Retry(on_retry=on_retry))
    assert scene.whole().content == "Hello"
    assert [attempt.number for attempt in told] == [1]
    assert "the caller's own bug" in caplog.text


def test_no_try_again_where_one_is_all_that_was_asked_for(twin: Twin) -> None:
    scene = Scene(twin, unavailable(), "never", retry=Retry(attempts=1))
    with pytest.raises(ProviderUnavailable):
        scene.whole()
    assert len(scene.flavor.requests) == 1


def test_waiting_never_goes_past_the_total(twin: Twin) -> None:
    scene = Scene(twin, unavailable(retry_after_s=30.0), "never", timeout=Timeout(total_s=10))
    with pytest.raises(ProviderUnavailable):
        scene.whole()
    assert scene.clock.slept == []


def test_a_client_with_other_options_shares_all_else(twin: Twin) -> None:
    scene = Scene(twin, unavailable(), unavailable(), "Hello", retry=Retry(attempts=1), temperature=0.5)
    patient = scene.fp.with_options(retry=Retry(attempts=3), top_p=0.1)
    assert twin.do(patient.get_completion("p", "greeting", NAME)).content == "Hello"
    assert {n: s.value for n, s in scene.recorder.records[0].parameters.items()} == {
        "model": "fake-1",
        "temperature": 0.5,
        "top_p": 0.1,
    }
    twin.do(patient.close())
    assert not scene.recorder.is_closed
    with pytest.raises(ConfigurationError, match=r"retry=3.*Retry\(\)"):
        scene.fp.with_options(retry=3)


def test_one_limit_holds_for_every_try_of_every_client(twin: Twin) -> None:
    limit = RateLimit(2, 10.0)
    scene = Scene(twin, unavailable(), "Hello", rate_limit=limit, retry=Retry(wait_s=0))
    assert scene.whole().content == "Hello"
    assert sum(scene.clock.slept) == 0
    other = Scene(twin, "Hi", rate_limit=limit)
    other.clock.slept = scene.clock.slept
    assert other.whole().content == "Hi"
    assert 9.0 < sum(other.clock.slept) <= 10.0


def test_a_limit_that_the_total_cannot_wait_for_says_so(twin: Twin) -> None:
    scene = Scene(twin, "Hello", rate_limit=(1, 60.0), timeout=Timeout(total_s=5))
    assert scene.whole().content == "Hello"
    with pytest.raises(ProviderTimeout, match=r"within 5 s \(Timeout.total_s\): the rate limit"):
        scene.whole()
    assert len(scene.flavor.requests) == 1
    assert scene.recorder.records[1].outcome == "error"


def test_a_stream_closed_while_it_waits_is_not_opened_again() -> None:
    class Leaving(SleeplessClock):
        def sleep(self, seconds: float) -> None:
            raise KeyboardInterrupt

    recorder, flavor = MemoryRecorder(), FakeFlavor(unavailable(), "never")
    fp = Freeplay(flavor, prompts=StaticPrompts(GREETING), recorder=recorder, clock=Leaving())
    with pytest.raises(KeyboardInterrupt):
        fp.get_completion("p", "greeting", NAME)
    assert [record.outcome for record in recorder.records] == ["cancelled"]
    assert len(flavor.requests) == 1


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: Retry(attempts=0), "attempts=0"),
        (lambda: Retry(attempts=True), "attempts=True"),
        (lambda: Retry(wait_s=-1), "wait_s=-1"),
        (lambda: Timeout(connect_s=0), "connect_s=0"),
        (lambda: Timeout(read_s=None), "read_s=None"),
        (lambda: Timeout(total_s=float("inf")), "total_s=inf"),
        (lambda: Timeout(total_s="3"), "total_s='3'"),
        (lambda: RateLimit(0), "calls=0"),
        (lambda: RateLimit(1, 0), "per_s=0"),
        (lambda: RateLimit(None), "limits nothing"),
    ],
)
def test_a_policy_that_makes_no_sense_says_so_when_it_is_made(make: object, says: str) -> None:
    with pytest.raises(ConfigurationError, match=says):
        make()
