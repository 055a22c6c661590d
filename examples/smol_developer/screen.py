"""What the terminal shows: the plan as it is written, a line of progress a file, and what came of it."""

from __future__ import annotations

from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TaskID, TextColumn

from freeplay_like import Attempt


class Screen:
    """A context manager while files are written, one line each; where there is no terminal, only what is said."""

    def __init__(self) -> None:
        self._console = Console(highlight=False, soft_wrap=True)
        columns = (SpinnerColumn(), TextColumn("{task.description}", markup=False), TextColumn("{task.completed:,}"))
        self._progress = Progress(*columns, console=self._console, transient=True)
        self._tasks: dict[str, TaskID] = {}

    def __enter__(self) -> Self:
        if self._console.is_terminal:
            self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._console.is_terminal:
            self._progress.stop()

    def write(self, text: str) -> None:
        """A piece of text, as it comes."""
        self._console.out(_printable(text), end="")

    def say(self, text: str = "") -> None:
        """A whole line."""
        self._console.out(_printable(text))

    def try_again(self, attempt: Attempt) -> None:
        """A call failed, and is made again."""
        self.say(f"  trying again in {attempt.waited_ms / 1000:.1f} s: {attempt.message}")

    def begin(self, path: str) -> None:
        """A file is written, from its beginning."""
        if path in self._tasks:
            self._progress.reset(self._tasks[path], total=None)
        else:
            self._tasks[path] = self._progress.add_task(path, total=None)

    def advance(self, path: str, text: str) -> None:
        """More of a file has come."""
        self._progress.advance(self._tasks[path], len(text))

    def end(self, path: str, said: str) -> None:
        """A file is done with, well or not."""
        self._progress.remove_task(self._tasks.pop(path))
        self.say(f"  {path}: {said}")


def _printable(text: str) -> str:
    """The text without control characters: what a model writes must not steer the terminal."""
    return "".join(character for character in text if character in "\n\t" or character.isprintable())
