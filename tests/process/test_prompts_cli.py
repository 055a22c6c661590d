"""`freeplay-like prompts` against a real backend: the folders of two people, and what comes from elsewhere."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import attrs
import pytest
import requests

from freeplay_like.backend_link import BackendLink
from freeplay_like.core.template_files import from_text, to_text
from freeplay_like.core.templates import HistorySlot, MediaSlot, PromptTemplate, TemplateMessage
from freeplay_like.errors import BackendError
from freeplay_like.prompts.project import PromptProject
from support.backend import CLI, START_S, BackendProcess, Deployment

RICH = PromptTemplate(
    name="support/rich",
    messages=(
        TemplateMessage(role="system", content="=== user ===\n\\{{a}}\r\n  tail \n"),
        HistorySlot(),
        TemplateMessage(role="developer", content=""),
        TemplateMessage(
            role="user",
            content="{{q}}\n\n",
            media_slots=(MediaSlot(name="my pic", kind="image"), MediaSlot(name="doc", kind="file")),
        ),
    ),
    provider="anthropic",
    flavor_name="anthropic_chat",
    model='claude "x"',
    parameters={"temperature": 1.0, "top_k": 5, "stop": ["\n", "'''"], "seed": None, "deep": {"a.b": {"c": []}}},
    tools=[{"type": "function", "function": {"name": "f", "parameters": {"type": "object"}, "strict": True}}],
    output_schema={"type": "object", "properties": {"é": {"type": "string"}}},
    description="All there is.\nIn two lines.",
)
"""Everything that a template can have."""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, deployment: Deployment) -> Iterator[BackendProcess]:
    with deployment.running(tmp_path_factory.mktemp("prompts") / "data") as process:
        yield process


@pytest.fixture(autouse=True)
def empty(server: BackendProcess) -> None:
    """Each test begins without templates."""
    for known in requests.get(f"{templates_of(server)}?page_size=100", headers=server.headers, timeout=START_S).json()[
        "data"
    ]:
        url = f"{templates_of(server)}/id/{known['id']}?reason=next"
        assert requests.delete(url, headers=server.headers, timeout=START_S).status_code == 204


def templates_of(server: BackendProcess) -> str:
    return f"{server.project_base}/prompt-templates"


def prompts(
    server: BackendProcess, *arguments: object, status: int = 0, key: str | None = None
) -> subprocess.CompletedProcess[str]:
    """Run the command; its exit status has to be this."""
    env = {**os.environ, "FREEPLAY_LIKE_API_BASE": server.api_base, "FREEPLAY_LIKE_API_KEY": key or server.api_key}
    command = [*CLI, "prompts", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=START_S, env=env)
    assert done.returncode == status, (done.stdout, done.stderr)
    return done


def write(folder: Path, text: str, name: str = "trip", **more: object) -> None:
    """A template's file of one message of the user."""
    messages = (TemplateMessage(role="user", content=text),)
    template = PromptTemplate(name=name, messages=messages, model="m", provider="openai", **more)  # type: ignore[arg-type]
    file = folder / f"{name}.prompt"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(to_text(template).encode())


def text_in(folder: Path, name: str = "trip") -> str:
    (message,) = from_text((folder / f"{name}.prompt").read_bytes().decode(), name=name).messages
    assert isinstance(message, TemplateMessage)
    return message.content


def there(server: BackendProcess, name: str = "trip", environment: str = "latest") -> PromptTemplate | None:
    answer = requests.get(
        f"{templates_of(server)}/name/{name}?environment={environment}", headers=server.headers, timeout=START_S
    )
    return PromptTemplate.from_wire(answer.json(), source="backend") if answer.status_code == 200 else None


def text_there(server: BackendProcess, name: str = "trip", environment: str = "latest") -> str:
    version = there(server, name, environment)
    assert version is not None
    (message,) = version.messages
    assert isinstance(message, TemplateMessage)
    return message.content


