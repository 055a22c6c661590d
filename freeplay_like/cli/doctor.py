"""`freeplay-like doctor`: a call through every hop, and what is wrong with those that do not work."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Final

import attrs
import click

from freeplay_like.cli.doctor_hops import Patient, examine
from freeplay_like.cli.place import Where, local, place_options
from freeplay_like.errors import ConfigurationError

_MARKS: Final = {"ok": "ok", "warning": "WARN", "failed": "FAIL", "skipped": "-"}
_KEY_AGE: Final = timedelta(minutes=10)


@click.command()
@place_options
@click.option("--spool-dir", type=click.Path(path_type=Path, file_okay=False), help="The spool of your programs.")
@click.option(
    "--timeout", "timeout_s", type=click.FloatRange(min=0.1), default=10.0, show_default=True, help="Seconds."
)
@click.option("--json", "is_json", is_flag=True, help="Print one JSON object.")
def doctor(
    where: Where,
    spool_dir: Path | None,
    timeout_s: float,
    *,
    is_json: bool,
) -> None:
    """Send a marked call through every hop, from the template to the page, time each, and say what is wrong.

    With --data or --database-url a server is started over it for the time, with a key of its own; with --api-base a
    server is asked that runs. The provider is a simulated one on this machine. The call is deleted afterwards. Exits
    with 1 where a hop fails.
    """
    with _patient(where) as patient:
        patient.timeout_s, patient.spool_dir = timeout_s, spool_dir
        hops = []
        for hop in examine(patient):
            hops.append(hop)
            if not is_json:
                click.echo(f"{_MARKS[hop.verdict]:5} {hop.name:10} {hop.time_ms:9.1f} ms  {hop.said}")
                if hop.way_out:
                    click.echo(f"{'':29}-> {hop.way_out}")
    is_well = all(hop.verdict in {"ok", "warning"} for hop in hops)
    if is_json:
        click.echo(json.dumps({"is_well": is_well, "hops": [attrs.asdict(hop) for hop in hops]}))
    if not is_well:
        raise SystemExit(1)


@contextmanager
def _patient(where: Where) -> Iterator[Patient]:
    if not where.is_local:
        if not where.api_base or not where.api_key:
            raise ConfigurationError(
                "name a place: --data DIR or --database-url postgresql://..., or --api-base URL and --api-key KEY"
            )
        yield Patient(api_base=where.api_base, api_key=where.api_key)
        return
    from freeplay_like.cli.demo_backend import DemoBackend
    from freeplay_like.server.store.accounts.keys import parse_key

    with local(where) as here:
        store = here.store
        key = store.keys.create(here.project, name="doctor", expires_at=store.now() + _KEY_AGE)
        try:
            with DemoBackend(where.data, 0, where.database_url) as backend:
                link = f"{backend.url}/sign-in?token={store.people.create_sign_in_link()}"
                yield Patient(api_base=f"{backend.url}/api", api_key=key, sign_in_url=link)
        finally:
            parts = parse_key(key)
            if parts is not None:
                store.keys.revoke(here.project, parts.key_id)
