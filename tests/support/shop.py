"""A project on a real backend, and a browser that may look at it."""

from __future__ import annotations

import functools

import attrs
import requests
from playwright.sync_api import Page

from freeplay_like.core.records import Record
from support.backend import BackendProcess
from support.records import RecordMaker, post_records


@attrs.define
class Shop:
    """A project on a real server, and who may look at it."""

    backend: BackendProcess
    name: str
    project_id: str = ""
    api_key: str = ""
    records: list[Record] = attrs.field(factory=list)
    special: dict[str, Record] = attrs.field(factory=dict)

    def __attrs_post_init__(self) -> None:
        with self.backend.store() as store:
            project = store.projects.find(self.name) or store.projects.create(self.name)
            self.project_id, self.api_key = project.id, store.keys.create(project)

    @property
    def calls(self) -> str:
        """The address of the list."""
        return f"{self.backend.url}/projects/{self.project_id}/calls"

    def call(self, record: Record) -> str:
        """The address of a call."""
        return f"{self.calls}/{record.record_id}"

    def maker(self, seed: int = 3) -> RecordMaker:
        """Makes further records."""
        return RecordMaker(project_id=self.project_id, seed=seed)

    def post(self, *records: Record) -> None:
        """Store records."""
        post_records(self.backend.api_base, self.api_key, records)

    def sign_in(self, page: Page) -> Page:
        """The page, signed in and at the list."""
        page.context.add_cookies([{"name": n, "value": v, "url": self.backend.url} for n, v in _cookies(self.backend)])
        page.goto(self.calls)
        return page


@functools.cache
def _cookies(backend: BackendProcess) -> tuple[tuple[str, str], ...]:
    """What a browser has that is signed in, one for all tests."""
    with requests.Session() as session:
        session.get(backend.sign_in_url(), timeout=20).raise_for_status()
        return tuple(session.cookies.items())
