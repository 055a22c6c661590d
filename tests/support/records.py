"""Records that look like real ones: every outcome, several models, sessions with turns, long and hostile texts.

The same number gives the same records, so that a picture of the pages does not change by itself.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta

import attrs
import requests

from freeplay_like.core.chunks import FinishReason, Usage
from freeplay_like.core.completion import Choice
from freeplay_like.core.ids import uuid7
from freeplay_like.core.messages import Message, ToolCall
from freeplay_like.core.parameters import Overridden, ParameterSetting
from freeplay_like.core.records import ErrorInfo, Outcome, Record, TemplateRef
from freeplay_like.core.wire import JsonObject, to_wire

NASTY = "<script>alert('x')</script><img src=//evil.example/x.png onerror=alert(1)>{{7*7}}\"'><svg/onload=alert(2)>"
"""Text that must stay text wherever it is shown."""

SYSTEM = (
    "You answer customers of the Lindenhof bakery. Be warm and short. Prices are in euros. Never promise a delivery "
    "time that is not in the schedule, and say so when you do not know.\n\n"
)

QUESTIONS: Sequence[tuple[str, str]] = (
    (
        "Do you have rye bread without caraway on Saturdays?",
        "Yes, every Saturday from seven: the plain rye, 4.20 a loaf. It is usually gone by eleven, so tell me if I "
        "should put one aside.",
    ),
    (
        "I'd like to order a birthday cake for 12 people, with hazelnut. When would I have to tell you?",
        "Three days ahead is enough for a hazelnut cake of that size. It is 38.00, and you can choose between "
        "chocolate and vanilla cream.",
    ),
    ("Sind die Brezeln vegan?", "Ja. Mehl, Wasser, Salz, Hefe und Natronlauge, kein Schmalz. 🥨 Das Stück zu 0,95."),
    (
        "My order #48213 came with two croissants missing. Can I get a refund?",
        "I am sorry about that. Two croissants are 3.80: I have noted the refund for order #48213, and it will be "
        "back on your card within three days.",
    ),
    ("¿A qué hora abren el domingo?", "Los domingos abrimos de ocho a doce. ☀️"),
    (
        "Which of your breads keep longest? I'm going on a hiking trip for five days.",
        "Take the dark rye with sourdough. Wrapped in cloth it stays good for a week, and it gets better on the "
        "second day.",
    ),
    (
        "Write a short note to all customers that we close from 24 to 27 December.",
        "Dear customers,\n\nfrom 24 to 27 December the oven rests, and so do we. The last loaves leave the shop on "
        "Tuesday the 23rd at six; from Sunday the 28th we bake again.\n\nThank you for a year of good company,\nyour "
        "Lindenhof bakery",
    ),
    (
        "What's in the seeded rolls? My daughter is allergic to sesame.",
        "Please do not take them: they are baked with sesame. The poppy rolls and the plain ones come from another "
        "line, without it.",
    ),
)

MODELS = (
    ("openai", "openai_chat", "gpt-4o-mini", "gpt-4o-mini-2024-07-18", "api.openai.com"),
    ("anthropic", "anthropic_chat", "claude-sonnet-4-5", "claude-sonnet-4-5-20250929", "api.anthropic.com"),
    ("openai", "openai_responses", "gpt-5-mini", "gpt-5-mini-2025-08-07", "api.openai.com"),
    ("local", "openai_chat", "smollm2-135m-instruct", "smollm2-135m-instruct", "127.0.0.1:8080"),
)

_OUTCOMES: Sequence[Outcome] = (
    *("complete",) * 6, "error", "complete", "truncated", "complete", "complete", "cancelled", "complete", "refused",
    "complete", "interrupted", "complete", "complete", "error", "abandoned",
)  # fmt: skip


@attrs.define
class RecordMaker:
    """Makes records for one project, the newest last. `now` is when the newest began."""

    project_id: str
    now: datetime = attrs.field(factory=lambda: datetime.now(UTC))
    seed: int = 7
    _random: random.Random = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self._random = random.Random(self.seed)  # noqa: S311  not a secret: the same seed gives the same records

    def make(self, count: int) -> list[Record]:
        """`count` records: single calls and conversations, spread over the last hours."""
        ages_s = sorted((self._random.expovariate(1 / 2400) for _ in range(count)), reverse=True)
        outcomes = itertools.cycle(_OUTCOMES)
        session, history, left = self.new_id(self.now), (), 0
        records = []
        for number, (age_s, outcome) in enumerate(zip(ages_s, outcomes, strict=False)):
            if left == 0:
                session, history, left = self.new_id(self.now), (), self._random.choice((1, 1, 2, 4))
            record = self.one(number, outcome=outcome, age_s=age_s, session_id=session, history=history)
            history = (*record.messages[1:], *(choice.as_message() for choice in record.choices[:1]))
            left -= 1
            records.append(record)
        return records

    def new_id(self, at: datetime) -> str:
        """A UUIDv7 of that moment."""
        return uuid7(int(at.timestamp() * 1000), self._random.randbytes(10))

    def one(
        self,
        number: int = 0,
        *,
        outcome: Outcome = "complete",
        age_s: float = 0.0,
        session_id: str | None = None,
        history: tuple[Message, ...] = (),
    ) -> Record:
        """One record of a question to the bakery, ended as asked."""
        provider, flavor, requested, answered, endpoint = MODELS[number % len(MODELS)]
        question, answer = QUESTIONS[number % len(QUESTIONS)]
        started_at = self.now - timedelta(seconds=age_s)
        customer = ("Ada Lovelace", "Émile Zola", "Grace Hopper", "李小龍")[number % 4]
        system = SYSTEM + f"The customer is {customer}. The shop is in Freiburg."
        messages = (Message(role="system", content=system), *history, Message(role="user", content=question))
        delivered = self._delivered(answer, outcome)
        first_ms, timeline = self._timeline(delivered)
        is_stream = number % 5 != 4
        ended_ms = (timeline[-1][0] if timeline else self._random.uniform(80, 900)) + self._random.uniform(2, 30)
        was_killed = outcome == "interrupted"
        return Record(
            record_id=self.new_id(started_at),
            project_id=self.project_id,
            session_id=session_id,
            template=TemplateRef(
                name="shop/answer" if number % 3 else "shop/triage",
                version=str(3 + number % 2),
                environment="prod" if number % 4 else "staging",
                source="cache",
            ),
            variables={"customer": customer, "city": "Freiburg", "question": question, "loyalty_points": number * 10},
            messages=messages,
            metadata={"channel": ("web", "phone app")[number % 2], "shop": 3},
            provider=provider,
            endpoint=endpoint,
            flavor=flavor,
            requested_model=requested,
            model=requested if outcome == "error" else answered,
            parameters=_parameters(requested),
            is_stream=is_stream,
            request={"model": requested, "stream": is_stream, "temperature": 0.3, "messages": _wire(messages)},
            outcome=outcome,
            choices=(_choice(delivered, outcome),),
            usage=None if outcome in ("error", "interrupted") else _usage(messages, delivered),
            error=_error(number, provider) if outcome == "error" else None,
            response_id=f"chatcmpl-{number:06d}",
            request_id=f"req_{number:08x}",
            started_at=started_at,
            ended_at=None if was_killed else started_at + timedelta(milliseconds=ended_ms),
            latency_ms=None if was_killed else round(ended_ms, 3),
            time_to_first_chunk_ms=first_ms if is_stream and timeline else None,
            chunk_count=len(timeline) if is_stream else 0,
            timeline=tuple(timeline) if is_stream else (),
            sdk="freeplay_like/0.1.0 python/3.11",
        )

    def _delivered(self, answer: str, outcome: Outcome) -> str:
        if outcome == "refused":
            return ""
        if outcome == "error":
            return answer[:60] if self._random.random() < 0.5 else ""
        return answer if outcome == "complete" else answer[: len(answer) // 2]

    def _timeline(self, text: str) -> tuple[float | None, list[tuple[float, int]]]:
        at_ms = first_ms = round(self._random.uniform(180, 900), 3)
        points, sent = [], 0
        while sent < len(text):
            sent = min(len(text), sent + self._random.randint(2, 7))
            points.append((round(at_ms, 3), sent))
            at_ms += self._random.expovariate(1 / 24)
        return (first_ms if points else None), points


def special_records(project_id: str, now: datetime | None = None) -> dict[str, Record]:
    """One record for each thing that a page has to bear, by name."""
    maker = RecordMaker(project_id=project_id, now=now or datetime.now(UTC), seed=11)
    session = maker.new_id(maker.now)
    weather = ToolCall(id="call_1", name="get_stock", arguments='{"item":"rye bread","day":"saturday"}')
    plain = maker.one(1, session_id=session)
    tools = attrs.evolve(
        maker.one(0, session_id=session),
        messages=(
            Message(role="system", content=SYSTEM * 8),
            Message(role="user", content="Is there rye bread on Saturday?"),
            Message(role="assistant", content=None, tool_calls=(weather,)),
            Message(role="tool", content='{"left": 4}', tool_call_id="call_1"),
            Message(
                role="user",
                content=(
                    {"type": "text", "text": "And this one?"},
                    {"type": "image_url", "image_url": {"url": "https://evil.example/a.png"}},
                ),
            ),
        ),
        choices=(
            Choice(
                reasoning="The picture shows a baguette. I should ask the stock for it.",
                tool_calls=(attrs.evolve(weather, id="call_2", arguments='{"item":"baguette"'),),
                finish_reason="tool_calls",
                finish_reason_raw="tool_use",
            ),
        ),
    )
    nasty = attrs.evolve(
        maker.one(2, session_id=None),
        messages=(Message(role="system", content=NASTY), Message(role="user", content=NASTY, name=NASTY)),
        choices=(
            Choice(
                text=NASTY,
                reasoning=NASTY,
                refusal=NASTY,
                tool_calls=(ToolCall(id=NASTY, name=NASTY, arguments=NASTY),),
            ),
        ),
        variables={NASTY: NASTY, "javascript:alert(1)": "javascript:alert(1)"},
        metadata={NASTY: NASTY},
        template=TemplateRef(name=NASTY, version=NASTY, environment=NASTY),
        requested_model=NASTY,
        model=f"other {NASTY}",
        error=ErrorInfo(type=NASTY, message=NASTY, code=NASTY, cause=NASTY),
        parameters={
            NASTY: ParameterSetting(value=NASTY, layer="call", overrode=(Overridden(layer="client", value=NASTY),))
        },
        request={"x": NASTY},
    )
    return {
        "plain": plain,
        "tools": tools,
        "nasty": nasty,
        "killed": maker.one(3, outcome="interrupted"),
        "refused": maker.one(4, outcome="refused"),
        "bare": Record(record_id=maker.new_id(maker.now), project_id=project_id, started_at=maker.now),
        "long": attrs.evolve(
            maker.one(5),
            choices=(Choice(text="Ein langes Wort: " + "Donau" * 400 + "\n" + "Zeile\n" * 300, finish_reason="stop"),),
        ),
    }


def post_records(api_base: str, api_key: str, records: Sequence[Record]) -> JsonObject:
    """Send records as the SDK's delivery does, and wait until they are stored."""
    stored: JsonObject = {}
    for group in _groups(records, 500):
        answer = requests.post(
            f"{api_base}/v2/projects/{group[0].project_id}/records:batch",
            data=to_wire({"records": list(group)}),
            headers={"Authorization": f"Bearer {api_key}", "Content-Type": "application/json"},
            timeout=30,
        )
        answer.raise_for_status()
        stored = answer.json()
        if stored["rejected"]:
            raise ValueError(f"the server rejected records: {stored['rejected']!r}")
    return stored


