"""The static files. They are few and small: read once, kept in memory, cached by browsers for good."""

from __future__ import annotations

import functools
import hashlib
import pathlib
from typing import Final

import attrs
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

_FOLDER: Final = pathlib.Path(__file__).resolve().parent.parent / "static"
_MEDIA_TYPES: Final = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
_FOREVER: Final = "public, max-age=31536000, immutable"


@attrs.frozen(kw_only=True)
class _Asset:
    name: str
    body: bytes
    media_type: str
    digest: str


@functools.cache
def _assets() -> dict[str, _Asset]:
    assets = {}
    for path in sorted(_FOLDER.rglob("*")):
        media_type = _MEDIA_TYPES.get(path.suffix)
        if media_type is None:
            continue
        body = path.read_bytes()
        name = path.relative_to(_FOLDER).as_posix()
        digest = hashlib.sha256(body).hexdigest()[:16]
        assets[name] = _Asset(name=name, body=body, media_type=media_type, digest=digest)
    return assets


def asset(name: str) -> str:
    """The address of a static file, which changes with its content. KeyError: there is no such file."""
    return f"/static/{name}?v={_assets()[name].digest}"


def _answer(found: _Asset, version: str | None) -> Response:
    # An address of another content must not be kept for good: a browser may hold a page from before an upgrade.
    lifetime = _FOREVER if version == found.digest else "no-cache"
    return Response(found.body, media_type=found.media_type, headers={"Cache-Control": lifetime})


async def _static(request: Request) -> Response:
    found = _assets().get(request.path_params["name"])
    if found is None:
        return PlainTextResponse("There is no such file.\n", status_code=404)
    return _answer(found, request.query_params.get("v"))


async def _favicon(request: Request) -> Response:
    return _answer(_assets()["favicon.svg"], None)


def static_routes() -> list[Route]:
    """The static files, and the address that browsers ask for of themselves."""
    return [Route("/static/{name:path}", _static, methods=["GET"]), Route("/favicon.ico", _favicon, methods=["GET"])]
