"""Who answers at which host, and what is particular to their chat completions.

Hosts are compared as parsed, whole or behind a dot, never as a piece of an address: `notopenai.com`,
`api.openai.com.example.org` and `example.org/?u=api.openai.com` are nobody's.

Names are those that price lists use. How each vendor takes reasoning is from its documentation, read in November 2026.
"""

from __future__ import annotations

from typing import Final, Literal

import attrs

ReasoningDialect = Literal["effort", "effort_only", "thinking", "thinking_effort", "thinking_budget", "object"]
"""How chat completions are asked for reasoning.

`effort`: `reasoning_effort`, with `none` for off; `effort_only`: the same, where the levels are each model's own;
`thinking`: `{"type": "enabled" | "disabled"}`, with `reasoning_effort` beside it for `thinking_effort`;
`thinking_budget`: `enable_thinking` and `thinking_budget`; `object`: `reasoning: {...}`.
"""


@attrs.frozen(kw_only=True)
class Vendor:
    """A provider with hosts of its own, and the environment variable that holds its key.

    `wants_reasoning_back`: the reasoning that led to a tool call is sent again with its result. `max_stops`: how many
    stop sequences it takes, None where it says nothing of it.
    """

    name: str
    hosts: tuple[str, ...]
    key_variable: str
    default_base: str = ""
    base_variable: str = ""
    reasoning: ReasoningDialect | None = None
    takes_output_schema: bool = True
    wants_reasoning_back: bool = False
    max_stops: int | None = None


OPENAI: Final = Vendor(
    name="openai",
    hosts=("api.openai.com",),
    key_variable="OPENAI_API_KEY",
    default_base="https://api.openai.com/v1",
    base_variable="OPENAI_BASE_URL",
    reasoning="effort",
    max_stops=4,
)

AZURE: Final = Vendor(
    name="azure",
    hosts=("openai.azure.com", "cognitiveservices.azure.com", "services.ai.azure.com"),
    key_variable="AZURE_OPENAI_API_KEY",
    base_variable="AZURE_OPENAI_ENDPOINT",
    reasoning="effort",
    max_stops=4,
)

ANTHROPIC: Final = Vendor(
    name="anthropic",
    hosts=("api.anthropic.com",),
    key_variable="ANTHROPIC_API_KEY",
    default_base="https://api.anthropic.com",
    base_variable="ANTHROPIC_BASE_URL",
)

_VENDORS: Final = (
    OPENAI,
    AZURE,
    ANTHROPIC,
    Vendor(name="openrouter", hosts=("openrouter.ai",), key_variable="OPENROUTER_API_KEY", reasoning="object"),
    Vendor(name="groq", hosts=("api.groq.com",), key_variable="GROQ_API_KEY", reasoning="effort_only"),
    Vendor(
        name="deepseek",
        hosts=("api.deepseek.com",),
        key_variable="DEEPSEEK_API_KEY",
        reasoning="thinking_effort",
        takes_output_schema=False,
        wants_reasoning_back=True,
    ),
    Vendor(
        name="dashscope",
        hosts=("dashscope.aliyuncs.com", "dashscope-intl.aliyuncs.com", "dashscope-us.aliyuncs.com"),
        key_variable="DASHSCOPE_API_KEY",
        reasoning="thinking_budget",
    ),
    Vendor(
        name="minimax",
        hosts=("api.minimax.io", "api.minimaxi.com", "api.minimax.chat"),
        key_variable="MINIMAX_API_KEY",
        reasoning="thinking",
        takes_output_schema=False,
    ),
    Vendor(
        name="zai",
        hosts=("api.z.ai",),
        key_variable="ZAI_API_KEY",
        reasoning="thinking",
        takes_output_schema=False,
        wants_reasoning_back=True,
    ),
    Vendor(
        name="zhipuai",
        hosts=("open.bigmodel.cn",),
        key_variable="ZHIPUAI_API_KEY",
        reasoning="thinking",
        takes_output_schema=False,
        wants_reasoning_back=True,
    ),
    Vendor(
        name="moonshotai",
        hosts=("api.moonshot.ai", "api.moonshot.cn"),
        key_variable="MOONSHOT_API_KEY",
        reasoning="thinking",
        wants_reasoning_back=True,
    ),
    Vendor(name="mistral", hosts=("api.mistral.ai",), key_variable="MISTRAL_API_KEY", reasoning="effort_only"),
    Vendor(
        name="together",
        hosts=("api.together.xyz", "api.together.ai"),
        key_variable="TOGETHER_API_KEY",
        reasoning="effort_only",
    ),
    Vendor(name="fireworks", hosts=("api.fireworks.ai",), key_variable="FIREWORKS_API_KEY", reasoning="effort_only"),
    Vendor(name="x-ai", hosts=("api.x.ai",), key_variable="XAI_API_KEY", reasoning="effort_only"),
    Vendor(name="cerebras", hosts=("api.cerebras.ai",), key_variable="CEREBRAS_API_KEY", reasoning="effort_only"),
    Vendor(name="perplexity", hosts=("api.perplexity.ai",), key_variable="PERPLEXITY_API_KEY", reasoning="effort_only"),
    Vendor(
        name="google",
        hosts=("generativelanguage.googleapis.com",),
        key_variable="GEMINI_API_KEY",
        reasoning="effort_only",
    ),
)


def vendor_of(host: str) -> Vendor | None:
    """Who answers at `host` (a name in lower case), None where nobody is known to."""
    return next((v for v in _VENDORS if any(host == known or host.endswith("." + known) for known in v.hosts)), None)
