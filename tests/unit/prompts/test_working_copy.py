from __future__ import annotations

from pathlib import Path

import pytest

from freeplay_like.core.templates import PromptTemplate, TemplateMessage
from freeplay_like.errors import ConfigurationError, TemplateError
from freeplay_like.prompts.sync import Common
from freeplay_like.prompts.working_copy import STATE_NAME, WorkingCopy


def a_template(name: str = "trips/plan", text: str = "Hello") -> PromptTemplate:
    messages = (TemplateMessage(role="user", content=text),)
    return PromptTemplate(name=name, version_id="v-1", messages=messages, provider="openai", flavor_name="openai_chat")


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    copy = WorkingCopy(tmp_path / "prompts", "p")
    copy.write(a_template())
    (templates, problems) = copy.read()
    assert templates["trips/plan"].fingerprint == a_template().fingerprint
    assert problems == {}
    assert sorted(path.name for path in (tmp_path / "prompts").rglob("*")) == ["plan.prompt", "trips"]
    copy.remove("trips/plan")
    copy.remove("trips/plan")
    assert copy.read() == ({}, {})


def test_the_state_is_kept_beside_the_files(tmp_path: Path) -> None:
    copy = WorkingCopy(tmp_path, "p")
    copy.common["trips/plan"] = Common.of(a_template())
    copy.save()
    again = WorkingCopy(tmp_path, "p")
    assert again.common == {"trips/plan": Common(version_id="v-1", fingerprint=a_template().fingerprint)}
    with pytest.raises(ConfigurationError, match="go with project 'p', and the key is of project 'q'"):
        WorkingCopy(tmp_path, "q")


@pytest.mark.parametrize("text", ["", "{", "[]", '{"templates": {}}', '{"project_id": "p", "templates": {"a": 1}}'])
def test_a_damaged_state_is_named(tmp_path: Path, text: str) -> None:
    (tmp_path / STATE_NAME).write_text(text)
    with pytest.raises(ConfigurationError, match=STATE_NAME):
        WorkingCopy(tmp_path, "p")


def test_a_folder_that_is_not_there_holds_nothing_and_is_not_made_by_reading(tmp_path: Path) -> None:
    copy = WorkingCopy(tmp_path / "none", "p")
    assert copy.read() == ({}, {})
    copy.save()
    assert not (tmp_path / "none").exists()


def test_a_file_that_is_no_template_is_told_apart(tmp_path: Path) -> None:
    (tmp_path / "bad.prompt").write_text("no marker")
    copy = WorkingCopy(tmp_path, "p")
    copy.write(a_template())
    templates, problems = copy.read()
    assert list(templates) == ["trips/plan"]
    assert "bad" in problems


@pytest.mark.parametrize("name", ["../out", "/etc/x", "a/../../b", "a//b", "a\\b", "", "a\0b"])
def test_a_name_that_leads_out_of_the_folder_is_refused(tmp_path: Path, name: str) -> None:
    copy = WorkingCopy(tmp_path / "prompts", "p")
    with pytest.raises(TemplateError, match="cannot name a template"):
        copy.write(a_template(name))
    assert list(tmp_path.rglob("*")) == []


def test_a_link_that_leads_out_of_the_folder_is_not_followed(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    folder = tmp_path / "prompts"
    folder.mkdir()
    (folder / "trips").symlink_to(outside)
    (outside / "victim.txt").write_text("mine")
    (folder / "victim.prompt").symlink_to(outside / "victim.txt")
    copy = WorkingCopy(folder, "p")
    for name in ("trips/plan", "trips/deep/plan", "victim"):
        with pytest.raises(TemplateError, match="link"):
            copy.write(a_template(name))
        with pytest.raises(TemplateError, match="link"):
            copy.remove(name)
    assert [path.name for path in outside.iterdir()] == ["victim.txt"]
    assert (outside / "victim.txt").read_text() == "mine"


def test_a_file_in_the_way_of_a_folder_is_named(tmp_path: Path) -> None:
    (tmp_path / "trips").write_text("")
    with pytest.raises(TemplateError, match="'trips/plan': its file cannot be written"):
        WorkingCopy(tmp_path, "p").write(a_template())
    long = "x" * 250 + "é" * 50
    with pytest.raises(TemplateError, match="cannot be written"):
        WorkingCopy(tmp_path, "p").write(a_template(long))


def test_a_failed_write_leaves_the_file_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    copy = WorkingCopy(tmp_path, "p")
    copy.write(a_template(text="before"))

    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(TemplateError, match="No space left"):
        copy.write(a_template(text="after"))
    assert copy.read()[0]["trips/plan"].messages == a_template(text="before").messages
    assert [path.name for path in (tmp_path / "trips").iterdir()] == ["plan.prompt"]
