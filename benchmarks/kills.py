"""Does any acknowledged record get lost when the backend is killed (kill -9) under load, however often?"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from support.backend import BackendProcess
from support.kills import survive


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=300)
    asked = parser.parse_args()
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder, BackendProcess(Path(folder) / "data") as backend:
        survived = survive(backend, asked.kills)
    lost = survived.acknowledged - set(survived.stored)
    doubled = len(survived.stored) - len(set(survived.stored))
    print(
        f"{asked.kills} kills in {time.monotonic() - began:.0f} s: {len(survived.acknowledged):,} records "
        f"acknowledged, {len(lost)} lost, {doubled} stored twice, integrity: {survived.integrity}"
    )
    sys.exit(1 if lost or doubled or survived.integrity != "ok" else 0)


if __name__ == "__main__":
    main()
