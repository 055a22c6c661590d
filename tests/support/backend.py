"""A real backend: `freeplay-like serve` in processes of its own, on a free port, over a database of its own.

A test with a `backend`, an `own_backend` or a `deployment` runs over SQLite. Marked `over("sqlite", "postgres")` it
runs over each deployment that is named, one after the other; marked `browser`, over those of `BROWSED`.
"""

from __future__ import annotations

import itertools
import json
import select
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Final, Literal, get_args
from urllib.parse import quote

import psutil
import pytest

from freeplay_like.cli.data_folder import open_store
from freeplay_like.server.store.store import Store
from support.databases import TEMPLATE
from support.front import Front
from support.postgres import Cluster
from support.waiting import until

START_S = 60.0
"""When to give up on a server that does not answer: far beyond what it takes."""

CLI = (sys.executable, "-m", "freeplay_like.cli")

Kind = Literal["sqlite", "postgres", "servers"]
"""What tests run over: a server with a file, one with a PostgreSQL, or two with one that has a standby to read from."""
BROWSED: Final[tuple[Kind, ...]] = ("sqlite", "servers")

_numbers = itertools.count(1)


class _Server:
    """One process of `serve`, which keeps its port over restarts."""

    def __init__(self, arguments: tuple[str, ...], log: Path) -> None:
        self.port = 0
        self.log = log
        self._arguments = arguments
        self._process: subprocess.Popen[str] | None = None

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def begin(self) -> None:
        command = [*CLI, "serve", *self._arguments, "--port", str(self.port), "--json"]
        with self.log.open("a") as log:
            self._process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True)

    def wait(self) -> None:
        """Return when it answers."""
        assert self._process is not None
        assert self._process.stdout is not None
        readable, _, _ = select.select([self._process.stdout], [], [], START_S)
        if not (readable and self._process.stdout.readline()):
            self.end(signal.SIGKILL)
            raise AssertionError(f"the backend did not start: {self.log.read_text()}")
        sockets = psutil.Process(self.pid).net_connections("tcp")
        self.port = next(each.laddr.port for each in sockets if each.status == psutil.CONN_LISTEN)

    def end(self, number: signal.Signals) -> int | None:
        if self._process is None:
            return None
        self._process.send_signal(number)
        status = self._process.wait(START_S)
        if self._process.stdout is not None:
            self._process.stdout.close()
        self._process = None
        return status


