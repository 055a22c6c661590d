"""Records of varied text, as many as wanted: what a store is filled with to see how it bears a million.

Words are drawn by Zipf's law from vocabularies of several scripts, so some are in every call and most in a few; beside
prose there is code and JSON. Calls come from templates with variables, in sessions that go on side by side. The same
seed gives the same records.
"""

# ruff: noqa: RUF001  letters of other scripts look like Latin ones: they are what this is for

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

import attrs

from freeplay_like.core.chunks import FinishReason, Usage
from freeplay_like.core.completion import Choice
from freeplay_like.core.ids import uuid7
from freeplay_like.core.messages import Message, ToolCall
from freeplay_like.core.parameters import Overridden, ParameterSetting
from freeplay_like.core.records import ErrorInfo, Outcome, Record, TemplateRef
from freeplay_like.core.wire import JsonObject

NOW: Final = datetime(2026, 11, 21, 12, tzinfo=UTC)
RARE_EVERY: Final = 997
"""One record in this many has `RARE_WORD` in its question."""
RARE_WORD: Final = "quetzalcoatlus"
OPEN_SESSIONS: Final = 64
"""How many conversations go on side by side."""
_STREAM_WORDS: Final = 1 << 16
_VOCABULARY: Final = 6_000


@attrs.frozen
class _Script:
    """How words of a language are made up: from its commonest ones, then from its syllables."""

    common: str
    syllables: str
    between: str = " "
    end: str = ". "


_SCRIPTS: Final = (
    _Script(
        "the of and to a in is you that it for on with as this order please can we your not have price day",
        "ba con der ex fi gra ho in ja ker lo men ni or pre qui ra ster ti un ver win zo able ing ment tion",
    ),
    _Script(
        "die der und in zu den das nicht von sie ist des sich mit dem dass er es ein für Straße Größe",
        "auf ben chen da ent für ge heit isch keit lich mög nach ober prü schaft ung über vor zwi straß",
    ),
    _Script(
        "de la que el en y a los se del las un por con no una su para es al lo como más señor mañana",
        "ad ción dor es fu go hí ja lla men ño or par que rá sión ta ú ver xi ya zá ble mien to",
    ),
    _Script(
        "и в не на я быть он с что а по это она этот к но мы как из у который то за свой заказ",
        "ба вер го дра ень жи зо ист ка лов мен ность об при ра ство тель ум хо цен чи ша щи ый",
    ),
    _Script(
        "的 是 不 我 有 在 人 了 这 他 们 来 到 时 大 地 为 子 中 你 说 生 订单 价格 请问 可以 谢谢",
        "国 年 着 就 那 和 要 出 也 得 里 后 自 以 会 家 可 下 而 过 天 去 能 对 小 多 然 于 心 学 么 之",
        between="",
        end="。",
    ),
    _Script(
        "の に は を た が で て と し れ さ ある いる も する から な こと として お願い 注文 ありがとう",
        "ア イ ウ エ オ カ キ ク ケ コ サ シ ス セ ソ 東 京 新 聞 料 理 電 話 時 間 あ い う か き",
        between="",
        end="。",
    ),
    _Script(
        "في من على أن إلى هذا لا ما كان التي عن مع هذه الذي كل بعد طلب السعر",
        "ال با تا جا حا دا را سا شا صا طا عا فا قا كا لا ما نا ها وا يا ين ون",
    ),
    _Script(
        "के में है की और से को का एक पर यह नहीं हैं कर कि भी लिए ने था कीमत",
        "अ आ क का कि की कु ग गा च ज त ता द दा न ना प पा ब भ म मा य र रा ल व स सा ह",
    ),
)  # fmt: skip

