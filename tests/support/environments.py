"""Other people's packages as they are published: each in an environment of its own, made once and kept in the cache.

A test writes a small program for such a package, runs it there against a real server, and reads what it printed.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

FREEPLAY_061 = ("freeplay==0.6.1", "openai>=3.25,<4", "anthropic>=2,<3")
"""The newest client of Freeplay, with providers' clients of today."""
FREEPLAY_016 = ("freeplay==0.1.6", "openai==0.27.10", "anthropic==0.2.10")
"""The client whose call shapes ours keeps, with the providers' clients of its day."""

INSTALL_S = 600
PROGRAM_S = 60


class Environment:
    """A Python with some packages in it, and nothing of ours."""

    def __init__(self, folder: Path) -> None:
        self.bin = folder / "bin"

    def run(
        self, *command: str, env: Mapping[str, str] | None = None, cwd: Path | None = None, stdin: str | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run a command of this environment (`python`, `freeplay`) and return how it ended."""
        return subprocess.run(
            [str(self.bin / command[0]), *command[1:]],
            capture_output=True,
            text=True,
            timeout=PROGRAM_S,
            env={"PATH": f"{self.bin}:/usr/bin:/bin", "HOME": str(cwd or Path.cwd()), **(env or {})},
            cwd=cwd,
            input=stdin,
        )

    def program(self, code: str, *arguments: object, env: Mapping[str, str] | None = None) -> object:
        """Run a program whose last line of output is JSON, and return that; `arguments` come as JSON in `ARGS`."""
        prelude = "import json, sys\nARGS = [json.loads(each) for each in sys.argv[1:]]\n"
        done = self.run(
            "python", "-W", "error::ResourceWarning", "-c", prelude + code, *map(json.dumps, arguments), env=env
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout.splitlines()[-1])


def environment(*requirements: str) -> Environment:
    """The environment with these packages; the test is skipped where they cannot be had (in CI it then fails)."""
    text = "\n".join((*requirements, sys.version.split()[0]))
    root = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "freeplay-like" / "test-environments"
    folder = root / hashlib.sha256(text.encode()).hexdigest()[:16]
    root.mkdir(parents=True, exist_ok=True)
    with (root / f"{folder.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "ready").exists():
            _make(folder, requirements)
            (folder / "ready").write_text(text)
    return Environment(folder)


def _make(folder: Path, requirements: tuple[str, ...]) -> None:
    for command in (
        [sys.executable, "-m", "venv", "--clear", str(folder)],
        [str(folder / "bin" / "python"), "-m", "pip", "install", "-q", "--disable-pip-version-check", *requirements],
    ):
        done = subprocess.run(command, capture_output=True, text=True, timeout=INSTALL_S)
        if done.returncode:
            pytest.skip(f"cannot install {' '.join(requirements)}: {done.stderr[-500:]}")


@pytest.fixture(scope="session")
def freeplay_061() -> Environment:
    """The unmodified freeplay 0.6.1."""
    return environment(*FREEPLAY_061)


@pytest.fixture(scope="session")
def freeplay_016() -> Environment:
    """The unmodified freeplay 0.1.6."""
    return environment(*FREEPLAY_016)
