"""Run the tests on two cores: those that start processes of their own beside all others.

With arguments: one pytest with these arguments.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Final

HERE: Final = Path(__file__).parent
SHOWN: Final = "process"
"""The folder whose tests are seen while they run."""
LAST: Final = "browser"
"""Of the others, the last: its large store is filled meanwhile."""
PYTEST: Final = (sys.executable, "-m", "pytest")


def main() -> int:
    """The worst status of both."""
    if sys.argv[1:]:
        return subprocess.call([*PYTEST, *sys.argv[1:]])
    folders = sorted(path.name for path in HERE.iterdir() if any(path.rglob("test_*.py")) and path.name != SHOWN)
    folders.sort(key=lambda name: name == LAST)
    others = [*PYTEST, *(str(HERE / name) for name in folders), "-p", "no:cacheprovider"]
    log = Path("others.log")
    with log.open("wb") as output, subprocess.Popen(others, stdout=output, stderr=subprocess.STDOUT) as beside:
        try:
            status = subprocess.call([*PYTEST, str(HERE / SHOWN)])
            beside.wait()
        finally:
            beside.terminate()
    print(f"== the tests that ran beside these: {', '.join(folders)}", flush=True)
    sys.stdout.buffer.write(log.read_bytes())
    sys.stdout.flush()
    return status or beside.returncode


if __name__ == "__main__":
    sys.exit(main())
