"""The spool on disk: a folder for each process that records, owned by whoever holds its lock.

    <spool>/<id>.<destination>/owner.lock      held under flock for as long as the owner lives
                               00000001.seg    frames, appended; see frames.py
                               cursor.json     up to where the backend has acknowledged
                               meta.json       who wrote it, for people
    <spool>/rejected/<id>.json                 records and amendments that the backend will not take
    <spool>/damaged/<id>.<segment>.bad         lines that could not be read

`destination` is a hash of the backend's address and stands in the name, so that records are only ever sent where
they were meant to go, even when every file in the folder is damaged. A lock cannot outlive its process, and a
process id can: that is why ownership is a lock.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import shutil
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final, NamedTuple, Self

import attrs

from freeplay_like.core.wire import WireError, from_wire, to_wire
from freeplay_like.recording.frames import Lane, seal, unseal

try:
    import fcntl
except ImportError:  # not on this system: there is no spool, and records are kept in memory
    fcntl = None  # type: ignore[assignment]

SPOOL_DIR_VARIABLE: Final = "FREEPLAY_LIKE_SPOOL_DIR"
_LOCK, _CURSOR, _META = "owner.lock", "cursor.json", "meta.json"
_SEGMENT: Final = re.compile(r"(\d{8})\.seg")
_FOLDER: Final = re.compile(r"[0-9a-f-]{36}\.[0-9a-f]{16}")
_UNFINISHED: Final = ".new-"
_UNFINISHED_AGE_S: Final = 3600


class Position(NamedTuple):
    """A place in a folder: the segment's number, and the byte in it."""

    number: int
    offset: int


BEGINNING: Final = Position(0, 0)


@attrs.frozen(kw_only=True)
class Cursor:
    """Up to where a folder has been acknowledged.

    `held` are projects whose records stay behind at a place of their own, `held_amendments` those whose amendments do.
    """

    main: Position = BEGINNING
    held: dict[str, Position] = attrs.field(factory=dict)
    held_amendments: dict[str, Position] = attrs.field(factory=dict)

    @classmethod
    def of(cls, main: Position, lanes: Mapping[Lane, Position]) -> Self:
        """The cursor with these lanes behind."""
        return cls(
            main=main,
            held={lane.project_id: at for lane, at in lanes.items() if lane.kind == "record"},
            held_amendments={lane.project_id: at for lane, at in lanes.items() if lane.kind == "amendment"},
        )

    @property
    def lanes(self) -> dict[Lane, Position]:
        """What stays behind, and where."""
        records = {Lane(project_id, "record"): at for project_id, at in self.held.items()}
        return records | {Lane(project_id, "amendment"): at for project_id, at in self.held_amendments.items()}


@attrs.frozen(kw_only=True)
class Meta:
    """Who wrote a folder."""

    api_base: str = ""
    host: str = ""
    pid: int = 0
    sdk: str = ""


def destination_of(api_base: str) -> str:
    """The part of a folder's name that says where its records are meant to go."""
    return hashlib.sha256(api_base.encode()).hexdigest()[:16]


def spool_candidates(spool_dir: Path | None) -> tuple[Path, ...]:
    """The folders to try, best first. One that was asked for has no second best but memory."""
    asked = spool_dir or os.environ.get(SPOOL_DIR_VARIABLE)
    if asked:
        return (Path(asked),)
    state = os.environ.get("XDG_STATE_HOME")
    user = f"freeplay_like-{os.getuid()}" if hasattr(os, "getuid") else "freeplay_like"
    candidates = [Path(tempfile.gettempdir()) / user / "spool"]
    with contextlib.suppress(RuntimeError):  # a process may have no home
        home = Path(state) if state else Path.home() / ".local" / "state"
        candidates.insert(0, home / "freeplay_like" / "spool")
    return tuple(candidates)


def make_private_dir(path: Path) -> None:
    """The folder, made where it was not there; no other user may own it.

    Raises:
        OSError: it cannot be made, or belongs to somebody else (in a shared temp folder a name can be taken).
    """
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    if hasattr(os, "getuid") and path.stat().st_uid not in (os.getuid(), 0):
        raise PermissionError(f"the spool folder {path} belongs to another user; choose one with {SPOOL_DIR_VARIABLE}")


def open_private(path: Path, flags: int) -> int:
    """A file descriptor of a file that only this user can read."""
    return os.open(path, flags | os.O_CLOEXEC, 0o600)


