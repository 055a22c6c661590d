"""What sessions and chats know, in both twins. No I/O but the blocking fetch of a template, which shells call."""

from __future__ import annotations

from collections.abc import Mapping

from freeplay_like.core.history import ChatHistory
from freeplay_like.core.messages import Message, MessageLike, MessagesLike, messages_from
from freeplay_like.core.schemas import SchemaLike, schema_of
from freeplay_like.core.templates import PromptTemplate
from freeplay_like.core.wire import JsonValue
from freeplay_like.errors import ConfigurationError
from freeplay_like.flavors.base import Flavor
from freeplay_like.session.base import Client
from freeplay_like.session.calls import Call, Setting
from freeplay_like.session.conversation import Conversation, Totals
from freeplay_like.session.restoring import Restored
from freeplay_like.session.structured import Asking


class SessionState:
    """What both twins know. No I/O."""

    def __init__(self, client: Client, setting: Setting) -> None:
        self._client = client
        self._setting = setting
        self._conversation = Conversation(session_id=setting.session_id)
        self._templates: dict[str, PromptTemplate] = {}

    @property
    def session_id(self) -> str:
        """The id of the session, a UUIDv7."""
        return self._setting.session_id

    @property
    def totals(self) -> Totals:
        """What the calls of this session have used so far."""
        return self._conversation.totals

    def refresh_templates(self) -> None:
        """Look templates up again: from its next call on the session uses what the environment points at then."""
        self._templates.clear()

    def _at_hand(self, name: str) -> PromptTemplate | None:
        return self._templates.get(name) or self._client._prompts.at_hand(
            self._setting.project_id, name, self._setting.environment
        )

    def _fetch(self, name: str) -> PromptTemplate:
        return self._client._prompts.get(self._setting.project_id, name, self._setting.environment)

    def _plan(
        self,
        template: PromptTemplate,
        variables: Mapping[str, JsonValue],
        parameters: Mapping[str, JsonValue],
        *,
        messages: tuple[Message, ...] | None = None,
        flavor: Flavor | None = None,
        is_stream: bool,
        parent_id: str | None = None,
    ) -> Call:
        self._templates[template.name] = template
        return self._client._prepare(
            self._setting,
            template,
            variables,
            template.render(variables) if messages is None else messages,
            parameters,
            is_stream=is_stream,
            flavor=flavor,
            parent_id=parent_id,
        )

    def _asking(
        self,
        template: PromptTemplate,
        variables: Mapping[str, JsonValue],
        schema: SchemaLike,
        flavor: Flavor | None,
        repairs: int,
        parameters: Mapping[str, JsonValue],
    ) -> Asking[object]:
        return Asking(
            schema_of(schema),
            self._client._flavor_for(template, flavor),
            template.render(variables),
            repairs,
            parameters,
        )

    def _plan_asking(
        self, asking: Asking[object], template: PromptTemplate, variables: Mapping[str, JsonValue]
    ) -> Call:
        return self._plan(
            template,
            variables,
            asking.parameters,
            messages=asking.messages,
            flavor=asking.flavor,
            is_stream=False,
            parent_id=asking.parent_id,
        )


class ChatState(SessionState):
    """What both chat twins know."""

    def __init__(
        self,
        client: Client,
        setting: Setting,
        template_name: str,
        variables: Mapping[str, JsonValue],
        flavor: Flavor | None = None,
    ) -> None:
        super().__init__(client, setting)
        self._template_name = template_name
        self._variables = dict(variables)
        self._chat_flavor = flavor

    @property
    def history(self) -> ChatHistory:
        """The conversation so far, as a value: it does not change when the conversation goes on.

        A turn is in it once the provider has ended its answer; a turn that failed or was left early is not.
        """
        return ChatHistory(self._conversation.messages)

    def _take_over(self, restored: Restored) -> None:
        """Stand where another session stood."""
        self._templates[restored.template.name] = restored.template
        self._conversation.messages = restored.messages
        self._conversation.used.extend(restored.used)

    def _plan_chat(
        self,
        template: PromptTemplate,
        messages: tuple[Message, ...] | None,
        parameters: Mapping[str, JsonValue],
        *,
        is_stream: bool,
    ) -> Call:
        return self._plan(
            template,
            self._variables,
            parameters,
            messages=messages,
            flavor=self._chat_flavor,
            is_stream=is_stream,
        )

    def _next_messages(self, new: MessagesLike) -> tuple[Message, ...]:
        if not self._conversation.messages:
            raise ConfigurationError(
                "there is no conversation to continue: start it first (start_chat or start_chat_stream) "
                "and read its answer to the end"
            )
        return (*self._conversation.messages, *messages_from(new, is_required=True))


def given(history: MessagesLike, new: MessageLike | MessagesLike | None) -> tuple[Message, ...]:
    """A history that the caller keeps, with new messages after it."""
    messages = (*messages_from(history), *(() if new is None else messages_from(new)))
    return messages_from(messages, is_required=True)
