"""Prompt templates, provider calls, and a record of every call.

Every public name is resolved when it is first used, so that `import freeplay_like` loads nothing that a program does
not need (a provider's client alone takes 1 to 2.5 s).
"""

from typing import TYPE_CHECKING

__version__ = "0.1.0"

if TYPE_CHECKING:
    from freeplay_like.core.chunks import CompletionChunk, ToolCallDelta, Usage
    from freeplay_like.core.completion import ChatCompletionResponse, Choice, CompletionResponse
    from freeplay_like.core.continuation import Continuation, ContinueState
    from freeplay_like.core.events import (
        ChunkEvent,
        Completed,
        ContentDelta,
        ContentDone,
        Event,
        LogprobsContentDelta,
        LogprobsContentDone,
        LogprobsRefusalDelta,
        LogprobsRefusalDone,
        ReasoningDelta,
        ReasoningDone,
        RefusalDelta,
        RefusalDone,
        ToolArgumentsDelta,
        ToolArgumentsDone,
        UsageEvent,
    )
    from freeplay_like.core.fences import CodeBlock, code_blocks, extract_code
    from freeplay_like.core.history import ChatHistory
    from freeplay_like.core.limits import Attempt, Retry, Timeout
    from freeplay_like.core.media import Media
    from freeplay_like.core.messages import ChatMessage, Message, ToolCall
    from freeplay_like.core.parameters import UNSET
    from freeplay_like.core.records import Amendment, Record
    from freeplay_like.core.schemas import Schema, SchemaMismatch, schema_of
    from freeplay_like.core.templates import HistorySlot, MediaSlot, PromptTemplate, TemplateMessage
    from freeplay_like.core.tokens import estimate_tokens
    from freeplay_like.errors import (
        APIKeyMissingError,
        AuthorizationError,
        BackendError,
        ConfigurationError,
        ContextLengthExceeded,
        FreeplayError,
        IncompleteResponse,
        MessageError,
        MissingVariablesError,
        ParameterError,
        ProviderDenied,
        ProviderError,
        ProviderRateLimited,
        ProviderRejected,
        ProviderResponseError,
        ProviderTimeout,
        ProviderUnavailable,
        SessionBusyError,
        StreamAbandoned,
        StreamCancelled,
        StreamConsumed,
        StreamError,
        StreamInterrupted,
        StructuredOutputError,
        TemplateError,
        TemplateNotFoundError,
        TemplateSyntaxError,
    )
    from freeplay_like.flavors.anthropic_messages import AnthropicClaudeChat
    from freeplay_like.flavors.anthropic_text import AnthropicClaudeText
    from freeplay_like.flavors.azure_openai import AzureOpenAIChat
    from freeplay_like.flavors.detection import flavor_for
    from freeplay_like.flavors.openai_chat import OpenAIChat
    from freeplay_like.flavors.openai_responses import OpenAIResponses
    from freeplay_like.flavors.openai_text import OpenAIText
    from freeplay_like.prompts.backend import BackendPrompts
    from freeplay_like.prompts.cache import CachedPrompts
    from freeplay_like.prompts.folder import FolderPrompts
    from freeplay_like.recording.base import FlushReport
    from freeplay_like.recording.recorder import JournalRecorder
    from freeplay_like.session.chat import AsyncChatSession, ChatSession
    from freeplay_like.session.client import AsyncFreeplay, Freeplay
    from freeplay_like.session.completions import AsyncSession, Session
    from freeplay_like.session.continued import AsyncContinuedStream, ContinuedStream
    from freeplay_like.session.conversation import Totals
    from freeplay_like.session.parallel import aparallel, parallel
    from freeplay_like.session.rate_limit import RateLimit
    from freeplay_like.session.streams import AsyncCompletionStream, CompletionStream
    from freeplay_like.session.structured import Structured
    from freeplay_like.session.test_cases import TestCase
    from freeplay_like.session.test_runs import AsyncTestRun, TestRun

