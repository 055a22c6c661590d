"""Taking templates over from elsewhere, one at a time, and saying what became of each."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from freeplay_like.cli.prompt_sync import LATEST, Report, is_fatal
from freeplay_like.core.template_flavors import with_flavor
from freeplay_like.core.templates import PromptTemplate
from freeplay_like.errors import BackendError, ConfigurationError, TemplateError
from freeplay_like.prompts.bundles import Bundled, read_bundled, says_the_same
from freeplay_like.prompts.folder import FolderPrompts
from freeplay_like.prompts.project import PromptProject


class Importer:
    """Makes versions of templates that come from elsewhere; a version that says the same is not made twice."""

    def __init__(self, project: PromptProject, reason: str | None, *, is_dry: bool, moves_environments: bool) -> None:
        self._project = project
        self._reason = reason
        self._is_dry = is_dry
        self._moves_environments = moves_environments
        self._templates = {template.name: template for template in project.templates()}
        self._versions: dict[str, set[str]] = {}
        self.report = Report()

    def take_bundle(self, files: Sequence[Path], project_id: str | None) -> None:
        """Take the files of a bundle, those of `latest` last, so that they become the newest.

        Raises:
            ConfigurationError: they are of several projects, and none was chosen; or of others than the chosen.
        """
        projects = sorted({file.parents[1].name for file in files})
        if (project_id or projects[0]) not in projects or (project_id is None and len(projects) > 1):
            raise ConfigurationError(
                f"the bundle holds the projects {', '.join(projects)}; choose one with --bundle-project"
            )
        mine = [file for file in files if file.parents[1].name == (project_id or projects[0])]
        for file in sorted(mine, key=lambda file: (file.parent.name == LATEST, file)):
            label = f"{file.stem} ({file.parent.name})"
            try:
                bundled = read_bundled(file)
            except TemplateError as exc:
                self.report.fail(label, str(exc))
            else:
                self._try(label, self._known(bundled) or bundled.template, bundled.environment)

    def take_folder(self, folder: FolderPrompts) -> None:
        """Take the files of a folder of ours."""
        for name in folder.names():
            try:
                template = with_flavor(folder.get("", name, LATEST))
            except TemplateError as exc:
                self.report.fail(name, str(exc))
            else:
                self._try(name, template, LATEST)

    def _known(self, bundled: Bundled) -> PromptTemplate | None:
        """The version of this project that the bundle's template was downloaded from: a bundle does not keep all."""
        template = bundled.template
        if bundled.project_id != self._project.id or not template.template_id or not template.version_id:
            return None
        version = self._project.version(template.template_id, template.version_id)
        is_it = version is not None and version.name == template.name and says_the_same(template, version)
        return version if is_it else None

    def _try(self, label: str, template: PromptTemplate, environment: str) -> None:
        environments = [environment] if self._moves_environments and environment != LATEST else []
        if self._is_dry:
            self.report.say(label, "would be taken" + _pointing(environments))
            return
        known = self._versions_of(template.name)
        try:
            made = self._project.create_version(template, environments=environments, reason=self._reason)
        except (BackendError, TemplateError) as exc:
            if is_fatal(exc):
                raise
            self.report.fail(label, str(exc))
            return
        is_new = made.version_id not in known
        known.add(made.version_id or "")
        what = f"version {made.version} was made" if is_new else f"is version {made.version} already"
        self.report.say(label, what + _pointing(environments))

    def _versions_of(self, name: str) -> set[str]:
        """The ids of the versions that a template has; to be added to."""
        if name not in self._versions:
            template = self._templates.get(name)
            versions = self._project.versions(template.id) if template is not None else ()
            self._versions[name] = {version.prompt_template_version_id for version in versions}
        return self._versions[name]


def _pointing(environments: Sequence[str]) -> str:
    return "".join(f", environment {name!r} points at it" for name in environments)
