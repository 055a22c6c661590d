"""What a prompt source is."""

from __future__ import annotations

from typing import Protocol

from freeplay_like.core.templates import PromptTemplate


class PromptSource(Protocol):
    """Finds templates. May block on the network: async code calls it in a thread."""

    def get(self, project_id: str, name: str, environment: str) -> PromptTemplate:
        """The version of template `name` that `environment` points at.

        Raises:
            TemplateNotFoundError: there is none; the message lists near names.
            BackendError: the backend could not be asked, and no copy is at hand.
        """
        ...

    def version(self, project_id: str, template_id: str, version_id: str) -> PromptTemplate:
        """That version of that template, whatever environments point at: a version never changes.

        Raises:
            TemplateNotFoundError: there is none.
            BackendError: the backend could not be asked, and no copy is at hand.
        """
        ...

    def at_hand(self, project_id: str, name: str, environment: str) -> PromptTemplate | None:
        """What `get` would give, where it can be had at once and without waiting; None where `get` has to be called."""
        ...

    def close(self) -> None:
        """Let go of connections."""
        ...
