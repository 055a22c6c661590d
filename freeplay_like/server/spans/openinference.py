"""OpenInference's conventions (Arize): `llm.*`, `input.value`, `session.id`. Those of 0.1.42, read in November 2026."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from freeplay_like.core.wire import JsonObject, JsonValue
from freeplay_like.server.foreign.messages import messages_of
from freeplay_like.server.spans.attributes import Attributes
from freeplay_like.server.spans.facts import Facts, choices_of, provider_of, usage_of
from freeplay_like.server.spans.span import Span

KIND: Final = "openinference.span.kind"
_OPERATIONS: Final = {
    "LLM": "chat",
    "EMBEDDING": "embeddings",
    "TOOL": "execute_tool",
    "AGENT": "invoke_agent",
    "RETRIEVER": "retrieval",
    "RERANKER": "rerank",
    "CHAIN": "invoke_workflow",
    "GUARDRAIL": "guardrail",
    "EVALUATOR": "evaluate",
    "PROMPT": "prompt",
}
_FIRST_TOKEN: Final = "First Token Stream Event"  # noqa: S105  a name of an event
_NO_PARAMETERS: Final = frozenset({"model", "messages", "input", "instructions", "system", "prompt", "tools", "stream"})


def read(span: Span) -> Facts | None:
    """What the span says in these words; None where it does not speak them."""
    said = Attributes(span.attributes)
    kind = said.text(KIND)
    if kind is None:
        return None
    operation = _OPERATIONS.get(kind.upper(), kind.lower())
    if operation != "chat":
        return Facts(operation=operation, session_id=said.label("session.id"))
    given = said.object("llm.invocation_parameters")
    request, answer = said.object("input.value"), said.object("output.value")
    reason = said.text("llm.finish_reason")
    answers = [_message(one) for one in said.numbered("llm.output_messages")]
    texts = _prompt_texts(said)
    return Facts(
        operation="text_completion" if texts else "chat",
        provider=provider_of(said.label("llm.provider", "llm.system")),
        requested_model=_label(said, "llm.request.model_name") or _label(given, "model") or _label(request, "model"),
        model=said.label("llm.response.model_name", "llm.model_name"),
        messages=messages_of([*(_message(one) for one in said.numbered("llm.input_messages")), *texts]),
        choices=choices_of(answers or _choice_texts(said), [reason] if reason else ()),
        finish_reasons=(reason,) if reason else (),
        usage=usage_of(
            input_tokens=said.count("llm.token_count.prompt"),
            output_tokens=said.count("llm.token_count.completion"),
            cached=said.count(
                "llm.token_count.prompt_details.cache_read", "llm.token_count.prompt_details.cache_input"
            ),
            written=said.count("llm.token_count.prompt_details.cache_write"),
            reasoning=said.count("llm.token_count.completion_details.reasoning"),
            raw=dict(said.under("llm.token_count.").values),
        ),
        parameters={name: value for name, value in given.items() if name not in _NO_PARAMETERS and value is not None},
        tools=tuple(_tool(one) for one in said.numbered("llm.tools")),
        request=request or None,
        is_stream=given.get("stream") is True or request.get("stream") is True,
        first_chunk_at_ns=next((event.at_ns for event in span.events if event.name == _FIRST_TOKEN), None),
        response_id=_label(answer, "id"),
        session_id=said.label("session.id"),
        user_id=said.label("user.id"),
        prompt_name=said.label("llm.prompt_template.name", "prompt.name"),
        prompt_version=said.label("llm.prompt_template.version"),
        variables=said.object("llm.prompt_template.variables"),
        labels=_labels(said),
    )


def _label(of: Attributes | Mapping[str, JsonValue], name: str) -> str | None:
    return (of if isinstance(of, Attributes) else Attributes(of)).label(name)


def _message(one: Attributes) -> JsonObject:
    """A message that was laid flat: `message.role`, `message.contents.0.message_content.text`, …"""
    one = one.under("message.")
    calls: list[JsonValue] = [
        {
            "id": call.text("tool_call.id"),
            "name": call.text("tool_call.function.name"),
            "arguments": call.text("tool_call.function.arguments") or "{}",
        }
        for call in one.numbered("tool_calls")
    ]
    blocks = [block for block in map(_block, one.numbered("contents")) if block is not None]
    message: JsonObject = {"role": one.text("role") or "user", "content": one.text("content") or blocks or None}
    if calls:
        message["tool_calls"] = calls
    for theirs, ours in (("tool_call_id", "tool_call_id"), ("name", "name"), ("reasoning_content", "reasoning")):
        text = one.text(theirs)
        if text is not None:
            message[ours] = text
    return message


def _block(block: Attributes) -> JsonObject | None:
    """A block of a message; a tool call has been said beside it."""
    kind = block.text("message_content.type")
    if kind in ("tool_use", "tool_call"):
        return None
    text = block.text("message_content.text")
    if kind in ("reasoning", "thinking"):
        return {"type": "thinking", "thinking": text or ""}
    url = block.text("message_content.image.image.url")
    if url is not None:
        return {"type": "image_url", "image_url": {"url": url}}
    return {"type": "text", "text": text} if text is not None else None


def _tool(one: Attributes) -> JsonValue:
    return one.object("tool.json_schema") or dict(one.values)


def _prompt_texts(said: Attributes) -> list[JsonObject]:
    texts = [one.text("prompt.text") for one in said.numbered("llm.prompts")]
    return [{"role": "user", "content": text} for text in texts if text is not None]


def _choice_texts(said: Attributes) -> list[JsonObject]:
    texts = [one.text("completion.text") for one in said.numbered("llm.choices")]
    return [{"content": text} for text in texts if text is not None]


def _labels(said: Attributes) -> JsonObject:
    labels = said.object("metadata")
    tags = said.texts("tag.tags")
    return {**labels, "tags": tags} if tags else labels
