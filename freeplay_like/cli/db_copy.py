"""`freeplay-like db copy`: a whole store into another database, while its server goes on."""

from __future__ import annotations

import contextlib
import json
import sys
from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import attrs
import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from freeplay_like.cli.data_folder import alone, database_at, existing_database, make_folder, told
from freeplay_like.errors import ConfigurationError
from freeplay_like.server.store.engines.database import Database
from freeplay_like.server.store.moving import checking
from freeplay_like.server.store.moving.checking import Difference, Summed
from freeplay_like.server.store.moving.copying import BATCH_RECORDS, Copy
from freeplay_like.server.store.moving.steps import MoveRefused, Step

_FOLDER: Final = "sqlite:"
_ADDRESSES: Final = ("postgresql://", "postgres://")
_PLAIN_STEPS: Final = 10
_PLAIN_FROM: Final = 1_000
"""Where there is no terminal, what is long is told in this many lines at most, and the rest not at all."""


@attrs.frozen(kw_only=True)
class _Place:
    """A side of the copy. `folder` is None over PostgreSQL."""

    database: Database
    folder: Path | None


class _Address(click.ParamType[_Place]):
    """`sqlite:DIR`, a data folder, or `postgresql://...`."""

    name = "address"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> _Place:
        """The database that an address names. The address may have a password in it: no message repeats it."""
        if isinstance(value, _Place):
            return value
        address = str(value)
        if address.startswith(_FOLDER) and address != _FOLDER:
            folder = Path(address.removeprefix(_FOLDER)).resolve()
            return _Place(database=database_at(folder, None), folder=folder)
        if not address.startswith(_ADDRESSES):
            self.fail("an address is sqlite:DIR, with a data folder, or postgresql://...", param, ctx)
        return _Place(database=database_at(None, address), folder=None)


@attrs.frozen(kw_only=True)
class CopyReport:
    """What `--json` prints. `is_whole`: all was compared and is the same; `rows` are those of each table."""

    is_whole: bool
    new_records: int
    rows: dict[str, int]
    sha256: dict[str, list[str]]
    differences: list[Difference]


@click.command()
@click.option(
    "--from",
    "source",
    type=_Address(),
    envvar="FREEPLAY_LIKE_COPY_FROM",
    required=True,
    help="The database that is there: sqlite:DIR or postgresql://...; with a password better set by environment.",
)
@click.option(
    "--to", "target", type=_Address(), envvar="FREEPLAY_LIKE_COPY_TO", required=True, help="An empty one; the same."
)
@click.option("--finish", "is_last", is_flag=True, help="The old server is stopped: copy the rest, and compare all.")
@click.option("--check", "is_check", is_flag=True, help="Copy nothing; only compare all, both without a server.")
@click.option("--json", "is_json", is_flag=True, help="Print one JSON object.")
def copy(source: _Place, target: _Place, *, is_last: bool, is_check: bool, is_json: bool) -> None:
    """Copy everything into another database, also while the old server takes records. May be stopped and run again.

    It goes on until there is hardly anything new. Then stop the old server and run it with --finish: that copies the
    rest, compares every table and every block of records by counts and checksums, and exits with 1 where anything is
    not the same. Then start the new servers. Numbers of records stay, and so do links, keys and sign-ins.
    """
    if is_last and is_check:
        raise click.UsageError("--finish compares all too: leave out --check")
    if source.folder is not None:
        existing_database(source.folder)
    with contextlib.ExitStack() as stack:
        stack.enter_context(_refusals(source, target))
        screen = stack.enter_context(_Screen())
        if is_check:
            _hold(stack, source, target)
            _report(checking.compare(source.database, target.database, screen.show), 0, screen, is_json=is_json)
            return
        _hold(stack, target)
        moving = stack.enter_context(Copy(source.database, target.database, screen.show))
        new = 0 if is_last else _follow(moving, screen)
        if is_last or _is_stopped(source, screen):
            _hold(stack, source)
            _report(moving.finish(), new, screen, is_json=is_json)
        else:
            screen.say(f"level with {source.database.name}: stop its server, then run this again with --finish")
            if is_json:
                _print(CopyReport(is_whole=False, new_records=new, rows={}, sha256={}, differences=[]))


