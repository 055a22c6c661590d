"""docs/deploy.md and its examples are true: commands, options and figures exist, and what can be run here is run."""

from __future__ import annotations

import configparser
import itertools
import json
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Final

import click
import pytest
import requests

import freeplay_like
from freeplay_like.cli.main import COMMANDS, cli
from freeplay_like.server import intake, otlp
from freeplay_like.server.pages.calls import tail
from freeplay_like.server.run import GRACE_S, KEEP_ALIVE_S
from freeplay_like.server.store.engines import postgres, postgres_tables, standby
from support.backend import BackendProcess

DOCS: Final = Path(__file__).parents[2] / "docs"
DEPLOY: Final = DOCS / "deploy"
PAGE: Final = (DOCS / "deploy.md").read_text(encoding="utf-8")
SHELL: Final = re.compile(r"^```sh\n(.*?)^```$", re.MULTILINE | re.DOTALL)
OURS: Final = re.compile(r"(?:^|[\s/`])freeplay-like ((?:[a-z]+ )*[a-z]+\b[^`\n;|&]*)")
FIGURE: Final = re.compile(r"`(?:freeplay_like|process)_\w+")
VARIABLE: Final = re.compile(r"\bFREEPLAY_LIKE_\w+")
MIB: Final = 1024 * 1024


def text_of(name: str) -> str:
    return (DEPLOY / name).read_text(encoding="utf-8")


def check_command(words: list[str]) -> None:
    """Raise where there is no such command, or it does not take these options."""
    found: click.Command = cli
    while isinstance(found, click.Group):
        name, *words = words
        command = found.get_command(click.Context(found), name)
        assert command is not None, f"there is no command {name!r}"
        found = command
    known = {option for parameter in found.params for option in (*parameter.opts, *parameter.secondary_opts)}
    unknown = [word.partition("=")[0] for word in words if word.startswith("--")]
    assert [option for option in unknown if option not in known] == [], f"{found.name} takes {sorted(known)}"


def commands_in(text: str) -> list[list[str]]:
    lines = text.replace("\\\n", " ").replace("'", " ").splitlines()
    found = itertools.chain.from_iterable(OURS.findall(line) for line in lines)
    return [shlex.split(command) for command in found if command.split()[0] in COMMANDS]


def serve_options(env_file: str) -> list[list[str]]:
    return [shlex.split(line) for line in re.findall(r'^#?SERVE_OPTIONS="(.*)"$', env_file, re.MULTILINE)]


def containers_words(instruction: str) -> list[str]:
    """What an instruction of the Containerfile has as a list of words."""
    found = re.search(rf"\b{instruction}\b.*?(\[.*\])$", text_of("Containerfile"), re.MULTILINE)
    assert found is not None
    return list(json.loads(found[1]))


# --- commands, options, figures -----------------------------------------------------------------------------


def test_every_command_of_the_page_exists_and_takes_its_options() -> None:
    spoken = re.findall(r"`freeplay-like ([^`]+)`", PAGE)
    commands = [*commands_in("\n".join(SHELL.findall(PAGE))), *map(shlex.split, spoken)]
    assert len(commands) > 8
    for words in commands:
        check_command(words)


def test_a_command_or_an_option_that_is_not_there_is_found() -> None:
    with pytest.raises(AssertionError, match="there is no command"):
        check_command(["swerve"])
    with pytest.raises(AssertionError, match="serve takes"):
        check_command(["serve", "--daemon"])


def test_every_option_of_the_environment_file_is_one_of_serve() -> None:
    alternatives = serve_options(text_of("server.env"))
    assert len(alternatives) == 3
    for words in alternatives:
        check_command(["serve", *words])


