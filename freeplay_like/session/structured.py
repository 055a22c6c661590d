"""Answers that are values: what is asked, whether the answer fits, and how it is repaired. No I/O."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Generic, TypeVar

import attrs

from freeplay_like.core.completion import CompletionResponse
from freeplay_like.core.messages import Message
from freeplay_like.core.schemas import Schema, SchemaMismatch
from freeplay_like.core.wire import JsonValue
from freeplay_like.errors import ConfigurationError, StructuredOutputError
from freeplay_like.flavors.base import Flavor
from freeplay_like.session.calls import Call

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)


@attrs.frozen(kw_only=True)
class Structured(Generic[T_co]):
    """A value out of an answer. `response` is the answer it came in, `attempts` all answers, that one the last."""

    value: T_co
    response: CompletionResponse
    attempts: tuple[CompletionResponse, ...]

    @property
    def record_id(self) -> str | None:
        """The record of the answer that the value came in."""
        return self.response.record_id


class Asking(Generic[T]):
    """One value on its way: `messages` and `parameters` of the next call, and what came of those before.

    Raises:
        ConfigurationError: `repairs` is not a number from 0.
    """

    def __init__(
        self,
        schema: Schema[T],
        flavor: Flavor,
        messages: tuple[Message, ...],
        repairs: int,
        parameters: Mapping[str, JsonValue],
    ) -> None:
        if type(repairs) is not int or repairs < 0:
            raise ConfigurationError(f"repairs={repairs!r}: a whole number from 0")
        self.flavor = flavor
        self.parent_id: str | None = None
        self._schema = schema
        self._repairs = repairs
        self._answers: list[CompletionResponse] = []
        self._value: T | None = None
        if flavor.takes_output_schema:
            self.messages = messages
            self.parameters: Mapping[str, JsonValue] = {"output_schema": schema.json_schema, **parameters}
        else:
            self.messages = (*messages, Message(role="user", content=schema.prompt()))
            self.parameters = {**parameters, "output_schema": None}

    def take(self, call: Call, response: CompletionResponse) -> bool:
        """Look at an answer: True where its value is good, False where the next call is to repair it.

        Raises:
            StructuredOutputError: it does not fit, and no repair is left, or none would help.
        """
        self.parent_id = self.parent_id or call.record.record_id
        self._answers.append(response)
        if response.finish_reason in ("length", "content_filter", "refusal") or response.choices[0].refusal:
            raise self._failed((_unfinished(response),), response)
        try:
            self._value = self._schema.parse(response.content)
        except SchemaMismatch as exc:
            if len(self._answers) > self._repairs:
                raise self._failed(exc.problems, response) from exc
            repair = Message(role="user", content=self._schema.repair_prompt(exc.problems))
            self.messages = (*self.messages, response.message, repair)
            return False
        return True

    def answer(self) -> Structured[T]:
        """What came of it, once `take` has said True."""
        return Structured(
            value=self._value,  # type: ignore[arg-type]  # `take` has set it
            response=self._answers[-1],
            attempts=tuple(self._answers),
        )

    def _failed(self, problems: tuple[str, ...], response: CompletionResponse) -> StructuredOutputError:
        tries = "one answer" if len(self._answers) == 1 else f"{len(self._answers)} answers"
        return StructuredOutputError(
            f"no {self._schema.name} in {tries} of the model: {'; '.join(problems)}",
            text=response.content,
            problems=problems,
            response=response,
        )


def _unfinished(response: CompletionResponse) -> str:
    if response.finish_reason == "length":
        return "the answer was cut at its length limit; allow more tokens"
    refusal = response.choices[0].refusal
    return f"the model refused: {refusal}" if refusal else "the provider's filter stopped the answer"
