"""A template over a file of variables, a few calls at a time; run it again to go on where it ended.

    pip install freeplay-like
    export OPENAI_API_KEY=... FREEPLAY_LIKE_API_KEY=... FREEPLAY_LIKE_PROJECT=...
    python examples/batch.py rewrite sentences.csv answers.jsonl

The input is CSV (a column a variable) or JSON Lines (an object a line). Each answer is one line of the output, written
as soon as it is there: {"row": 7, "text": "...", "record_id": "..."}. A row that failed has no line, so that the same
command tries it again; the exit status is then 1. Answers that hit their length limit are continued.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import sys
import threading
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from freeplay_like import Freeplay, OpenAIChat, Retry, Session, parallel
from freeplay_like.core.wire import JsonObject

PROJECT = os.environ["FREEPLAY_LIKE_PROJECT"]


def rows(path: Path) -> Iterator[JsonObject]:
    """The variables of each row."""
    with path.open(encoding="utf-8-sig", newline="") as file:
        yield from csv.DictReader(file) if path.suffix == ".csv" else map(json.loads, file)


class Answers:
    """The output: which rows it holds, and room for more at its end."""

    def __init__(self, path: Path) -> None:
        text = path.read_text(encoding="utf-8") if path.exists() else ""
        whole, _, cut = text.rpartition("\n")  # a run that was killed may have left a part of a line
        self.done = {json.loads(line)["row"] for line in whole.splitlines()}
        self._file = path.open("a", encoding="utf-8")
        self._lock = threading.Lock()
        if cut:
            self._file.truncate(len(text.encode()) - len(cut.encode()))

    def add(self, row: int, text: str, record_id: str | None) -> None:
        with self._lock:
            self._file.write(json.dumps({"row": row, "text": text, "record_id": record_id}) + "\n")
            self._file.flush()


def answer(session: Session, template: str, answers: Answers, row: int, variables: JsonObject) -> None:
    response = session.complete(template, variables)
    answers.add(row, response.text, response.record_id)


def main() -> int:
    parser = argparse.ArgumentParser(description="Run a template over a file of variables.")
    parser.add_argument("template")
    parser.add_argument("input", type=Path)
    parser.add_argument("output", type=Path)
    parser.add_argument("--parallel", type=int, default=4, help="calls at a time")
    options = parser.parse_args()

    answers = Answers(options.output)
    flavor = OpenAIChat(openai_api_base=os.environ.get("OPENAI_BASE_URL"))
    with Freeplay(flavor, retry=Retry(attempts=6, max_wait_s=60)) as fp:
        session = fp.create_session(PROJECT, metadata={"input": options.input.name})

        def jobs() -> Iterator[Callable[[], None]]:
            for row, variables in enumerate(rows(options.input), start=1):
                if row not in answers.done:
                    yield partial(answer, session, options.template, answers, row, variables)

        results = parallel(jobs(), options.parallel)
    failures = [result for result in results if result is not None]
    for failure in failures:
        print(failure, file=sys.stderr)
    print(f"{len(results) - len(failures)} answered, {len(failures)} failed, {len(answers.done)} were there already")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
