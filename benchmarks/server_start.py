"""How long does the backend take from its start to its first answer, and how much memory does it hold?

Beside it, as the floor of the same run, a Python process that only imports what serves HTTP and opens the database.
"""

from __future__ import annotations

import argparse
import json
import signal
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path
from typing import Final

import psutil

CLI: Final = (sys.executable, "-m", "freeplay_like.cli")
FLOOR: Final = (
    "import uvicorn.protocols.http.httptools_impl, starlette.applications, sqlalchemy, jinja2\n"
    "print(1, flush=True)\n"
    "input()"
)


def server(data: Path) -> tuple[float, float]:
    """Seconds to the first answer, MiB held when it has answered."""
    began = time.perf_counter()
    command = [*CLI, "serve", "--data", str(data), "--port", "0", "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            url = json.loads(process.stdout.readline())["url"]
            urllib.request.urlopen(f"{url}/healthz", timeout=10).read()  # noqa: S310  an address of our own
            took_s = time.perf_counter() - began
            return took_s, psutil.Process(process.pid).memory_info().rss / 2**20
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(30)


def floor() -> tuple[float, float]:
    """The same for a process that imports the libraries and waits."""
    began = time.perf_counter()
    with subprocess.Popen(
        [sys.executable, "-c", FLOOR], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        took_s = time.perf_counter() - began
        held = psutil.Process(process.pid).memory_info().rss / 2**20
        process.communicate("\n")
    return took_s, held


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder)
        subprocess.run(
            [*CLI, "init", "--data", folder, "--project", "bench", "--json"], check=True, capture_output=True
        )
        for name, runs in (
            ("libraries alone", [floor() for _ in range(asked.rounds)]),
            ("server", [server(data) for _ in range(asked.rounds)]),
        ):
            took_s, held = (statistics.median(run[place] for run in runs) for place in (0, 1))
            print(f"{name:16} first answer after {took_s:.2f} s, {held:.0f} MiB")


if __name__ == "__main__":
    main()