@pytest.fixture
def two(server: BackendProcess, tmp_path: Path) -> tuple[Path, Path]:
    """The folders of Ann and Bob, who both have version 1."""
    ann, bob = tmp_path / "ann", tmp_path / "bob"
    write(ann, "one")
    prompts(server, "push", "--folder", ann)
    prompts(server, "pull", "--folder", bob)
    return ann, bob


# --- one folder


@pytest.mark.parametrize("syntax", ["mustache", "fstring", "none"])
def test_everything_that_a_template_has_goes_there_and_back(
    server: BackendProcess, tmp_path: Path, syntax: str
) -> None:
    text = to_text(attrs.evolve(RICH, syntax="none"))
    if syntax != "none":
        text = text.replace('syntax = "none"\n', f'syntax = "{syntax}"\n').replace("{{a}}", "a").replace("{{q}}", "q")
    (tmp_path / "a" / "support").mkdir(parents=True)
    (tmp_path / "a" / "support" / "rich.prompt").write_bytes(text.encode())
    assert "version 1 was made" in prompts(server, "push", "--folder", tmp_path / "a").stdout
    prompts(server, "pull", "--folder", tmp_path / "b")
    pulled = (tmp_path / "b" / "support" / "rich.prompt").read_bytes()
    assert from_text(pulled.decode(), name="x") == from_text(text, name="x")
    for folder in ("a", "b"):
        assert prompts(server, "diff", "--folder", tmp_path / folder).stdout == "nothing to do\n"
        assert prompts(server, "push", "--folder", tmp_path / folder).stdout == "nothing to do\n"
        assert prompts(server, "pull", "--folder", tmp_path / folder).stdout == "nothing to do\n"
    assert (tmp_path / "b" / "support" / "rich.prompt").read_bytes() == pulled


def test_a_file_that_names_only_a_provider_is_the_same_there(server: BackendProcess, tmp_path: Path) -> None:
    (tmp_path / "bare.prompt").write_text('+++\nprovider = "openai"\n+++\n=== user ===\nHello\n')
    (tmp_path / "none.prompt").write_text("=== user ===\nHello\n")
    prompts(server, "push", "--folder", tmp_path)
    assert prompts(server, "push", "--folder", tmp_path).stdout == "nothing to do\n"


def test_an_edit_is_shown_tried_and_pushed_and_can_be_taken_back(server: BackendProcess, tmp_path: Path) -> None:
    for text in ("one", "two"):
        write(tmp_path, text)
        assert "+" + text in prompts(server, "diff", "--folder", tmp_path, status=1).stdout
        assert "would be made" in prompts(server, "push", "--folder", tmp_path, "--dry-run").stdout
        prompts(server, "push", "--folder", tmp_path)
    write(tmp_path, "one")
    assert "version 3 was made" in prompts(server, "push", "--folder", tmp_path).stdout
    assert text_there(server) == "one"
    assert prompts(server, "push", "--folder", tmp_path).stdout == "nothing to do\n"


def test_environments_go_along_when_they_are_named(server: BackendProcess, tmp_path: Path) -> None:
    write(tmp_path, "one")
    write(tmp_path, "other", name="still")
    push = ("push", "--folder", tmp_path, "--environment", "staging")
    prompts(server, "push", "--folder", tmp_path)
    said = prompts(server, *push, "trip").stdout
    assert said == "trip: environment 'staging' moved from nothing to version 1\n"
    write(tmp_path, "two")
    assert "would be made" in prompts(server, *push, "--dry-run").stdout
    assert text_there(server, environment="staging") == "one"
    said = prompts(server, *push).stdout
    assert "trip: version 2 was made, environment 'staging' points at it" in said
    assert "still: environment 'staging' moved from nothing to version 1" in said
    assert text_there(server, environment="staging") == "two"
    assert prompts(server, *push).stdout == "nothing to do\n"
    assert "newest" in prompts(server, "push", "--folder", tmp_path, "--environment", "latest", status=1).stderr
    listed = json.loads(prompts(server, "list", "--folder", tmp_path, "--json").stdout)
    assert listed[1] == {
        "name": "trip",
        "latest_version": "2",
        "environments": ["staging"],
        "status": "the same here and there",
    }
    assert "version 2" in prompts(server, "list", "--folder", tmp_path).stdout


