"""What records cost: the price of each as it is stored, without waiting for a price list.

`saving` asks `Pricer.price` for every record, in the writer's thread. That reads and writes nothing: a price that was
looked up before is applied, and one that was not is looked up behind the commits, in a thread of its own. The records
that came meanwhile are written down with `put_off` in the transaction that stores them, and priced once it is known:
none stays without its price, not even where the process dies between.

The list of prices takes tens of megabytes and some tenths of a second to load, so it is loaded with the first record
that needs it, and never where a thread that serves anybody would wait.
"""

from __future__ import annotations

import hashlib
import logging
import threading
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, date, time
from time import monotonic
from typing import Final, TypeAlias

import attrs
import sqlalchemy as sa

from freeplay_like.core.chunks import Usage
from freeplay_like.core.rates import Counts, Rates, Tariff, counts_of, rates_to_json
from freeplay_like.core.records import Record
from freeplay_like.core.wire import JsonObject, WireError, to_wire
from freeplay_like.prices import conditions_of, listed_rates
from freeplay_like.server.store.access import Access, get_project
from freeplay_like.server.store.bodies import unpack
from freeplay_like.server.store.derived import following
from freeplay_like.server.store.engines.database import insert_new
from freeplay_like.server.store.pricing.tables import price, price_due
from freeplay_like.server.store.pricing.team_prices import TeamPrice, midnight, team_price_for, team_prices_stamp
from freeplay_like.server.store.records.tables import record, record_body
from freeplay_like.server.store.views import Project, StoreUnavailable

logger = logging.getLogger(__name__)

SLICE: Final = 200
"""How many records are priced in one transaction, where intake waits for it."""
REFRESH_S: Final = 30.0
"""How soon prices are seen that another process set: a command, or another copy of the server."""
_KNOWN_LIMIT: Final = 8_192
_SET: Final = (
    sa.update(record)
    .where(record.c.seq == sa.bindparam("of"))
    .values(cost_nano_usd=sa.bindparam("cost"), price_key=sa.bindparam("key"))
)

_TELLING: Final = frozenset({"api_style", "service_tier", "speed"})
"""The fields of a request and of a usage object that say how a call was served."""

TEAM: Final = "team"
"""The source of a price that a team set itself."""
HIGHEST: Final = 10**13
"""The most that a call can cost, ten thousand dollars: token counts that come to more are made up, and their sums would
be more than a column keeps."""


@attrs.frozen(kw_only=True)
class Priced:
    """What a record costs: the columns `cost_nano_usd` and `price_key` of its row.

    `is_due`: its price is being looked up, and the number of the record has to be given to `put_off`.
    """

    cost_nano_usd: int | None = None
    price_key: int | None = None
    is_due: bool = False


UNPRICED: Final = Priced()
_DUE: Final = Priced(is_due=True)


_Question: TypeAlias = tuple[str, str, str, str | None, date, tuple[tuple[str, str], ...]]
"""All that a price depends on, but for the time of the day: the project's id, the provider, the model that answered,
the one that was asked for, the day, and the conditions. A tuple, for each record looks one up."""


@attrs.frozen
class _Applied:
    """A price that is applied, from a time of the day (UTC) on; `row` is its row in `price`."""

    start: time
    tariff: Tariff
    key: int
    row: Mapping[str, object]


_Answer: TypeAlias = tuple[_Applied, ...]
"""What is known of a question, in the order of the day; empty where there is no price."""


