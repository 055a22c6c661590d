"""A call as a program that makes it again: for the shell, for the provider's own client, for our SDK. Pure.

What is written runs as it is: keys stand in it as the names of environment variables, never as themselves, and only
a provider's own address is filled in. Where a record says that the call went somewhere else, the reader has to name
that place: a record can be anybody's, and must not lead a key to where it does not belong.
"""

from __future__ import annotations

import pprint
import re
from collections.abc import Mapping
from typing import Final, Literal
from urllib.parse import quote

import attrs

from freeplay_like.core.records import Record
from freeplay_like.core.wire import JsonObject, JsonValue, to_wire
from freeplay_like.server.pages.formats import pretty

CODE_LIMIT_CHARACTERS: Final = 100_000
"""A program is not shown where what it says, as JSON, is longer than this."""

_END: Final = "END_OF_REQUEST"
_HOST: Final = re.compile(
    r"(?:[a-z0-9](?:[a-z0-9.-]{0,250}[a-z0-9])?|\[[0-9a-f:.]{2,45}\])(?::[0-9]{1,5})?", re.IGNORECASE
)
_LOOPBACK: Final = re.compile(r"(?:127\.0\.0\.1|localhost|\[::1\])(?::[0-9]{1,5})?")

Client = Literal["openai", "azure", "anthropic"]


@attrs.frozen(kw_only=True)
class Copies:
    """A call in three languages. None where it cannot be said; `why_not` tells why."""

    curl: str | None = None
    provider_python: str | None = None
    sdk_python: str | None = None
    why_not: tuple[str, ...] = ()


@attrs.frozen(kw_only=True)
class _Dialect:
    """A wire format: whose client speaks it, the path behind the base address, and the client's method.

    `named` are the fields of a request that the method has arguments for; `delta` and `whole` print the answer.
    """

    client: Client
    path: str
    method: str
    named: frozenset[str]
    delta: tuple[str, ...]
    whole: tuple[str, ...]
    flavor: str


@attrs.frozen(kw_only=True)
class _Provider:
    base: str | None
    base_variable: str
    key_variable: str
    class_name: str
    headers: tuple[str, ...]


_SAMPLING: Final = frozenset({"model", "stream", "temperature", "top_p", "max_tokens"})
_COMMON: Final = _SAMPLING | {"metadata", "tools", "tool_choice"}
_CHAT: Final = _COMMON | {"messages", "stop", "n", "seed", "max_completion_tokens", "response_format", "stream_options"}
_CHAT_DELTA: Final = (
    "for chunk in answer:",
    "    for choice in chunk.choices:",
    '        print(choice.delta.content or "", end="", flush=True)',
)
_CHAT_WHOLE: Final = ("print(answer.choices[0].message)",)
_ANTHROPIC: Final = _COMMON | {"messages", "system", "stop_sequences", "top_k", "thinking"}
_ANTHROPIC_DELTA: Final = (
    "for event in answer:",
    '    if event.type == "content_block_delta" and event.delta.type == "text_delta":',
    '        print(event.delta.text, end="", flush=True)',
)
_ANTHROPIC_WHOLE: Final = ("print(answer.content)",)

_PROVIDERS: Final[Mapping[Client, _Provider]] = {
    "openai": _Provider(
        base="https://api.openai.com/v1",
        base_variable="OPENAI_BASE_URL",
        key_variable="OPENAI_API_KEY",
        class_name="OpenAI",
        headers=("Authorization: Bearer $OPENAI_API_KEY",),
    ),
    "azure": _Provider(
        base=None,
        base_variable="AZURE_OPENAI_ENDPOINT",
        key_variable="AZURE_OPENAI_API_KEY",
        class_name="AzureOpenAI",
        headers=("api-key: $AZURE_OPENAI_API_KEY",),
    ),
    "anthropic": _Provider(
        base="https://api.anthropic.com",
        base_variable="ANTHROPIC_BASE_URL",
        key_variable="ANTHROPIC_API_KEY",
        class_name="Anthropic",
        headers=("x-api-key: $ANTHROPIC_API_KEY", "anthropic-version: 2023-06-01"),
    ),
}

