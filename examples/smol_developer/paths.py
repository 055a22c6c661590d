"""Which file names a model may choose: a list that is not safe never becomes a `FileList`.

The rules are those of every system at once, so that what was written on one can be copied to another.
"""

from __future__ import annotations

import unicodedata
from typing import Final

import attrs

OWN_FOLDER: Final = ".smol_developer"
MAX_FILES: Final = 50
MAX_PART_BYTES: Final = 200

_FOLDERS_LEFT_ALONE: Final = frozenset({".git", OWN_FOLDER})
_NOT_IN_NAMES: Final = frozenset('\\:*?"<>|')
_NOT_SEEN: Final = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
"""Unicode's categories of what a terminal does not show, or obeys: NUL, escapes, half characters, text that runs
backwards."""
_DEVICES: Final = frozenset({"con", "prn", "aux", "nul", *(f"{port}{n}" for port in ("com", "lpt") for n in range(10))})


def problem_with(path: str) -> str | None:
    """Why a file of this name must not be written, None where it may be."""
    parts = path.split("/")
    if not path or path.startswith("/"):
        return "is no path below the folder"
    if any(part in ("", ".", "..") for part in parts):
        return "has an empty part, or one that leads elsewhere"
    if any(unicodedata.category(character) in _NOT_SEEN for character in path):
        return "has a character that cannot be seen"
    if found := _NOT_IN_NAMES.intersection(path):
        return f"has {' '.join(sorted(found))} in it"
    if any(part != part.strip() or part.endswith(".") for part in parts):
        return "has a part that begins or ends with a space, or ends with a dot"
    if any(part.partition(".")[0].casefold() in _DEVICES for part in parts):
        return "names a device on Windows"
    if any(part.casefold() in _FOLDERS_LEFT_ALONE for part in parts):
        return "is in a folder that is not written to"
    if any(len(part.encode()) > MAX_PART_BYTES for part in parts):
        return f"has a part of more than {MAX_PART_BYTES} bytes"
    return None


def problems_in(files: list[str]) -> list[str]:
    """What is wrong with a list of files, all of it. That one is named twice is no harm."""
    paths = distinct(files)
    problems = [f"{path!r} {problem}" for path in paths if (problem := problem_with(path))]
    if not 1 <= len(paths) <= MAX_FILES:
        problems.append(f"there are {len(paths)} files; expected 1 to {MAX_FILES}")
    seen: dict[str, str] = {}
    for path in paths:
        other = seen.setdefault(_folded(path), path)
        if other != path:
            problems.append(f"{path!r} is the same file as {other!r}")
    for path in seen.values():
        folders = _folded(path).split("/")[:-1]
        problems += [
            f"{path!r} is in a folder that is also a file, {seen[folder]!r}"
            for end in range(1, len(folders) + 1)
            if (folder := "/".join(folders[:end])) in seen
        ]
    return problems


def distinct(files: list[str]) -> list[str]:
    """Each file once, in the order of the list."""
    return list(dict.fromkeys(files))


def _folded(path: str) -> str:
    """The path as a file system sees it that knows no upper case and writes accents in one way."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", path).casefold())


def _only_safe(instance: object, attribute: attrs.Attribute[list[str]], files: list[str]) -> None:
    problems = problems_in(files)
    if problems:
        raise ValueError("; ".join(problems))


@attrs.frozen(kw_only=True)
class FileList:
    """The files that make up the program.

    `session.structured` shows a model what is wrong with a list that was refused here, and asks once more.
    """

    files: list[str] = attrs.field(validator=_only_safe)