class Pricer:
    """Prices records. Its methods may be called in any thread, but for `price_now` not in the writer's."""

    def __init__(self) -> None:
        self.failures = 0
        self._access: Access | None = None
        self._lock = threading.Lock()
        self._known: dict[_Question, _Answer] = {}
        self._generation = 0
        self._stamp: tuple[object, ...] = ()
        self._refresh_at = 0.0
        self._wanted: set[_Question] = set()
        self._has_due = False
        self._thread: threading.Thread | None = None
        self._is_failing = False
        self._is_closed = False

    def start(self, access: Access) -> None:
        """Begin to look prices up, also for the records that a process before this one left waiting."""
        self._access = access
        if access.ask(lambda connection: connection.execute(sa.select(price_due.c.seq).limit(1)).first()):
            self._has_due = True
        with self._lock:
            if self._has_due or self._wanted:
                self._wake()

    def close(self) -> None:
        """End the look-ups; what waits then is priced after the next start. Before the writer is closed."""
        with self._lock:
            self._is_closed = True
            thread = self._thread
        if thread is not None:
            thread.join()

    def price(self, value: Record) -> Priced:
        """What a record costs, as far as that is known at once; takes microseconds."""
        usage, model = value.usage, value.model or value.requested_model
        if usage is None or model is None:
            return UNPRICED
        counts = counts_of(usage)
        if counts is None:
            return UNPRICED
        question = _question_of(value, usage, model)
        answer = self._known.get(question)
        if monotonic() > self._refresh_at:
            self._refresh()
        if answer is None:
            with self._lock:
                if len(self._wanted) < _KNOWN_LIMIT:  # one that is left out is asked for again by who settles
                    self._wanted.add(question)
            return _DUE
        return _apply(answer, counts, value)

    def put_off(self, connection: sa.Connection, seqs: Sequence[int]) -> None:
        """Write down, in the transaction that stores them, the numbers of records whose price `is_due`."""
        insert_new(connection, price_due, [{"seq": seq} for seq in sorted(set(seqs))])
        with self._lock:
            self._has_due = True
            self._wake()

    def price_now(self, values: Sequence[Record]) -> list[Priced]:
        """What records cost, however long the look-up takes.

        Raises:
            StoreUnavailable: a price that is new could not be written down.
        """
        priced = [self.price(value) for value in values]
        while any(one.is_due for one in priced):
            self._look_up(set(self._wanted))
            priced = [self.price(value) for value in values]
        return priced

    def forget(self) -> None:
        """Look prices up again: a team has changed its own."""
        with self._lock:
            self._generation += 1
            self._known = {}

    def wait(self, timeout_s: float) -> bool:
        """Wait until no record waits for its price; False where some still do after that time."""
        until = monotonic() + timeout_s
        while (thread := self._thread) is not None and (left_s := until - monotonic()) > 0:
            thread.join(left_s)
        return not (self._wanted or self._has_due)

    # --- in the thread of look-ups --------------------------------------------------------------------------

    def _wake(self) -> None:
        """Start the thread; the lock is held."""
        if self._thread is None and self._access is not None and not self._is_closed:
            self._thread = threading.Thread(target=self._work, name="freeplay-like-prices", daemon=True)
            self._thread.start()

    def _work(self) -> None:
        try:
            self._forget_changed()
            while self._has_work():
                self._look_up(set(self._wanted))
                if self._has_due:
                    self._settle_due()
        except Exception as exc:  # noqa: BLE001  a store that cannot write, a list that cannot be read: records wait
            self._stop(exc)

    def _refresh(self) -> None:
        with self._lock:
            self._refresh_at = monotonic() + REFRESH_S
            self._wake()

    def _forget_changed(self) -> None:
        stamp = self._store.ask(team_prices_stamp)
        if stamp != self._stamp:
            self._stamp = stamp
            self.forget()

    def _has_work(self) -> bool:
        with self._lock:
            if self._is_closed or not (self._wanted or self._has_due):
                self._thread = None
                return False
            return True

    def _stop(self, exc: Exception) -> None:
        """Let records wait; the next one that needs a price tries again. Said once, until it works again."""
        if not self._is_failing:
            self._is_failing = True
            is_known = isinstance(exc, StoreUnavailable)
            logger.error(
                "prices cannot be looked up, calls wait for theirs: %s", exc, exc_info=None if is_known else exc
            )
        with self._lock:
            self.failures += 1
            self._has_due = True
            self._thread = None

    def _look_up(self, questions: Iterable[_Question]) -> None:
        generation = self._generation
        found = {question: self._find(question) for question in questions if question not in self._known}
        rows = {applied.key: applied.row for answer in found.values() for applied in answer}
        if rows:
            self._store.change(lambda connection: _keep(connection, rows))
        with self._lock:
            if generation != self._generation:
                return  # a team has changed its prices meanwhile: these may be the old ones
            if len(self._known) + len(found) > _KNOWN_LIMIT:
                self._known = {}
            self._known.update(found)
            self._wanted.difference_update(questions)

    def _find(self, question: _Question) -> _Answer:
        project_id, provider, model, asked_model, on, conditions = question
        names = [name for name in (asked_model, model) if name is not None]
        of, team = self._store.ask(_team_price, project_id, provider, names, on)
        row: dict[str, object] = {
            "project_key": None if team is None or of is None else of.key,
            "provider": provider,
            "model": model if team is None else team.model,
            "valid_from": None if team is None else midnight(team.valid_from),
            "conditions": to_wire(dict(conditions)).decode(),
        }
        if team is not None and team.rates is not None:
            return (_applied(time(), team.rates, {**row, "matched_model": team.model, "source": TEAM}),)
        if team is not None:
            provider, model = team.same_provider or "", team.same_model or ""
        listed = listed_rates(provider, model, on=on, conditions=conditions)
        if listed is None or not listed.is_exact:
            return ()
        row |= {"matched_model": listed.matched_model, "source": listed.source}
        return tuple(_applied(start, rates, row) for start, rates in listed.by_time)

    def _settle_due(self) -> None:
        """Price a slice of the records that wait."""

        def settle(connection: sa.Connection) -> None:
            seqs = connection.scalars(sa.select(price_due.c.seq).order_by(price_due.c.seq).limit(SLICE + 1)).all()
            self._has_due = len(seqs) > SLICE  # here, in the writer's thread, where `put_off` says so too
            rows = [(seq, self.price(value)) for seq, value in records_of(connection, seqs[:SLICE])]
            waiting = [seq for seq, priced in rows if priced.is_due]
            set_prices(connection, [(seq, priced) for seq, priced in rows if not priced.is_due])
            done = [seq for seq in seqs[:SLICE] if seq not in waiting]
            connection.execute(sa.delete(price_due).where(price_due.c.seq.in_(done)))
            self._has_due = self._has_due or bool(waiting)

        self._store.change(settle)
        self._is_failing = False

    @property
    def _store(self) -> Access:
        if self._access is None:
            raise StoreUnavailable("the store is not open yet")
        return self._access


