"""How the server and those who send to it are, in words of three kinds: good, to be watched, bad.

Each reading says what its limits are, so that a word is never all there is.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Final, Literal

import attrs

from freeplay_like.server.pages.formats import MISSING, count
from freeplay_like.server.pages.health.words import lasting, share, size
from freeplay_like.server.state import State
from freeplay_like.server.store.engines.database import ClusterFigures
from freeplay_like.server.store.engines.standby import MAX_LAG_S
from freeplay_like.server.store.live import LiveCall
from freeplay_like.server.store.sizes import Growth
from freeplay_like.server.store.status import SENDER_AGE, SenderState, StoreStatus
from freeplay_like.server.store.store import Store
from freeplay_like.server.store.views import Project

Level = Literal["good", "watch", "bad", "plain"]
"""`plain` is a number that is neither good nor bad."""

_WORDS: Final[dict[Level, str]] = {"good": "good", "watch": "watch", "bad": "bad", "plain": ""}
_MB: Final = 1_000_000
_RUNNING_SHOWN: Final = 5
_TABLES_SHOWN: Final = 3


@attrs.frozen(kw_only=True)
class Reading:
    """Something that was measured. `limits` says from where on it is watched, and bad."""

    name: str
    value: str
    level: Level = "plain"
    limits: str = ""

    @property
    def word(self) -> str:
        """The level as it is read."""
        return _WORDS[self.level]


@attrs.frozen(kw_only=True)
class Group:
    """Readings of one thing."""

    title: str
    readings: tuple[Reading, ...]


@attrs.frozen(kw_only=True)
class SenderRow:
    """A process that delivers, and what is to be thought of it."""

    state: SenderState
    is_silent: bool
    level: Level
    about: str

    @property
    def lag(self) -> str:
        """How old its oldest undelivered record was."""
        return MISSING if self.state.lag_s is None else lasting(self.state.lag_s)

    @property
    def spooled(self) -> str:
        """What waited on its disk."""
        return size(self.state.spooled_bytes)

    @property
    def word(self) -> str:
        """The level as it is read."""
        return "gone" if self.is_silent and self.level == "plain" else _WORDS[self.level]


@attrs.frozen(kw_only=True)
class Running:
    """A call that runs now."""

    record_id: str
    model: str
    question: str
    started_at: datetime
    characters: int


@attrs.frozen(kw_only=True)
class ServerView:
    """How everything was at `read_at`."""

    read_at: datetime
    groups: tuple[Group, ...]
    senders: tuple[SenderRow, ...]
    running: tuple[Running, ...]
    running_count: int

    @property
    def problems(self) -> tuple[str, ...]:
        """What is not good, the worst first."""
        readings = [reading for group in self.groups for reading in group.readings]
        found = [(reading.level, f"{reading.name}: {reading.value}") for reading in readings]
        found += [(row.level, f"sender {row.state.host or row.state.sender_id}: {row.about}") for row in self.senders]
        return tuple(text for level in ("bad", "watch") for known, text in found if known == level)

    @property
    def level(self) -> Level:
        """The worst of all."""
        levels = {reading.level for group in self.groups for reading in group.readings}
        levels |= {row.level for row in self.senders}
        return next((level for level in ("bad", "watch") if level in levels), "good")


def read(state: State, project: Project) -> ServerView:
    """Measure everything. Blocks: it asks the database."""
    store = state.store
    now, status, growth, cluster = store.now(), store.status.now(), store.sizes.growth(), store.status.cluster()
    running = state.live.of(project.key)
    return ServerView(
        read_at=now,
        groups=(
            Group(title="Taking records", readings=tuple(_intake(store))),
            Group(title="Following them", readings=tuple(_following(status))),
            Group(title="Database and disk", readings=tuple(_files(store, status, growth, cluster))),
            Group(title="Reading", readings=tuple(_reading(store))),
            *(() if cluster is None else (Group(title="Servers and standbys", readings=tuple(of_cluster(cluster))),)),
            Group(title="Work behind it", readings=tuple(_work(state))),
            Group(title="What is kept", readings=tuple(_kept(project, store.status.oldest_call(project.id), now))),
        ),
        senders=tuple(sender_row(sender, now) for sender in store.status.senders(project.id)),
        running=tuple(_running(call) for call in running[:_RUNNING_SHOWN]),
        running_count=len(running),
    )


def rated(value: float, watch: float, bad: float) -> Level:
    """The level of a number of which more is worse."""
    return "bad" if value >= bad else "watch" if value >= watch else "good"


def _intake(store: Store) -> Iterable[Reading]:
    figures = store.figures
    yield Reading(
        name="Records are taken",
        value="no: the disk is nearly full" if store.disk.is_full else "yes",
        level="bad" if store.disk.is_full else "good",
        limits="no, where the disk is nearly full",
    )
    yield Reading(name="Stored a second", value=f"{figures.stored_a_second():.1f}", limits="over the last minute")
    slowest_s = store.commit_times.at_most_s(0.99)
    yield Reading(
        name="Time to commit",
        value="nothing yet" if slowest_s is None else "over 10 s" if slowest_s > 10 else lasting(slowest_s),
        level="plain" if slowest_s is None else rated(slowest_s, 0.5, 5),
        limits="99 % took at most that; watch from 0.5 s, bad from 5 s",
    )
    yield Reading(
        name="Waiting to be stored",
        value=size(store.pending_bytes),
        level=rated(store.pending_bytes, 4 * _MB, 32 * _MB),
        limits="watch from 4 MB, bad from 32 MB",
    )
    for name, number, limits in (
        ("Batches turned away", figures.unavailable, "since the server began; senders keep them and come again"),
        ("Records refused", figures.rejected, "since the server began; senders set them aside"),
    ):
        yield Reading(name=name, value=count(number), level=rated(number, 1, float("inf")), limits=limits)


_CURSORS: Final = {"derived_seq": "Lists and charts", "indexed_seq": "Text search"}


def _following(status: StoreStatus) -> Iterable[Reading]:
    for lag in status.lags:
        behind = f"{count(lag.records)} behind, {lasting(lag.waiting_s)}" if lag.records else "up to date"
        yield Reading(
            name=_CURSORS[lag.cursor],
            value=behind,
            level=rated(lag.waiting_s, 5, 60),
            limits="watch from 5 s behind, bad from 60 s",
        )


def _reading(store: Store) -> Iterable[Reading]:
    pool, standby = store.status.pool, store.status.standby
    yield Reading(
        name="Questions now",
        value=f"{count(pool.used)} of {count(pool.size)}, {count(pool.waiting)} waiting",
        level=rated(pool.waiting, 1, pool.size),
        limits=f"watch where any waits, bad from {count(pool.size)} waiting",
    )
    yield Reading(
        name="Questions turned away",
        value=count(pool.turned_away),
        level=rated(pool.turned_away, 1, float("inf")),
        limits="since the server began; too many others were asked",
    )
    if standby is not None:
        yield Reading(
            name="Lists are read from",
            value=f"the standby, {lasting(standby.lag_s)} behind" if standby.is_used else "the primary",
            level="good" if standby.is_used else "watch",
            limits=f"watch where the standby is over {MAX_LAG_S:g} s behind or away",
        )


def of_cluster(cluster: ClusterFigures) -> Iterable[Reading]:
    """How the database is that several servers share."""
    yield Reading(name="This server", value=cluster.server)
    yield Reading(name="Servers connected", value=f"{count(len(cluster.servers))}: {', '.join(cluster.servers)}")
    share_used = cluster.connections / cluster.max_connections
    yield Reading(
        name="Connections to the database",
        value=f"{count(cluster.connections)} of {count(cluster.max_connections)}",
        level=rated(share_used, 0.8, 0.95),
        limits="watch from 80 %, bad from 95 %",
    )
    yield Reading(
        name="Oldest transaction",
        value=lasting(cluster.oldest_transaction_s),
        level=rated(cluster.oldest_transaction_s, 60, 600),
        limits="watch from 60 s, bad from 10 min",
    )
    yield Reading(
        name="Partitions ahead",
        value=count(cluster.partitions_ahead),
        level=rated(-cluster.partitions_ahead, 0, 1),
        limits="watch where there is none",
    )
    yield Reading(name="Records on their way", value=count(cluster.unsettled), limits="numbered, and not yet settled")
    synchronous = sum(each.is_synchronous for each in cluster.standbys)
    yield Reading(
        name="A commit waits for",
        value=f"one of {count(synchronous)} standbys" if cluster.is_synchronous else "this database alone",
        level="bad" if cluster.is_synchronous and not synchronous else "good" if synchronous else "plain",
        limits="bad where a standby is to be waited for and none is there",
    )
    for each in cluster.standbys:
        lag_s, kind = each.lag_s or 0.0, "synchronous" if each.is_synchronous else "asynchronous"
        behind = (
            "not told to this role" if each.lag_bytes is None else f"{size(each.lag_bytes)}, {lasting(lag_s)} behind"
        )
        yield Reading(
            name=f"Standby {each.name}",
            value=f"{kind}, {behind}",
            level="plain" if each.lag_bytes is None else rated(lag_s, 10, 60),
            limits="watch from 10 s behind, bad from 60 s",
        )


def _files(store: Store, status: StoreStatus, growth: Growth, cluster: ClusterFigures | None) -> Iterable[Reading]:
    files, disk = status.files, store.disk
    empty = f", {size(files.free_bytes)} of it empty" if files.free_bytes else ""
    yield Reading(name="Database", value=f"{size(files.database_bytes)}{empty}")
    a_day = growth.bytes_a_day
    yield Reading(
        name="Grows by",
        value="not known yet" if a_day is None else f"{size(a_day)} a day",
        limits="over the last 7 days; known from an hour on",
    )
    if cluster is None:
        yield Reading(
            name="Write-ahead log",
            value=size(files.log_bytes),
            level=rated(files.log_bytes, 256 * _MB, 2_000 * _MB),
            limits="watch from 256 MB, bad from 2 GB",
        )
    else:
        largest = list(cluster.tables.items())[:_TABLES_SHOWN]
        yield Reading(name="Largest tables", value=", ".join(f"{name} {size(bytes_)}" for name, bytes_ in largest))
    room = disk.room
    if room is None:
        return
    yield Reading(
        name="Disk free",
        value=f"{size(room.free_bytes)} of {size(room.total_bytes)}, {share(room.free_bytes, room.total_bytes)}",
        level="bad" if disk.is_full else "watch" if room.free_bytes < 3 * disk.min_free_bytes else "good",
        limits=f"watch below {size(3 * disk.min_free_bytes)}; nothing is taken below {size(disk.min_free_bytes)}",
    )
    if a_day is not None and a_day > 0:
        left = timedelta(days=min((room.free_bytes - disk.min_free_bytes) / a_day, 36_500))
        yield Reading(
            name="Full at this rate in",
            value=f"{count(left.days)} days" if left.days < 36_500 else "over 100 years",
            level=rated(-left.days, -14, -3),
            limits="watch below 14 days, bad below 3",
        )


def _work(state: State) -> Iterable[Reading]:
    failures = {"the writer": state.store.writer_failures, **{name: ask() for name, ask in state.failures.items()}}
    for name, number in failures.items():
        yield Reading(
            name=f"Failures of {name}",
            value=count(number),
            level=rated(number, 1, float("inf")),
            limits="since the server began; its log says why",
        )


def _kept(project: Project, oldest_at: datetime | None, now: datetime) -> Iterable[Reading]:
    days = project.retention_days
    yield Reading(name="Calls are kept", value="for ever" if days is None else f"{count(days)} days")
    late_days = 0.0
    if days is not None and oldest_at is not None:
        late_days = (now - oldest_at) / timedelta(days=1) - days
    yield Reading(
        name="The oldest call began",
        value="there is none" if oldest_at is None else f"{oldest_at:%Y-%m-%d %H:%M} UTC",
        level="plain" if days is None else rated(late_days, 1, 7),
        limits="" if days is None else "watch a day after its time, bad after a week",
    )


def sender_row(sender: SenderState, now: datetime) -> SenderRow:
    """What is to be thought of a sender."""
    silent_s = (now - sender.seen_at).total_seconds()
    is_gone = silent_s > SENDER_AGE.total_seconds()
    lag_s = sender.lag_s or 0.0
    level: Level
    if sender.dropped:
        level, about = "bad", f"{count(sender.dropped)} records were lost"
    elif is_gone:
        level, about = "plain", "not heard of for an hour"
    elif lag_s >= 300:
        level = rated(lag_s, 300, 3_600)
        about = f"its oldest record waited {lasting(lag_s)}"
    elif sender.spooled_bytes >= _MB and silent_s >= 60:
        level, about = "watch", f"silent with {size(sender.spooled_bytes)} to deliver"
    else:
        level, about = "good", "delivers"
    return SenderRow(state=sender, is_silent=is_gone, level=level, about=about)


def _running(call: LiveCall) -> Running:
    record = call.record
    question = next((message.text for message in reversed(record.messages) if message.role == "user"), "")
    return Running(
        record_id=record.record_id,
        model=record.requested_model or "",
        question=question[:200],
        started_at=record.started_at,
        characters=len(call.text),
    )
