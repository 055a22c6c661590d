"""Templates out of a Freeplay bundle: what `freeplay download` writes, in its present form and in the one before.

A bundle has a template a file, `freeplay/prompts/{project}/{environment}/{name}.json` (read from the client 0.6.1).
The present form is the template's JSON; the older one has `name`, `content` as a text of JSON, and flavor, parameters
and model in `metadata`. Both are in mustache, and neither says so.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

import attrs

from freeplay_like.core.template_files import check_name
from freeplay_like.core.template_flavors import with_flavor
from freeplay_like.core.template_wire import freeplay_tools
from freeplay_like.core.templates import PromptTemplate
from freeplay_like.core.wire import JsonObject, JsonValue, WireError, from_wire
from freeplay_like.errors import TemplateError

_ROLES: Final[Mapping[str, str]] = {"Assistant": "assistant", "Human": "user"}
"""The roles of old templates that have another name now."""


@attrs.frozen(kw_only=True)
class Bundled:
    """A template of a bundle, with the project and the environment it was downloaded from."""

    project_id: str
    environment: str
    template: PromptTemplate


def bundle_files(folder: Path) -> tuple[Path, ...]:
    """The files of a bundle below a folder; none where it holds no bundle."""
    return tuple(sorted((folder / "freeplay" / "prompts").glob("*/*/*.json")))


def read_bundled(file: Path) -> Bundled:
    """The template in a file of a bundle.

    Raises:
        TemplateError: it cannot be read, or is no template of either form; names the file.
    """
    try:
        wire = from_wire(file.read_bytes(), dict[str, object])
        template = with_flavor(_present(wire) if _version(wire) >= 2 else _older(wire))
        check_name(template.name)
    except (OSError, WireError, TemplateError) as exc:
        raise TemplateError(f"{str(file)!r} cannot be taken: {exc}", template=file.stem) from exc
    return Bundled(project_id=file.parents[1].name, environment=file.parent.name, template=template)


def says_the_same(bundled: PromptTemplate, version: PromptTemplate) -> bool:
    """Whether a bundle's template may be a download of this version: what a bundle has no room for is not compared."""
    return _kept(bundled).fingerprint == _kept(version).fingerprint


def _kept(template: PromptTemplate) -> PromptTemplate:
    """What a bundle keeps of a template: its messages, and of its tools what Freeplay's client knows."""
    tools = freeplay_tools(template.tools)
    names = ("name", "description", "parameters")
    kept = [{name: tool[name] for name in names} for tool in tools] if isinstance(tools, list) else None
    provider = None  # the bundle names it, but its reader goes by the flavor
    return attrs.evolve(template, syntax="none", tools=kept or None, provider=provider)


def _version(wire: JsonObject) -> int:
    version = wire.get("format_version")
    return version if isinstance(version, int) else 1


def _present(wire: JsonObject) -> PromptTemplate:
    content = wire.get("content")
    return PromptTemplate.from_wire({**wire, "content": _renamed(content), "environment": None}, source="inline")


def _older(wire: JsonObject) -> PromptTemplate:
    metadata = wire.get("metadata")
    said: JsonObject = dict(metadata) if isinstance(metadata, dict) else {}
    return PromptTemplate.from_wire(
        {
            "prompt_template_name": wire.get("name"),
            "prompt_template_id": wire.get("prompt_template_id"),
            "prompt_template_version_id": wire.get("prompt_template_version_id"),
            "content": _renamed(_older_content(wire.get("content"))),
            "metadata": {"flavor": said.get("flavor_name"), "params": said.get("params")},
        },
        source="inline",
    )


def _older_content(content: JsonValue) -> JsonValue:
    """The messages in a text of JSON; a text that is none is the prompt of a text model."""
    if not isinstance(content, str):
        return content
    try:
        messages: JsonValue = from_wire(content, object)
    except WireError:
        return [{"role": "user", "content": content}]
    return messages if isinstance(messages, list) else [{"role": "user", "content": content}]


def _renamed(messages: JsonValue) -> JsonValue:
    if not isinstance(messages, list):
        return messages
    return [
        {**each, "role": _ROLES.get(str(each["role"]), each["role"])}
        if isinstance(each, dict) and "role" in each
        else each
        for each in messages
    ]
