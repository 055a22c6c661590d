"""What every flavor promises of a call and its errors, over the provider's own client and a loopback provider."""

import copy
from itertools import chain, zip_longest

import pytest

from freeplay_like.core.limits import Timeout
from freeplay_like.core.messages import Message
from freeplay_like.core.parameters import merge
from freeplay_like.errors import (
    ConfigurationError,
    ProviderDenied,
    ProviderError,
    ProviderRateLimited,
    ProviderRejected,
    ProviderResponseError,
    ProviderTimeout,
    ProviderUnavailable,
)
from freeplay_like.flavors.base import Flavor
from freeplay_like.flavors.registry import flavor_named
from freeplay_like.local.scripts import Script
from freeplay_like.local.simulator import Simulator
from support.flavor_calls import KINDS, MESSAGES, WITH_TOOLS, acall, call, formatted
from support.wire import FLAVORS, OpenFlavor, flavor_of, read

SHORT = Timeout(read_s=0.05)


@pytest.fixture(params=KINDS)
def flavor(request: pytest.FixtureRequest, simulator: Simulator) -> OpenFlavor:
    return flavor_of(request.param, simulator)


@pytest.fixture(params=WITH_TOOLS)
def tool_flavor(request: pytest.FixtureRequest, simulator: Simulator) -> OpenFlavor:
    return flavor_of(request.param, simulator)


def test_a_flavor_is_what_the_protocol_asks_for(flavor: OpenFlavor) -> None:
    assert isinstance(flavor, Flavor)


def test_every_flavor_is_known_by_its_name() -> None:
    assert {flavor_named(kind.name) for kind in FLAVORS.values()} == set(FLAVORS.values())


# --- answers ---


@pytest.mark.parametrize("is_stream", [True, False])
async def test_an_answer_comes_whole_sync_and_async(flavor: OpenFlavor, *, is_stream: bool) -> None:
    for answer in (call(flavor, "chunks=3", is_stream=is_stream), await acall(flavor, "chunks=3", is_stream=is_stream)):
        assert answer.error is None
        assert answer.response.text == " tok0 tok1 tok2"
        assert answer.response.finish_reason == "stop"
        assert answer.response.usage.input_tokens == 9
        assert answer.response.usage.cached_input_tokens == 4
        assert answer.response.usage.output_tokens == 3


@pytest.mark.parametrize("is_stream", [True, False])
async def test_the_body_is_sent_exactly_as_formatted(
    flavor: OpenFlavor, simulator: Simulator, *, is_stream: bool
) -> None:
    values = {"temperature": 0.5, "top_p": 0.9, "metadata": {"user_id": "ü"}, "something_new": [1, None, {"a": False}]}
    request = formatted(flavor, "chunks=1", is_stream=is_stream, **values)
    flavor.open(request).close()
    await (await flavor.aopen(request)).aclose()
    assert [seen.body for seen in simulator.requests] == [request.body, request.body]
    assert request.body.items() >= values.items()


@pytest.mark.parametrize("is_stream", [True, False])
async def test_the_head_of_the_answer_is_at_hand(flavor: OpenFlavor, *, is_stream: bool) -> None:
    request = formatted(flavor, "chunks=1", is_stream=is_stream)
    connection, other = flavor.open(request), await flavor.aopen(request)
    for number, headers, request_id in (
        (1, connection.headers, connection.request_id),
        (2, other.headers, other.request_id),
    ):
        assert request_id == f"req_sim_{number}"
        assert request_id in headers.values()
        assert headers["content-type"].startswith("text/event-stream" if is_stream else "application/json")
        assert all(name == name.lower() for name in headers)
    connection.close()
    await other.aclose()


def test_formatting_changes_nothing_that_it_is_given(flavor: OpenFlavor) -> None:
    said = [{"type": "text", "text": "Hello"}]
    messages = [Message(role="system", content="Be brief."), Message(role="user", content=said)]
    values = {"model": "m", "max_tokens": 9, "stop": ["x"], "metadata": {"a": ["b"]}, "extra_body": {"more": [1]}}
    if flavor.name == "openai_responses":
        del values["stop"]
    parameters = merge([("flavor", flavor.default_parameters), ("call", values)])
    before = copy.deepcopy((messages, values, parameters))
    first = flavor.format(messages, parameters, is_stream=True)
    assert flavor.format(messages, parameters, is_stream=True) == first
    assert (messages, values, parameters) == before
    assert "stream" not in flavor.format(messages, parameters, is_stream=False).body


