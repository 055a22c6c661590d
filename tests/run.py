"""Run the tests, on two cores at once: those that wait for servers and browsers beside those that compute.

With arguments: one pytest with these arguments.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Final

HERE: Final = Path(__file__).parent
WAITING: Final = ("browser", "process")
"""The folders whose tests mostly wait. All others are run beside them, and shown when these are done."""
PYTEST: Final = (sys.executable, "-m", "pytest")


def main() -> int:
    """The worst status of both."""
    if sys.argv[1:]:
        return subprocess.call([*PYTEST, *sys.argv[1:]])
    waiting = [str(HERE / name) for name in WAITING]
    computing = [*PYTEST, str(HERE), *(f"--ignore={path}" for path in waiting), "-p", "no:cacheprovider"]
    log = Path("computing.log")
    with log.open("wb") as output, subprocess.Popen(computing, stdout=output, stderr=subprocess.STDOUT) as beside:
        try:
            status = subprocess.call([*PYTEST, *waiting])
            beside.wait()
        finally:
            beside.terminate()
    print("== the tests that ran beside these", flush=True)
    sys.stdout.buffer.write(log.read_bytes())
    sys.stdout.flush()
    return status or beside.returncode


if __name__ == "__main__":
    sys.exit(main())