def records_of(connection: sa.Connection, seqs: Sequence[int]) -> list[tuple[int, Record]]:
    """The records of these numbers, of those that there are and that this release can read."""
    rows = connection.execute(sa.select(record_body.c.seq, record_body.c.zstd).where(record_body.c.seq.in_(seqs)))
    return [(seq, value) for seq, packed in rows if (value := readable(packed)) is not None]


def readable(packed: bytes) -> Record | None:
    """A record that was stored; None where another release wrote it in a way that this one cannot read."""
    try:
        return unpack(packed, Record)
    except WireError:
        return None


def set_prices(connection: sa.Connection, priced: Sequence[tuple[int, Priced]]) -> int:
    """Give records their prices, and what is derived from them; answers how many had another one before."""
    columns = record.c.seq, record.c.cost_nano_usd, record.c.price_key
    seqs = [seq for seq, _ in priced]
    rows = connection.execute(sa.select(*columns).where(record.c.seq.in_(seqs)))
    before = {seq: (cost, key) for seq, cost, key in rows}
    changed = {
        seq: {"of": seq, "cost": one.cost_nano_usd, "key": one.price_key}
        for seq, one in priced
        if seq in before and before[seq] != (one.cost_nano_usd, one.price_key)
    }
    if changed:
        with following.changing(connection, changed, is_text=False):
            connection.execute(_SET, list(changed.values()))
    return len(changed)


def _question_of(value: Record, usage: Usage, model: str) -> _Question:
    conditions: tuple[tuple[str, str], ...] = ()
    if not (_TELLING.isdisjoint(usage.raw or ()) and _TELLING.isdisjoint(value.request or ())):
        conditions = conditions_of(usage, _tier(usage, value.request))
    on = value.started_at.astimezone(UTC).date()
    return value.project_id, value.provider, model, value.requested_model, on, conditions


def _tier(usage: Usage, request: JsonObject | None) -> str | None:
    """How a call was served: what the provider said goes before what was asked for; `api_style` is Freeplay's word."""
    request = request or {}
    if request.get("api_style") == "batch":
        return "batch"
    served, asked = (usage.raw or {}).get("service_tier"), request.get("service_tier")
    return served if isinstance(served, str) else asked if isinstance(asked, str) else None


def _apply(answer: _Answer, counts: Counts, value: Record) -> Priced:
    if not answer:
        return UNPRICED
    applied = answer[0]
    if len(answer) > 1:
        clock = value.started_at.astimezone(UTC).time()
        applied = next(one for one in reversed(answer) if one.start <= clock)
    cost = applied.tariff.nano_usd(counts)
    if cost is None or cost > HIGHEST:
        return UNPRICED
    return Priced(cost_nano_usd=cost, price_key=applied.key)


def _team_price(
    connection: sa.Connection, project_id: str, provider: str, names: Sequence[str], on: date
) -> tuple[Project | None, TeamPrice | None]:
    of = get_project(connection, project_id)
    return of, None if of is None else team_price_for(connection, of, provider, names, on)


def _applied(start: time, rates: Rates, row: Mapping[str, object]) -> _Applied:
    """A price; its key is made of all that its row says."""
    said = {**row, "rates": to_wire(rates_to_json(rates)).decode()}
    digest = hashlib.sha256(to_wire(sorted(said.items()))).digest()
    key = int.from_bytes(digest[:8], "big") >> 1  # what a signed column holds
    return _Applied(start, Tariff(rates), key, {"key": key, **said})


def _keep(connection: sa.Connection, rows: Mapping[int, Mapping[str, object]]) -> None:
    insert_new(connection, price, [row for _, row in sorted(rows.items())])