_DIALECTS: Final[Mapping[str, _Dialect]] = {
    "openai_chat": _Dialect(
        client="openai",
        path="/chat/completions",
        method="chat.completions.create",
        named=_CHAT,
        delta=_CHAT_DELTA,
        whole=_CHAT_WHOLE,
        flavor="OpenAIChat",
    ),
    "azure_openai_chat": _Dialect(
        client="azure",
        path="/chat/completions",
        method="chat.completions.create",
        named=_CHAT,
        delta=_CHAT_DELTA,
        whole=_CHAT_WHOLE,
        flavor="AzureOpenAIChat",
    ),
    "openai_text": _Dialect(
        client="openai",
        path="/completions",
        method="completions.create",
        named=_SAMPLING | {"prompt", "stop", "n", "stream_options"},
        delta=(
            "for chunk in answer:",
            "    for choice in chunk.choices:",
            '        print(choice.text, end="", flush=True)',
        ),
        whole=("print(answer.choices[0].text)",),
        flavor="OpenAIText",
    ),
    "openai_responses": _Dialect(
        client="openai",
        path="/responses",
        method="responses.create",
        named=(_COMMON - {"max_tokens"}) | {"input", "instructions", "max_output_tokens", "reasoning", "text", "store"},
        delta=(
            "for event in answer:",
            '    if event.type == "response.output_text.delta":',
            '        print(event.delta, end="", flush=True)',
        ),
        whole=("print(answer.output_text)",),
        flavor="OpenAIResponses",
    ),
    "anthropic_chat": _Dialect(
        client="anthropic",
        path="/v1/messages",
        method="messages.create",
        named=_ANTHROPIC,
        delta=_ANTHROPIC_DELTA,
        whole=_ANTHROPIC_WHOLE,
        flavor="AnthropicClaudeChat",
    ),
    "anthropic_text": _Dialect(
        client="anthropic",
        path="/v1/messages",
        method="messages.create",
        named=_ANTHROPIC,
        delta=_ANTHROPIC_DELTA,
        whole=_ANTHROPIC_WHOLE,
        flavor="AnthropicClaudeText",
    ),
}


def copies_of(record: Record, api_base: str) -> Copies:
    """The call, as programs; `api_base` is where our API begins."""
    dialect = _DIALECTS.get(record.flavor)
    if dialect is None:
        return Copies(why_not=(f"Nothing is known of the flavor {record.flavor!r}.",))
    why_not: list[str] = []
    curl = python = None
    if len(to_wire([record.request, record.variables, record.parameters])) > CODE_LIMIT_CHARACTERS:
        return Copies(why_not=("The program would be too long to show here; what it says is in the record.",))
    if record.request is None:
        why_not.append("The request as it was sent is not kept, so it cannot be sent again.")
    else:
        curl, python = curl_of(record, dialect, record.request), python_of(record, dialect, record.request)
    if record.template is None:
        why_not.append("The call was made from no template, which is what our SDK asks for by name.")
    sdk = None if record.template is None else sdk_of(record, dialect, api_base)
    return Copies(curl=curl, provider_python=python, sdk_python=sdk, why_not=tuple(why_not))


# --- the shell --------------------------------------------------------------------------------------------


def curl_of(record: Record, dialect: _Dialect, request: JsonObject) -> str:
    """The request for curl. The body stands between two lines of its own, so nothing in it means anything to a shell:
    a line of JSON is never such a line."""
    provider = _PROVIDERS[dialect.client]
    headers = [f'  -H "{header}" \\' for header in (*provider.headers, "Content-Type: application/json")]
    return "\n".join(
        [
            f'curl --no-buffer "{_address(record, dialect, request)}" \\',
            *headers,
            f"  --data-binary @- <<'{_END}'",
            pretty(request),
            _END,
            "",
        ]
    )


