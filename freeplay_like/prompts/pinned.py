"""Prompts for calls that are to try one version."""

from __future__ import annotations

from freeplay_like.core.templates import PromptTemplate


class PinnedPrompts:
    """One version of one template, whatever is asked for: a run tries one, also where its environment moves on."""

    def __init__(self, template: PromptTemplate) -> None:
        self._template = template

    def get(self, project_id: str, name: str, environment: str) -> PromptTemplate:
        """The version."""
        return self._template

    def version(self, project_id: str, template_id: str, version_id: str) -> PromptTemplate:
        """The version."""
        return self._template

    def at_hand(self, project_id: str, name: str, environment: str) -> PromptTemplate:
        """The version."""
        return self._template

    def close(self) -> None:
        """There is nothing to let go of."""