def test_two_answers_read_at_once_do_not_mix(flavor: OpenFlavor) -> None:
    requests = [formatted(flavor, f"text={text},chunks=4") for text in ("The river Loire", "A mountain")]
    bodies = [list(flavor.open(request)) for request in requests]
    readers = [flavor.reader(request) for request in requests]
    texts = ["", ""]
    for pair in zip_longest(*bodies, fillvalue=b""):
        for place, data in enumerate(pair):
            texts[place] += "".join(chunk.text for chunk in readers[place].feed(data))
    assert [list(chain(reader.end())) for reader in readers] == [[], []]
    assert texts == ["The river Loire", "A mountain"]


@pytest.mark.parametrize("is_stream", [True, False])
async def test_tool_calls_are_put_together(tool_flavor: OpenFlavor, *, is_stream: bool) -> None:
    for answer in (
        call(tool_flavor, "tools=2", is_stream=is_stream),
        await acall(tool_flavor, "tools=2", is_stream=is_stream),
    ):
        calls = answer.response.tool_calls
        assert [(tool.name, tool.arguments) for tool in calls] == [("get_weather", '{"city":"Paris"}')] * 2
        assert len({tool.id for tool in calls}) == 2
        assert answer.response.finish_reason == "tool_calls"


@pytest.mark.parametrize("is_stream", [True, False])
def test_reasoning_comes_apart_from_the_text(tool_flavor: OpenFlavor, *, is_stream: bool) -> None:
    choice = call(tool_flavor, "reasoning=2,chunks=1", is_stream=is_stream).response.choices[0]
    assert (choice.reasoning, choice.text) == (" hm0 hm1", " tok0")


@pytest.mark.parametrize("kind", ["openai", "azure", "openai_responses"])
@pytest.mark.parametrize("is_stream", [True, False])
def test_a_refusal_is_not_text(kind: str, simulator: Simulator, *, is_stream: bool) -> None:
    choice = call(flavor_of(kind, simulator), "refusal,chunks=2", is_stream=is_stream).response.choices[0]
    assert (choice.refusal, choice.text) == (" tok0 tok1", "")


@pytest.mark.parametrize("kind", ["openai", "azure", "openai_text"])
@pytest.mark.parametrize("is_stream", [True, False])
def test_several_choices_are_told_apart(kind: str, simulator: Simulator, *, is_stream: bool) -> None:
    choices = call(flavor_of(kind, simulator), "chunks=2", is_stream=is_stream, n=3).response.choices
    assert [(choice.index, choice.text) for choice in choices] == [(i, " tok0 tok1") for i in range(3)]


@pytest.mark.parametrize("is_stream", [True, False])
@pytest.mark.parametrize(
    ("kind", "asked", "tokens"),
    [
        ("openai", True, "content"),
        ("azure", True, "content"),
        ("openai_responses", True, "content"),
        ("openai_text", 1, "tokens"),
    ],
)
def test_log_probabilities_are_kept(
    kind: str, asked: object, tokens: str, simulator: Simulator, *, is_stream: bool
) -> None:
    choice = call(flavor_of(kind, simulator), "chunks=2", is_stream=is_stream, logprobs=asked).response.choices[0]
    assert sum(len(entry[tokens]) for entry in choice.logprobs) == 2


# --- refusals ---

REFUSALS = [
    (400, ProviderRejected, False),
    (401, ProviderDenied, False),
    (402, ProviderRejected, False),
    (403, ProviderDenied, False),
    (404, ProviderRejected, False),
    (408, ProviderUnavailable, True),
    (409, ProviderUnavailable, True),
    (413, ProviderRejected, False),
    (422, ProviderRejected, False),
    (425, ProviderUnavailable, True),
    (429, ProviderRateLimited, True),
    (500, ProviderUnavailable, True),
    (503, ProviderUnavailable, True),
    (529, ProviderUnavailable, True),
]


