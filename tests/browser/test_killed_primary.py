"""Somebody reviews calls while the primary is killed: nothing that was typed is lost, and the standby goes on."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from support.backend import BackendProcess
from support.browser import Pages
from support.postgres import Cluster
from support.shop import Shop

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]


def test_a_note_survives_the_primary(page: Page, pages: Pages, postgres: Cluster, tmp_path: Path) -> None:
    pages.expect("503")
    with Cluster(fsync=True) as cluster:
        standby = cluster.standby("standby_b", synchronous=True)
        cluster.create_database("app")
        url = f"postgresql://app@{cluster.address},{standby.address}/app"
        with BackendProcess(tmp_path / "data", database_url=url, servers=2) as backend:
            shop = Shop(backend=backend, name="bakery")
            (record,) = shop.maker().make(1)
            shop.post(record)
            shop.sign_in(page).goto(shop.call(record))
            page.get_by_label("Note").fill("Never says the price.")
            cluster.kill()
            page.get_by_role("button", name="Bad", exact=True).click()
            expect(page.get_by_role("alert")).to_contain_text("cannot answer just now")
            expect(page.get_by_label("Note")).to_have_value("Never says the price.")
            standby.promote()
            page.get_by_role("button", name="Bad", exact=True).click()
            expect(page.get_by_role("alert")).to_be_empty()
            expect(page.get_by_role("button", name="Bad", exact=True)).to_have_attribute("aria-pressed", "true")
            page.reload()
            expect(page.get_by_label("Note")).to_have_value("Never says the price.")