class BackendProcess:
    """A backend that can be stopped, killed and started again over the same data.

    `project_id` and `api_key` are those of a project made before the first start; `url` stays the same over restarts.
    With a `database_url` the data is there, and beside `data_dir` only the log. Several `servers` over one database are
    one backend: requests to `url` go to them in turn.
    """

    def __init__(
        self,
        data_dir: Path,
        *,
        project: str = "tests",
        arguments: tuple[str, ...] = (),
        database_url: str | None = None,
        servers: int = 1,
    ) -> None:
        self.data_dir = data_dir
        self.database_url = database_url
        self._where = ("--data", str(data_dir)) if database_url is None else ("--database-url", database_url)
        self._project = project
        with self.store() as store:  # as `init` does, but not in a process of its own, which takes a second
            made = store.projects.find(project) or store.projects.create(project)
            self.project_id, self.api_key = made.id, store.keys.create(made)
        self._front = Front() if servers > 1 else None
        if self._front is not None:
            arguments = ("--url", self._front.url, *arguments)
        self._servers = [
            _Server((*self._where, *arguments), data_dir.parent / f"{data_dir.name}{number or ''}.log")
            for number in range(servers)
        ]
        try:
            self.start()
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> BackendProcess:
        return self

    def __exit__(self, kind: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Stop it for good."""
        self.stop()
        if self._front is not None:
            self._front.close()

    @property
    def url(self) -> str:
        """Where people go."""
        return f"http://127.0.0.1:{self._servers[0].port}" if self._front is None else self._front.url

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
        """The process of the first server."""
        return self._servers[0].pid

    @property
    def log(self) -> str:
        """What the servers wrote to their standard error."""
        return "".join(server.log.read_text() for server in self._servers)

    @contextmanager
    def store(self) -> Iterator[Store]:
        """The store of the backend, opened beside it."""
        opened = open_store(self.data_dir if self.database_url is None else None, self.database_url)
        try:
            yield opened
        finally:
            opened.close()

    def init(self, *arguments: str) -> Mapping[str, str]:
        """What `freeplay-like init --json` prints, for a project that is made where it is missing."""
        command = [*CLI, "init", *self._where, "--project", self._project, "--url", self.url]
        done = subprocess.run([*command, *arguments, "--json"], capture_output=True, text=True, timeout=START_S)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def sign_in_url(self) -> str:
        """A fresh link that signs in one browser."""
        with self.store() as store:
            token = store.people.create_sign_in_link()
        return f"{self.url}/sign-in?token={token}&next=/projects/{self.project_id}/calls"

    def start(self) -> None:
        """Start, and return when it answers."""
        for server in self._servers:
            server.begin()
        for server in self._servers:
            server.wait()
        if self._front is not None:
            self._front.ports = [server.port for server in self._servers]

    def stop(self) -> int | None:
        """Ask it to stop, wait for its end, and tell its exit status: the first server's that is not 0."""
        return self._end(signal.SIGTERM)

    def kill(self) -> None:
        """End it at once, as a power cut would end the process."""
        self._end(signal.SIGKILL)

    def restart(self) -> None:
        """Start again over the same data, at the same address."""
        self.stop()
        self.start()

    def _end(self, number: signal.Signals) -> int | None:
        statuses = [server.end(number) for server in self._servers]
        return next((status for status in statuses if status), statuses[0])


class Deployment:
    """Starts backends of one kind."""

    def __init__(self, kind: Kind, request: pytest.FixtureRequest) -> None:
        self.kind = kind
        self._request = request

    @contextmanager
    def running(
        self, data_dir: Path, *, project: str = "tests", arguments: tuple[str, ...] = ()
    ) -> Iterator[BackendProcess]:
        """A backend over a database of its own."""
        if self.kind == "sqlite":
            with BackendProcess(data_dir, project=project, arguments=arguments) as process:
                yield process
            return
        with self._database() as name:
            url, servers = self._cluster.url(name), 1
            if self.kind == "servers":
                arguments, servers = ("--read-database-url", self._standby_url(name), *arguments), 2
                # A test looks at a list just after another server was sent what is to be in it.
                url = f"{url}?options={quote('-c synchronous_commit=remote_apply')}"
            with BackendProcess(
                data_dir, project=project, arguments=arguments, database_url=url, servers=servers
            ) as process:
                yield process

    @property
    def _cluster(self) -> Cluster:
        cluster: Cluster = self._request.getfixturevalue("made_postgres")
        return cluster

    @contextmanager
    def _database(self) -> Iterator[str]:
        name = f"served_{next(_numbers)}"
        self._cluster.create_database(name, template=TEMPLATE)
        yield name
        self._cluster.drop_database(name)

    def _standby_url(self, name: str) -> str:
        standby: Cluster = self._request.getfixturevalue("made_standby")
        known = "SELECT 1 FROM pg_database WHERE datname = %s"
        until(lambda: standby.execute(known, [name]), START_S, f"the database {name} on the standby")
        return standby.url(name)


def pytest_addoption(parser: pytest.Parser) -> None:
    """`--over servers` runs whatever was chosen over that, also what is not marked for it."""
    parser.addoption("--over", choices=get_args(Kind), help="run every test of a backend over this")


def pytest_configure(config: pytest.Config) -> None:
    """Make the mark known."""
    config.addinivalue_line("markers", "over(*kinds): the deployments that a test of a backend is run over in turn")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run a test over each of its deployments. One that is not over SQLite says so in its id."""
    if "deployment" not in metafunc.fixturenames:
        return
    marker = metafunc.definition.get_closest_marker("over")
    is_browser = metafunc.definition.get_closest_marker("browser") is not None
    asked = metafunc.config.getoption("over")
    kinds = (asked,) if asked else marker.args if marker else BROWSED if is_browser else ("sqlite",)
    ids = {"sqlite": pytest.HIDDEN_PARAM}
    params = [pytest.param(kind, id=ids.get(kind, kind)) for kind in kinds]
    metafunc.parametrize("deployment", params, indirect=True, scope="session")


@pytest.fixture(scope="session")
def deployment(request: pytest.FixtureRequest) -> Deployment:
    """Starts backends of the kind that the test is run over."""
    return Deployment(request.param, request)


@pytest.fixture(scope="session")
def backend(tmp_path_factory: pytest.TempPathFactory, deployment: Deployment) -> Iterator[BackendProcess]:
    """One backend for the whole run: tests tell their records apart by session or project."""
    with deployment.running(tmp_path_factory.mktemp("backend") / "data") as process:
        yield process


@pytest.fixture
def own_backend(tmp_path: Path, deployment: Deployment) -> Iterator[BackendProcess]:
    """A backend of this test's own, to be stopped, killed or filled."""
    with deployment.running(tmp_path / "data") as process:
        yield process