def _address(record: Record, dialect: _Dialect, request: JsonObject) -> str:
    provider = _PROVIDERS[dialect.client]
    base = known_base(record, dialect.client)
    if base is None:
        host = _host(record)
        where = f"the address of {host}" if host else "the address it is sent to"
        start = f"${{{provider.base_variable}:?{where}}}"
    else:
        start = f"${{{provider.base_variable}:-{base}}}"
    if dialect.client != "azure":
        return start + dialect.path
    deployment = quote(str(request.get("model") or record.requested_model or ""), safe="")
    return f"{start}/openai/deployments/{deployment}{dialect.path}?api-version=${{OPENAI_API_VERSION:?}}"


def known_base(record: Record, client: Client) -> str | None:
    """The address that a call went to, where that is the provider's own or on this machine; None elsewhere."""
    base = _PROVIDERS[client].base
    if base is None:
        return None
    host = _host(record)
    if not record.endpoint or host in (base.split("/")[2], base.split("/")[2] + ":443"):
        return base
    if host is not None and _LOOPBACK.fullmatch(host):
        return f"http://{host}" + ("/v1" if client == "openai" else "")
    return None


def _host(record: Record) -> str | None:
    """The host that a record names, None where that is no host: it is written into programs."""
    return record.endpoint if record.endpoint and _HOST.fullmatch(record.endpoint) else None


# --- Python -----------------------------------------------------------------------------------------------


def python_of(record: Record, dialect: _Dialect, request: JsonObject) -> str:
    """The request for the provider's own client, which finds key and address in the environment."""
    provider = _PROVIDERS[dialect.client]
    named = {name: value for name, value in request.items() if name in dialect.named}
    further = {name: value for name, value in request.items() if name not in dialect.named}
    lines = [
        f"from {'anthropic' if dialect.client == 'anthropic' else 'openai'} import {provider.class_name}",
        "",
        f"client = {provider.class_name}()  # {_environment(record, dialect.client)}",
        f"request = {_literal(named)}",
    ]
    if further:
        lines.append(f"further = {_literal(further)}")
    lines.append(f"answer = client.{dialect.method}(**request{', extra_body=further' if further else ''})")
    lines += dialect.delta if request.get("stream") is True else dialect.whole
    return "\n".join([*lines, ""])


def _environment(record: Record, client: Client) -> str:
    provider = _PROVIDERS[client]
    if client == "azure":
        return f"{provider.key_variable}, {provider.base_variable} and OPENAI_API_VERSION are read from the environment"
    if known_base(record, client) == provider.base:
        return f"{provider.key_variable} is read from the environment"
    host = _host(record)
    said = f", which this call sent to {host}" if host else ""
    return f"{provider.key_variable} and {provider.base_variable} are read from the environment{said}"


def sdk_of(record: Record, dialect: _Dialect, api_base: str) -> str:
    """The call for our SDK: the template by name, the variables, and what was set over the template's parameters."""
    if record.template is None:
        raise ValueError(f"record {record.record_id!r} was made from no template")
    own = {
        name: None if setting.is_removed else setting.value
        for name, setting in record.parameters.items()
        if setting.layer in ("client", "session", "call")
    }
    method = "get_completion_stream" if record.is_stream else "get_completion"
    arguments = [ascii(record.project_id), ascii(record.template.name), "variables"]
    if record.template.environment is not None:
        arguments.append(f"tag={record.template.environment!a}")
    if own:
        arguments.append("**parameters")
    call = f"fp.{method}({', '.join(arguments)})"
    reading = [f"    print({call}.content)"]
    if record.is_stream:
        printing = '            print(chunk.text, end="", flush=True)'
        reading = [f"    with {call} as stream:", "        for chunk in stream:", printing]
    return "\n".join(
        [
            f"from freeplay_like import Freeplay, {dialect.flavor}",
            "",
            f"variables = {_literal(record.variables)}",
            *([f"parameters = {_literal(own)}"] if own else []),
            f"# {_PROVIDERS[dialect.client].key_variable} and FREEPLAY_LIKE_API_KEY are read from the environment",
            f"with Freeplay({dialect.flavor}(), api_base={api_base!a}) as fp:",
            *reading,
            "",
        ]
    )


def _literal(value: JsonValue) -> str:
    """A value as Python writes it, a field a line."""
    return pprint.pformat(value, width=110, sort_dicts=False)
