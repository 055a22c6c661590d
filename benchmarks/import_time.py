"""`import freeplay_like` beside `import attrs, msgspec`, each in fresh interpreters; CPU seconds, pair by pair."""

from __future__ import annotations

import resource
import statistics
import subprocess
import sys


def cpu_s(code: str) -> float:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, "-c", code], check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main(rounds: int = 15) -> None:
    floor, ours, used = (
        "import attrs, msgspec",
        "import freeplay_like",
        "from freeplay_like import Freeplay, OpenAIChat",
    )
    cpu_s(floor), cpu_s(ours), cpu_s(used)
    rows = [(cpu_s(floor), cpu_s(ours), cpu_s(used)) for _ in range(rounds)]
    for name, column in (("import attrs, msgspec", 0), ("import freeplay_like", 1), ("... Freeplay, OpenAIChat", 2)):
        seconds = statistics.median(row[column] for row in rows)
        ratio = statistics.median(row[column] / row[0] for row in rows)
        print(f"{name:28} {seconds * 1000:6.1f} ms CPU   {ratio:.2f} x")


if __name__ == "__main__":
    main()
