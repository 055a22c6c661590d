"""What is in the wheel, and that it is the wheel that is tested."""

from __future__ import annotations

import os
import zipfile
from importlib.metadata import distribution
from pathlib import Path

import pytest

import freeplay_like

SOURCE_TREE = os.environ.get("FREEPLAY_LIKE_SOURCE_TREE")
needs_wheel = pytest.mark.skipif(not SOURCE_TREE, reason="the wheel is tested by `make test`")


@needs_wheel
def test_the_tests_run_against_the_installed_wheel() -> None:
    package = Path(freeplay_like.__file__).resolve().parent
    assert package != Path(SOURCE_TREE or "").resolve() / "freeplay_like"
    assert package.parent.name == "site-packages"
    assert distribution("freeplay-like").version == freeplay_like.__version__


@needs_wheel
def test_the_wheel_holds_the_package_and_nothing_else() -> None:
    (wheel,) = (Path(SOURCE_TREE or "") / "build" / "wheel").glob("freeplay_like-*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    tops = {name.split("/")[0] for name in names}
    assert tops == {"freeplay_like", f"freeplay_like-{freeplay_like.__version__}.dist-info"}
    assert not [name for name in names if name.endswith((".pth", ".pyc")) or "/tests/" in name]
    for wanted in (
        "freeplay_like/py.typed",
        "freeplay_like/server/static/app.css",
        "freeplay_like/server/templates/calls/calls.html",
        "freeplay_like/local/demo_project/assistant.prompt",
        f"freeplay_like-{freeplay_like.__version__}.dist-info/licenses/LICENSE",
    ):
        assert wanted in names
    assert [name for name in names if "/migrations/versions/" in name]
    assert [name for name in names if "licen" in name.lower() and "/static/" in name], "vendored assets keep theirs"
