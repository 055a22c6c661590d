"""Server-sent events, as a browser reads them."""

from __future__ import annotations

import re
from collections.abc import Iterator

import attrs
import requests


@attrs.frozen
class Event:
    """One that says something; `id` and `name` are "" where it has none."""

    id: str
    name: str
    data: str

    @property
    def rows(self) -> list[str]:
        """The ids of the calls whose rows it brings, in their order."""
        return re.findall(r'class="row-link" href="[^"]*/calls/([0-9a-f-]{36})"', self.data)


def events(answer: requests.Response) -> Iterator[Event]:
    """The events of an answer, as they come."""
    said: dict[str, list[str]] = {}
    for line in answer.iter_lines(chunk_size=1, decode_unicode=True):
        field, _, value = line.partition(":")
        if line:
            said.setdefault(field, []).append(value.removeprefix(" "))
            continue
        if "data" in said:
            yield Event("".join(said.get("id", ())), "".join(said.get("event", ())), "\n".join(said["data"]))
        said = {}
