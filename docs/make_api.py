"""Writes docs/api.md, the table of every address of the API, from the operations themselves.

python docs/make_api.py
"""

from __future__ import annotations

import pathlib
import re
from collections.abc import Iterator, Sequence
from itertools import groupby

from freeplay_like.server.api import OPERATIONS
from freeplay_like.server.api.openapi import Bare, Described, tag_of
from freeplay_like.server.api.operations import PROJECT
from freeplay_like.server.bare import BARE

PAGE = pathlib.Path(__file__).parent / "api.md"

HEAD = f"""\
<!-- written by docs/make_api.py -->
# The API

Every address of the backend's API. `P` stands for `{PROJECT}`. The same, with the shape of every body and
answer, is served by each backend at `/api/openapi.json` (OpenAPI 3.1), for tools that make clients or tests of it.

A key goes with each request as `Authorization: Bearer KEY`; it belongs to one project, and *needs* says which scope it
must have. A refusal is `{{"message": "..."}}`, whose text names the field and the way out:

| status | why |
|---|---|
| 400 | something in the address or the body is not what it takes |
| 401, 403 | there is no such key; the key may not do this |
| 404 | there is no such thing in the key's project |
| 409 | what is there already does not allow it |
| 413 | more than is taken at once |
| 429, 503 | not now: again, after `Retry-After` seconds |

Bodies are JSON of at most 4 MiB (8 MiB for records, 16 MiB for spans, also gzipped). Lists have pages: `page` from 1,
`page_size` up to 100.
"""


def page(described: Sequence[Described]) -> str:
    """The page, as it is to stand in docs/api.md."""
    return "\n".join([HEAD, *_sections(described)])


def _sections(described: Sequence[Described]) -> Iterator[str]:
    ordered = sorted(described, key=lambda one: tag_of(one.path))
    for tag, group in groupby(ordered, key=lambda one: tag_of(one.path)):
        yield f"## {tag}\n\n| address | what | needs |\n|---|---|---|"
        for one in group:
            yield _row(one)
        yield ""


def _row(one: Described) -> str:
    path = re.sub(r"\{(\w+):\w+\}", r"{\1}", one.path).replace(PROJECT, "P")
    about = " ".join(one.about.split("\n\n")[0].split()).replace("|", "\\|")
    needs = "no key" if isinstance(one, Bare) and one.is_open else one.scope or "any key"
    return f"| `{one.method} {path}` | {about} | {needs} |"


if __name__ == "__main__":
    PAGE.write_text(page([*OPERATIONS, *BARE]), encoding="utf-8")
