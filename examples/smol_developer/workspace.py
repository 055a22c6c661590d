"""The folder a program is written into, and what is remembered there to go on after an interruption.

Nothing is deleted, and no file is touched that was not written here: `run.json` has the hash of every file of ours. It
is noted before a file appears, so that a process killed at any moment leaves no file that it would not know again.
"""

from __future__ import annotations

import hashlib
import os
import threading
from pathlib import Path
from typing import Literal

import attrs
import msgspec

from .paths import OWN_FOLDER, FileList, distinct

FileState = Literal["missing", "written", "yours"]
"""Not there; there, as it was written here; there, but from somebody else or changed since."""


class WorkspaceError(Exception):
    """The folder cannot be used; the message says why."""


@attrs.define(kw_only=True)
class Run:
    """What `run.json` holds. `hashes` has the SHA-256 of what was written to each path."""

    prompt: str
    session_id: str | None = None
    plan: str | None = None
    file_list: FileList | None = None
    hashes: dict[str, str] = attrs.field(factory=dict)


class Workspace:
    """A folder and the run it holds; begins one where it holds none.

    Raises:
        WorkspaceError: it holds the run of another prompt, or cannot be read.
    """

    def __init__(self, folder: Path, prompt: str) -> None:
        self.folder = folder.absolute()
        self._own = self.folder / OWN_FOLDER
        self._lock = threading.Lock()
        self._own.mkdir(parents=True, exist_ok=True)
        if self._own.is_symlink():
            raise WorkspaceError(f"{self._own} is a link; take it away, or choose another folder with --out")
        self.run = self._read() or Run(prompt=prompt)
        if self.run.prompt != prompt:
            raise WorkspaceError(
                f"{folder} holds the run of another prompt ({self.run.prompt!r}); choose another folder with --out"
            )

    def begin(self, session_id: str) -> None:
        """Remember the session of the run's calls, and that the run has begun."""
        self.run.session_id = session_id
        self.remember()

    def remember(self) -> None:
        """Write down where the run stands."""
        with self._lock:
            self._save()

    def state(self, path: str) -> FileState:
        """Whose file it is that has this path now."""
        target = self.folder / path
        if not os.path.lexists(target):
            return "missing"
        is_plain = target.is_file() and not target.is_symlink()
        is_ours = is_plain and _hash(target.read_bytes()) == self.run.hashes.get(path)
        return "written" if is_ours else "yours"

    def in_state(self, state: FileState) -> list[str]:
        """The files of the program that are in this state now."""
        files = self.run.file_list.files if self.run.file_list is not None else []
        return [path for path in distinct(files) if self.state(path) == state]

    def write(self, path: str, code: str) -> None:
        """Put a file in its place, whole or not at all.

        Raises:
            WorkspaceError: something has that path already, or a link on the way to it leads out of the folder.
        """
        data = code.encode("utf-8", "replace")
        target = self.folder / path
        if not target.parent.resolve().is_relative_to(self.folder.resolve()):
            raise WorkspaceError(f"{target.parent} leads out of {self.folder}")
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary = self._own / _hash(path.encode())
        temporary.write_bytes(data)
        with self._lock:
            self.run.hashes[path] = _hash(data)
            self._save()
        if os.path.lexists(target):
            raise WorkspaceError(f"{target} has appeared meanwhile; it is left as it is")
        os.replace(temporary, target)

    def _read(self) -> Run | None:
        file = self._own / "run.json"
        try:
            return msgspec.json.decode(file.read_bytes(), type=Run)
        except FileNotFoundError:
            return None
        except msgspec.DecodeError as exc:
            raise WorkspaceError(f"{file} is not what was written there ({exc}); choose another folder") from exc

    def _save(self) -> None:
        temporary = self._own / "run.json.new"
        temporary.write_bytes(msgspec.json.format(msgspec.json.encode(self.run), indent=2))
        os.replace(temporary, self._own / "run.json")


def _hash(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