def _groups(records: Sequence[Record], size: int) -> Iterator[Sequence[Record]]:
    for start in range(0, len(records), size):
        yield records[start : start + size]


def _parameters(model: str) -> dict[str, ParameterSetting]:
    return {
        "model": ParameterSetting(value=model, layer="template"),
        "temperature": ParameterSetting(
            value=0.3,
            layer="call",
            overrode=(Overridden(layer="template", value=0.7), Overridden(layer="session", value=0.5)),
        ),
        "max_tokens": ParameterSetting(value=400, layer="client"),
        "top_p": ParameterSetting(
            value=None, layer="session", is_removed=True, overrode=(Overridden(layer="template", value=0.9),)
        ),
    }


def _choice(text: str, outcome: Outcome) -> Choice:
    if outcome == "refused":
        return Choice(refusal="I can't help with that.", finish_reason="refusal", finish_reason_raw="content_filter")
    reasons: dict[Outcome, FinishReason] = {"complete": "stop", "truncated": "length"}
    return Choice(text=text, finish_reason=reasons.get(outcome), finish_reason_raw=reasons.get(outcome))


def _usage(messages: Sequence[Message], text: str) -> Usage:
    sent = sum(len(message.text) for message in messages) // 4 + 8
    return Usage(input_tokens=sent, output_tokens=len(text) // 4 + 2, cached_input_tokens=sent // 2, reasoning_tokens=0)


def _wire(messages: Sequence[Message]) -> list[object]:
    return [message.to_chat() for message in messages]


def _error(number: int, provider: str) -> ErrorInfo:
    if number % 2:
        return ErrorInfo(
            type="ProviderUnavailable",
            message=f"{provider} broke the connection while it answered; the text so far is in .partial",
            retryable=True,
            cause="RemoteProtocolError: peer closed connection without sending complete message body",
        )
    return ErrorInfo(
        type="ProviderRateLimited",
        message=f"{provider} asks for fewer requests (429): this request would exceed your organization's rate limit",
        status=429,
        code="rate_limit_error",
        retryable=True,
        cause="RateLimitError: Error code: 429",
    )
