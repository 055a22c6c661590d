"""A provider on this machine that always answers with the same small program, for `--simulate` and for tests.

It speaks OpenAI's wire format over HTTP, so that everything but the answers is real. The program is in `simulated/`.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

from freeplay_like.core.wire import JsonObject
from freeplay_like.local.scripts import Script
from freeplay_like.local.simulated_http import SeenRequest
from freeplay_like.local.simulator import Simulator

PROGRAM = Path(__file__).with_name("simulated")
FILES = ("index.html", "css/style.css", "timer.js", "README.md")
"""The paths of the program."""

_FILE_ASKED_FOR = re.compile(r"^Write the file (.+)$", re.MULTILINE)


class SimulatedDeveloper(Simulator):
    """Answers what the three templates ask; `delay_ms` passes before each word."""

    def __init__(self, *, delay_ms: float = 0) -> None:
        super().__init__()
        self._delay_ms = delay_ms

    def take_request(self, request: SeenRequest) -> None:
        """Choose the answer by what is asked; what was enqueued goes first."""
        super().take_request(request)
        if request.script == self.default:
            request.script = Script(text=self.answer(request.body), delay_ms=self._delay_ms)

    def answer(self, body: JsonObject) -> str:
        """The text of the answer to this request."""
        path = file_asked_for(body)
        if path is not None:
            code = (PROGRAM / path).read_text(encoding="utf-8")
            return f"````\n{code}````\n"  # four ticks: a file may hold fences of three
        if "response_format" in body:
            return json.dumps({"files": FILES})
        return (PROGRAM / "plan.md").read_text(encoding="utf-8")


def file_asked_for(body: JsonObject) -> str | None:
    """The file that a request of the template `code` is about, None for other requests."""
    messages = body.get("messages")
    said = [message for message in messages if isinstance(message, dict)] if isinstance(messages, list) else []
    found = _FILE_ASKED_FOR.findall("\n".join(str(message["content"]) for message in said if message["role"] == "user"))
    return found[-1] if found else None
