"""Who moved an environment, by name."""

from __future__ import annotations

from collections.abc import Mapping

import attrs

from freeplay_like.server.pages.templates.context import MoveRow
from freeplay_like.server.state import State
from freeplay_like.server.store.prompts.views import Move, Mover
from freeplay_like.server.store.views import Project

MOVES_SHOWN = 20
"""How many moves of a template's environments its page tells."""


@attrs.frozen(kw_only=True)
class Names:
    """What people and keys are called, by their ids."""

    people: Mapping[str, str]
    keys: Mapping[str, str]

    @classmethod
    def of(cls, state: State, project: Project) -> Names:
        """The names that are known in a project."""
        return cls(
            people={person.id: person.name for person in state.store.people.all()},
            keys={key.key_id: key.name or key.key_id for key in state.store.keys.all(project)},
        )

    def name(self, mover: Mover) -> str:
        """What to call somebody; who was removed since keeps an id."""
        if mover.kind == "machine" or mover.id is None:
            return "the command line"
        if mover.kind == "person":
            return self.people.get(mover.id, f"somebody who was removed ({mover.id})")
        return f"key {self.keys.get(mover.id, mover.id)}"


def moves_of(state: State, project: Project, template_id: str) -> tuple[MoveRow, ...]:
    """The last moves of a template's environments, newest first."""
    moves = state.store.environments.moves(project, template_id, 0, MOVES_SHOWN)
    names = Names.of(state, project) if moves else Names(people={}, keys={})
    return tuple(_row(move, names) for move in moves)


def _row(move: Move, names: Names) -> MoveRow:
    return MoveRow(
        environment=move.environment,
        from_version=move.from_version.version if move.from_version else None,
        from_id=move.from_version.version_id if move.from_version else None,
        to_version=move.to_version.version if move.to_version else None,
        to_id=move.to_version.version_id if move.to_version else None,
        moved_at=move.moved_at,
        by=names.name(move.by),
        reason=move.by.reason,
    )
