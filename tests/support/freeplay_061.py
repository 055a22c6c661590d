"""The unmodified client freeplay 0.6.1 in a program of its own, and a plain client beside it to look at what it did."""

from __future__ import annotations

from typing import Any

import requests

from freeplay_like.core.records import Amendment, Record
from freeplay_like.core.wire import from_wire, to_wire
from support.backend import BackendProcess
from support.environments import Environment

TIMEOUT_S = 30

CLIENT = """
import warnings
from uuid import UUID, uuid4
from freeplay import Freeplay
from freeplay.errors import FreeplayClientError, FreeplayError
from freeplay.resources.recordings import *
from freeplay.resources.prompts import PromptVersionInfo
from freeplay.resources.traces import TraceUpdatePayload
from freeplay.model import MediaInputBase64, MediaInputUrl, TestRunInfo
api_base, key, project = ARGS[:3]
fp = Freeplay(freeplay_api_key=key, api_base=api_base)

def refused(call):
    try:
        call()
    except FreeplayError as exc:
        return [type(exc).__name__, str(exc)]
    return ["nothing", ""]
"""


def run(environment: Environment, backend: BackendProcess, code: str, *arguments: object) -> Any:
    return environment.program(CLIENT + code, backend.api_base, backend.api_key, backend.project_id, *arguments)


def ask(backend: BackendProcess, method: str, path: str, body: object = None) -> requests.Response:
    data = None if body is None else to_wire(body)
    url = f"{backend.project_base}/{path}"
    return requests.request(method, url, data=data, headers=backend.headers, timeout=TIMEOUT_S)


def record(backend: BackendProcess, record_id: str) -> Record:
    answer = ask(backend, "GET", f"completions/{record_id}")
    assert answer.status_code == 200, answer.text
    return from_wire(answer.content, Record)


def said_of(backend: BackendProcess, record_id: str) -> list[Amendment]:
    found = ask(backend, "GET", f"completions/{record_id}").json()["amendments"]
    return [from_wire(to_wire(each), Amendment) for each in found]


ANSWERED = {"messages": [{"role": "user", "content": "Q"}, {"role": "assistant", "content": "A"}]}
SOME = "00000000-0000-4000-8000-000000000000"


def deep(levels: int) -> object:
    value: object = "x"
    for _ in range(levels):
        value = [value]
    return value
