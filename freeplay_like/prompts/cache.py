"""Templates kept at hand: most calls ask nobody, and a backend that is away stops none whose template is known."""

from __future__ import annotations

import logging
import os
import threading
from collections import OrderedDict
from concurrent.futures import Future
from typing import Final, NamedTuple

import attrs

from freeplay_like.clock import Clock, SystemClock
from freeplay_like.core.templates import PromptTemplate
from freeplay_like.errors import AuthorizationError, BackendError, TemplateNotFoundError
from freeplay_like.prompts.base import PromptSource

RETRY_S: Final = 5.0
"""How long a backend that did not answer is left alone while a copy is at hand."""

_log = logging.getLogger(__name__)


class TemplateKey(NamedTuple):
    """What a template is asked for by."""

    project_id: str
    name: str
    environment: str


@attrs.frozen
class _Entry:
    template: PromptTemplate
    fetched_ns: int


@attrs.define
class _Shelf:
    """What one process holds. A child of a fork takes the templates over, but no lock and no fetch of its parent's."""

    entries: OrderedDict[TemplateKey, _Entry] = attrs.field(factory=OrderedDict)
    pid: int = attrs.field(factory=os.getpid)
    lock: threading.Lock = attrs.field(factory=threading.Lock)
    flights: dict[TemplateKey, Future[PromptTemplate]] = attrs.field(factory=dict)
    down_until_ns: int | None = None
    is_outage_logged: bool = False


class CachedPrompts:
    """Keeps the templates of another source.

    A copy younger than `fresh_s` is served as it is (source `cache`). An older one is asked for again, once however
    many callers wait. Where the backend does not answer, a copy younger than `stale_s` is served (source `stale`),
    with one line in the log for each time it goes away. A template that is gone is gone: its copy is dropped.

    Args:
        source: where templates come from; closed with this one.
        fresh_s: how long a copy is served without asking, in seconds.
        stale_s: how long a copy may stand in for a backend that does not answer, in seconds.
        limit: the most copies kept; the one not used for longest goes first.
        clock: where time comes from.
    """

    def __init__(
        self,
        source: PromptSource,
        *,
        fresh_s: float = 60.0,
        stale_s: float = 86_400.0,
        limit: int = 512,
        clock: Clock | None = None,
    ) -> None:
        self._source = source
        self._fresh_ns = int(fresh_s * 1e9)
        self._stale_ns = int(stale_s * 1e9)
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

    def at_hand(self, project_id: str, name: str, environment: str) -> PromptTemplate | None:
        """The copy that `get` would serve without asking the source, None where it would ask."""
        return self._copy(TemplateKey(project_id, name, environment))

    def close(self) -> None:
        """Close the source."""
        self._source.close()

    def _shelf(self) -> _Shelf:
        if self._held.pid != os.getpid():
            self._held = _Shelf(OrderedDict(self._held.entries))
        return self._held

    def _copy(self, key: TemplateKey) -> PromptTemplate | None:
        """The copy that needs no asking: it is fresh, or the backend was just seen to be away."""
        shelf = self._shelf()
        now_ns = self._clock.monotonic_ns()
        with shelf.lock:
            entry = shelf.entries.get(key)
            if entry is None:
                return None
            shelf.entries.move_to_end(key)
            is_down = shelf.down_until_ns is not None and now_ns < shelf.down_until_ns
        age_ns = now_ns - entry.fetched_ns
        if age_ns < self._fresh_ns:
            return entry.template
        return _stale(entry) if is_down and age_ns < self._stale_ns else None

    def _fetch(self, key: TemplateKey) -> PromptTemplate:
        """Ask the source, or wait for the one who is asking."""
        shelf = self._shelf()
        with shelf.lock:
            flight = shelf.flights.get(key)
            if flight is None:
                mine = shelf.flights[key] = Future[PromptTemplate]()
        if flight is not None:
            return flight.result()
        try:
            template = self._ask(shelf, key)
        except Exception as exc:
            mine.set_exception(exc)
            raise
        except BaseException:
            mine.set_exception(BackendError(f"the fetch of template {key.name!r} was broken off; ask again"))
            raise
        else:
            mine.set_result(template)
            return template
        finally:
            with shelf.lock:
                del shelf.flights[key]

    def _ask(self, shelf: _Shelf, key: TemplateKey) -> PromptTemplate:
        try:
            template = self._source.get(*key)
        except TemplateNotFoundError:
            with shelf.lock:
                shelf.entries.pop(key, None)
            self._note_up(shelf)
            raise
        except AuthorizationError:
            self._note_up(shelf)
            raise
        except BackendError as exc:
            return self._stand_in(shelf, key, exc)
        self._note_up(shelf)
        entry = _Entry(attrs.evolve(template, source="cache"), self._clock.monotonic_ns())
        with shelf.lock:
            shelf.entries[key] = entry
            shelf.entries.move_to_end(key)
            if len(shelf.entries) > self._limit:
                shelf.entries.popitem(last=False)
        return template

    def _stand_in(self, shelf: _Shelf, key: TemplateKey, error: BackendError) -> PromptTemplate:
        """The copy in place of an answer; without one that is young enough, the error."""
        now_ns = self._clock.monotonic_ns()
        with shelf.lock:
            entry = shelf.entries.get(key)
            has_copy = entry is not None and now_ns - entry.fetched_ns < self._stale_ns
            is_first = has_copy and not shelf.is_outage_logged
            shelf.is_outage_logged |= has_copy
            shelf.down_until_ns = now_ns + int(RETRY_S * 1e9)
        if entry is None or not has_copy:
            raise error
        if is_first:
            age_s = (now_ns - entry.fetched_ns) / 1e9
            _log.warning(
                "templates are served from copies while the backend is away (%r: %.0f s old): %s",
                key.name,
                age_s,
                error,
            )
        return _stale(entry)

    def _note_up(self, shelf: _Shelf) -> None:
        with shelf.lock:
            shelf.down_until_ns = None
            was_logged, shelf.is_outage_logged = shelf.is_outage_logged, False
        if was_logged:
            _log.info("the backend answers again")


def _stale(entry: _Entry) -> PromptTemplate:
    return attrs.evolve(entry.template, source="stale")