def test_every_variable_that_is_named_is_read_somewhere() -> None:
    named = {name for path in (DOCS / "deploy.md", *DEPLOY.iterdir()) for name in VARIABLE.findall(path.read_text())}
    package = Path(freeplay_like.__file__).parent
    code = "\n".join(path.read_text(encoding="utf-8") for path in package.rglob("*.py"))
    assert "FREEPLAY_LIKE_DATABASE_URL" in named
    assert [name for name in named if f'"{name}"' not in code] == []


def test_every_figure_of_the_page_is_one_that_a_server_shows_and_the_other_way_about(
    pg_database: str, tmp_path: Path
) -> None:
    reading = ("--read-database-url", pg_database)  # it is no standby, and the figures say so
    with BackendProcess(tmp_path / "data", database_url=pg_database, arguments=reading) as backend:
        shown = requests.get(f"{backend.url}/metrics", timeout=30).text
    there = set(re.findall(r"^# TYPE (\w+) ", shown, re.MULTILINE))
    named = {figure.removeprefix("`") for figure in FIGURE.findall(PAGE)}
    explained = {figure.removeprefix("`") for figure in FIGURE.findall((DOCS / "operations.md").read_text("utf-8"))}
    assert named - there - explained == set()
    assert there - named - explained == set()


def test_the_limits_of_the_page_are_those_of_the_code() -> None:
    assert max(intake.BODY_LIMIT_BYTES, otlp.BODY_LIMIT_BYTES) == 16 * MIB
    assert intake.BODY_LIMIT_BYTES == 8 * MIB
    assert tail.HEARTBEAT_S == 15
    assert standby.MAX_LAG_S == 5
    assert postgres_tables.PARTITION == 4_194_304


# --- systemd, container, proxies ----------------------------------------------------------------------------