@contextlib.contextmanager
def _refusals(source: _Place, target: _Place) -> Iterator[None]:
    with told(f"{source.database.name} or {target.database.name}"):
        try:
            yield
        except MoveRefused as exc:
            raise ConfigurationError(str(exc)) from exc


def _hold(stack: contextlib.ExitStack, *places: _Place) -> None:
    """See that no server runs over a data folder, and none starts."""
    for place in places:
        if place.folder is not None:
            make_folder(place.folder)
            stack.enter_context(alone(place.folder))


def _follow(moving: Copy, screen: _Screen) -> int:
    """Copy in rounds until a further one would be no shorter; how many records were new."""
    new, before = 0, sys.maxsize
    while True:
        found = moving.round()
        new += found.new
        screen.say(f"{found.new} new records, {found.changed} rows changed")
        if found.new <= BATCH_RECORDS or found.new >= before:
            return new
        before = found.new


def _is_stopped(source: _Place, screen: _Screen) -> bool:
    """Ask whether the old server is stopped, where there is somebody to ask."""
    if not (sys.stdin.isatty() and screen.is_terminal):
        return False
    screen.say(f"level with {source.database.name}: stop its server now")
    return click.confirm("Is it stopped?", err=True)


def _report(found: Iterable[Summed | Difference], new: int, screen: _Screen, *, is_json: bool) -> None:
    rows, sums, differences = defaultdict[str, int](int), defaultdict[str, list[str]](list), list[Difference]()
    for one in found:
        if isinstance(one, Difference):
            differences.append(one)
            screen.say(f"NOT the same: {one.table}, row {one.key}: {one.about}")
        else:
            rows[one.table] += one.sum.rows
            sums[one.table].append(one.sum.sha256)
    is_whole = not differences
    if is_json:
        report = CopyReport(
            is_whole=is_whole, new_records=new, rows=dict(rows), sha256=dict(sums), differences=differences
        )
        _print(report)
    elif is_whole:
        for table, count in sorted(rows.items()):
            click.echo(f"{count:>12}  {table:22} {sums[table][0][:16]}{' ...' if len(sums[table]) > 1 else ''}")
        click.echo("all is the same on both sides")
    if not is_whole:
        raise SystemExit(1)


def _print(report: CopyReport) -> None:
    click.echo(json.dumps(attrs.asdict(report)))


class _Screen:
    """Progress on standard error: a bar on a terminal, else a line now and then."""

    def __init__(self) -> None:
        self._console = Console(stderr=True, highlight=False)
        self._bar: Progress | None = None
        self._task = TaskID(0)
        self._told = "", 0

    @property
    def is_terminal(self) -> bool:
        """Whether somebody can be asked."""
        return self._console.is_terminal

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end_bar()

    def say(self, text: str) -> None:
        """Something was done."""
        self._end_bar()
        self._console.out(f"· {text}", style="dim")

    def show(self, step: Step) -> None:
        """So much is done."""
        if not self._console.is_terminal:
            tenth = _PLAIN_STEPS * step.done // max(step.total, 1)
            if tenth and step.total >= _PLAIN_FROM and self._told != (step.doing, tenth):
                self._told = step.doing, tenth
                self._console.out(f"· {step.doing}: {step.done} of {step.total}")
            return
        if self._bar is None:
            columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
            self._bar = Progress(*columns, console=self._console, transient=True)
            self._task = self._bar.add_task(step.doing)
            self._bar.start()
        self._bar.update(self._task, description=step.doing, completed=step.done, total=step.total)

    def _end_bar(self) -> None:
        if self._bar is not None:
            self._bar.stop()
            self._bar = None
