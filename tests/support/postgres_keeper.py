"""Ends what a test started of PostgreSQL, and removes its folder, once the test run is over: also when it was killed.

A process of its own, run as a script: its standard input is a pipe that only the test run holds.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import psutil

_IPC_RMID = 0
_SHARED_MEMORY_LINE = 6
"""Of `postmaster.pid`, counted from 0: key and id of the System V segment that guards the data folder."""


def kill_all_in(folder: Path) -> None:
    """Kill -9 every process that works in this folder or below it, the eldest (a postmaster) first.

    A server and its backends all work in its data folder, so this finds backends that outlive their postmaster too.
    """
    while found := [each for each in psutil.process_iter(["cwd", "create_time"]) if _works_in(each, folder)]:
        for process in sorted(found, key=lambda each: each.info["create_time"]):
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        time.sleep(0.005)


def _works_in(process: psutil.Process, folder: Path) -> bool:
    works_in = process.info["cwd"]  # None for what belongs to somebody else
    return bool(works_in) and Path(works_in).is_relative_to(folder)


def remove(folder: Path) -> None:
    """End all processes of the folder's clusters, and leave nothing of them: no segment, no mount, no file."""
    kill_all_in(folder)
    for pid_file in folder.glob("*/postmaster.pid"):
        _remove_segment(pid_file)
    for line in Path("/proc/self/mounts").read_text().splitlines() if sys.platform == "linux" else ():
        mount_point = line.split()[1]
        if Path(mount_point).is_relative_to(folder):
            subprocess.run(["umount", "--lazy", mount_point], check=True)
    shutil.rmtree(folder)


def _remove_segment(pid_file: Path) -> None:
    """A killed server leaves its System V segment, which only its next start would remove."""
    lines = pid_file.read_text().splitlines()
    if len(lines) > _SHARED_MEMORY_LINE and (numbers := lines[_SHARED_MEMORY_LINE].split()):
        ctypes.CDLL(None).shmctl(int(numbers[1]), _IPC_RMID, None)


def main() -> None:
    """Wait for the end of the test run."""
    while os.read(0, 4096):
        pass
    remove(Path(sys.argv[1]))


if __name__ == "__main__":
    main()