@pytest.mark.parametrize("is_stream", [True, False])
async def test_a_refusal_is_raised_before_the_answer_begins(
    flavor: OpenFlavor, simulator: Simulator, *, is_stream: bool
) -> None:
    for status, kind, is_retryable in REFUSALS:
        request = formatted(flavor, f"status={status},retry_after=7", is_stream=is_stream)
        with pytest.raises(ProviderError) as sync:
            flavor.open(request)
        with pytest.raises(ProviderError) as asynchronous:
            await flavor.aopen(request)
        for error in (sync.value, asynchronous.value):
            assert (type(error), error.status, error.retryable) == (kind, status, is_retryable)
            assert error.retry_after_s == 7
            assert (error.provider, error.model) == (flavor.provider, request.model)
            assert error.request_id.startswith("req_sim_")
            assert error.code
            assert f"answered {status}: simulated status {status}" in str(error)
            assert error.__cause__ is not None
    assert len(simulator.requests) == 2 * len(REFUSALS)


@pytest.mark.parametrize(
    ("written", "seconds"), [("0.5", 0.5), ("Wed%2C 21 Oct 2015 07:28:00 GMT", 0.0), ("soon", None)]
)
def test_retry_after_is_read_as_seconds_or_as_a_date(flavor: OpenFlavor, written: str, seconds: float | None) -> None:
    with pytest.raises(ProviderRateLimited) as caught:
        flavor.open(formatted(flavor, f"status=429,retry_after={written}"))
    assert caught.value.retry_after_s == seconds


async def test_a_request_is_sent_once_whatever_comes_of_it(flavor: OpenFlavor, simulator: Simulator) -> None:
    for script in ("status=503,retry_after=0", "status=429,retry_after=0", "reset"):
        simulator.clear()
        with pytest.raises(ProviderError):
            flavor.open(formatted(flavor, script))
        with pytest.raises(ProviderError):
            await flavor.aopen(formatted(flavor, script))
        assert len(simulator.requests) == 2


async def test_a_provider_that_is_not_there_is_unavailable() -> None:
    with Simulator() as gone:
        flavors = [flavor_of(kind, gone) for kind in KINDS]
    for flavor in flavors:
        with pytest.raises(ProviderUnavailable, match=r"127\.0\.0\.1:\d+\) failed: Connection error") as caught:
            flavor.open(formatted(flavor))
        assert caught.value.retryable
        with pytest.raises(ProviderUnavailable):
            await flavor.aopen(formatted(flavor))


async def test_silence_before_the_head_is_a_timeout(flavor: OpenFlavor) -> None:
    for timeout in (SHORT, Timeout(first_chunk_s=0.05), Timeout(total_s=0.05)):
        with pytest.raises(ProviderTimeout) as caught:
            flavor.open(formatted(flavor, "hang"), timeout)
        assert caught.value.retryable
        with pytest.raises(ProviderTimeout):
            await flavor.aopen(formatted(flavor, "hang"), timeout)


async def test_silence_in_the_answer_is_a_timeout_after_the_text_before_it(flavor: OpenFlavor) -> None:
    # The head may take its time here: only the wait for the rest is short.
    timeout = Timeout(read_s=1)
    for answer in (call(flavor, "hang_after=1", timeout), await acall(flavor, "hang_after=1", timeout)):
        assert type(answer.error) is ProviderTimeout
        assert answer.response.text == " tok0"


# --- answers that go wrong ---


@pytest.mark.parametrize("script", ["cut_after=2", "cut_after=2,batch=3"])
async def test_a_cut_connection_comes_after_the_text_before_it(flavor: OpenFlavor, script: str) -> None:
    for answer in (call(flavor, script), await acall(flavor, script)):
        assert answer.response.text == " tok0 tok1"
        assert type(answer.error) is ProviderUnavailable
        assert answer.error.retryable
        assert answer.error.request_id.startswith("req_sim_")
        assert answer.error.__cause__ is not None


async def test_a_whole_answer_that_is_cut_is_no_answer(flavor: OpenFlavor) -> None:
    for answer in (
        call(flavor, "cut_after=0", is_stream=False),
        await acall(flavor, "cut_after=0", is_stream=False),
    ):
        assert type(answer.error) is ProviderUnavailable
        assert answer.response.text == ""


