from __future__ import annotations

import json
from pathlib import Path

import attrs
import pytest

from freeplay_like.core.templates import HistorySlot, MediaSlot, PromptTemplate, TemplateMessage
from freeplay_like.errors import TemplateError
from freeplay_like.prompts.bundles import bundle_files, read_bundled, says_the_same

PRESENT = {
    "format_version": 3,
    "prompt_template_id": "t-1",
    "prompt_template_version_id": "v-1",
    "prompt_template_name": "trip",
    "project_id": "p-1",
    "environment": "prod",
    "content": [
        {"role": "system", "content": "You help.", "media_slots": []},
        {"kind": "history"},
        {"role": "Human", "content": "{{q}}", "media_slots": [{"type": "image", "placeholder_name": "pic"}]},
    ],
    "metadata": {"provider": "openai", "flavor": "openai_chat", "model": "m", "params": {"temperature": 0.5}},
    "tool_schema": [{"name": "t", "description": "d", "parameters": {}}],
    "output_schema": None,
}

OLDER = {
    "name": "trip",
    "content": json.dumps([{"role": "system", "content": "S"}, {"role": "Assistant", "content": "A"}]),
    "metadata": {"flavor_name": "anthropic_chat", "params": {"model": "claude", "max_tokens": 5}},
}


def put(folder: Path, wire: object, name: str = "trip", environment: str = "prod") -> Path:
    file = folder / "freeplay" / "prompts" / "p-1" / environment / f"{name}.json"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(wire if isinstance(wire, str) else json.dumps(wire))
    return file


def test_the_files_of_a_bundle_are_found(tmp_path: Path) -> None:
    files = [put(tmp_path, PRESENT, "b"), put(tmp_path, PRESENT, "a"), put(tmp_path, PRESENT, "a", "dev")]
    assert bundle_files(tmp_path) == tuple(sorted(files))
    assert bundle_files(tmp_path / "none") == ()


def test_the_present_form_is_read_whole(tmp_path: Path) -> None:
    bundled = read_bundled(put(tmp_path, PRESENT))
    assert (bundled.project_id, bundled.environment) == ("p-1", "prod")
    template = bundled.template
    assert (template.name, template.model, template.parameters) == ("trip", "m", {"temperature": 0.5})
    assert (template.template_id, template.version_id, template.syntax) == ("t-1", "v-1", "mustache")
    assert template.messages == (
        TemplateMessage(role="system", content="You help."),
        HistorySlot(),
        TemplateMessage(role="user", content="{{q}}", media_slots=(MediaSlot(name="pic", kind="image"),)),
    )
    assert template.tools == PRESENT["tool_schema"]


def test_the_older_form_is_read_with_its_roles_and_its_model(tmp_path: Path) -> None:
    template = read_bundled(put(tmp_path, OLDER)).template
    assert [(m.role, m.content) for m in template.messages if isinstance(m, TemplateMessage)] == [
        ("system", "S"),
        ("assistant", "A"),
    ]
    assert (template.model, template.parameters) == ("claude", {"max_tokens": 5})
    assert (template.flavor_name, template.provider) == ("anthropic_chat", "anthropic")


@pytest.mark.parametrize("content", ["Say {{word}}.", "42", '{"a": 1}'])
def test_an_older_text_prompt_is_one_message_of_the_user(tmp_path: Path, content: str) -> None:
    template = read_bundled(put(tmp_path, {**OLDER, "content": content})).template
    assert template.messages == (TemplateMessage(role="user", content=content),)


@pytest.mark.parametrize(
    "wire",
    [
        "{",
        "[]",
        {},
        {**PRESENT, "prompt_template_name": "../out"},
        {**PRESENT, "prompt_template_name": None},
        {**PRESENT, "content": None},
        {**PRESENT, "content": [1]},
        {**PRESENT, "content": [{"role": "king", "content": "x"}]},
        {**PRESENT, "content": [{"role": "user", "content": "{{#open}}"}]},
        {**PRESENT, "metadata": []},
        {**OLDER, "content": None},
        {**OLDER, "metadata": {"params": 1}},
    ],
)
def test_a_file_that_is_no_template_is_named(tmp_path: Path, wire: object) -> None:
    file = put(tmp_path, wire)
    with pytest.raises(TemplateError, match=r"trip\.json"):
        read_bundled(file)


def test_a_bundle_is_known_for_the_version_it_was_made_of_though_it_does_not_keep_all(tmp_path: Path) -> None:
    bundled = read_bundled(put(tmp_path, PRESENT)).template
    tools = [{"type": "function", "function": {"name": "t", "description": "d", "parameters": {}, "strict": True}}]
    version = attrs.evolve(bundled, tools=tools, syntax="none", description="more")
    assert says_the_same(bundled, version)
    assert not says_the_same(bundled, attrs.evolve(version, model="other"))
    assert not says_the_same(bundled, attrs.evolve(version, tools=None))
    assert not says_the_same(bundled, attrs.evolve(version, messages=()))
    assert says_the_same(PromptTemplate(name="a", messages=(), tools=[]), PromptTemplate(name="a", messages=()))
