"""A server in a child process: it says when it answers, and it ends with its parent, however the parent ends.

The child prints one line of JSON on standard output when it is ready. Its standard input is a pipe that only the
parent holds, so that its end is the parent's end, a kill included.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping, Sequence
from typing import Final, TypeVar

from freeplay_like.core.wire import WireError, from_wire

T = TypeVar("T")

_STOP_TIMEOUT_S: Final = 10.0


class ChildFailed(Exception):
    """The child was not ready in time, or ended before. `status` is its exit status, `log` its standard error."""

    def __init__(self, status: int, log: str) -> None:
        super().__init__(f"exit status {status}: {log}")
        self.status = status
        self.log = log


class Child:
    """`python -m <module> <arguments>`, started at once."""

    def __init__(self, module: str, arguments: Sequence[str], environment: Mapping[str, str] | None = None) -> None:
        """`environment` comes to this process's own; other users do not see it, as they do arguments."""
        self._log = tempfile.TemporaryFile()  # noqa: SIM115 - as long as the child; closed by stop
        self._process = subprocess.Popen(  # noqa: S603 - a module of this package
            [sys.executable, "-m", module, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            env={**os.environ, **(environment or {})},
            start_new_session=True,  # Ctrl-C is for the parent, which stops the child when it is done with it
        )

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid

    def ready(self, kind: type[T], timeout_s: float) -> T:
        """Wait for the line that the child prints, and return what it says. A child that fails is stopped.

        Raises:
            ChildFailed: it ended, took longer than `timeout_s`, or printed something else.
        """
        try:
            return from_wire(self._first_line(timeout_s), kind)
        except WireError as exc:
            status = self._end()
            log = self.log()
            self._log.close()
            raise ChildFailed(status, log) from exc
        except BaseException:
            self.stop()
            raise

    def wait(self) -> int:
        """Wait until the child has ended by itself, and return its exit status."""
        return self._process.wait()

    def log(self) -> str:
        """What the child has written to its standard error; not to be asked for after `stop`."""
        self._log.seek(0)
        return self._log.read().decode(errors="replace")

    def stop(self) -> None:
        """End the child and wait for it. Safe to call twice."""
        self._end()
        self._log.close()

    def _end(self) -> int:
        if self._process.stdout is not None and not self._process.stdout.closed:
            try:
                self._process.communicate(timeout=_STOP_TIMEOUT_S)  # ends its standard input
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.communicate()
        return self._process.wait()

    def _first_line(self, timeout_s: float) -> bytes:
        """What the child prints first; nothing where it ended, or took too long and was killed."""
        if self._process.stdout is None:
            return b""
        deadline = threading.Timer(timeout_s, self._process.kill)
        deadline.start()
        try:
            return self._process.stdout.readline()
        finally:
            deadline.cancel()


def wait_for_parent() -> None:
    """In the child: return when the parent wants it to end, or has ended itself."""
    while os.read(0, 4096):  # not sys.stdin: a thread that waits in its buffer breaks the end of the interpreter
        pass
