"""Calls side by side: messages and answers with what differs, parameters, times, tokens, cost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

import attrs

from freeplay_like.core.messages import Message
from freeplay_like.core.records import Record
from freeplay_like.server.pages.addresses import compare_address
from freeplay_like.server.pages.formats import inline
from freeplay_like.server.pages.page import PageProblem
from freeplay_like.server.pages.word_diff import Stretch, only, word_diff
from freeplay_like.server.state import State
from freeplay_like.server.store.views import CallRow, Project, StoredCall


@attrs.frozen(kw_only=True)
class Words:
    """A text of a call against that of the first: of the first call, what the second one says otherwise."""

    role: str
    words: tuple[Stretch, ...]


@attrs.frozen(kw_only=True)
class Row:
    """Something in each of the calls, as text, None where a call has it not."""

    name: str
    values: tuple[str | None, ...]

    @property
    def differs(self) -> bool:
        """Whether the calls do not agree."""
        return len(set(self.values)) > 1


@attrs.frozen(kw_only=True)
class Turn:
    """A message in each of the calls, None where a call has fewer."""

    is_same: bool
    sides: tuple[Words | None, ...]


@attrs.frozen(kw_only=True)
class CallsCompared:
    """Two to four calls. `rows` are variables and parameters."""

    project: Project
    calls: tuple[CallRow, ...]
    answers: tuple[Words, ...]
    turns: tuple[Turn, ...]
    parameters: tuple[Row, ...]
    variables: tuple[Row, ...]
    errors: tuple[str | None, ...]

    kind: Literal["call"] = "call"

    @property
    def swapped_address(self) -> str:
        """The same with the second call first."""
        ids = [call.record_id for call in self.calls]
        return compare_address(self.project.id, "call", ids[1], ids[0], *ids[2:])

    @property
    def same_turns(self) -> int:
        """How many messages are the same in all."""
        return sum(turn.is_same for turn in self.turns)

    @property
    def has_same_answers(self) -> bool:
        """Whether all answered the same."""
        return all(stretch.change == "same" for answer in self.answers for stretch in answer.words)

    @property
    def labels(self) -> str:
        """The letters that the calls go by."""
        return "ABCD"[: len(self.calls)]


def compare_calls(state: State, project: Project, record_ids: Sequence[str]) -> CallsCompared:
    """Calls side by side.

    Raises:
        PageProblem: there is no such call.
    """
    calls = tuple(_call(state, project, record_id) for record_id in record_ids)
    records = [call.record for call in calls]
    return CallsCompared(
        project=project,
        calls=tuple(call.row for call in calls),
        answers=_against_first([_answer(record) for record in records]),
        turns=_turns([record.messages for record in records]),
        parameters=_rows([_parameters(record) for record in records]),
        variables=_rows([{name: inline(value) for name, value in record.variables.items()} for record in records]),
        errors=tuple(None if record.error is None else record.error.message for record in records),
    )


def _call(state: State, project: Project, record_id: str) -> StoredCall:
    found = state.store.calls.get(project.id, record_id)
    if found is None:
        raise PageProblem("No such call", f"Project {project.name!r} has no call {record_id[:100]!r}.")
    return found


def _parameters(record: Record) -> dict[str, str]:
    """What was sent; the model asked for is one of them."""
    said = {name: inline(setting.value) for name, setting in record.parameters.items() if not setting.is_removed}
    return {"model": record.requested_model, **said} if record.requested_model else said


def _answer(record: Record) -> Words:
    message = record.choices[0].as_message() if record.choices else None
    return Words(role="assistant", words=(Stretch("same", _text(message) if message else ""),))


def _text(message: Message) -> str:
    """A message as a text: its words, and each tool that it asks for."""
    return "\n".join([*([message.text] if message.text else []), *_tools(message)])


def _tools(message: Message) -> list[str]:
    return [f"{call.name}({call.arguments})" for call in message.tool_calls]


def _against_first(texts: Sequence[Words]) -> tuple[Words, ...]:
    """The first text marked with what the second one says otherwise, the others with what they say otherwise."""
    plain = ["".join(stretch.text for stretch in each.words) for each in texts]
    found = [word_diff(plain[0], other) for other in plain[1:]]
    rest = [attrs.evolve(each, words=only(words, "added")) for each, words in zip(texts[1:], found, strict=True)]
    return (attrs.evolve(texts[0], words=only(found[0], "removed")), *rest)


def _turns(messages: Sequence[Sequence[Message]]) -> tuple[Turn, ...]:
    turns = []
    for place in range(max(map(len, messages))):
        sides = [each[place] if place < len(each) else None for each in messages]
        texts = [
            None if side is None else Words(role=side.role, words=(Stretch("same", _text(side)),)) for side in sides
        ]
        is_same = len({(text.role, text.words) if text else None for text in texts}) == 1
        there = [text for text in texts if text is not None]
        marked = iter(_against_first(there) if len(there) == len(texts) and not is_same else there)
        turns.append(Turn(is_same=is_same, sides=tuple(None if text is None else next(marked) for text in texts)))
    return tuple(turns)


def _rows(said: Sequence[Mapping[str, str]]) -> tuple[Row, ...]:
    names = dict.fromkeys(name for each in said for name in each)
    rows = [Row(name=name, values=tuple(each.get(name) for each in said)) for name in names]
    return tuple(sorted(rows, key=lambda row: not row.differs))
