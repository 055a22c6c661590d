"""Templates kept at hand: most calls ask nobody, and a backend that is away stops none whose template is known."""

from __future__ import annotations

import logging
import os
import threading
from collections import OrderedDict
from concurrent.futures import Future
from typing import Final, TypeAlias

import attrs

from freeplay_like.clock import Clock, SystemClock
from freeplay_like.core.templates import PromptTemplate
from freeplay_like.errors import AuthorizationError, BackendError, TemplateNotFoundError
from freeplay_like.prompts.base import PromptSource

RETRY_S: Final = 5.0
"""How long a backend that did not answer is left alone while a copy is at hand."""

CLOSE_S: Final = 2.0
"""How long closing waits for a question that is under way in the background."""

_log = logging.getLogger(__name__)


@attrs.frozen
class TemplateKey:
    """What a template is asked for by."""

    project_id: str
    name: str
    environment: str

    def ask(self, source: PromptSource) -> PromptTemplate:
        """The answer of the source."""
        return source.get(self.project_id, self.name, self.environment)

    def __str__(self) -> str:
        return f"template {self.name!r}"


@attrs.frozen
class VersionKey:
    """What one version is asked for by; what it names never changes."""

    project_id: str
    template_id: str
    version_id: str

    def ask(self, source: PromptSource) -> PromptTemplate:
        """The answer of the source."""
        return source.version(self.project_id, self.template_id, self.version_id)

    def __str__(self) -> str:
        return f"version {self.version_id!r} of template {self.template_id!r}"


Key: TypeAlias = TemplateKey | VersionKey


@attrs.frozen
class _Entry:
    """A copy. One that `is_doubtful` was refused when it was asked for again: who wants it next must hear why."""

    template: PromptTemplate
    fetched_ns: int
    is_doubtful: bool = False


@attrs.frozen
class _Verdict:
    """What a copy is good for now: whether it is served, and whether the source is to be asked meanwhile."""

    served: PromptTemplate | None
    is_due: bool = False


@attrs.define
class _Shelf:
    """What one process holds. A child of a fork takes the copies over, but no lock, fetch or thread of its parent's."""

    entries: OrderedDict[Key, _Entry] = attrs.field(factory=OrderedDict)
    pid: int = attrs.field(factory=os.getpid)
    lock: threading.Lock = attrs.field(factory=threading.Lock)
    flights: dict[Key, Future[PromptTemplate]] = attrs.field(factory=dict)
    due: dict[Key, None] = attrs.field(factory=dict)
    refresher: threading.Thread | None = None
    failed_ns: int | None = None
    is_outage_logged: bool = False


