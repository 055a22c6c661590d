"""What is asked of ids, times and texts before anything is stored under them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final

from freeplay_like.core.records import Amendment, Record
from freeplay_like.core.wire import MAX_DEPTH, JsonValue
from freeplay_like.server.store.views import Project

TEXT_LIMIT: Final = 1_000
"""The most characters of a text that can be looked for."""
NAME_LIMIT: Final = 200
"""The most characters of a name."""
RETENTION_LIMIT_DAYS: Final = 36_500
"""The longest that a project can say it keeps its records, but for ever."""
SCORES_LIMIT: Final = 100
"""The most scores of one amendment."""

_UUID: Final = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_ID: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")


def check_record(record: Record, project: Project) -> None:
    """ValueError where a record cannot be kept under its ids and times."""
    _check_id("record_id", record.record_id)
    _check_project(record.project_id, project)
    for name, moment in (("started_at", record.started_at), ("ended_at", record.ended_at)):
        if moment is not None:
            _check_moment(name, moment)
    for name, text in (
        ("session_id", record.session_id),
        ("model", record.model),
        ("requested_model", record.requested_model),
        ("provider", record.provider),
        ("flavor", record.flavor),
        ("template.name", record.template.name if record.template else None),
        ("test_run_id", record.test_run_id),
        ("test_case_id", record.test_case_id),
    ):
        if text is not None and len(text) > TEXT_LIMIT:
            raise ValueError(f"{name} has {len(text)} characters; at most {TEXT_LIMIT} can be looked for")


def check_amendment(amendment: Amendment, project: Project) -> None:
    """ValueError where an amendment cannot be kept under its ids, time and scores."""
    _check_id("amendment_id", amendment.amendment_id)
    _check_id("record_id", amendment.record_id)
    _check_project(amendment.project_id, project)
    _check_moment("made_at", amendment.made_at)
    if amendment.reviewer_id is not None or amendment.reviewer is not None:
        raise ValueError("reviewer_id and reviewer are set for what people say in the pages alone; leave them out")
    if len(amendment.scores) > SCORES_LIMIT:
        raise ValueError(f"there are {len(amendment.scores)} scores; at most {SCORES_LIMIT} are taken at once")
    for name, value in amendment.scores.items():
        if not is_name(name):
            raise ValueError(f"a score's {said_of_name(name)}")
        if isinstance(value, str) and len(value) > TEXT_LIMIT:
            raise ValueError(
                f"score {name!r} is a text of {len(value)} characters; at most {TEXT_LIMIT} can be counted: "
                "put a longer one into comments"
            )


def check_depth(name: str, value: JsonValue) -> None:
    """ValueError where a value is nested deeper than what is read back everywhere."""
    if _is_deeper(value, MAX_DEPTH):
        raise ValueError(f"{name} is nested deeper than {MAX_DEPTH}")


def check_uuid(what: str, value: str) -> None:
    """ValueError where an id is no UUID, in the words of Freeplay's interface."""
    if not _UUID.fullmatch(value):
        raise ValueError(f"{what} {value[:100]} is not a valid uuid4 format.")


def as_utc(name: str, moment: datetime) -> datetime:
    """A time in UTC; one without a time zone is meant so.

    Raises:
        ValueError: no calendar in UTC has it.
    """
    aware = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment
    _check_moment(name, aware)
    return aware.astimezone(UTC)


def _is_deeper(value: JsonValue, levels: int) -> bool:
    if isinstance(value, Mapping):
        return levels == 0 or any(_is_deeper(child, levels - 1) for child in value.values())
    return isinstance(value, (list, tuple)) and (levels == 0 or any(_is_deeper(child, levels - 1) for child in value))


def is_name(name: str) -> bool:
    """Whether people can call something this."""
    return bool(name.strip()) and len(name) <= NAME_LIMIT and name.isprintable()


def said_of_name(name: str) -> str:
    """What to say of a name that is none; put after "a dataset's"."""
    return f"name has 1 to {NAME_LIMIT} printable characters, not {name[:100]!r}"


def _check_id(name: str, value: str) -> None:
    if not _ID.fullmatch(value):
        raise ValueError(f"{name} must be 1 to 64 letters, digits, '-' or '_' (a UUID is best), not {value[:100]!r}")


def _check_project(project_id: str, project: Project) -> None:
    if project_id != project.id:
        raise ValueError(f"project_id is {project_id[:100]!r}, and the batch was sent to project {project.id!r}")


def _check_moment(name: str, moment: datetime) -> None:
    if moment.tzinfo is None:
        raise ValueError(f"{name} {moment.isoformat()!r} has no time zone; end it with 'Z' for UTC")
    try:
        moment.astimezone(UTC)
    except OverflowError as exc:
        raise ValueError(f"{name} {moment.isoformat()!r} is no time that a calendar in UTC has") from exc
