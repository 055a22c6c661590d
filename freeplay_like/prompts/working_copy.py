"""A folder of template files that goes with a project in a backend, and what it knows of their last common state."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

import attrs

from freeplay_like.core.template_files import file_path, to_text
from freeplay_like.core.template_flavors import with_flavor
from freeplay_like.core.templates import PromptTemplate
from freeplay_like.core.wire import WireError, from_wire, to_wire
from freeplay_like.errors import ConfigurationError, TemplateError
from freeplay_like.prompts.folder import FolderPrompts
from freeplay_like.prompts.sync import Common

STATE_NAME: Final = ".freeplay-like.json"
"""The file in the folder that keeps the state. It can be lost: what is alike is then found out again."""


@attrs.frozen(kw_only=True)
class _State:
    """What the file holds."""

    project_id: str
    templates: dict[str, Common] = attrs.field(factory=dict)


class WorkingCopy:
    """The folder at `path`, which is made when the first template is written.

    `common` is the last common state by name, to be changed and then kept by `save`.

    Raises:
        ConfigurationError: it goes with another project, or its state cannot be read.
    """

    def __init__(self, path: Path, project_id: str) -> None:
        self.path = path
        self._project_id = project_id
        self.common = self._load()

    def _load(self) -> dict[str, Common]:
        file = self.path / STATE_NAME
        try:
            state = from_wire(file.read_bytes(), _State)
        except FileNotFoundError:
            return {}
        except (OSError, WireError) as exc:
            raise ConfigurationError(
                f"{str(file)!r} cannot be read: {exc}; restore it, or remove it: then every file that is not as it is "
                "in the backend is a conflict to settle once"
            ) from exc
        if state.project_id != self._project_id:
            raise ConfigurationError(
                f"the templates in {str(self.path)!r} go with project {state.project_id!r}, and the key is of project "
                f"{self._project_id!r}; take another folder, or remove {STATE_NAME!r} from this one"
            )
        return dict(state.templates)

    def save(self) -> None:
        """Keep the common state. A folder that is not there has none."""
        if self.path.is_dir():
            state = _State(project_id=self._project_id, templates=dict(sorted(self.common.items())))
            _write(self.path / STATE_NAME, to_wire(state) + b"\n")

    def read(self) -> tuple[dict[str, PromptTemplate], dict[str, TemplateError]]:
        """The templates by name, and those that cannot be read with the reason."""
        templates: dict[str, PromptTemplate] = {}
        problems: dict[str, TemplateError] = {}
        if not self.path.is_dir():
            return templates, problems
        folder = FolderPrompts(self.path)
        for name in folder.names():
            try:
                templates[name] = with_flavor(folder.get("", name, ""))
            except TemplateError as exc:
                problems[name] = exc
        return templates, problems

    def write(self, template: PromptTemplate) -> None:
        """Put a template into its file, whole or not at all.

        Raises:
            TemplateError: its name leads out of the folder or to another's file, or the file cannot be written.
        """
        text = to_text(template)
        try:
            file = self._file(template.name)
            self._check_inside(file, template.name)
            file.parent.mkdir(parents=True, exist_ok=True)
            _write(file, text.encode())
        except OSError as exc:
            raise self._failure(template.name, "written", exc) from exc

    def remove(self, name: str) -> None:
        """Remove a template's file.

        Raises:
            TemplateError: it cannot be removed.
        """
        try:
            file = self._file(name)
            self._check_inside(file, name)
            file.unlink(missing_ok=True)
        except OSError as exc:
            raise self._failure(name, "removed", exc) from exc

    def _file(self, name: str) -> Path:
        file = self.path / file_path(name)
        if file.exists() and file.name not in os.listdir(file.parent):
            raise TemplateError(
                f"template {name!r}: on this disk {str(file)!r} is the file of another template; rename one of them",
                template=name,
            )
        return file

    def _check_inside(self, file: Path, name: str) -> None:
        if not file.parent.resolve().is_relative_to(self.path.resolve()) or file.is_symlink():
            raise TemplateError(
                f"template {name!r}: {str(file)!r} is a link, or leads out of the folder; remove the link",
                template=name,
            )

    @staticmethod
    def _failure(name: str, done: str, exc: OSError) -> TemplateError:
        return TemplateError(f"template {name!r}: its file cannot be {done}: {exc}", template=name)


def _write(file: Path, data: bytes) -> None:
    """Replace a file's content, whole or not at all, also in a power cut."""
    fresh = file.with_name(f".{file.name[:100]}.{os.getpid()}.new")
    try:
        with fresh.open("wb") as opened:
            opened.write(data)
            opened.flush()
            os.fsync(opened.fileno())
        fresh.replace(file)
    finally:
        fresh.unlink(missing_ok=True)
