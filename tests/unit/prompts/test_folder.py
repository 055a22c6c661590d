"""Templates out of a folder."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from freeplay_like.errors import ConfigurationError, TemplateError, TemplateNotFoundError, TemplateSyntaxError
from freeplay_like.prompts.folder import FolderPrompts


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "prompts"
    (root / "smol").mkdir(parents=True)
    (root / "greeting.prompt").write_text("=== user ===\nHi {{name}}\n")
    (root / "smol" / "plan.prompt").write_text("+++\nmodel = 'm'\n+++\n=== user ===\nPlan\n")
    (root / "README.md").write_text("not a template")
    (tmp_path / "secret.prompt").write_text("=== user ===\nsecret\n")
    return root


def test_a_template_is_found_by_its_path(folder: Path) -> None:
    prompts = FolderPrompts(folder)
    plan = prompts.get("p", "smol/plan", "prod")
    assert (plan.name, plan.model, plan.source, plan.environment) == ("smol/plan", "m", "folder", None)
    assert prompts.names() == ("greeting", "smol/plan")


def test_the_version_follows_what_the_file_says(folder: Path) -> None:
    prompts = FolderPrompts(folder)
    first = prompts.get("p", "greeting", "prod")
    assert prompts.get("other", "greeting", "dev") is first
    (folder / "greeting.prompt").write_text("+++\ndescription = 'the same words'\n+++\n=== user ===\nHi {{name}}\n")
    assert prompts.get("p", "greeting", "prod").version_id == first.version_id
    (folder / "greeting.prompt").write_text("=== user ===\nHo {{name}}\n")
    second = prompts.get("p", "greeting", "prod")
    assert second.version_id == second.fingerprint != first.version_id
    assert second.version == second.fingerprint[:8]


def test_an_unknown_name_gets_near_ones(folder: Path) -> None:
    with pytest.raises(TemplateNotFoundError, match=r"no template 'greting' in .*; near names: 'greeting'$") as caught:
        FolderPrompts(folder).get("p", "greting", "prod")
    assert caught.value.template == "greting"


def test_an_empty_folder_says_so(tmp_path: Path) -> None:
    with pytest.raises(TemplateNotFoundError, match=r"it holds no \*\.prompt files"):
        FolderPrompts(tmp_path).get("p", "x", "prod")


@pytest.mark.parametrize("name", ["../secret", "/etc/passwd", "smol/../../secret", "a\\b"])
def test_a_name_that_is_no_plain_path_is_refused(folder: Path, name: str) -> None:
    with pytest.raises(TemplateError, match="cannot name a template"):
        FolderPrompts(folder).get("p", name, "prod")


def test_a_link_out_of_the_folder_is_not_followed(folder: Path) -> None:
    (folder / "link.prompt").symlink_to(folder.parent / "secret.prompt")
    (folder / "outside").symlink_to(folder.parent)
    (folder / "inside.prompt").symlink_to(folder / "greeting.prompt")
    (folder / "circle.prompt").symlink_to(folder / "circle.prompt")
    prompts = FolderPrompts(folder)
    for name in ("link", "outside/secret", "circle", "x" * 300):
        with pytest.raises(TemplateNotFoundError):
            prompts.get("p", name, "prod")
    assert prompts.get("p", "inside", "prod").variables == ("name",)
    assert prompts.names() == ("greeting", "inside", "smol/plan")


def test_a_file_that_cannot_be_read_is_named(folder: Path) -> None:
    (folder / "latin.prompt").write_bytes(b"=== user ===\n\xe4\n")
    with pytest.raises(TemplateSyntaxError, match="'latin': byte 13 is not UTF-8"):
        FolderPrompts(folder).get("p", "latin", "prod")
    (folder / "bom.prompt").write_bytes(b"\xef\xbb\xbf=== user ===\n\n")
    assert len(FolderPrompts(folder).get("p", "bom", "prod").messages) == 1


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_a_file_without_permission_is_named(folder: Path) -> None:
    (folder / "greeting.prompt").chmod(0)
    with pytest.raises(TemplateError, match=r"cannot read .*Permission denied"):
        FolderPrompts(folder).get("p", "greeting", "prod")


def test_a_folder_that_is_not_there_is_refused_at_once(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"no folder of templates at .*missing"):
        FolderPrompts(tmp_path / "missing")


def test_a_version_is_found_as_long_as_its_file_says_the_same(folder: Path) -> None:
    (folder / "bad.prompt").write_bytes(b"\xff no text")
    prompts = FolderPrompts(folder)
    version_id = prompts.get("p", "greeting", "prod").version_id
    assert version_id is not None
    assert prompts.version("p", "", version_id).name == "greeting"
    (folder / "greeting.prompt").write_text("=== user ===\nHello {{name}}\n")
    with pytest.raises(TemplateNotFoundError, match=rf"of version '{version_id}'; a folder holds only what"):
        prompts.version("p", "", version_id)
