"""What the example smol_developer does to a disk: which names it takes, and what it leaves alone."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from examples.smol_developer.paths import MAX_FILES, FileList, problem_with, problems_in
from examples.smol_developer.workspace import Run, Workspace, WorkspaceError

UNSAFE = [
    "",
    "/",
    "/etc/passwd",
    "//host/share",
    "..",
    "../up",
    "a/../../up",
    "a/./b",
    "a//b",
    "a/",
    "~/x\x00",
    "C:",
    "C:/x",
    "c:x",
    "a\\b",
    "..\\up",
    "\\\\host\\share",
    "file.txt:stream",
    "a\x00.txt",
    "a\nb",
    "a\x1b[31m",
    "a\x7f",
    "a\u202egnp.exe",
    "a\u200bb",
    "a\u2028b",
    "a\ud800",
    "CON",
    "aux.txt",
    "src/nul",
    "Com1.log",
    "LPT9",
    "trailing.",
    "trailing ",
    " leading",
    "what?",
    "a*b",
    ".git/config",
    "sub/.GIT/hooks/pre-commit",
    ".smol_developer/run.json",
    ".Smol_Developer/x",
    "x" * 201,
]
SAFE = [
    "index.html",
    "a/b/c.py",
    ".gitignore",
    ".github/ci.yml",
    "naïve.txt",
    "日本.md",
    "Makefile",
    "console.js",
    "a b.txt",
]


@pytest.mark.parametrize("path", UNSAFE)
def test_a_path_that_is_not_safe_is_refused(path: str) -> None:
    assert problem_with(path) is not None
    with pytest.raises(ValueError, match=r".+"):
        FileList(files=["index.html", path])


def test_a_plain_path_is_taken() -> None:
    assert FileList(files=SAFE).files == SAFE


@pytest.mark.parametrize(
    ("files", "problem"),
    [
        ([], "there are 0 files"),
        ([f"{n}.txt" for n in range(MAX_FILES + 1)], f"there are {MAX_FILES + 1} files"),
        (["README.md", "readme.MD"], "'readme.MD' is the same file as 'README.md'"),
        (["straße.txt", "STRASSE.txt"], "is the same file"),
        (["caf\u00e9", "cafe\u0301"], "is the same file"),
        (["src", "src/main.py"], "in a folder that is also a file, 'src'"),
        (["a/b/c/d", "A/b"], "in a folder that is also a file, 'A/b'"),
    ],
)
def test_files_that_cannot_be_in_one_folder_are_refused(files: list[str], problem: str) -> None:
    (only,) = problems_in(files)
    assert problem in only


def test_every_problem_of_a_list_is_told_at_once() -> None:
    assert len(problems_in(["../up", "ok.txt", "/abs", "OK.txt"])) == 3


def test_a_file_that_is_named_twice_is_one_file(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path, "prompt")
    workspace.run.file_list = FileList(files=["a", "b", "a"])
    assert workspace.in_state("missing") == ["a", "b"]


def test_a_run_is_remembered(tmp_path: Path) -> None:
    first = Workspace(tmp_path, "prompt")
    first.begin("session-1")
    first.run.plan, first.run.file_list = "the plan", FileList(files=["a", "b"])
    first.remember()
    first.write("a", "code")
    second = Workspace(tmp_path, "prompt")
    assert second.run == first.run
    assert second.in_state("written") == ["a"]
    assert second.in_state("missing") == ["b"]


def test_a_process_killed_before_a_file_appeared_writes_it_again(tmp_path: Path) -> None:
    """The hash is noted first: what is noted and not there is missing, and what is there is known."""
    workspace = Workspace(tmp_path, "prompt")
    workspace.run.file_list = FileList(files=["a"])
    workspace.write("a", "code")
    (tmp_path / "a").unlink()
    again = Workspace(tmp_path, "prompt")
    assert again.in_state("missing") == ["a"]
    again.write("a", "other code")
    assert (tmp_path / "a").read_text() == "other code"


def test_a_file_that_appeared_meanwhile_is_not_overwritten(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path, "prompt")
    (tmp_path / "a").write_text("mine")
    with pytest.raises(WorkspaceError, match="left as it is"):
        workspace.write("a", "code")
    assert (tmp_path / "a").read_text() == "mine"
    assert workspace.state("a") == "yours"


def test_the_same_text_by_other_hands_is_not_ours(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path, "prompt")
    (tmp_path / "a").write_text("code")
    assert workspace.state("a") == "yours"


def test_a_link_out_of_the_folder_is_not_followed(tmp_path: Path) -> None:
    out, elsewhere = tmp_path / "out", tmp_path / "elsewhere"
    elsewhere.mkdir()
    workspace = Workspace(out, "prompt")
    (out / "sub").symlink_to(elsewhere)
    (out / "file").symlink_to(elsewhere / "file")
    for path in ("sub/a", "sub/deeper/a"):
        with pytest.raises(WorkspaceError, match="leads out"):
            workspace.write(path, "code")
    with pytest.raises(WorkspaceError, match="left as it is"):
        workspace.write("file", "code")
    assert list(elsewhere.iterdir()) == []


def test_a_link_in_place_of_our_own_folder_is_refused(tmp_path: Path) -> None:
    out, elsewhere = tmp_path / "out", tmp_path / "elsewhere"
    out.mkdir()
    elsewhere.mkdir()
    (out / ".smol_developer").symlink_to(elsewhere)
    with pytest.raises(WorkspaceError, match="is a link"):
        Workspace(out, "prompt")
    assert list(elsewhere.iterdir()) == []


@pytest.mark.parametrize(
    "text", ["", "[]", '{"prompt": 1}', json.dumps({"prompt": "p", "file_list": {"files": ["../up"]}})]
)
def test_a_run_file_that_others_wrote_is_refused(tmp_path: Path, text: str) -> None:
    Workspace(tmp_path, "p").remember()
    (tmp_path / ".smol_developer" / "run.json").write_text(text)
    with pytest.raises(WorkspaceError, match="not what was written there"):
        Workspace(tmp_path, "p")


def test_hashes_of_others_paths_lead_nowhere(tmp_path: Path) -> None:
    """Only listed files are written, and the list is checked whenever it is read."""
    workspace = Workspace(tmp_path, "p")
    workspace.run = Run(prompt="p", hashes={"../up": "0"})
    assert workspace.in_state("missing") == []
