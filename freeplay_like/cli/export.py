"""`freeplay-like export`: calls as a file."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Final

import click

from freeplay_like.backend_link import Reply, headers_for, new_session
from freeplay_like.cli.place import Place, Remote, Where, place, place_options
from freeplay_like.errors import BackendError, ConfigurationError

FORMATS: Final = ("jsonl", "csv", "parquet")
_PART_BYTES: Final = 256 * 1024
_SILENCE_S: Final = 120.0
"""How long a server may take for the next part of the file."""


@click.command()
@place_options
@click.option("--format", "file_format", type=click.Choice(FORMATS), default="jsonl", show_default=True)
@click.option("--output", "-o", type=click.Path(dir_okay=False, path_type=Path), help="The file; else standard output.")
@click.option("--query", "-q", "typed", help="Only calls of a filter, as in: model:gpt-4o latency:>2s.")
@click.option("--from", "begins_at", help="Only calls that began at this time or later (ISO 8601).")
@click.option("--to", "ends_at", help="Only calls that began before this time.")
@click.option(
    "--filter", "pairs", multiple=True, metavar="FIELD=VALUE", help="Only calls with this; may be given again."
)
def export(
    where: Where,
    file_format: str,
    output: Path | None,
    typed: str | None,
    begins_at: str | None,
    ends_at: str | None,
    pairs: Sequence[str],
) -> None:
    """Write calls to a file, oldest first: jsonl has all there is of each, csv and parquet a row of the main things.

    The file is there as a whole or not at all.
    """
    query = [(name, value) for name, value in (("q", typed), ("from", begins_at), ("to", ends_at)) if value]
    for pair in pairs:
        name, sign, value = pair.partition("=")
        if not sign:
            raise click.UsageError(f"--filter is FIELD=VALUE, as in model=gpt-4o, not {pair!r}")
        query.append((name, value))
    with place(where) as here, _written(output) as file:
        for part in _parts(here, file_format, query):
            file.write(part)


@contextmanager
def _written(output: Path | None) -> Iterator[IO[bytes]]:
    """The file to write to: under another name until it is whole."""
    if output is None:
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    fresh = output.with_name(f".{output.name}.part")
    try:
        with fresh.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(output)
    except OSError as exc:
        raise ConfigurationError(f"{str(output)!r} cannot be written: {exc.strerror}") from exc
    finally:
        fresh.unlink(missing_ok=True)


def _parts(here: Place, file_format: str, query: Sequence[tuple[str, str]]) -> Iterator[bytes]:
    if isinstance(here, Remote):
        return _from_server(here, [("format", file_format), *query])
    from freeplay_like.server.exports import FILE_FORMATS, file_of, writer_for
    from freeplay_like.server.store.derived.filter_json import from_query

    writer = writer_for(next(each for each in FILE_FORMATS if each == file_format))
    return file_of(writer, here.store.exports.calls(here.project, from_query(query)))


def _from_server(here: Remote, query: Sequence[tuple[str, str]]) -> Iterator[bytes]:
    import requests

    url = f"{here.link.api_base}{here.path}/export"
    with new_session(here.link.api_base) as session:
        try:
            with session.get(
                url,
                params=list(query),
                headers=headers_for(here.api_key),
                timeout=_SILENCE_S,
                allow_redirects=False,
                stream=True,
            ) as response:
                if response.status_code != 200:
                    raise Reply(url=url, status=response.status_code, content=response.content).error()
                yield from response.iter_content(_PART_BYTES)
        except (requests.RequestException, OSError) as exc:
            raise BackendError(f"{url} broke off before the file was whole: {type(exc).__name__}", url=url) from exc
