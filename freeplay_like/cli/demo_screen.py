"""What the demo shows: steps on standard error, the conversation and its addresses on standard output."""

from __future__ import annotations

from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TaskID, TransferSpeedColumn

_PLAIN_STEP: int = 10
"""Where there is no terminal, the download is told in this many lines."""


class Screen:
    """Plain where it is not a terminal, without colour where NO_COLOR is set. With `is_json`, all of it goes to
    standard error; a context manager, so that a progress bar never outlives what it shows."""

    def __init__(self, *, is_json: bool) -> None:
        self._notes = Console(stderr=True, highlight=False)
        self._talk = Console(stderr=is_json, highlight=False)
        self._bar: Progress | None = None
        self._task = TaskID(0)
        self._told = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end_bar()

    def say(self, text: str) -> None:
        """A step has begun, or something happened that people should know."""
        self._notes.out(f"· {text}", style="dim")

    def advance(self, done_bytes: int, total_bytes: int) -> None:
        """So much of a download is there."""
        if not self._notes.is_terminal:
            self._tell(done_bytes, total_bytes)
            return
        if self._bar is None:
            columns = (BarColumn(), DownloadColumn(), TransferSpeedColumn())
            self._bar = Progress(*columns, console=self._notes, transient=True)
            self._task = self._bar.add_task("download", total=total_bytes)
            self._bar.start()
        self._bar.update(self._task, completed=done_bytes)
        if done_bytes >= total_bytes:
            self._end_bar()

    def speaker(self, name: str) -> None:
        """Somebody is about to speak."""
        self._talk.out(f"\n{name}", style="bold")

    def write(self, text: str) -> None:
        """A piece of what is said, as it comes."""
        self._talk.out(printable(text), end="")

    def line(self, text: str = "") -> None:
        """A whole line, or the end of one."""
        self._talk.out(printable(text))

    def _tell(self, done_bytes: int, total_bytes: int) -> None:
        step = done_bytes * _PLAIN_STEP // total_bytes
        if step > self._told:
            self._told = step
            self._notes.out(f"  {done_bytes / 1e6:.0f} of {total_bytes / 1e6:.0f} MB")

    def _end_bar(self) -> None:
        if self._bar is not None:
            self._bar.stop()
            self._bar = None


def printable(text: str) -> str:
    """The text without control characters: what a model writes must not steer the terminal."""
    return "".join(character for character in text if character in "\n\t" or character.isprintable())