_CODE: Final = (
    "def {0}({1}, *, {2}=None):\n    if {1} is None:\n        raise ValueError('no {0}')\n    return {2}[{1}]",
    "SELECT {0}, count(*) AS {1} FROM {2} WHERE {0} >= 17 GROUP BY {0} ORDER BY {1} DESC LIMIT 50;",
    "const {0} = async ({1}) => {{ const {2} = await fetch(`/api/${{{1}}}`); return {2}.json(); }};",
    "#include <{0}.h>\nint {1}(char *{2}) {{ return strlen({2}) > 8 ? -1 : 0; }}  /* {0} */",
)
_MODELS: Final = (
    ("openai", "openai_chat", "gpt-4o-mini", "gpt-4o-mini-2024-07-18"),
    ("anthropic", "anthropic_chat", "claude-sonnet-4-5", "claude-sonnet-4-5-20250929"),
    ("openai", "openai_chat", "gpt-4o", "gpt-4o-2024-08-06"),
    ("openai", "openai_responses", "gpt-5-mini", "gpt-5-mini-2025-08-07"),
    ("anthropic", "anthropic_chat", "claude-haiku-4-5", "claude-haiku-4-5-20251001"),
    ("azure", "azure_openai_chat", "shop-deployment", "gpt-4o-2024-08-06"),
    ("openai", "openai_chat", "gpt-4.1", "gpt-4.1-2025-04-14"),
    ("local", "openai_chat", "smollm2-135m-instruct", "smollm2-135m-instruct"),
    ("openai", "openai_text", "gpt-3.5-turbo-instruct", "gpt-3.5-turbo-instruct"),
    ("openai", "openai_responses", "o4-mini", "o4-mini-2025-04-16"),
)
_OUTCOMES: Final[tuple[Outcome, ...]] = (
    "complete", "error", "truncated", "cancelled", "refused", "abandoned", "interrupted",
)  # fmt: skip
_OUTCOME_WEIGHTS: Final = (900, 40, 25, 15, 10, 6, 4)
_REASONS: Final[dict[Outcome, FinishReason]] = {"complete": "stop", "truncated": "length", "refused": "refusal"}
_TEMPLATES: Final = (
    "shop/answer", "shop/triage", "support/reply", "support/summary", "search/rewrite", "search/rank", "code/review",
    "code/explain", "mail/draft", "mail/subject", "extract/invoice", "extract/address", "translate", "moderate",
)  # fmt: skip
_USUAL_MODELS: Final = (0, 1, 0, 2, 3, 1, 0, 4, 5, 2, 6, 7, 8, 0)
"""The model that most calls of a template go to, by their places."""
_VERSION_AGE: Final = timedelta(days=4)
"""How often a new version of a template goes to production."""
_ENVIRONMENTS: Final = ("prod", "prod", "prod", "staging", "dev")
_ERRORS: Final = (
    ErrorInfo(type="ProviderRateLimited", message="it asks for fewer requests (429)", status=429, retryable=True),
    ErrorInfo(type="ProviderTimeout", message="no answer within 60 s", retryable=True),
    ErrorInfo(type="ProviderRejected", message="the provider refused it (400): too many tokens", status=400),
)  # fmt: skip


@attrs.define
class _Session:
    id: str
    user: str
    script: _Script
    turns_left: int
    history: tuple[Message, ...] = ()


