"""Prompt templates, provider calls, and a record of every call.

Every public name is resolved when it is first used, so that `import freeplay_like` loads nothing that a program does
not need (a provider's client alone takes 1 to 2.5 s).
"""

from typing import TYPE_CHECKING

__version__ = "0.1.0"

if TYPE_CHECKING:
    from freeplay_like.core.chunks import CompletionChunk, ToolCallDelta, Usage
    from freeplay_like.core.completion import ChatCompletionResponse, Choice, CompletionResponse
    from freeplay_like.core.messages import ChatMessage, Message, ToolCall
    from freeplay_like.core.parameters import UNSET
    from freeplay_like.core.records import Record
    from freeplay_like.core.templates import HistorySlot, PromptTemplate, TemplateMessage
    from freeplay_like.errors import (
        APIKeyMissingError,
        AuthorizationError,
        BackendError,
        ConfigurationError,
        FreeplayError,
        MessageError,
        MissingVariablesError,
        ParameterError,
        ProviderError,
        ProviderRateLimited,
        ProviderRejected,
        ProviderResponseError,
        ProviderTimeout,
        ProviderUnavailable,
        StreamAbandoned,
        StreamCancelled,
        StreamConsumed,
        StreamError,
        StreamInterrupted,
        TemplateError,
        TemplateNotFoundError,
        TemplateSyntaxError,
    )
    from freeplay_like.flavors.anthropic_messages import AnthropicClaudeChat
    from freeplay_like.flavors.openai_chat import OpenAIChat
    from freeplay_like.prompts.backend import BackendPrompts
    from freeplay_like.prompts.cache import CachedPrompts
    from freeplay_like.prompts.folder import FolderPrompts
    from freeplay_like.recording.base import FlushReport
    from freeplay_like.recording.recorder import JournalRecorder
    from freeplay_like.session.chat import AsyncChatSession, AsyncSession, ChatSession, Session
    from freeplay_like.session.client import AsyncFreeplay, Freeplay
    from freeplay_like.session.streams import AsyncCompletionStream, CompletionStream

__all__ = [
    "UNSET",
    "APIKeyMissingError",
    "AnthropicClaudeChat",
    "AsyncChatSession",
    "AsyncCompletionStream",
    "AsyncFreeplay",
    "AsyncSession",
    "AuthorizationError",
    "BackendError",
    "BackendPrompts",
    "CachedPrompts",
    "ChatCompletionResponse",
    "ChatMessage",
    "ChatSession",
    "Choice",
    "CompletionChunk",
    "CompletionResponse",
    "CompletionStream",
    "ConfigurationError",
    "FlushReport",
    "FolderPrompts",
    "Freeplay",
    "FreeplayError",
    "HistorySlot",
    "JournalRecorder",
    "Message",
    "MessageError",
    "MissingVariablesError",
    "OpenAIChat",
    "ParameterError",
    "PromptTemplate",
    "ProviderError",
    "ProviderRateLimited",
    "ProviderRejected",
    "ProviderResponseError",
    "ProviderTimeout",
    "ProviderUnavailable",
    "Record",
    "Session",
    "StreamAbandoned",
    "StreamCancelled",
    "StreamConsumed",
    "StreamError",
    "StreamInterrupted",
    "TemplateError",
    "TemplateMessage",
    "TemplateNotFoundError",
    "TemplateSyntaxError",
    "ToolCall",
    "ToolCallDelta",
    "Usage",
    "__version__",
]

_ROOMS = {
    "core.chunks": "CompletionChunk ToolCallDelta Usage",
    "core.completion": "ChatCompletionResponse Choice CompletionResponse",
    "core.messages": "ChatMessage Message ToolCall",
    "core.parameters": "UNSET",
    "core.records": "Record",
    "core.templates": "HistorySlot PromptTemplate TemplateMessage",
    "errors": (
        "APIKeyMissingError AuthorizationError BackendError ConfigurationError FreeplayError "
        "MessageError MissingVariablesError ParameterError ProviderError ProviderRateLimited ProviderRejected "
        "ProviderResponseError ProviderTimeout ProviderUnavailable StreamAbandoned StreamCancelled StreamConsumed "
        "StreamError StreamInterrupted TemplateError TemplateNotFoundError TemplateSyntaxError"
    ),
    "flavors.anthropic_messages": "AnthropicClaudeChat",
    "flavors.openai_chat": "OpenAIChat",
    "prompts.backend": "BackendPrompts",
    "prompts.cache": "CachedPrompts",
    "prompts.folder": "FolderPrompts",
    "recording.base": "FlushReport",
    "recording.recorder": "JournalRecorder",
    "session.chat": "AsyncChatSession AsyncSession ChatSession Session",
    "session.client": "AsyncFreeplay Freeplay",
    "session.streams": "AsyncCompletionStream CompletionStream",
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