class CachedPrompts:
    """Keeps the templates of another source.

    A copy younger than `fresh_s` is served as it is (source `cache`). One younger than `revalidate_s` is served too, at
    once, while the source is asked for it in the background. An older one is waited for. Each question is asked once,
    however many callers there are. So a program that is used all the time never waits, and hears of a change after
    `fresh_s`; and nobody is served what is older than `revalidate_s`, the first call of a quiet program neither.

    Where the backend does not answer, a copy younger than `stale_s` is served (source `stale`), with one line in the
    log for each time it goes away. Whether it is back is tried in the background while calls go on. A template that is
    gone is gone: its copy is dropped. A version never changes, and is kept for as long as there is room.

    Args:
        source: where templates come from; closed with this one.
        fresh_s: how long a copy is served without asking, in seconds.
        revalidate_s: how long a copy is served while it is asked for; no longer than `fresh_s`: callers always wait.
        stale_s: how long a copy may stand in for a backend that does not answer, in seconds.
        limit: the most copies kept; the one not used for longest goes first.
        clock: where time comes from.
    """

    def __init__(
        self,
        source: PromptSource,
        *,
        fresh_s: float = 10.0,
        revalidate_s: float = 60.0,
        stale_s: float = 86_400.0,
        limit: int = 512,
        clock: Clock | None = None,
    ) -> None:
        self._source = source
        self._fresh_ns = int(fresh_s * 1e9)
        self._revalidate_ns = int(revalidate_s * 1e9)
        self._stale_ns = int(stale_s * 1e9)
        self._retry_ns = int(RETRY_S * 1e9)
        self._limit = limit
        self._clock = clock or SystemClock()
        self._held = _Shelf()

    def get(self, project_id: str, name: str, environment: str) -> PromptTemplate:
        """The template, from the copy at hand or from the source.

        Raises:
            TemplateNotFoundError: there is none; a copy that was there is dropped.
            AuthorizationError: the backend does not take the key.
            BackendError: the backend did not answer, and no copy is young enough.
        """
        key = TemplateKey(project_id, name, environment)
        return self._copy(key) or self._fetch(key)

    def version(self, project_id: str, template_id: str, version_id: str) -> PromptTemplate:
        """That version, from the copy at hand or from the source.

        Raises:
            TemplateNotFoundError: there is none.
            AuthorizationError: the backend does not take the key.
            BackendError: the backend did not answer, and there is no copy.
        """
        key = VersionKey(project_id, template_id, version_id)
        return self._copy(key) or self._fetch(key)

    def at_hand(self, project_id: str, name: str, environment: str) -> PromptTemplate | None:
        """The copy that `get` would serve without waiting, None where it would wait."""
        return self._copy(TemplateKey(project_id, name, environment))

    def refresh(self, project_id: str, name: str, environment: str) -> PromptTemplate:
        """The template, asked for now however young the copy is; `stale` where the backend does not answer.

        Raises:
            TemplateNotFoundError: there is none; a copy that was there is dropped.
            AuthorizationError: the backend does not take the key.
            BackendError: the backend did not answer, and no copy is young enough.
        """
        key, shelf = TemplateKey(project_id, name, environment), self._shelf()
        with shelf.lock:
            shelf.flights.pop(key, None)  # what is under way may have been answered before the change
        return self._fetch(key)

    def forget(self, name: str | None = None) -> None:
        """Drop the copies of that template in every project and environment; all copies where None."""
        shelf = self._shelf()
        with shelf.lock:
            for kept in (shelf.entries, shelf.flights, shelf.due):
                for key in list(kept):
                    if name is None or (isinstance(key, TemplateKey) and key.name == name):
                        del kept[key]

    def close(self) -> None:
        """End what is asked in the background, and close the source."""
        shelf = self._shelf()
        with shelf.lock:
            shelf.due.clear()
            refresher = shelf.refresher
        if refresher is not None and refresher.is_alive():
            refresher.join(CLOSE_S)
        self._source.close()

    def _shelf(self) -> _Shelf:
        if self._held.pid != os.getpid():
            self._held = _Shelf(OrderedDict(self._held.entries))
        return self._held

    # --- serving ------------------------------------------------------------------------------------------

    def _copy(self, key: Key) -> PromptTemplate | None:
        """The copy that is served without waiting; sees to it that it is asked for where that is due."""
        shelf = self._shelf()
        now_ns = self._clock.monotonic_ns()
        with shelf.lock:
            entry = shelf.entries.get(key)
            if entry is None:
                return None
            shelf.entries.move_to_end(key)
            verdict = self._judge(shelf, key, entry, now_ns)
            thread = self._book(shelf, key) if verdict.is_due else None
        if thread is not None:
            self._start(shelf, thread)
        return verdict.served

    def _judge(self, shelf: _Shelf, key: Key, entry: _Entry, now_ns: int) -> _Verdict:
        age_ns = now_ns - entry.fetched_ns
        if entry.is_doubtful:
            return _Verdict(None)
        if isinstance(key, VersionKey) or age_ns < self._fresh_ns:
            return _Verdict(entry.template)
        silent_ns = None if shelf.failed_ns is None else now_ns - shelf.failed_ns
        if silent_ns is not None and silent_ns < max(self._retry_ns, self._revalidate_ns) and age_ns < self._stale_ns:
            return _Verdict(_stale(entry), is_due=silent_ns >= self._retry_ns)
        if age_ns < self._revalidate_ns:
            return _Verdict(entry.template, is_due=True)
        return _Verdict(None)

    # --- asking in the background -------------------------------------------------------------------------

    def _book(self, shelf: _Shelf, key: Key) -> threading.Thread | None:
        """Have it asked for soon; the thread that is to be started for it. To be called with the lock held."""
        shelf.due.setdefault(key)
        if shelf.refresher is not None:
            return None
        shelf.refresher = threading.Thread(
            target=self._refresh_due, args=(shelf,), name="freeplay_like-prompts", daemon=True
        )
        return shelf.refresher

    @staticmethod
    def _start(shelf: _Shelf, thread: threading.Thread) -> None:
        try:
            thread.start()
        except RuntimeError:  # no more threads, or the interpreter is ending: later callers wait instead
            with shelf.lock:
                shelf.refresher = None
                shelf.due.clear()

    def _refresh_due(self, shelf: _Shelf) -> None:
        """The thread: asks for what is due, one after the other, and ends."""
        while True:
            now_ns = self._clock.monotonic_ns()
            with shelf.lock:
                key = next(iter(shelf.due), None)
                if key is None:
                    shelf.refresher = None
                    return
                entry = shelf.entries.get(key)
                is_due = entry is not None and self._judge(shelf, key, entry, now_ns).is_due
            try:
                if is_due:
                    self._fetch(key)
            except Exception:  # noqa: BLE001 - who wants it next asks again himself, and gets the error
                self._doubt(shelf, key)
            with shelf.lock:
                shelf.due.pop(key, None)

    @staticmethod
    def _doubt(shelf: _Shelf, key: Key) -> None:
        with shelf.lock:
            entry = shelf.entries.get(key)
            if entry is not None:
                shelf.entries[key] = attrs.evolve(entry, is_doubtful=True)

    # --- asking -------------------------------------------------------------------------------------------

    def _fetch(self, key: Key) -> PromptTemplate:
        """Ask the source, or wait for the one who is asking."""
        shelf = self._shelf()
        with shelf.lock:
            flight = shelf.flights.get(key)
            if flight is None:
                mine = shelf.flights[key] = Future[PromptTemplate]()
        if flight is not None:
            return flight.result()
        try:
            template = self._ask(shelf, key, mine)
        except Exception as exc:
            mine.set_exception(exc)
            raise
        except BaseException:
            mine.set_exception(BackendError(f"the fetch of {key} was broken off; ask again"))
            raise
        else:
            mine.set_result(template)
            return template
        finally:
            with shelf.lock:
                if shelf.flights.get(key) is mine:
                    del shelf.flights[key]

    def _ask(self, shelf: _Shelf, key: Key, mine: Future[PromptTemplate]) -> PromptTemplate:
        """Ask, and keep the answer, unless it was overtaken by `refresh` or `forget`."""
        try:
            template = key.ask(self._source)
        except TemplateNotFoundError:
            self._note_up(shelf)
            with shelf.lock:
                if shelf.flights.get(key) is mine:
                    shelf.entries.pop(key, None)
            raise
        except AuthorizationError:
            self._note_up(shelf)
            raise
        except BackendError as exc:
            return self._stand_in(shelf, key, exc)
        self._note_up(shelf)
        entry = _Entry(attrs.evolve(template, source="cache"), self._clock.monotonic_ns())
        with shelf.lock:
            if shelf.flights.get(key) is mine:
                shelf.entries[key] = entry
                shelf.entries.move_to_end(key)
                if len(shelf.entries) > self._limit:
                    shelf.entries.popitem(last=False)
        return template

    def _stand_in(self, shelf: _Shelf, key: Key, error: BackendError) -> PromptTemplate:
        """The copy in place of an answer; without one that is young enough, the error."""
        now_ns = self._clock.monotonic_ns()
        with shelf.lock:
            entry = shelf.entries.get(key)
            has_copy = entry is not None and now_ns - entry.fetched_ns < self._stale_ns
            is_first = has_copy and not shelf.is_outage_logged
            shelf.is_outage_logged |= has_copy
            shelf.failed_ns = now_ns
        if entry is None or not has_copy:
            raise error
        if is_first:
            _log.warning(
                "templates are served from copies while the backend is away (%r: %.0f s old): %s",
                entry.template.name,
                (now_ns - entry.fetched_ns) / 1e9,
                error,
            )
        return _stale(entry)

    @staticmethod
    def _note_up(shelf: _Shelf) -> None:
        with shelf.lock:
            shelf.failed_ns = None
            was_logged, shelf.is_outage_logged = shelf.is_outage_logged, False
        if was_logged:
            _log.info("the backend answers again")


def _stale(entry: _Entry) -> PromptTemplate:
    return attrs.evolve(entry.template, source="stale")
