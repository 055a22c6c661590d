"""Templates out of a folder of files: no backend, or prompts that live beside the code."""

from __future__ import annotations

import contextlib
import difflib
import os
from pathlib import Path

import attrs

from freeplay_like.core.template_files import SUFFIX, file_path, from_text
from freeplay_like.core.templates import PromptTemplate
from freeplay_like.errors import ConfigurationError, TemplateError, TemplateNotFoundError, TemplateSyntaxError


class FolderPrompts:
    """The templates in `path` and the folders below it, for every project and environment alike.

    Files are read at every call, so an edit counts at once. A version is the fingerprint of what the file says.

    Raises:
        ConfigurationError: there is no such folder.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        if not self.path.is_dir():
            raise ConfigurationError(f"no folder of templates at {str(self.path)!r}; expected *{SUFFIX} files there")
        self._parsed: dict[str, tuple[bytes, PromptTemplate]] = {}

    def names(self) -> tuple[str, ...]:
        """The names of all templates, sorted."""
        root = self.path.resolve()
        files = (file for file in self.path.rglob(f"*{SUFFIX}") if self._is_inside(file, root))
        return tuple(sorted(file.relative_to(self.path).as_posix().removesuffix(SUFFIX) for file in files))

    def get(self, project_id: str, name: str, environment: str) -> PromptTemplate:
        """The template of that name; project and environment make no difference.

        Raises:
            TemplateNotFoundError: no such file, or one outside the folder.
            TemplateSyntaxError: the file cannot be read as a template.
            TemplateError: the name is no plain path.
        """
        file = self.path / file_path(name)
        if not self._is_inside(file, self.path.resolve()):
            raise self._not_found(name)
        try:
            data = file.read_bytes()
        except OSError as exc:
            raise TemplateError(f"template {name!r}: cannot read {str(file)!r}: {exc.strerror}", template=name) from exc
        known = self._parsed.get(name)
        if known is None or known[0] != data:
            known = self._parsed[name] = (data, _template(name, data))
        return known[1]

    def version(self, project_id: str, template_id: str, version_id: str) -> PromptTemplate:
        """The template whose file is as it was when it had that version's fingerprint; ids of templates there are none.

        Raises:
            TemplateNotFoundError: no file is: a folder holds only what its files say now.
        """
        for name in self.names():
            with contextlib.suppress(TemplateError):  # a file that cannot be read is not the one
                template = self.get(project_id, name, "")
                if template.version_id == version_id:
                    return template
        raise TemplateNotFoundError(
            f"no template in {str(self.path)!r} is of version {version_id!r}; a folder holds only what its files say "
            "now: restore the file, or read versions from a backend",
            template=template_id or None,
        )

    def at_hand(self, project_id: str, name: str, environment: str) -> PromptTemplate | None:
        """None: a file has to be read."""
        return None

    def close(self) -> None:
        """Nothing is open."""

    @staticmethod
    def _is_inside(file: Path, root: Path) -> bool:
        """Whether it is a file whose real place, links followed, is below the folder's."""
        try:
            return file.resolve().is_relative_to(root) and file.is_file()
        except (OSError, RuntimeError):  # a name too long for the disk, links in a circle
            return False

    def _not_found(self, name: str) -> TemplateNotFoundError:
        names = self.names()
        near = difflib.get_close_matches(name, names, n=5, cutoff=0.5) or names[:5]
        hint = f"near names: {', '.join(map(repr, near))}" if near else f"it holds no *{SUFFIX} files"
        return TemplateNotFoundError(f"no template {name!r} in {str(self.path)!r}; {hint}", template=name)


def _template(name: str, data: bytes) -> PromptTemplate:
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as exc:
        raise TemplateSyntaxError(
            f"template {name!r}: byte {exc.start} is not UTF-8; save the file as UTF-8", template=name
        ) from exc
    template = from_text(text, name=name)
    version_id = template.fingerprint
    return attrs.evolve(template, version_id=version_id, version=version_id[:8], source="folder")
