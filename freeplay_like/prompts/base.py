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

    def at_hand(self, project_id: str, name: str, environment: str) -> PromptTemplate | None:
        """The same template where it can be had at once, without any I/O; None where `get` has to be called."""
        ...

    def close(self) -> None:
        """Let go of connections."""
        ...
