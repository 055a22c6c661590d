"""A session's calls as one conversation: each message once, though every call sends the earlier ones again. Pure."""

from __future__ import annotations

import bisect
from collections import defaultdict
from collections.abc import Sequence

import attrs

from freeplay_like.core.messages import Message
from freeplay_like.core.wire import to_wire
from freeplay_like.server.store.records.conversations import SessionCall

_INSTRUCTIONS = frozenset({"system", "developer"})


@attrs.frozen(kw_only=True)
class New:
    """What a call adds to a conversation: instructions that were not said before, and messages that are new.

    `repeated` counts the messages it sent again. `is_again`: it sent nothing new at all.
    """

    messages: tuple[Message, ...]
    repeated: int
    is_again: bool = False


@attrs.define
class Said:
    """What was said so far in a session."""

    _instructions: set[bytes] = attrs.field(factory=set)
    _places: defaultdict[bytes, list[int]] = attrs.field(factory=lambda: defaultdict(list))
    _count: int = 0

    def take(self, sent: Sequence[Message], answers: Sequence[Message]) -> New:
        """What a call adds, which is said from now on: the messages it sent, then the ones that came of it.

        A call that sends the conversation again sends it in its order, perhaps without its beginning: messages are
        known as long as each is found behind the one before. A question that is asked once more, alone, is new.
        """
        instructions = [message for message in sent if message.role in _INSTRUCTIONS]
        spoken = [message for message in sent if message.role not in _INSTRUCTIONS]
        new = [message for message in instructions if _key(message) not in self._instructions]
        self._instructions.update(map(_key, instructions))
        known = self._known(spoken) if len(spoken) > 1 else 0
        is_again = known == len(spoken) and known > 0
        fresh = spoken[known:]
        for message in (*fresh, *answers):
            self._places[_key(message)].append(self._count)
            self._count += 1
        repeated = len(sent) - len(new) - len(fresh)
        return New(messages=(*new, *fresh), repeated=repeated, is_again=is_again)

    def _known(self, spoken: Sequence[Message]) -> int:
        """How many messages from the beginning were said already, in this order."""
        at = 0
        for number, message in enumerate(spoken):
            places = self._places.get(_key(message), [])
            found = bisect.bisect_left(places, at)
            if found == len(places):
                return number
            at = places[found] + 1
        return len(spoken)


def _key(message: Message) -> bytes:
    """Equal for messages that say the same; a provider's signed blocks come back as they please."""
    return to_wire([message.role, message.content, message.tool_calls, message.tool_call_id])


def new_of(said: Said, call: SessionCall) -> New:
    """What a call adds to what was said, the messages that were added to it later counted in."""
    answers = [choice.as_message() for choice in call.record.choices[:1]]
    added = [message for amendment in call.amendments for message in amendment.new_messages]
    return said.take(call.record.messages, [*answers, *added])
