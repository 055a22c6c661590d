"""Calls that the server makes itself, with the SDK: test runs, replays, and what the playground asks.

The one file of the server that knows the SDK. A call leaves exactly one record, in this server's own store, before
its stream tells its end; if the server dies meanwhile, whoever runs next stores it as interrupted.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterable
from typing import Final

import attrs

from freeplay_like.clock import Clock, SystemClock
from freeplay_like.core.answer_checks import ANSWER_CHECKS
from freeplay_like.core.messages import messages_from
from freeplay_like.core.records import Amendment, Record, ScoreValue, error_info
from freeplay_like.core.wire import from_wire, to_wire
from freeplay_like.errors import ConfigurationError, FreeplayError
from freeplay_like.flavors.base import Flavor
from freeplay_like.flavors.registry import flavor_connected, flavor_named
from freeplay_like.prompts.pinned import PinnedPrompts
from freeplay_like.recording.base import FlushReport
from freeplay_like.recording.redaction import Redactor
from freeplay_like.recording.troubles import Troubles
from freeplay_like.server.asking import Asked
from freeplay_like.server.live_calls import LiveCalls
from freeplay_like.server.outbound import check_host
from freeplay_like.server.store.accounts.providers import NotConnected, ProviderConnection
from freeplay_like.server.store.store import Store
from freeplay_like.server.store.trials.leases import LEASE
from freeplay_like.server.store.views import Batch, Incoming, IncomingAmendment, StoreUnavailable
from freeplay_like.session.client import Freeplay
from freeplay_like.session.streams import CompletionStream
from freeplay_like.session.test_cases import TestCase, TestCases
from freeplay_like.session.test_runs import TestRun, open_case

logger = logging.getLogger(__name__)

SAVE_AGAIN_S: Final = 1.0
"""How long to wait before a record that could not be stored is tried again."""


class Replayer:
    """Makes calls over the provider connections of projects, from any thread.

    `owner` is the server that answers for them, `live` where they are seen while they run. `uses_environment`: where
    a project has no connection, or one with neither address nor key, address and key come from the server's
    environment.
    """

    def __init__(
        self,
        store: Store,
        owner: str,
        live: LiveCalls,
        *,
        uses_environment: bool = False,
        clock: Clock | None = None,
    ) -> None:
        self._store = store
        self._live = live
        self._owner = owner
        self._uses_environment = uses_environment
        self._clock = clock or SystemClock()
        self._is_closing = threading.Event()
        self._troubles = Troubles()
        self._under_way: dict[str, int] = {}
        self._flavors: dict[tuple[int, str], tuple[ProviderConnection | None, Flavor]] = {}

    @property
    def has_calls(self) -> bool:
        """Whether calls are under way."""
        return bool(self._under_way)

    def keep_seen(self) -> None:
        """Say of every call under way that it lives: a model that thinks for long says nothing."""
        for record_id, project_key in list(self._under_way.items()):
            self._live.grow((project_key, record_id))

    def open(self, asked: Asked) -> CompletionStream:
        """Make a call. The stream is iterated, or asked for its result; its `close`, from any thread, breaks it off.

        Raises:
            NotConnected, AddressRefused: there is no way to the provider; nothing was sent or recorded.
            FreeplayError: the call could not be made, or failed; it is recorded with its error.
        """
        flavor, secret = self._flavor(asked)
        redactor = Redactor(self._troubles, own_key=secret or "")
        recorder = _StoreRecorder(
            self._store, asked, redactor, self._owner, self._live, self._under_way, self._is_closing
        )
        client = Freeplay(flavor, "", prompts=PinnedPrompts(asked.template), recorder=recorder, clock=self._clock)
        try:
            case = _case(asked)
            if asked.test_run_id is None:
                session = client.create_session(
                    asked.project.id, asked.environment, session_id=asked.session_id, metadata=asked.metadata
                )
            else:
                run = TestRun(client, TestCases(test_run_id=asked.test_run_id, cases=(case,)))
                session = run.create_session(asked.project.id, asked.environment, metadata=asked.metadata)
            return open_case(session, asked.template, case, asked.parameters)
        except FreeplayError as exc:
            if not recorder.has_seen_call:
                recorder.submit(self._unmade(asked, exc))
            raise

    def close(self) -> None:
        """The server goes down: what cannot be stored now is left for whoever runs next."""
        self._is_closing.set()

    def _flavor(self, asked: Asked) -> tuple[Flavor, str | None]:
        """How the provider is spoken to, and the key that no record may hold."""
        name = asked.template.flavor_name
        if name is None:
            raise NotConnected(f"prompt template {asked.template.name!r} names no flavor")
        if self._uses_environment:
            connection = self._store.providers.find(asked.project, name)
        else:
            connection = self._store.providers.require(asked.project, name)
        if connection is not None and connection.base_url is not None:
            check_host(connection.base_url)
        place = asked.project.key, name
        known = self._flavors.get(place)
        if known is None or known[0] != connection:
            known = self._flavors[place] = connection, _flavor(name, connection)
        return known[1], None if connection is None else connection.secret

    def _unmade(self, asked: Asked, exc: FreeplayError) -> Record:
        """The record of a call that could not even be begun: its inputs do not fit the template, say."""
        now = self._clock.now()
        return Record(
            record_id=self._clock.new_id(),
            project_id=asked.project.id,
            session_id=asked.session_id or self._clock.new_id(),
            test_run_id=asked.test_run_id,
            test_case_id=asked.test_case_id or None,
            template=attrs.evolve(asked.template.ref, environment=asked.environment),
            variables=asked.variables,
            metadata=asked.metadata,
            flavor=asked.template.flavor_name or "",
            provider=asked.template.provider or "",
            requested_model=asked.template.model,
            outcome="error",
            error=error_info(exc),
            started_at=now,
            ended_at=now,
        )


def _flavor(name: str, connection: ProviderConnection | None) -> Flavor:
    """The flavor over a connection; one without address and key is only met where the environment may be used."""
    try:
        if connection is None or (connection.base_url is None and connection.secret is None):
            flavor = flavor_named(name)()
        else:
            flavor = flavor_connected(name, connection.secret or "", connection.base_url, connection.api_version)
        flavor.check()
        flavor.warm()  # what loading a client takes is no latency of the first call
    except ConfigurationError as exc:
        raise NotConnected(f"the provider of flavor {name!r} cannot be called: {exc}") from exc
    return flavor


def _case(asked: Asked) -> TestCase:
    return TestCase(
        test_case_id=asked.test_case_id,
        variables=asked.variables,
        expected=asked.expected,
        history=messages_from(asked.history),
        media=asked.media,
    )


class _StoreRecorder:
    """Stores the record of one call in this server's own store, where the call's own thread waits for the commit."""

    def __init__(
        self,
        store: Store,
        asked: Asked,
        redactor: Redactor,
        owner: str,
        live: LiveCalls,
        under_way: dict[str, int],
        is_closing: threading.Event,
    ) -> None:
        self._store = store
        self._asked = asked
        self._redactor = redactor
        self._owner = owner
        self._live = live
        self._under_way = under_way
        self._is_closing = is_closing
        self.has_seen_call = False

    def start(self, record: Record) -> None:
        """Lay by what is to be kept if this server dies."""
        self.has_seen_call = True
        record = self._placed(record)
        self._under_way[record.record_id] = self._asked.project.key
        body = self._redactor.record_json(record)
        self._store.executions.begin_call(self._asked.project, record.record_id, body, self._owner, LEASE)
        self._live.begin((self._asked.project.key, record.record_id), from_wire(body, Record))

    def progress(self, record_id: str, text: str) -> None:
        """Show what has come. It is not kept: a server that dies leaves the call without its text."""
        self._live.grow((self._asked.project.key, self._asked.record_id or record_id), text)

    def submit(self, record: Record) -> None:
        """Store the record, and its scores with it; tried again until the server goes down."""
        record = self._placed(record)
        try:
            self._store_whole(record)
        finally:
            self._under_way.pop(record.record_id, None)
            self._live.end((self._asked.project.key, record.record_id))

    def _placed(self, record: Record) -> Record:
        """The record under the id that was chosen for it, and where it belongs."""
        asked, template = self._asked, record.template
        if template is not None and asked.is_apart:
            template = attrs.evolve(template, environment=None)
        return attrs.evolve(
            record,
            record_id=asked.record_id or record.record_id,
            replay_of=asked.replay_of,
            session_id=None if asked.is_apart else record.session_id,
            template=template if asked.names_template else None,
        )

    def _store_whole(self, record: Record) -> None:
        body = self._redactor.record_json(record)
        amendments = tuple(self._scored(record))
        batch = Batch(
            project_key=self._asked.project.key,
            records=(Incoming(index=0, record=from_wire(body, Record), body=body),),
            amendments=tuple(IncomingAmendment(index=0, amendment=each, body=to_wire(each)) for each in amendments),
            received_at=self._store.now(),
            api_key_id=self._asked.api_key_id,
        )
        is_first = True
        while True:
            try:
                self._store.save(batch)
                self._store.executions.end_call(self._asked.project, record.record_id)
            except StoreUnavailable as exc:
                if is_first:
                    logger.warning("the record %s cannot be stored now, and waits: %s", record.record_id, exc)
                    is_first = False
                if self._is_closing.wait(SAVE_AGAIN_S):
                    return  # what was laid by at its start is stored by whoever runs next
            else:
                return

    def amend(self, amendment: Amendment) -> None:
        """Nothing is said of a call through here."""

    def flush(self, timeout_s: float = 10.0) -> FlushReport:
        """Nothing is ever pending here."""
        return FlushReport()

    def close(self, timeout_s: float = 2.0) -> FlushReport:
        """There is nothing to let go of."""
        return self.flush(timeout_s)

    def _scored(self, record: Record) -> Iterable[Amendment]:
        if record.outcome == "error":
            return
        found = {name: ANSWER_CHECKS[name](self._asked.expected, record.text) for name in sorted(self._asked.checks)}
        scores: dict[str, ScoreValue] = {name: score for name, score in found.items() if score is not None}
        if scores:
            yield Amendment(
                amendment_id=SystemClock().new_id(),
                record_id=record.record_id,
                project_id=record.project_id,
                made_at=self._store.now(),
                scores=scores,
            )
