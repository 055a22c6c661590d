"""A real backend: `freeplay-like serve` in a process of its own, on a free port, over a folder of its own."""

from __future__ import annotations

import json
import select
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType

import pytest

START_S = 30.0
"""When to give up on a server that does not answer: far beyond what it takes."""

CLI = (sys.executable, "-m", "freeplay_like.cli")


class BackendProcess:
    """A backend that can be stopped, killed and started again over the same data.

    `project_id`, `api_key` and `admin_url` are those of a project made before the first start; the port, and with it
    `url`, stays the same over restarts.
    """

    def __init__(self, data_dir: Path, *, project: str = "tests", arguments: tuple[str, ...] = ()) -> None:
        self.data_dir = data_dir
        self._project = project
        self._arguments = arguments
        self._port = 0
        self._process: subprocess.Popen[str] | None = None
        self._log = data_dir.parent / f"{data_dir.name}.log"
        self.start()
        ready = self.init()
        self.project_id: str = ready["project_id"]
        self.api_key: str = ready["api_key"]
        self.admin_url: str = ready["admin_url"]

    def __enter__(self) -> BackendProcess:
        return self

    def __exit__(self, kind: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None) -> None:
        self.stop()

    @property
    def url(self) -> str:
        """Where people go."""
        return f"http://127.0.0.1:{self._port}"

    @property
    def api_base(self) -> str:
        """Where the API begins."""
        return f"{self.url}/api"

    @property
    def project_base(self) -> str:
        """Where the API of the project begins."""
        return f"{self.api_base}/v2/projects/{self.project_id}"

    @property
    def headers(self) -> dict[str, str]:
        """What a request to the API needs."""
        return {"Authorization": f"Bearer {self.api_key}"}

    @property
    def pid(self) -> int:
        """The process."""
        assert self._process is not None
        return self._process.pid

    @property
    def log(self) -> str:
        """What the server wrote to its standard error."""
        return self._log.read_text()

    def init(self, *arguments: str) -> Mapping[str, str]:
        """What `freeplay-like init --json` prints, for a project that is made where it is missing."""
        command = [*CLI, "init", "--data", str(self.data_dir), "--project", self._project, "--url", self.url]
        done = subprocess.run([*command, *arguments, "--json"], capture_output=True, text=True, timeout=START_S)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def sign_in_url(self) -> str:
        """A fresh link that signs in one browser."""
        return self.init()["admin_url"]

    def start(self) -> None:
        """Start, and return when it answers."""
        command = [*CLI, "serve", "--data", str(self.data_dir), "--port", str(self._port), "--json", *self._arguments]
        with self._log.open("a") as log:
            self._process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True)
        assert self._process.stdout is not None
        readable, _, _ = select.select([self._process.stdout], [], [], START_S)
        line = self._process.stdout.readline() if readable else ""
        if not line:
            self.kill()
            raise AssertionError(f"the backend did not start: {self.log}")
        self._port = int(json.loads(line)["url"].rpartition(":")[2])

    def stop(self) -> int | None:
        """Ask it to stop, wait for its end, and tell its exit status."""
        return self._end(signal.SIGTERM)

    def kill(self) -> None:
        """End it at once, as a power cut would end the process."""
        self._end(signal.SIGKILL)

    def restart(self) -> None:
        """Start again over the same data, at the same address."""
        self.stop()
        self.start()

    def _end(self, number: signal.Signals) -> int | None:
        if self._process is None:
            return None
        self._process.send_signal(number)
        status = self._process.wait(START_S)
        if self._process.stdout is not None:
            self._process.stdout.close()
        self._process = None
        return status


@pytest.fixture(scope="session")
def backend(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BackendProcess]:
    """One backend for the whole run: tests tell their records apart by session or project."""
    with BackendProcess(tmp_path_factory.mktemp("backend") / "data") as process:
        yield process


@pytest.fixture
def own_backend(tmp_path: Path) -> Iterator[BackendProcess]:
    """A backend of this test's own, to be stopped, killed or filled."""
    with BackendProcess(tmp_path / "data") as process:
        yield process
