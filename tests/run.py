"""Run the tests on two cores: in portions of about the same length, of which two run at a time.

With arguments: one pytest with these arguments.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

HERE: Final = Path(__file__).parent
PYTEST: Final = (sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--durations=10")
AT_ONCE: Final = 2
PORTIONS: Final = {"browser": 3, "process": 4, "others": 3}
"""In how many the tests of a folder are run, the longest first; `others` are those of folders that are not named."""

_shown: Final = threading.Lock()


def main() -> int:
    """The worst status of all."""
    if sys.argv[1:]:
        return subprocess.call([*PYTEST, *sys.argv[1:]])
    with ThreadPoolExecutor(AT_ONCE) as pool:
        try:
            return max(pool.map(run, portions()))
        except KeyboardInterrupt:  # the portions that run were told as well
            pool.shutdown(cancel_futures=True)
            raise


def portions() -> Iterator[list[str]]:
    """The files of each."""
    files: dict[str, list[str]] = {folder: [] for folder in PORTIONS}
    for path in sorted(HERE.rglob("test_*.py")):
        folder = path.relative_to(HERE).parts[0]
        files[folder if folder in files else "others"].append(str(path.relative_to(HERE.parent)))
    for folder, count in PORTIONS.items():
        yield from (files[folder][part::count] for part in range(count))


def run(files: list[str]) -> int:
    """The status of these tests; what they say is shown in one piece, when they have ended."""
    with tempfile.TemporaryFile() as log:
        status = subprocess.call([*PYTEST, *files], cwd=HERE.parent, stdout=log, stderr=subprocess.STDOUT)
        log.seek(0)
        with _shown:
            sys.stdout.buffer.write(log.read())
            sys.stdout.flush()
    return status


if __name__ == "__main__":
    sys.exit(main())
