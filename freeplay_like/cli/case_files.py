"""Files of test cases: read whole and checked, and cut into what a request takes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from freeplay_like.core.case_files import CASE_LIMIT_BYTES, FileCase, FileFormat, read_text
from freeplay_like.core.wire import JsonObject, to_wire
from freeplay_like.errors import ConfigurationError


def read_cases(path: Path) -> list[FileCase]:
    """The cases of a file, all of them checked.

    Raises:
        ConfigurationError: the file cannot be read, or a case is none; names the line and the column or field.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as exc:
        raise ConfigurationError(f"{str(path)!r} cannot be read: {exc.strerror}") from exc
    except UnicodeDecodeError as exc:
        raise ConfigurationError(f"{str(path)!r} is not UTF-8 (at byte {exc.start}); save it as UTF-8") from exc
    found = read_text(text, format_of(path))
    if found.problems:
        raise ConfigurationError(f"{path.name} {found.problems[0].text}")
    if not found.cases:
        raise ConfigurationError(f"{str(path)!r} holds no test cases")
    return list(found.cases)


def format_of(path: Path) -> FileFormat:
    """The format that a file's name tells.

    Raises:
        ConfigurationError: it tells none.
    """
    ending = path.suffix.lower()
    if ending in (".csv", ".jsonl"):
        return "csv" if ending == ".csv" else "jsonl"
    raise ConfigurationError(f"{str(path)!r} ends neither in .csv nor in .jsonl")


def parts(cases: Iterable[JsonObject], count: int, limit_bytes: int = CASE_LIMIT_BYTES) -> Iterator[list[JsonObject]]:
    """The cases in lists of at most so many, and about so much JSON."""
    part: list[JsonObject] = []
    size = 0
    for case in cases:
        length = len(to_wire(case))
        if part and (len(part) == count or size + length > limit_bytes):
            yield part
            part, size = [], 0
        part.append(case)
        size += length
    if part:
        yield part
