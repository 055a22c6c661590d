"""What every source of templates promises."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest

from freeplay_like.core.template_files import to_text
from freeplay_like.core.templates import PromptTemplate, TemplateMessage
from freeplay_like.errors import TemplateNotFoundError
from freeplay_like.prompts.backend import BackendPrompts
from freeplay_like.prompts.base import PromptSource
from freeplay_like.prompts.cache import CachedPrompts
from freeplay_like.prompts.folder import FolderPrompts
from support.scripted_http import Asked, Reply, scripted_server

TEMPLATE = PromptTemplate(name="a/trip", messages=(TemplateMessage(role="user", content="To {{city}}"),), model="m")


@contextmanager
def in_a_folder(path: Path) -> Iterator[PromptSource]:
    (path / "a").mkdir()
    (path / "a" / "trip.prompt").write_text(to_text(TEMPLATE))
    yield FolderPrompts(path)


@contextmanager
def in_a_backend(path: Path) -> Iterator[PromptSource]:
    def answer(asked: Asked) -> Reply:
        if "/name/a/trip?" in asked.path:
            return Reply(body=json.dumps(TEMPLATE.to_wire()).encode())
        return Reply(404, b'{"message": "near names: \'a/trip\'"}')

    with scripted_server(answer) as server:
        yield BackendPrompts(server.base, "key")


@contextmanager
def in_a_cache(path: Path) -> Iterator[PromptSource]:
    with in_a_folder(path) as source:
        yield CachedPrompts(source)


@pytest.fixture(params=[in_a_folder, in_a_backend, in_a_cache])
def source(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[PromptSource]:
    make: Callable[[Path], AbstractContextManager[PromptSource]] = request.param
    with make(tmp_path) as made:
        yield made
        made.close()


def test_a_template_is_the_same_from_everywhere(source: PromptSource) -> None:
    template = source.get("p", "a/trip", "prod")
    assert template.fingerprint == TEMPLATE.fingerprint
    assert template.name == "a/trip"
    assert template.source in ("folder", "backend")


def test_an_unknown_name_lists_near_ones(source: PromptSource) -> None:
    for _ in range(2):
        with pytest.raises(TemplateNotFoundError, match=r"no template 'a/trp' .*near names: 'a/trip'") as caught:
            source.get("p", "a/trp", "prod")
        assert caught.value.template == "a/trp"


def test_what_is_at_hand_is_what_was_asked_for_before(source: PromptSource) -> None:
    assert source.at_hand("p", "a/trip", "prod") is None
    asked_for = source.get("p", "a/trip", "prod")
    at_hand = source.at_hand("p", "a/trip", "prod")
    assert at_hand is None or at_hand.fingerprint == asked_for.fingerprint
    assert source.at_hand("p", "a/other", "prod") is None


def test_closing_twice_is_as_good_as_once(source: PromptSource) -> None:
    source.get("p", "a/trip", "prod")
    source.close()
    source.close()
    assert source.get("p", "a/trip", "prod").fingerprint == TEMPLATE.fingerprint