@attrs.define(eq=False)
class Folder:
    """A folder of the spool whose lock this process holds."""

    path: Path
    _lock_fd: int
    _meta: Meta = attrs.field(factory=Meta)

    @classmethod
    def create(cls, spool: Path, folder_id: str, meta: Meta) -> Folder:
        """A new folder. It gets its name when its lock is held, so that nobody can take it for a dead one.

        Raises:
            OSError: the disk does not take it, or the file system knows no locks.
        """
        make_private_dir(spool)
        unfinished = spool / f"{_UNFINISHED}{folder_id}"
        unfinished.mkdir(mode=0o700)
        fd = open_private(unfinished / _LOCK, os.O_RDWR | os.O_CREAT | os.O_EXCL)
        try:
            _flock(fd)
            _write_whole(unfinished / _META, to_wire(meta))
            path = spool / f"{folder_id}.{destination_of(meta.api_base)}"
            unfinished.rename(path)
        except BaseException:
            os.close(fd)
            shutil.rmtree(unfinished, ignore_errors=True)
            raise
        return cls(path, fd, meta)

    @classmethod
    def adopt(cls, path: Path) -> Folder | None:
        """The folder where its owner is dead; None where it lives, or another process was faster."""
        try:
            fd = open_private(path / _LOCK, os.O_RDWR)
        except OSError:
            return None
        try:
            _flock(fd)
            # The one who was faster may have finished and removed it: then this is the lock of nothing.
            if os.path.samestat(os.fstat(fd), (path / _LOCK).stat()):
                return cls(path, fd)
        except OSError:
            pass  # held by its owner, or gone: both mean "not ours"
        os.close(fd)
        return None

    def restore(self) -> None:
        """Make the folder again after somebody deleted it under us.

        Raises:
            OSError: the disk does not take it.
        """
        self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        fd = open_private(self.path / _LOCK, os.O_RDWR | os.O_CREAT)
        try:
            _flock(fd)
            _write_whole(self.path / _META, to_wire(self._meta))
        except BaseException:
            os.close(fd)
            raise
        self.release()
        self._lock_fd = fd

    def release(self) -> None:
        """Let go, and leave the files for whoever adopts them. Closing is enough: nobody else has this lock open,
        and a forked child that closes its copy must not unlock its parent's."""
        fd, self._lock_fd = self._lock_fd, -1
        if fd >= 0:
            os.close(fd)

    def remove(self) -> None:
        """Delete the folder; the lock goes last. What cannot be deleted stays and is adopted again."""
        with contextlib.suppress(OSError):
            for number in self.segment_numbers():
                self.segment_path(number).unlink()
            for name in (_CURSOR, _META, _LOCK):
                (self.path / name).unlink(missing_ok=True)
            self.path.rmdir()
        self.release()

    def segment_path(self, number: int) -> Path:
        """Where a segment is."""
        return segment_path(self.path, number)

    def segment_numbers(self) -> list[int]:
        """The segments that exist, oldest first."""
        return segment_numbers(self.path)

    def write_cursor(self, cursor: Cursor) -> None:
        """Remember what was acknowledged.

        Raises:
            OSError: it cannot be written. Then some records are sent again some day, which the backend notices.
        """
        _write_whole(self.path / _CURSOR, seal(to_wire(cursor)))

    def read_cursor(self) -> Cursor:
        """What was acknowledged; the very beginning where that is not known."""
        return read_cursor(self.path)


def segment_path(path: Path, number: int) -> Path:
    """Where a segment of the folder at `path` is."""
    return path / f"{number:08d}.seg"


def segment_numbers(path: Path) -> list[int]:
    """The segments of a folder, oldest first; none where it cannot be read."""
    try:
        names = os.listdir(path)
    except OSError:
        return []
    return sorted(int(match[1]) for name in names if (match := _SEGMENT.fullmatch(name)))


def read_cursor(path: Path) -> Cursor:
    """What was acknowledged of the folder at `path`; the very beginning where that is not known."""
    try:
        body = unseal((path / _CURSOR).read_bytes())
        return Cursor() if body is None else from_wire(body, Cursor)
    except (OSError, WireError):
        return Cursor()


def read_meta(path: Path) -> Meta:
    """Who wrote the folder at `path`; blank where that is not known."""
    try:
        return from_wire((path / _META).read_bytes(), Meta)
    except (OSError, WireError):
        return Meta()


def list_folders(spool: Path, destination: str | None = None) -> Iterator[Path]:
    """The folders of a spool, oldest first, owned or not."""
    try:
        names = sorted(os.listdir(spool))
    except OSError:
        return
    for name in names:
        if _FOLDER.fullmatch(name) and (destination is None or name.endswith(f".{destination}")):
            yield spool / name


def bytes_in(spool: Path, *, without: Path | None = None) -> int:
    """The size of all segments in a spool."""
    total = 0
    for path in list_folders(spool):
        if path != without:
            total += sum(_size(segment_path(path, number)) for number in segment_numbers(path))
    return total


def remove_unfinished(spool: Path) -> None:
    """Delete what processes left that died while they made their folder; there is no record in it."""
    for path in spool.glob(f"{_UNFINISHED}*"):
        with contextlib.suppress(OSError):  # somebody else was faster, or it is not ours to delete
            if time.time() - path.stat().st_mtime > _UNFINISHED_AGE_S:
                shutil.rmtree(path)


def is_owned(path: Path) -> bool:
    """Whether a living process holds the folder's lock. Asks with a shared lock, given back at once."""
    try:
        fd = open_private(path / _LOCK, os.O_RDWR)
    except OSError:
        return False
    try:
        _flock(fd, is_shared=True)
    except OSError:
        return True
    finally:
        os.close(fd)
    return False


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


def _flock(fd: int, *, is_shared: bool = False) -> None:
    if fcntl is None:
        raise OSError("this system has no flock; records are kept in memory")
    fcntl.flock(fd, (fcntl.LOCK_SH if is_shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)


def _write_whole(path: Path, data: bytes) -> None:
    """Write a small file so that it is there whole or as it was before."""
    fresh = path.with_suffix(".tmp")
    fd = open_private(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    try:
        if os.write(fd, data) != len(data):
            raise OSError(f"the disk took only a part of {fresh}")
    finally:
        os.close(fd)
    fresh.replace(path)