class VariedRecords:
    """Makes records of one project in the order in which they began; the last of `spread_over` began at `now`."""

    def __init__(
        self,
        project_id: str,
        *,
        seed: int = 1,
        now: datetime = NOW,
        spread_over: timedelta = timedelta(days=30),
        words: int = 25,
    ) -> None:
        """`words`: how many an answer has in the mean; with 25 a record is about 3.4 KB of JSON."""
        self._project_id = project_id
        self._now = now
        self._spread_over = spread_over
        self._words = words
        self._random = random.Random(seed)  # noqa: S311  not a secret: the same seed gives the same records
        self._streams = {script: self._stream(script) for script in _SCRIPTS}
        self._systems = [self._system(number) for number in range(len(_TEMPLATES))]
        self._sessions: list[_Session] = []
        self._number = 0

    def make(self, count: int) -> Iterator[Record]:
        """`count` records, evenly spread over the time; a further call begins with other ones, at the same time."""
        step_s = self._spread_over.total_seconds() / max(1, count)
        first_at = self._now - self._spread_over
        for number in range(1, count + 1):
            self._number += 1
            yield self._one(first_at + timedelta(seconds=step_s * (number - self._random.random())))

    def _one(self, started_at: datetime) -> Record:
        draw = self._random
        session = self._session(started_at)
        template_number = self._zipf(len(_TEMPLATES))
        is_usual = draw.random() < 0.85
        model_number = _USUAL_MODELS[template_number] if is_usual else self._zipf(len(_MODELS))
        provider, flavor, requested, answered = _MODELS[model_number]
        environment = draw.choice(_ENVIRONMENTS)
        age = self._now - started_at
        version = max(1, 12 - age // _VERSION_AGE) + (environment != "prod")
        question = self._question(session.script)
        variables: JsonObject = {"question": question, "customer": session.user, "city": self._text(session.script, 1)}
        system = Message(role="system", content=f"{self._systems[template_number]}\nCustomer: {session.user}")
        messages = (system, *session.history, Message(role="user", content=question))
        outcome = draw.choices(_OUTCOMES, _OUTCOME_WEIGHTS)[0]
        choice = self._choice(session.script, outcome)
        session.history = (*messages[1:], Message(role="assistant", content=choice.text))[-2:]
        is_stream, was_killed = draw.random() < 0.8, outcome == "interrupted"
        first_ms = draw.lognormvariate(6, 0.5)
        latency_ms = first_ms + len(choice.text) * draw.uniform(1, 4)
        return Record(
            record_id=self._new_id(started_at),
            project_id=self._project_id,
            session_id=session.id,
            trace_id=self._new_id(started_at) if draw.random() < 0.05 else None,
            template=TemplateRef(
                name=_TEMPLATES[template_number],
                version=str(version),
                version_id=f"{template_number:08x}-0000-4000-8000-{version:012x}",
                environment=environment,
                source="cache",
            ),
            variables=variables,
            messages=messages,
            metadata=self._metadata(session),
            provider=provider,
            endpoint=f"api.{provider}.com",
            flavor=flavor,
            requested_model=requested,
            model=requested if outcome == "error" else answered,
            parameters=_parameters(requested),
            is_stream=is_stream,
            request={"model": requested, "stream": is_stream, "messages": [m.to_chat() for m in messages[-1:]]},
            outcome=outcome,
            choices=(choice,),
            usage=None if outcome in ("error", "interrupted") else _usage(messages, choice.text),
            error=draw.choice(_ERRORS) if outcome == "error" else None,
            response_id=f"chatcmpl-{draw.getrandbits(64):016x}",
            request_id=f"req_{draw.getrandbits(64):016x}",
            otel_trace_id=f"{draw.getrandbits(128):032x}" if self._number % 10 == 0 else None,
            otel_span_id=f"{draw.getrandbits(64):016x}" if self._number % 10 == 0 else None,
            started_at=started_at,
            ended_at=None if was_killed else started_at + timedelta(milliseconds=latency_ms),
            latency_ms=None if was_killed else round(latency_ms, 3),
            time_to_first_chunk_ms=round(first_ms, 3) if is_stream else None,
            chunk_count=len(choice.text) // 4 if is_stream else 0,
            timeline=_timeline(first_ms, latency_ms, len(choice.text)) if is_stream else (),
            sdk="freeplay_like/0.1.0 python/3.11",
        )

    def _session(self, at: datetime) -> _Session:
        draw = self._random
        if len(self._sessions) < OPEN_SESSIONS:
            user = f"u-{int(draw.paretovariate(0.7)) % 50_000}"
            script = _SCRIPTS[self._zipf(len(_SCRIPTS))]
            self._sessions.append(_Session(self._new_id(at), user, script, min(20, int(draw.paretovariate(1.1)))))
        place = draw.randrange(len(self._sessions))
        session = self._sessions[place]
        session.turns_left -= 1
        if session.turns_left <= 0:
            self._sessions[place] = self._sessions[-1]
            self._sessions.pop()
        return session

    def _question(self, script: _Script) -> str:
        draw = self._random
        question = self._text(script, 3 + self._zipf(60))
        if draw.random() < 0.2:
            question += f" #{draw.randrange(10**7)}"
        return f"{question} {RARE_WORD}" if self._number % RARE_EVERY == 0 else question

    def _choice(self, script: _Script, outcome: Outcome) -> Choice:
        draw = self._random
        if outcome == "refused":
            return Choice(
                refusal="I can't help with that.", finish_reason="refusal", finish_reason_raw="content_filter"
            )
        if outcome == "error" and draw.random() < 0.7:
            return Choice()
        words = min(12 * self._words, max(3, int(draw.lognormvariate(0, 0.8) * self._words * 0.73)))
        kind, reason = draw.random(), _REASONS.get(outcome)
        if kind < 0.1:
            return Choice(text=self._code(words), finish_reason=reason, finish_reason_raw=reason)
        if kind < 0.2:
            return Choice(text=self._json(script, words), finish_reason=reason, finish_reason_raw=reason)
        if kind < 0.23 and outcome == "complete":
            call = ToolCall(id=f"call_{draw.getrandbits(32):08x}", name="get_stock", arguments=self._json(script, 4))
            return Choice(tool_calls=(call,), finish_reason="tool_calls", finish_reason_raw="tool_calls")
        return Choice(text=self._text(script, words), finish_reason=reason, finish_reason_raw=reason)

    def _metadata(self, session: _Session) -> JsonObject:
        return {
            "user_id": session.user,
            "channel": ("web", "phone app", "mail", "api")[self._zipf(4)],
            "region": ("eu", "us", "apac")[self._zipf(3)],
            "release": f"2026.{self._zipf(12) + 1}",
        }

    def _text(self, script: _Script, words: int) -> str:
        stream = self._streams[script]
        start = self._random.randrange(len(stream) - words)
        return script.between.join(stream[start : start + words])

    def _code(self, words: int) -> str:
        names = self._streams[_SCRIPTS[0]]
        start, draw = self._random.randrange(len(names) - 90), self._random
        wanted = range(start, start + min(90, 3 * (1 + words // 16)), 3)
        return "\n".join(draw.choice(_CODE).format(*(n.strip(". ") for n in names[i : i + 3])) for i in wanted)

    def _json(self, script: _Script, words: int) -> str:
        names, stream = self._streams[_SCRIPTS[0]], self._streams[script]
        start = self._random.randrange(len(stream) - 100)
        pairs = range(start, start + min(100, 1 + words // 3))
        return "{" + ", ".join(f'"{names[i].strip(". ")}": "{stream[-i]}{i}"' for i in pairs) + "}"

    def _system(self, number: int) -> str:
        script = _SCRIPTS[0] if number < 10 else _SCRIPTS[number % len(_SCRIPTS)]
        return f"You are {_TEMPLATES[number]}. {self._text(script, 30 + number * 3)}"

    def _stream(self, script: _Script) -> Sequence[str]:
        """Running text, as words: what a text is a piece of."""
        draw = self._random
        vocabulary, syllables = script.common.split(), script.syllables.split()
        vocabulary += [
            "".join(draw.choices(syllables, k=draw.randint(2, 4))) for _ in range(_VOCABULARY - len(vocabulary))
        ]
        weights = list(itertools.accumulate(1 / (rank + 2) for rank in range(len(vocabulary))))
        words = draw.choices(vocabulary, cum_weights=weights, k=_STREAM_WORDS)
        for place in range(9, _STREAM_WORDS, 11):
            words[place] += script.end.rstrip() if script.between else script.end
        return words

    def _zipf(self, count: int) -> int:
        """A number below `count`, the small ones often."""
        return int(count ** self._random.random()) - 1

    def _new_id(self, at: datetime) -> str:
        return uuid7(int(at.timestamp() * 1000), self._random.randbytes(10))


def _parameters(model: str) -> dict[str, ParameterSetting]:
    overrode = (Overridden(layer="template", value=0.7),)
    return {
        "model": ParameterSetting(value=model, layer="template"),
        "temperature": ParameterSetting(value=0.3, layer="call", overrode=overrode),
        "max_tokens": ParameterSetting(value=400, layer="client"),
    }


def _usage(messages: Sequence[Message], text: str) -> Usage:
    sent = sum(len(message.text) for message in messages) // 4 + 8
    return Usage(input_tokens=sent, output_tokens=len(text) // 4 + 2, cached_input_tokens=sent // 2)


def _timeline(first_ms: float, latency_ms: float, length: int) -> tuple[tuple[float, int], ...]:
    points = min(24, length // 16)
    step_ms = (latency_ms - first_ms) / points if points else 0.0
    return tuple((round(first_ms + step_ms * i, 1), length * i // points) for i in range(1, points + 1))
