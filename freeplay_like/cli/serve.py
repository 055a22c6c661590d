"""`freeplay-like serve`: the backend, in the foreground."""

from __future__ import annotations

import asyncio
import ipaddress
import json
import logging
import os
import signal
import socket
import sys
from pathlib import Path
from typing import Final

import click

from freeplay_like.cli.data_folder import open_store, served
from freeplay_like.cli.database_options import database_options
from freeplay_like.cli.main import EXIT_INTERRUPTED
from freeplay_like.errors import ConfigurationError
from freeplay_like.server.app import create_app
from freeplay_like.server.run import Server, bind
from freeplay_like.server.state import Settings, State
from freeplay_like.server.store.store import Store

_PROVIDER_VARIABLES: Final = ("OPENAI_", "AZURE_", "ANTHROPIC_")


@click.command()
@database_options
@click.option(
    "--read-database-url",
    envvar="FREEPLAY_LIKE_READ_DATABASE_URL",
    help="The address of a standby of that database, from which lists, searches, charts and exports are read.",
)
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen on.")
@click.option("--port", type=int, default=8000, show_default=True, help="The port to listen on; 0 takes a free one.")
@click.option("--url", help="The address people use, where it is another one (behind a proxy).")
@click.option("--allow-remote", is_flag=True, help="Listen beyond this machine.")
@click.option("--fsync", "is_fsync", is_flag=True, help="Wait for the disk with each commit: survives a power cut.")
@click.option(
    "--min-free",
    "min_free_mib",
    type=click.IntRange(min=0),
    help="MiB of the disk that must stay free, else nothing more is taken; else 256 or 1 % of the disk. 0: never stop.",
)
@click.option(
    "--provider-keys-from-environment",
    "uses_provider_environment",
    is_flag=True,
    help="Let runs that the server carries out use OPENAI_API_KEY and the like where a project has no connection.",
)
@click.option("--json", "is_json", is_flag=True, help="Print one JSON line when it answers.")
def serve(
    data: Path | None,
    database_url: str | None,
    read_database_url: str | None,
    host: str,
    port: int,
    url: str | None,
    min_free_mib: int | None,
    *,
    allow_remote: bool,
    is_fsync: bool,
    uses_provider_environment: bool,
    is_json: bool,
) -> None:
    """Serve the API and the review pages until interrupted."""
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    is_remote = not _is_loopback(host)
    if is_remote and not allow_remote:
        raise ConfigurationError(
            f"--host {host} can be reached from other machines. Calls hold what users wrote: put a proxy with TLS in "
            "front of 127.0.0.1, or add --allow-remote if the network is yours"
        )
    if not uses_provider_environment:
        _forget_providers()
    listener = bind(host, port)
    settings = Settings(
        url=(url or _address(host, listener)).rstrip("/"),
        is_remote=is_remote,
        uses_provider_environment=uses_provider_environment,
    )
    min_free_bytes = None if min_free_mib is None else min_free_mib * 1024 * 1024
    with listener, served(data):
        store = open_store(
            data, database_url, is_fsync=is_fsync, min_free_bytes=min_free_bytes, read_database_url=read_database_url
        )
        state = State(store=store, settings=settings)
        server = Server(create_app(state), state.news, lambda: _say_ready(store, settings, is_json=is_json))
        try:
            with asyncio.Runner(loop_factory=server.config.get_loop_factory()) as runner:
                runner.run(server.serve([listener]))
        finally:
            store.close()
    if server.stopped_by is signal.SIGINT:
        sys.exit(EXIT_INTERRUPTED)


def _forget_providers() -> None:
    """Take out of this process's environment what providers' clients would read there by themselves."""
    for name in [name for name in os.environ if name.startswith(_PROVIDER_VARIABLES)]:
        del os.environ[name]


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _address(host: str, listener: socket.socket) -> str:
    name = "127.0.0.1" if host in {"0.0.0.0", "::"} else host  # noqa: S104  what to open on this machine
    return (
        f"http://[{name}]:{listener.getsockname()[1]}" if ":" in name else f"http://{name}:{listener.getsockname()[1]}"
    )


def _say_ready(store: Store, settings: Settings, *, is_json: bool) -> None:
    """Say where the server is; the first time also how to get in. Scripts get their link from `init`."""
    if is_json:
        ready = {"url": settings.url, "api_base": settings.api_base, "pid": os.getpid()}
        click.echo(json.dumps(ready))
        return
    click.echo(f"Serving {settings.url} (API at {settings.api_base}). Ctrl-C stops.")
    if not store.people.can_anybody_sign_in():
        click.echo(f"Sign in, once, within a day: {settings.url}/sign-in?token={store.people.create_sign_in_link()}")
