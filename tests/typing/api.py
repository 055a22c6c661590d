"""Uses the public API as a program would. Checked by mypy and pyright, never run."""

from __future__ import annotations

from typing import assert_type

from freeplay_like import (
    AnthropicClaudeChat,
    AsyncChatSession,
    AsyncCompletionStream,
    AsyncFreeplay,
    ChatCompletionResponse,
    ChatMessage,
    ChatSession,
    CompletionChunk,
    CompletionResponse,
    CompletionStream,
    FlushReport,
    FolderPrompts,
    Freeplay,
    OpenAIChat,
    PromptTemplate,
    ProviderError,
    Record,
    TemplateMessage,
    Usage,
)
from freeplay_like.testing import FakeFlavor, MemoryRecorder, StaticPrompts


def redact(record: Record) -> Record | None:
    return None if record.metadata.get("secret") else record


def sync() -> None:
    with Freeplay(OpenAIChat("key"), "key", "http://127.0.0.1:8000/api", redact=redact, temperature=0.1) as fp:
        chat, messages, stream = fp.start_chat_stream("p", "t", {"a": 1}, "prod", max_tokens=3)
        assert_type(chat, ChatSession)
        assert_type(messages, list[ChatMessage])
        assert_type(stream, CompletionStream)
        with stream:
            for chunk in stream:
                assert_type(chunk, CompletionChunk)
                assert_type(chunk.text, str)
        response = stream.result()
        assert_type(response, CompletionResponse)
        assert_type(response.usage, Usage | None)
        for event in chat.send_stream([{"role": "user", "content": "x"}]).events():
            if event.type == "content.delta":
                assert_type(event.snapshot, str)
        try:
            answer = chat.send("more", temperature=None)
        except ProviderError as error:
            assert_type(error.partial, CompletionResponse | None)
        else:
            assert_type(answer, ChatCompletionResponse)
            chat.continue_chat(answer.message_history, "and?")
        assert_type(fp.flush(1.0), FlushReport)


async def asynchronous() -> None:
    template = PromptTemplate(name="t", messages=(TemplateMessage(role="user", content="{{a}}"),))
    prompts, recorder = StaticPrompts(template), MemoryRecorder()
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
    Freeplay(FakeFlavor("a", ["b", "c"], ValueError()), prompts=FolderPrompts("prompts"), recorder=recorder)