def test_the_unit_starts_a_server_and_gives_it_time_to_end() -> None:
    unit = configparser.RawConfigParser(strict=True, comment_prefixes=("#",))
    unit.optionxform = str  # type: ignore[method-assign,assignment]  # names of settings have capitals
    unit.read_string(re.sub(r"^(SystemCallFilter=~)", r"Without\1", text_of("freeplay-like@.service"), flags=re.M))
    service = unit["Service"]
    program, *words = service["ExecStart"].split()
    assert program == "/opt/freeplay-like/bin/freeplay-like"
    assert words.pop() == "$SERVE_OPTIONS"
    check_command([word.replace("%i", "8001") for word in words])
    assert int(service["TimeoutStopSec"]) > GRACE_S
    assert service["Restart"] == "always"


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="needs systemd-analyze")
def test_systemd_finds_nothing_wrong_with_the_unit(tmp_path: Path) -> None:
    unit = tmp_path / "freeplay-like@8001.service"
    unit.write_text(text_of("freeplay-like@.service").replace("/opt/freeplay-like/bin/freeplay-like", "/bin/true"))
    command = ["systemd-analyze", "verify", "--man=no", str(unit)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_the_environment_file_is_one_for_the_shell_too() -> None:
    script = 'set -eua; . "$1"; printf %s "$SERVE_OPTIONS"'
    command = ["sh", "-c", script, "sh", str(DEPLOY / "server.env")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout == " ".join(serve_options(text_of("server.env"))[0])


def test_the_container_starts_a_server_with_extras_that_there_are() -> None:
    check_command([*containers_words("ENTRYPOINT")[1:], *containers_words("^CMD")])
    (extras,) = re.findall(r"\.whl\)\[(.*?)\]", text_of("Containerfile"))
    project = tomllib.loads((DOCS.parent / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert set(extras.split(",")) <= set(project["optional-dependencies"])


def test_the_containers_health_check_tells_a_server_that_is_there_from_one_that_is_not(
    own_backend: BackendProcess,
) -> None:
    python, *words = containers_words("HEALTHCHECK .* CMD")
    assert python == "python"
    port = own_backend.url.rpartition(":")[2]
    command = [sys.executable, *(word.replace(":8000/", f":{port}/") for word in words)]
    assert subprocess.run(command, capture_output=True, timeout=60, check=False).returncode == 0
    own_backend.stop()
    assert subprocess.run(command, capture_output=True, timeout=60, check=False).returncode != 0


def test_nginx_takes_what_a_server_takes_and_passes_on_what_it_must() -> None:
    said = dict(re.findall(r"^\s+(\w+(?: (?:Host|Connection|X-Forwarded-For))?)\s+(.+);$", text_of("nginx.conf"), re.M))
    assert int(said["client_max_body_size"].removesuffix("m")) * MIB > otlp.BODY_LIMIT_BYTES
    assert int(said["keepalive_timeout"].removesuffix("s")) < KEEP_ALIVE_S
    assert said["proxy_set_header Host"] == "$http_host"
    assert said["proxy_set_header X-Forwarded-For"] == "$remote_addr"


def test_caddy_takes_what_a_server_takes_and_asks_an_address_that_there_is(own_backend: BackendProcess) -> None:
    said = dict(re.findall(r"^\s+(\w+) (\S+)$", text_of("Caddyfile"), re.M))
    assert int(said["max_size"].removesuffix("MB")) * 10**6 > otlp.BODY_LIMIT_BYTES
    assert int(said["keepalive"].removesuffix("s")) < KEEP_ALIVE_S
    assert requests.get(f"{own_backend.url}{said['health_uri']}", timeout=30).status_code == 200


@pytest.mark.skipif(shutil.which("nginx") is None, reason="needs nginx")
def test_nginx_finds_nothing_wrong_with_its_file(tmp_path: Path) -> None:
    subject = ["-subj", "/CN=logs.example.com", "-keyout", tmp_path / "privkey.pem", "-out", tmp_path / "fullchain.pem"]
    subprocess.run(["openssl", "req", "-x509", "-nodes", *subject], check=True, capture_output=True, timeout=60)
    site = text_of("nginx.conf").replace("/etc/letsencrypt/live/logs.example.com", str(tmp_path))
    whole = tmp_path / "nginx.conf"
    kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    folders = " ".join(f"{kind}_temp_path {tmp_path}/{kind};" for kind in kinds)
    whole.write_text(f"pid {tmp_path}/pid; events {{}} http {{ access_log off; {folders}\n{site}\n}}\n")
    command = ["nginx", "-t", "-p", str(tmp_path), "-e", "stderr", "-c", str(whole)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.skipif(shutil.which("caddy") is None, reason="needs caddy")
def test_caddy_finds_nothing_wrong_with_its_file() -> None:
    command = ["caddy", "validate", "--adapter", "caddyfile", "--config", str(DEPLOY / "Caddyfile")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr


# --- PostgreSQL ---------------------------------------------------------------------------------------------


def test_patroni_and_postgresql_are_told_the_same() -> None:
    settings = dict(re.findall(r"^(\w+) = '?(.*?)'?$", text_of("postgresql.conf"), re.MULTILINE))
    told = dict(re.findall(r'^\s+(\w+): "?(.*?)"?$', text_of("patroni.yml"), re.MULTILINE))
    for name in ("max_connections", "max_locks_per_transaction", "archive_mode", "archive_command", "archive_timeout"):
        assert told[name] == settings[name]
    assert (told["synchronous_mode"], told["synchronous_mode_strict"]) == ("quorum", "true")


def test_pgbouncer_keeps_connections_and_what_it_drops_is_said_to_the_role() -> None:
    said = dict(re.findall(r"^(\w+) = (.*)$", text_of("pgbouncer.ini"), re.MULTILINE))
    assert said["pool_mode"] == "session"
    assert said["ignore_startup_parameters"] == "options"
    dropped = dict(re.findall(r"-c (\w+_timeout|timezone)=(\w+)", postgres._OPTIONS))
    told = dict(re.findall(r"ALTER ROLE freeplay_like SET (\w+) = '(\w+)'", PAGE))
    assert told == {name: value for name, value in dropped.items() if not name.startswith("tcp_")}
