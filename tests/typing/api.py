"""Uses the public API as a program would. Checked by mypy and pyright, never run."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import assert_type

import attrs

from freeplay_like import (
    UNSET,
    Amendment,
    AnthropicClaudeChat,
    AnthropicClaudeText,
    AsyncChatSession,
    AsyncCompletionStream,
    AsyncContinuedStream,
    AsyncFreeplay,
    AsyncSession,
    AsyncTestRun,
    Attempt,
    AzureOpenAIChat,
    BackendPrompts,
    CachedPrompts,
    ChatCompletionResponse,
    ChatHistory,
    ChatMessage,
    ChatSession,
    Choice,
    CodeBlock,
    CompletionChunk,
    CompletionResponse,
    CompletionStream,
    ContextLengthExceeded,
    Continuation,
    ContinuedStream,
    ContinueState,
    FlushReport,
    FolderPrompts,
    Freeplay,
    HistorySlot,
    IncompleteResponse,
    JournalRecorder,
    Media,
    MediaSlot,
    Message,
    OpenAIChat,
    OpenAIResponses,
    OpenAIText,
    PromptTemplate,
    ProviderDenied,
    ProviderError,
    RateLimit,
    Record,
    Retry,
    Session,
    SessionBusyError,
    Structured,
    StructuredOutputError,
    TemplateMessage,
    TestCase,
    TestRun,
    Timeout,
    ToolCall,
    Totals,
    Usage,
    aparallel,
    code_blocks,
    estimate_tokens,
    extract_code,
    flavor_for,
    parallel,
)
from freeplay_like.flavors.base import Flavor
from freeplay_like.testing import FakeFlavor, MemoryRecorder, StaticPrompts, replay


@attrs.frozen
class Order:
    item: str
    count: int


ORDER: Mapping[str, object] = {"type": "object", "properties": {"item": {"type": "string"}}}


def redact(record: Record) -> Record | None:
    return None if record.metadata.get("secret") else record


def on_retry(attempt: Attempt) -> None:
    assert_type(attempt.status, int | None)


def prompt(state: ContinueState) -> str:
    return f"go on ({state.count} of {state.max_continues}): {state.text[-20:]}"


def flavors() -> list[Flavor]:
    return [
        OpenAIChat("key", "http://127.0.0.1:8080/v1", proxy="", headers={"x-team": "a"}),
        OpenAIText(openai_api_key="key"),
        OpenAIResponses(),
        AzureOpenAIChat("key", "https://a.openai.azure.com", "2024-10-21", deployment="d"),
        AzureOpenAIChat(azure_endpoint="https://a.openai.azure.com", azure_ad_token_provider=lambda: "token"),
        AnthropicClaudeChat("key"),
        AnthropicClaudeText(anthropic_api_key="key"),
        flavor_for("https://api.deepseek.com/v1", "key", proxy=None),
        FakeFlavor("a", ["b", "c"], ValueError()),
        replay(b"data: [DONE]\n\n", flavor=OpenAIChat()),
    ]


def clients() -> Freeplay:
    fp = Freeplay(
        OpenAIChat("key"),
        "key",
        "http://127.0.0.1:8000/api",
        retry=Retry(attempts=5, wait_s=1, max_wait_s=30.0, retry_after_limit_s=10, on_retry=on_retry),
        timeout=Timeout(connect_s=1, read_s=60, first_chunk_s=5, between_chunks_s=5.0, total_s=100),
        rate_limit=RateLimit(60, 60.0, tokens=100_000),
        redact=redact,
        temperature=0.1,
    )
    assert_type(fp.with_options(rate_limit=(10, 1.0), flavor=OpenAIText(), seed=3), Freeplay)
    prompts = CachedPrompts(BackendPrompts("http://127.0.0.1:8000/api", "key"))
    recorder = JournalRecorder("http://127.0.0.1:8000/api", "key", durability="fsync")
    return Freeplay(prompts=prompts, recorder=recorder)


def chats(fp: Freeplay) -> None:
    chat, messages, stream = fp.start_chat_stream("p", "t", {"a": 1}, "prod", max_tokens=3)
    assert_type(chat, ChatSession)
    assert_type(messages, list[ChatMessage])
    assert_type(stream, CompletionStream)
    with stream:
        for chunk in stream:
            assert_type(chunk, CompletionChunk)
            assert_type(chunk.text, str)
    assert_type(chat.history, ChatHistory)
    assert_type(chat.totals, Totals)
    assert_type(chat.totals.cost_usd, Decimal | None)
    try:
        answer = chat.send([{"role": "user", "content": "more"}], temperature=None, seed=7)
    except (ProviderDenied, ContextLengthExceeded) as error:
        assert_type(error.attempts, tuple[Attempt, ...])
    except ProviderError as error:
        assert_type(error.partial, CompletionResponse | None)
    except SessionBusyError as error:
        assert_type(error.session_id, str)
    else:
        assert_type(answer, ChatCompletionResponse)
        assert_type(answer.tool_calls, tuple[ToolCall, ...])
        chat.continue_chat(answer.message_history, "and?")
        assert_type(chat.continue_chat_stream(ChatHistory(answer), Message(role="user", content="?")), CompletionStream)
    later = fp.restore_session("p", chat.session_id)
    assert_type(later.send_stream(Message(role="user", content="x")), CompletionStream)
    begun = fp.create_chat_session("p", "t", {}, metadata={"user": "u"}, top_p=0.5)
    assert_type(begun.start_chat(), ChatCompletionResponse)
    assert_type(begun.start_chat_stream(), tuple[CompletionStream, list[ChatMessage]])


def streams(fp: Freeplay) -> None:
    stream = fp.get_completion_stream("p", "t", {}, flavor=OpenAIResponses())
    for event in stream.events(schema=Order):
        if event.type == "content.delta":
            assert_type(event.snapshot, str)
        elif event.type == "tool_calls.function.arguments.done":
            assert_type(event.arguments, str)
        elif event.type == "usage":
            assert_type(event.usage, Usage)
        elif event.type == "completed":
            assert_type(event.response, CompletionResponse)
    assert_type(stream.deliver(print, on_bytes=bytes.hex, on_done=print), CompletionResponse)
    assert_type(stream.until_done(), CompletionStream)
    assert_type(next(stream.sse("openai")), bytes)
    response = stream.result()
    assert_type(response.choices, tuple[Choice, ...])
    assert_type(response.usage, Usage | None)
    assert_type(response.parse(Order), Order)


def answers(fp: Freeplay) -> None:
    session = fp.create_session("p", metadata={"user": "u-1"}, temperature=0.3)
    assert_type(session, Session)
    found = session.structured("t", {}, Order, repairs=2, max_tokens=100)
    assert_type(found, Structured[Order])
    assert_type(found.value.count, int)
    assert_type(session.structured("t", {}, list[Order]).value, list[Order])
    plain = session.structured("t", {}, ORDER)
    assert_type(plain.record_id, str | None)
    how = Continuation(max_continues=3, prompt=prompt, mode="assistant_prefill", delay_s=(0.1, 0.5), trim_overlap=True)
    try:
        assert_type(session.complete("t", {}, continuation=how, max_tokens=9), CompletionResponse)
        parts = session.complete_stream("t", {}, continuation=Continuation(on_failure=lambda error, partial: "retry"))
        assert_type(parts, ContinuedStream)
        for chunk in parts:
            assert_type(chunk, CompletionChunk)
    except IncompleteResponse as error:
        assert_type(error.continue_count, int)
    except StructuredOutputError as error:
        assert_type(error.problems, tuple[str, ...])
    jobs = [lambda: session.get_completion("t", {"n": 1}), lambda: session.get_completion("t", {"n": 2})]
    assert_type(parallel(jobs, limit=2), list[CompletionResponse | Exception])
    assert_type(extract_code("```py\n1\n```", "a.py"), str)
    assert_type(code_blocks("```py\n1\n```"), tuple[CodeBlock, ...])
    session.refresh_templates()


def afterwards(fp: Freeplay, response: CompletionResponse) -> None:
    record_id = fp.record("p", "What?", response, usage=Usage(input_tokens=1), latency_ms=3.5, outcome="truncated")
    assert_type(record_id, str)
    fp.feedback("p", record_id, "positive", reason="short")
    fp.score("p", record_id, "tone", 0.5)
    fp.update_record("p", record_id, new_messages="Thanks.", scores={"ok": True})
    run = fp.create_test_run("p", "cities", name="n")
    assert_type(run, TestRun)
    for case in run.cases:
        assert_type(case, TestCase)
        run.create_session("p", test_case_id=case.test_case_id).get_completion("t", case.variables)
    assert_type(fp.flush(1.0), FlushReport)
    recorder = MemoryRecorder()
    assert_type(recorder.amendments, list[Amendment])


def values() -> PromptTemplate:
    talk = ChatHistory("What is a tide?").with_assistant("The sea.").with_user("?", Media.from_bytes(b"", "image/png"))
    assert_type(talk[0], Message)
    assert_type(talk[1:], ChatHistory)
    assert_type(talk + "more", ChatHistory)
    assert_type(talk.trimmed(max_tokens=100).rounds, tuple[tuple[Message, ...], ...])
    assert_type(ChatHistory.from_json(talk.to_json()), ChatHistory)
    assert_type(estimate_tokens(talk), int)
    photo = MediaSlot(name="photo", kind="image")
    return PromptTemplate(
        name="t",
        model="m",
        parameters={"reasoning": {"effort": "low"}, "tools": [{"name": "f"}]},
        messages=(HistorySlot(), TemplateMessage(role="user", content="{{a}}", media_slots=(photo,))),
    )


async def asynchronous() -> None:
    prompts, recorder = StaticPrompts(values()), MemoryRecorder()
    async with AsyncFreeplay(AnthropicClaudeChat(), prompts=prompts, recorder=recorder) as fp:
        chat, messages, stream = await fp.start_chat_stream("p", "t", {})
        assert_type(chat, AsyncChatSession)
        assert_type(messages, list[ChatMessage])
        assert_type(stream, AsyncCompletionStream)
        async with stream:
            async for chunk in stream:
                assert_type(chunk.is_final, bool)
        assert_type(await stream, CompletionResponse)
        assert_type(await chat.send("more"), ChatCompletionResponse)
        async for event in (await chat.send_stream("more")).events(schema=ORDER):
            if event.type == "reasoning.delta":
                assert_type(event.delta, str)
        session = fp.create_session("p")
        assert_type(session, AsyncSession)
        assert_type((await session.structured("t", {}, Order)).value, Order)
        assert_type(await session.complete("t", {}), CompletionResponse)
        parts = await session.complete_stream("t", {})
        assert_type(parts, AsyncContinuedStream)
        assert_type(await parts.deliver(print), CompletionResponse)
        jobs = [lambda: session.get_completion("t", {})]
        assert_type(await aparallel(jobs, limit=8), list[CompletionResponse | Exception])
        assert_type(await fp.create_test_run("p", "cities"), AsyncTestRun)
        assert_type(await fp.restore_session("p", "s"), AsyncChatSession)
        assert_type(await fp.get_completion("p", "t", {}, "prod", OpenAIChat(), n=UNSET), CompletionResponse)
        assert_type(fp.record("p", "a", None, provider="openai", model="m"), str)
        assert_type(await fp.flush(), FlushReport)
    Freeplay(FakeFlavor("a"), prompts=FolderPrompts("prompts"), recorder=recorder, rate_limit=(1, 2.0))
