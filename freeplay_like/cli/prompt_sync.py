"""Pulling and pushing templates: what is done about each, and how it is said."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Final

import click

from freeplay_like.core.prompt_diff import unified
from freeplay_like.core.templates import PromptTemplate
from freeplay_like.errors import AuthorizationError, BackendError, ConfigurationError, FreeplayError, TemplateError
from freeplay_like.prompts.project import PromptProject
from freeplay_like.prompts.sync import SAID, Common, Compared, Status, compare_all
from freeplay_like.prompts.working_copy import WorkingCopy

LATEST: Final = "latest"


class Report:
    """Says what is done about each template, and knows whether something was left to a person."""

    def __init__(self) -> None:
        self.has_said = False
        self.has_failed = False

    def say(self, name: str, what: str) -> None:
        """Say what was done."""
        self.has_said = True
        click.echo(f"{name}: {what}")

    def fail(self, name: str, what: str, detail: str = "") -> None:
        """Say what was not done, and why."""
        self.has_failed = True
        self.say(name, what)
        if detail:
            click.echo(detail.rstrip("\n"))


def is_fatal(exc: FreeplayError) -> bool:
    """Whether the next template would fare no better."""
    if not isinstance(exc, BackendError):
        return False
    return isinstance(exc, AuthorizationError) or exc.status is None or exc.status >= 500


def chosen(compared: Iterable[Compared], names: Collection[str]) -> tuple[Compared, ...]:
    """Those of these names; all where no name was given.

    Raises:
        ConfigurationError: there is no template of a name, neither here nor there.
    """
    known = {each.name: each for each in compared}
    for name in names:
        if name not in known:
            raise ConfigurationError(f"no template {name!r}, neither in the folder nor in the backend")
    return tuple(each for name, each in known.items() if not names or name in names)


def difference(compared: Compared) -> str:
    """A unified diff from theirs to ours."""
    return unified(
        compared.there,
        compared.here,
        before_label=f"{compared.name} (backend{_version(compared.there)})",
        after_label=f"{compared.name} (folder)",
    )


def _version(template: PromptTemplate | None) -> str:
    return f", version {template.version}" if template is not None else ", none"


class _Sync(ABC):
    """Goes through the templates of a folder and an environment, one at a time."""

    def __init__(self, project: PromptProject, copy: WorkingCopy, environment: str, forced: Collection[str]) -> None:
        self._project = project
        self._copy = copy
        self._environment = environment
        self._forced = forced
        self.report = Report()

    def run(self, names: Sequence[str]) -> Report:
        """Settle the templates of these names, or all; the state is kept, however it ends."""
        here, problems = self._copy.read()
        there = self._project.in_environment(self._environment)
        compared = [each for each in compare_all(here, there, self._copy.common) if each.name not in problems]
        settling = chosen(compared, [name for name in names if name not in problems])
        chosen(settling, self._forced)  # a name that is forced in vain was mistyped
        for name, problem in problems.items():
            if not names or name in names:
                self.report.fail(name, f"left alone: {problem}")
        try:
            for each in settling:
                self._try(each)
        finally:
            self._keep()
        return self.report

    def _try(self, compared: Compared) -> None:
        """Settle one; what is wrong with it alone does not hold up the others."""
        try:
            self._settle(compared)
        except (BackendError, TemplateError) as exc:
            if is_fatal(exc):
                raise
            self.report.fail(compared.name, str(exc))

    @abstractmethod
    def _settle(self, compared: Compared) -> None: ...

    def _keep(self) -> None:
        self._copy.save()

    def _agree(self, name: str, there: PromptTemplate | None) -> None:
        """Take their state for the last common one."""
        if there is None:
            self._copy.common.pop(name, None)
        else:
            self._copy.common[name] = Common.of(there)

    def _conflict(self, compared: Compared, way_out: str) -> None:
        what = f"{SAID[compared.status]}; nothing was overwritten. {way_out}"
        self.report.fail(compared.name, what, difference(compared))


class Pull(_Sync):
    """Brings the folder up to what an environment points at."""

    def __init__(
        self,
        project: PromptProject,
        copy: WorkingCopy,
        environment: str,
        theirs: Collection[str],
        ours: Collection[str],
    ) -> None:
        super().__init__(project, copy, environment, [*theirs, *ours])
        self._theirs = theirs
        self._ours = ours

    def _settle(self, compared: Compared) -> None:
        name, there = compared.name, compared.there
        if compared.status == "same":
            self._agree(name, there)
        elif name in self._ours:
            self._agree(name, there)
            self.report.say(name, "kept as it is here; push makes it the next version")
        elif name in self._theirs or compared.status in ("new_there", "changed_there", "deleted_there"):
            self._take(compared)
        elif compared.status == "conflict":
            self._conflict(compared, f"--force-theirs {name} takes theirs, --force-ours {name} keeps to the file:")
        else:
            self.report.say(name, _LEFT_BY_PULL[compared.status])

    def _take(self, compared: Compared) -> None:
        """Make the file what they have."""
        name, there = compared.name, compared.there
        if there is not None:
            self._copy.write(there)
            self.report.say(name, f"written, version {there.version}")
        elif self._environment != LATEST or compared.status == "new_here":
            self.report.say(name, f"not in environment {self._environment!r}; the file stays")
            return
        else:
            self._copy.remove(name)
            self.report.say(name, "put away there; the file was removed")
        self._agree(name, there)


_LEFT_BY_PULL: Final[Mapping[Status, str]] = {
    "changed_here": "changed here; push makes it a version",
    "new_here": "new here; push makes it a version",
    "deleted_here": "deleted here, and still there: pull --force-theirs brings it back, push --force-ours puts it away",
}


class Push(_Sync):
    """Brings the newest versions up to the folder, and an environment to these."""

    def __init__(
        self,
        project: PromptProject,
        copy: WorkingCopy,
        environment: str | None,
        reason: str | None,
        ours: Collection[str],
        *,
        is_dry: bool,
    ) -> None:
        super().__init__(project, copy, LATEST, ours)
        self._target = environment
        self._reason = reason
        self._is_dry = is_dry
        self._pointers = project.in_environment(environment) if environment is not None else {}

    def _keep(self) -> None:
        if not self._is_dry:
            super()._keep()

    def _settle(self, compared: Compared) -> None:
        name, is_forced = compared.name, compared.name in self._forced
        if compared.status == "same":
            self._agree(name, compared.there)
            self._point(compared)
        elif compared.here is None and is_forced:
            self._put_away(compared)
        elif compared.here is not None and (is_forced or compared.status in ("changed_here", "new_here")):
            self._create(compared.here, compared.there)
        elif compared.status == "conflict":
            self._conflict(compared, f"pull first, or --force-ours {name} makes the file the next version:")
        else:
            self.report.say(name, _LEFT_BY_PUSH[compared.status])

    def _create(self, here: PromptTemplate, there: PromptTemplate | None) -> None:
        where = "" if self._target is None else f", environment {self._target!r} points at it"
        if self._is_dry:
            self.report.say(here.name, f"would be made a new version{where}")
            return
        made = self._project.create_version(
            here,
            environments=self._targets,
            reason=self._reason,
            based_on=(there.version_id or "") if there is not None else "",
            is_renewal=True,
        )
        self._agree(here.name, made)
        self.report.say(here.name, f"version {made.version} was made{where}")

    @property
    def _targets(self) -> list[str]:
        return [] if self._target is None else [self._target]

    def _point(self, compared: Compared) -> None:
        """Point the environment at what is there already."""
        there = compared.there
        if self._target is None or there is None:
            return
        at = self._pointers.get(compared.name)
        if at is not None and at.version_id == there.version_id:
            return
        before = "nothing" if at is None else f"version {at.version}"
        said = f"environment {self._target!r} moved from {before} to version {there.version}"
        if self._is_dry:
            self.report.say(compared.name, f"would do: {said}")
            return
        self._project.point(there, self._target, reason=self._reason)
        self.report.say(compared.name, said)

    def _put_away(self, compared: Compared) -> None:
        there = compared.there
        if there is None or there.template_id is None:
            self._agree(compared.name, None)
        elif self._is_dry:
            self.report.say(compared.name, "would be put away there")
        else:
            self._project.put_away(there.template_id, reason=self._reason)
            self._agree(compared.name, None)
            self.report.say(compared.name, "put away there")


_LEFT_BY_PUSH: Final[Mapping[Status, str]] = {
    "changed_there": "changed there; pull brings it here",
    "new_there": "new there; pull brings it here",
    "deleted_here": "deleted here; it stays there: push --force-ours puts it away, pull --force-theirs brings it back",
    "deleted_there": "put away there; pull removes it here, push --force-ours makes it again",
}