__all__ = [
    "UNSET",
    "APIKeyMissingError",
    "Amendment",
    "AnthropicClaudeChat",
    "AnthropicClaudeText",
    "AsyncChatSession",
    "AsyncCompletionStream",
    "AsyncContinuedStream",
    "AsyncFreeplay",
    "AsyncSession",
    "AsyncTestRun",
    "Attempt",
    "AuthorizationError",
    "AzureOpenAIChat",
    "BackendError",
    "BackendPrompts",
    "CachedPrompts",
    "ChatCompletionResponse",
    "ChatHistory",
    "ChatMessage",
    "ChatSession",
    "Choice",
    "ChunkEvent",
    "CodeBlock",
    "Completed",
    "CompletionChunk",
    "CompletionResponse",
    "CompletionStream",
    "ConfigurationError",
    "ContentDelta",
    "ContentDone",
    "ContextLengthExceeded",
    "Continuation",
    "ContinueState",
    "ContinuedStream",
    "Event",
    "FlushReport",
    "FolderPrompts",
    "Freeplay",
    "FreeplayError",
    "HistorySlot",
    "IncompleteResponse",
    "JournalRecorder",
    "LogprobsContentDelta",
    "LogprobsContentDone",
    "LogprobsRefusalDelta",
    "LogprobsRefusalDone",
    "Media",
    "MediaSlot",
    "Message",
    "MessageError",
    "MissingVariablesError",
    "OpenAIChat",
    "OpenAIResponses",
    "OpenAIText",
    "ParameterError",
    "PromptTemplate",
    "ProviderDenied",
    "ProviderError",
    "ProviderRateLimited",
    "ProviderRejected",
    "ProviderResponseError",
    "ProviderTimeout",
    "ProviderUnavailable",
    "RateLimit",
    "ReasoningDelta",
    "ReasoningDone",
    "Record",
    "RefusalDelta",
    "RefusalDone",
    "Retry",
    "Schema",
    "SchemaMismatch",
    "Session",
    "SessionBusyError",
    "StreamAbandoned",
    "StreamCancelled",
    "StreamConsumed",
    "StreamError",
    "StreamInterrupted",
    "Structured",
    "StructuredOutputError",
    "TemplateError",
    "TemplateMessage",
    "TemplateNotFoundError",
    "TemplateSyntaxError",
    "TestCase",
    "TestRun",
    "Timeout",
    "ToolArgumentsDelta",
    "ToolArgumentsDone",
    "ToolCall",
    "ToolCallDelta",
    "Totals",
    "Usage",
    "UsageEvent",
    "__version__",
    "aparallel",
    "code_blocks",
    "estimate_tokens",
    "extract_code",
    "flavor_for",
    "parallel",
    "schema_of",
]

_ROOMS = {
    "core.chunks": "CompletionChunk ToolCallDelta Usage",
    "core.completion": "ChatCompletionResponse Choice CompletionResponse",
    "core.continuation": "Continuation ContinueState",
    "core.events": (
        "ChunkEvent Completed ContentDelta ContentDone Event LogprobsContentDelta LogprobsContentDone "
        "LogprobsRefusalDelta LogprobsRefusalDone ReasoningDelta ReasoningDone RefusalDelta RefusalDone "
        "ToolArgumentsDelta ToolArgumentsDone UsageEvent"
    ),
    "core.fences": "CodeBlock code_blocks extract_code",
    "core.history": "ChatHistory",
    "core.limits": "Attempt Retry Timeout",
    "core.media": "Media",
    "core.messages": "ChatMessage Message ToolCall",
    "core.parameters": "UNSET",
    "core.records": "Amendment Record",
    "core.schemas": "Schema SchemaMismatch schema_of",
    "core.templates": "HistorySlot MediaSlot PromptTemplate TemplateMessage",
    "core.tokens": "estimate_tokens",
    "errors": (
        "APIKeyMissingError AuthorizationError BackendError ConfigurationError ContextLengthExceeded "
        "FreeplayError IncompleteResponse MessageError MissingVariablesError ParameterError "
        "ProviderDenied ProviderError ProviderRateLimited ProviderRejected ProviderResponseError "
        "ProviderTimeout ProviderUnavailable SessionBusyError StreamAbandoned StreamCancelled "
        "StreamConsumed StreamError StreamInterrupted StructuredOutputError TemplateError "
        "TemplateNotFoundError TemplateSyntaxError"
    ),
    "flavors.anthropic_messages": "AnthropicClaudeChat",
    "flavors.anthropic_text": "AnthropicClaudeText",
    "flavors.azure_openai": "AzureOpenAIChat",
    "flavors.detection": "flavor_for",
    "flavors.openai_chat": "OpenAIChat",
    "flavors.openai_responses": "OpenAIResponses",
    "flavors.openai_text": "OpenAIText",
    "prompts.backend": "BackendPrompts",
    "prompts.cache": "CachedPrompts",
    "prompts.folder": "FolderPrompts",
    "recording.base": "FlushReport",
    "recording.recorder": "JournalRecorder",
    "session.chat": "AsyncChatSession ChatSession",
    "session.client": "AsyncFreeplay Freeplay",
    "session.completions": "AsyncSession Session",
    "session.continued": "AsyncContinuedStream ContinuedStream",
    "session.conversation": "Totals",
    "session.parallel": "aparallel parallel",
    "session.rate_limit": "RateLimit",
    "session.streams": "AsyncCompletionStream CompletionStream",
    "session.structured": "Structured",
    "session.test_cases": "TestCase",
    "session.test_runs": "AsyncTestRun TestRun",
}
_ROOM_OF = {name: room for room, names in _ROOMS.items() for name in names.split()}


def __getattr__(name: str) -> object:
    room = _ROOM_OF.get(name)
    if room is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    value: object = getattr(import_module(f"{__name__}.{room}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
