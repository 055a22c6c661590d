"""Templates out of the backend, one request each."""

from __future__ import annotations

import os
import threading
from collections import OrderedDict
from typing import Final
from urllib.parse import quote

import attrs

from freeplay_like.backend_link import BackendLink, Reply, SessionFactory, project_path, segment
from freeplay_like.clock import Clock
from freeplay_like.core.template_files import check_name
from freeplay_like.core.templates import PromptTemplate
from freeplay_like.core.wire import WireError, from_wire
from freeplay_like.errors import BackendError, TemplateNotFoundError

_REMEMBERED: Final = 512


@attrs.define
class _Memory:
    """The templates whose ETag one process knows. A child of a fork begins anew: the lock may be held for ever."""

    pid: int = attrs.field(factory=os.getpid)
    known: OrderedDict[str, tuple[str, PromptTemplate]] = attrs.field(factory=OrderedDict)
    lock: threading.Lock = attrs.field(factory=threading.Lock)

    def recall(self, path: str) -> tuple[str, PromptTemplate] | None:
        with self.lock:
            return self.known.get(path)

    def remember(self, path: str, etag: str, template: PromptTemplate) -> None:
        with self.lock:
            self.known[path] = (etag, template)
            self.known.move_to_end(path)
            if len(self.known) > _REMEMBERED:
                self.known.popitem(last=False)

    def forget(self, path: str) -> None:
        with self.lock:
            self.known.pop(path, None)


class BackendPrompts:
    """Asks the backend at `api_base` (as in `http://127.0.0.1:8000/api`) for templates.

    Safe to share between threads and across a fork. Proxies and certificate bundles come from the environment;
    nothing else does: a `.netrc` file would replace the key.

    Raises:
        APIKeyMissingError: the key is blank.
        ConfigurationError: `api_base` is no address, or the key cannot stand in a header.
    """

    def __init__(
        self,
        api_base: str,
        api_key: str,
        *,
        timeout_s: float = 10.0,
        session_factory: SessionFactory | None = None,
        clock: Clock | None = None,
    ) -> None:
        self._link = BackendLink(
            api_base,
            api_key,
            timeout_s,
            session_factory=session_factory,
            way_out="or read templates from files with prompts=FolderPrompts(folder)",
            clock=clock,
        )
        self._memory = _Memory()

    def get(self, project_id: str, name: str, environment: str) -> PromptTemplate:
        """The version of template `name` that `environment` points at, asked for now.

        Raises:
            TemplateNotFoundError: the backend knows none; its message lists near names.
            AuthorizationError: the backend does not take the key.
            BackendError: not reached, or no answer that can be used.
            TemplateError: what came is not a template of this form, or the name is no plain path.
        """
        check_name(name)
        path = f"{project_path(project_id)}/prompt-templates/name/{quote(name)}"
        what = f"template {name!r} in environment {environment!r}"
        return self._template(path, {"environment": environment}, name, what)

    def version(self, project_id: str, template_id: str, version_id: str) -> PromptTemplate:
        """That version of that template, asked for now.

        Raises:
            TemplateNotFoundError: the backend does not know it.
            AuthorizationError: the backend does not take the key.
            BackendError: not reached, or no answer that can be used.
            TemplateError: what came is not a template of this form.
            ConfigurationError: an id is blank.
        """
        ids = segment(template_id, "template id"), segment(version_id, "version id")
        path = f"{project_path(project_id)}/prompt-templates/id/{ids[0]}/versions/{ids[1]}"
        return self._template(path, {}, template_id, f"version {version_id!r} of template {template_id!r}")

    def at_hand(self, project_id: str, name: str, environment: str) -> PromptTemplate | None:
        """None: the backend has to be asked."""
        return None

    def close(self) -> None:
        """Close the connections; a later `get` opens new ones."""
        self._link.close()

    def _template(self, path: str, params: dict[str, str], name: str, what: str) -> PromptTemplate:
        memory, key = self._remembered(), f"{path}?{params}"
        known = memory.recall(key)
        reply = self._link.ask("GET", path, params=params, etag=known[0] if known else None)
        if reply.status == 304 and known:
            return known[1]
        if reply.status != 200:
            memory.forget(key)
            raise _not_found(reply, name, what) or reply.error()
        try:
            template = PromptTemplate.from_wire(from_wire(reply.content, dict), source="backend")
        except WireError as exc:
            raise BackendError(
                f"{reply.url} answered with something that is no template: {exc}", status=200, url=reply.url
            ) from exc
        if reply.etag:
            memory.remember(key, reply.etag, template)
        return template

    def _remembered(self) -> _Memory:
        if self._memory.pid != os.getpid():
            self._memory = _Memory()
        return self._memory


def _not_found(reply: Reply, name: str, what: str) -> TemplateNotFoundError | None:
    """The error of a backend that does not know the template; it mostly says itself which."""
    said = reply.message
    if reply.status != 404 or said is None:
        return None
    told = said if repr(name) in said else f"no {what}: {said}"
    return TemplateNotFoundError(f"{told} ({reply.url})", template=name)