def test_a_protected_environment_wants_a_reason(server: BackendProcess, tmp_path: Path) -> None:
    url = f"{server.api_base}/v2/environments"
    body = {"name": "guarded", "is_protected": True}
    assert requests.post(url, json=body, headers=server.headers, timeout=START_S).status_code == 201
    write(tmp_path, "one")
    push = ("push", "--folder", tmp_path, "--environment", "guarded")
    assert "'reason'" in prompts(server, *push, status=1).stdout
    assert there(server) is None
    prompts(server, *push, "--reason", "tested")
    assert text_there(server, environment="guarded") == "one"


def test_another_environments_versions_can_be_pulled(server: BackendProcess, tmp_path: Path) -> None:
    write(tmp_path, "one")
    write(tmp_path, "same", name="elsewhere")
    prompts(server, "push", "--folder", tmp_path, "--environment", "prod", "trip")
    prompts(server, "push", "--folder", tmp_path)
    write(tmp_path, "two")
    prompts(server, "push", "--folder", tmp_path)
    said = prompts(server, "pull", "--folder", tmp_path, "--environment", "prod").stdout
    assert "trip: written, version 1" in said
    assert "elsewhere: not in environment 'prod'; the file stays" in said
    assert (text_in(tmp_path), text_in(tmp_path, "elsewhere")) == ("one", "same")
    assert "changed there" in prompts(server, "push", "--folder", tmp_path).stdout


# --- two folders


def test_what_one_pushed_the_other_pulls(server: BackendProcess, two: tuple[Path, Path]) -> None:
    ann, bob = two
    write(ann, "two")
    write(ann, "more", name="new/one")
    prompts(server, "push", "--folder", ann)
    said = prompts(server, "push", "--folder", bob).stdout
    assert "new/one: new there" in said
    assert "trip: changed there" in said
    prompts(server, "pull", "--folder", bob)
    assert (text_in(bob), text_in(bob, "new/one")) == ("two", "more")


def test_a_conflict_is_shown_and_nothing_is_overwritten(server: BackendProcess, two: tuple[Path, Path]) -> None:
    ann, bob = two
    write(ann, "anns")
    write(bob, "bobs")
    write(bob, "bobs too", name="free")
    prompts(server, "push", "--folder", ann)
    for command in ("pull", "push"):
        done = prompts(server, command, "--folder", bob, status=1)
        assert "trip: changed here and there; nothing was overwritten" in done.stdout
        assert "-anns\n+bobs\n" in done.stdout
    assert (text_in(bob), text_there(server)) == ("bobs", "anns")
    assert text_there(server, "free") == "bobs too", "a conflict does not hold up the others"


def test_a_conflict_is_settled_by_name(server: BackendProcess, two: tuple[Path, Path], tmp_path: Path) -> None:
    ann, bob = two
    carl = tmp_path / "carl"
    prompts(server, "pull", "--folder", carl)
    for folder in (ann, bob, carl):
        write(folder, folder.name)
    prompts(server, "push", "--folder", ann)
    prompts(server, "pull", "--folder", bob, "--force-theirs", "trip")
    assert text_in(bob) == "ann"
    assert prompts(server, "push", "--folder", bob).stdout == "nothing to do\n"
    prompts(server, "pull", "--folder", carl, "--force-ours", "trip")
    assert (text_in(carl), text_there(server)) == ("carl", "ann")
    assert "version 3 was made" not in prompts(server, "push", "--folder", carl, "--dry-run").stdout
    prompts(server, "push", "--folder", carl)
    assert text_there(server) == "carl"
    write(bob, "bob")
    prompts(server, "push", "--folder", bob, status=1)
    prompts(server, "push", "--folder", bob, "--force-ours", "trip")
    assert text_there(server) == "bob"
    for arguments in (("push", "--force-ours"), ("pull", "--force-theirs")):
        done = prompts(server, arguments[0], "--folder", bob, arguments[1], "tripp", status=1)
        assert "no template 'tripp'" in done.stderr


