"""Replays that a backend carries out itself, asked for as a reviewer would."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

import requests

from freeplay_like.core.records import Record
from freeplay_like.local.simulator import Simulator
from support.backend import BackendProcess
from support.plain_records import a_record
from support.records import post_records
from support.waiting import until

SECRET = "a-secret-of-the-provider-0123456789"
PATIENCE_S = 60.0


class Reviewer:
    """Somebody at a browser without JavaScript: forms are posted, and what is shown is read as JSON."""

    def __init__(self, backend: BackendProcess) -> None:
        self.backend = backend
        self._browser = requests.Session()
        self._browser.get(backend.sign_in_url(), timeout=20).raise_for_status()

    @property
    def base(self) -> str:
        return f"{self.backend.url}/projects/{self.backend.project_id}"

    def post(self, path: str, **fields: object) -> requests.Response:
        headers = {"Sec-Fetch-Site": "same-origin", "Accept": "text/html"}
        return self._browser.post(
            f"{self.base}/{path}", data=fields, headers=headers, timeout=30, allow_redirects=False
        )

    def begin(self, path: str, **fields: object) -> str:
        """The path of what was begun."""
        answer = self.post(path, **fields)
        assert answer.status_code == 303, answer.text[-2000:]
        return urlsplit(answer.headers["location"]).path.removeprefix(urlsplit(self.base).path + "/")

    def read(self, path: str, **query: str) -> Any:
        answer = self._browser.get(f"{self.base}/{path}.json", params=query, timeout=30)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def ended(self, path: str) -> Any:
        until(lambda: self.read(path)["replay"]["state"] != "running", PATIENCE_S, "the end of the replay")
        return self.read(path)


def connected(backend: BackendProcess, simulator: Simulator) -> Reviewer:
    body = {"base_url": simulator.openai_base, "secret": SECRET}
    url = f"{backend.project_base}/providers/openai_chat"
    assert requests.put(url, json=body, headers=backend.headers, timeout=30).status_code == 200
    return Reviewer(backend)


def recorded(backend: BackendProcess, count: int) -> list[Record]:
    made = [a_record(backend.project_id, question=f"q{number}", answer=f"q{number}") for number in range(count)]
    post_records(backend.api_base, backend.api_key, made)
    return made


def asked_again(
    backend: BackendProcess, simulator: Simulator, count: int, model: str = "sim:echo"
) -> tuple[Reviewer, str]:
    reviewer = connected(backend, simulator)
    recorded(backend, count)
    return reviewer, reviewer.begin("replays/new?q=model:gpt-x", model=model, flavor="", parameters="", limit=count)