async def test_a_failure_told_in_the_stream_comes_after_the_text_before_it(flavor: OpenFlavor) -> None:
    for answer in (call(flavor, "error_after=2"), await acall(flavor, "error_after=2")):
        assert answer.response.text == " tok0 tok1"
        assert type(answer.error) is ProviderUnavailable
        assert answer.error.status is None


async def test_an_end_without_a_finish_reason_has_none(flavor: OpenFlavor) -> None:
    for answer in (call(flavor, "eof_after=2"), await acall(flavor, "eof_after=2")):
        assert answer.error is None
        assert answer.response.text == " tok0 tok1"
        assert answer.response.finish_reason is None


def test_json_that_does_not_parse_is_shown(flavor: OpenFlavor) -> None:
    answer = call(flavor, "bad_json_after=1")
    assert type(answer.error) is ProviderResponseError
    assert '{"id": "brok' in str(answer.error)


def test_an_answer_of_no_pieces_is_an_answer(flavor: OpenFlavor) -> None:
    answer = call(flavor, "chunks=0")
    assert (answer.error, answer.response.text, answer.response.finish_reason) == (None, "", "stop")


@pytest.mark.parametrize("is_stream", [True, False])
@pytest.mark.parametrize(
    "page",
    [
        "<html>\n\nlog in first</html>" + "x" * 1000,
        '"log in first"',
        '{"choices": [], "say": "log in first"}',
        '{"choices": null, "content": null, "output": null, "say": "log in first"}',
    ],
)
def test_a_body_that_is_no_answer_is_shown(
    flavor: OpenFlavor, simulator: Simulator, page: str, tmp_path, *, is_stream: bool
) -> None:
    (tmp_path / "page.html").write_text(page)
    simulator.enqueue(f"raw={tmp_path}/page.html")
    answer = call(flavor, is_stream=is_stream)
    assert type(answer.error) is ProviderResponseError
    assert "log in first" in str(answer.error)
    assert len(str(answer.error)) < 700


def test_a_failure_told_in_a_whole_body_is_a_failure(flavor: OpenFlavor, simulator: Simulator, tmp_path) -> None:
    body = '{"type": "error", "error": {"message": "too busy", "type": "overloaded_error"}}'
    (tmp_path / "body.json").write_text(body)
    simulator.enqueue(f"raw={tmp_path}/body.json")
    answer = call(flavor, is_stream=False)
    assert type(answer.error) is ProviderUnavailable
    assert "too busy" in str(answer.error)


def test_a_server_that_does_not_stream_when_asked_to_is_read_all_the_same(
    flavor: OpenFlavor, simulator: Simulator, tmp_path
) -> None:
    simulator.enqueue("chunks=2")
    whole = b"".join(flavor.open(formatted(flavor, is_stream=False)))
    (tmp_path / "whole.json").write_bytes(whole)
    simulator.enqueue(f"raw={tmp_path}/whole.json,split=50")
    assert call(flavor).response.text == " tok0 tok1"


# --- what is not sent ---


async def test_what_the_client_cannot_send_is_a_configuration_error(flavor: OpenFlavor, simulator: Simulator) -> None:
    request = formatted(flavor, metadata={"owner": object()})
    with pytest.raises(ConfigurationError, match="was not sent"):
        flavor.open(request)
    with pytest.raises(ConfigurationError, match="was not sent"):
        await flavor.aopen(request)
    assert simulator.requests == []


def test_a_long_answer_need_not_be_streamed(flavor: OpenFlavor) -> None:
    assert call(flavor, "chunks=1", is_stream=False, max_tokens=200_000).response.text == " tok0"


def test_a_call_without_a_model_says_where_to_set_one(flavor: OpenFlavor) -> None:
    with pytest.raises(ConfigurationError, match="no model"):
        flavor.format(MESSAGES, merge([("flavor", flavor.default_parameters)]), is_stream=True)


def test_another_answer_follows_a_failed_one(flavor: OpenFlavor, simulator: Simulator) -> None:
    simulator.enqueue(Script(cut_after=1), Script(status=500), Script(chunks=1))
    assert call(flavor).error is not None
    with pytest.raises(ProviderUnavailable):
        call(flavor)
    request = formatted(flavor)
    assert read(flavor.reader(request), flavor.open(request)).response.text == " tok0"