def test_a_push_that_comes_second_is_refused_by_the_backend(server: BackendProcess, two: tuple[Path, Path]) -> None:
    link = BackendLink(server.api_base, server.api_key)
    project = PromptProject(link)
    seen = project.in_environment("latest")["trip"]
    write(two[0], "anns")
    prompts(server, "push", "--folder", two[0])
    bobs = attrs.evolve(seen, messages=())
    with pytest.raises(BackendError, match="somebody was faster") as caught:
        project.create_version(bobs, based_on=seen.version_id, is_renewal=True)
    link.close()
    assert caught.value.status == 409
    assert text_there(server) == "anns"


def test_two_who_made_the_same_edit_have_no_conflict(server: BackendProcess, two: tuple[Path, Path]) -> None:
    for folder in two:
        write(folder, "two")
    prompts(server, "push", "--folder", two[0])
    assert prompts(server, "push", "--folder", two[1]).stdout == "nothing to do\n"


def test_a_folder_whose_state_was_lost_finds_out_what_is_alike(server: BackendProcess, two: tuple[Path, Path]) -> None:
    _, bob = two
    (bob / ".freeplay-like.json").unlink()
    assert prompts(server, "push", "--folder", bob).stdout == "nothing to do\n"
    (bob / ".freeplay-like.json").unlink()
    write(bob, "two")
    prompts(server, "push", "--folder", bob, status=1)
    assert text_there(server) == "one"


def test_what_is_deleted_here_stays_there_until_it_is_forced(server: BackendProcess, two: tuple[Path, Path]) -> None:
    ann, bob = two
    (ann / "trip.prompt").unlink()
    assert "deleted here" in prompts(server, "pull", "--folder", ann).stdout
    assert "deleted here; it stays there" in prompts(server, "push", "--folder", ann).stdout
    assert not (ann / "trip.prompt").exists()
    prompts(server, "pull", "--folder", ann, "--force-theirs", "trip")
    assert text_in(ann) == "one"
    (ann / "trip.prompt").unlink()
    assert "would be put away" in prompts(server, "push", "--folder", ann, "--force-ours", "trip", "--dry-run").stdout
    prompts(server, "push", "--folder", ann, "--force-ours", "trip")
    assert there(server) is None
    assert "put away there" in prompts(server, "push", "--folder", bob).stdout
    assert "the file was removed" in prompts(server, "pull", "--folder", bob).stdout
    assert not (bob / "trip.prompt").exists()


def test_what_is_put_away_there_and_edited_here_is_a_conflict(server: BackendProcess, two: tuple[Path, Path]) -> None:
    ann, bob = two
    (ann / "trip.prompt").unlink()
    prompts(server, "push", "--folder", ann, "--force-ours", "trip")
    write(bob, "two")
    for command in ("pull", "push"):
        assert "nothing was overwritten" in prompts(server, command, "--folder", bob, status=1).stdout
    assert text_in(bob) == "two"
    prompts(server, "push", "--folder", bob, "--force-ours", "trip")
    assert text_there(server) == "two"


# --- what can go wrong


def test_a_file_that_cannot_be_read_holds_up_no_other(server: BackendProcess, tmp_path: Path) -> None:
    write(tmp_path, "one")
    (tmp_path / "bad.prompt").write_text("=== king ===\n")
    done = prompts(server, "push", "--folder", tmp_path, status=1)
    assert "bad: left alone: " in done.stdout
    assert "'=== king ==='" in done.stdout
    assert text_there(server) == "one"
    prompts(server, "diff", "--folder", tmp_path, status=1)
    listed = json.loads(prompts(server, "list", "--folder", tmp_path, "--json").stdout)
    assert listed[0]["status"] == "cannot be read here"
    prompts(server, "push", "--folder", tmp_path, "trip")


def test_a_folder_of_another_project_is_refused(server: BackendProcess, two: tuple[Path, Path]) -> None:
    with server.store() as store:
        key = store.keys.create(store.projects.create("other"))
    done = prompts(server, "push", "--folder", two[0], key=key, status=1)
    assert "go with project" in done.stderr


