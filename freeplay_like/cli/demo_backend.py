"""The demo's backend: `freeplay-like serve` in a child process."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import attrs

from freeplay_like.cli.database_options import DATABASE_VARIABLE
from freeplay_like.cli.init import Ready
from freeplay_like.cli.main import main
from freeplay_like.core.wire import from_wire
from freeplay_like.errors import FreeplayError
from freeplay_like.local.child import Child, ChildFailed, wait_for_parent

_START_TIMEOUT_S: Final = 60.0


class DemoBackendError(FreeplayError):
    """The demo's backend did not start, or ended by itself; the message holds what it said."""


@attrs.frozen(kw_only=True)
class _Serving:
    url: str


class DemoBackend:
    """A backend on 127.0.0.1 over a data folder; a context manager. `port` 0 takes a free one.

    `database_url` is where its database is instead.
    """

    def __init__(self, data: Path | None, port: int, database_url: str | None = None) -> None:
        self._where = [] if data is None else ["--data", str(data)]
        self._environment = {} if database_url is None else {DATABASE_VARIABLE: database_url}
        self._child = Child(__name__, [*self._where, "--port", str(port), "--json"], self._environment)
        self.url = ""

    def __enter__(self) -> Self:
        try:
            self.url = self._child.ready(_Serving, _START_TIMEOUT_S).url
        except ChildFailed as exc:
            raise DemoBackendError(f"the backend did not start: {_last_words(exc.log)}") from exc
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._child.stop()

    def create_project(self, name: str, templates: Path) -> Ready:
        """A project with the templates of a folder, its key and a fresh way in, as `freeplay-like init` gives them.

        Raises:
            DemoBackendError: `init` failed; holds what it said.
        """
        command = [sys.executable, "-m", "freeplay_like.cli", "init", "--json", *self._where]
        command += ["--project", name, "--templates", str(templates), "--url", self.url]
        environment = {**os.environ, **self._environment}
        done = subprocess.run(command, capture_output=True, check=False, env=environment)  # noqa: S603 - our own command
        if done.returncode:
            raise DemoBackendError(f"freeplay-like init failed: {_last_words(done.stderr.decode(errors='replace'))}")
        return from_wire(done.stdout, Ready)

    def wait(self) -> None:
        """Wait until somebody interrupts.

        Raises:
            DemoBackendError: the backend ended by itself.
        """
        status = self._child.wait()
        raise DemoBackendError(f"the backend ended by itself (exit status {status}): {_last_words(self._child.log())}")


def _last_words(log: str) -> str:
    return log.strip().removeprefix("Error: ") or "it said nothing"


def serve_with_parent() -> None:
    """Serve as the arguments say, until told to stop, or the parent is gone."""

    def watch() -> None:
        wait_for_parent()
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, name="parent", daemon=True).start()
    main(["serve", *sys.argv[1:]])


if __name__ == "__main__":
    serve_with_parent()