def test_a_wrong_key_and_a_backend_that_is_not_there_have_their_own_status(
    server: BackendProcess, tmp_path: Path
) -> None:
    assert "key" in prompts(server, "list", key="fpl_wrong", status=3).stderr
    assert "127.0.0.1:9" in prompts(server, "list", "--api-base", "http://127.0.0.1:9/api", status=4).stderr


# --- import


def put_bundle(folder: Path, environment: str, name: str, wire: object) -> None:
    file = folder / "freeplay" / "prompts" / "elsewhere" / environment / f"{name}.json"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(wire))


def bundled(text: str) -> dict[str, object]:
    return {
        "format_version": 3,
        "prompt_template_name": "trip",
        "prompt_template_id": "foreign",
        "prompt_template_version_id": "foreign",
        "content": [{"role": "user", "content": text, "media_slots": []}],
        "metadata": {"provider": "openai", "flavor": "openai_chat", "model": "m", "params": None},
    }


def test_a_bundle_is_taken_with_its_environments_template_by_template(server: BackendProcess, tmp_path: Path) -> None:
    put_bundle(tmp_path, "prod", "trip", bundled("old"))
    put_bundle(tmp_path, "latest", "trip", bundled("new"))
    older = {
        "name": "legacy",
        "content": '[{"role": "Human", "content": "{{x}}"}]',
        "metadata": {"flavor_name": "openai_chat", "params": {"model": "m"}},
    }
    put_bundle(tmp_path, "prod", "legacy", older)
    put_bundle(tmp_path, "prod", "bad", {**bundled("{{#open}}"), "prompt_template_name": "bad"})
    assert "would be taken" in prompts(server, "import", tmp_path, "--dry-run", status=1).stdout
    assert there(server) is None
    done = prompts(server, "import", tmp_path, status=1)
    assert "trip (prod): version 1 was made, environment 'prod' points at it" in done.stdout
    assert "trip (latest): version 2 was made\n" in done.stdout
    assert "legacy (prod): version 1 was made" in done.stdout
    assert "bad.json' cannot be taken: " in done.stdout
    assert (text_there(server), text_there(server, environment="prod")) == ("new", "old")
    legacy = there(server, "legacy", "prod")
    assert legacy is not None
    assert (legacy.model, legacy.flavor_name, legacy.provider) == ("m", "openai_chat", "openai")
    again = prompts(server, "import", tmp_path, status=1).stdout
    assert "trip (prod): is version 1 already, environment 'prod' points at it" in again
    assert "was made" not in again


def test_a_bundle_of_several_projects_wants_a_choice(server: BackendProcess, tmp_path: Path) -> None:
    put_bundle(tmp_path, "latest", "trip", bundled("one"))
    (tmp_path / "freeplay/prompts/elsewhere").rename(tmp_path / "freeplay/prompts/first")
    put_bundle(tmp_path, "latest", "trip", bundled("two"))
    for arguments in ((), ("--bundle-project", "none")):
        assert "elsewhere, first" in prompts(server, "import", tmp_path, *arguments, status=1).stderr
    prompts(server, "import", tmp_path, "--bundle-project", "first")
    assert text_there(server) == "one"


def test_environments_stay_where_they_are_when_that_is_asked_for(server: BackendProcess, tmp_path: Path) -> None:
    put_bundle(tmp_path, "prod", "trip", bundled("one"))
    prompts(server, "import", tmp_path, "--no-environments")
    assert (text_there(server), there(server, environment="prod")) == ("one", None)


def test_a_folder_of_files_is_taken_too(server: BackendProcess, tmp_path: Path) -> None:
    write(tmp_path, "one", name="deep/trip")
    (tmp_path / "bad.prompt").write_text("text")
    done = prompts(server, "import", tmp_path, status=1)
    assert "deep/trip: version 1 was made" in done.stdout
    assert "bad: " in done.stdout
    assert text_there(server, "deep/trip") == "one"
