"""A page at one server, and what comes to another over the same PostgreSQL."""

from __future__ import annotations

import pytest
import requests
from playwright.sync_api import Page, expect

from freeplay_like.core.wire import to_wire
from support.records import post_records
from support.servers import Pair
from support.shop import Shop

pytestmark = pytest.mark.browser


def test_a_page_at_one_server_shows_what_another_takes_and_what_grows_there(page: Page, pair: Pair) -> None:
    shop = Shop(backend=pair.b, name="bakery")
    first, second, growing = shop.maker().make(3)
    shop.post(first)
    shop.sign_in(page)
    expect(page.locator("[data-live]")).to_have_text("live")
    post_records(pair.a.api_base, shop.api_key, [second])
    expect(page.locator("#rows > tr")).to_have_count(2)

    def tell(**call: object) -> None:
        requests.post(
            f"{pair.a.api_base}/v2/projects/{shop.project_id}/records:live",
            data=to_wire({"calls": [{"record_id": growing.record_id, **call}]}),
            headers={"Authorization": f"Bearer {shop.api_key}"},
            timeout=20,
        ).raise_for_status()

    tell(record=growing, text="Once upon")
    expect(page.locator("#running")).to_contain_text("1 streaming now")
    page.locator("#running a").click()
    expect(page.locator("[aria-busy=true]")).to_contain_text("Once upon")
    tell(at=9, text=" a time")
    expect(page.locator("[aria-busy=true]")).to_contain_text("Once upon a time")
    post_records(pair.a.api_base, shop.api_key, [growing])
    expect(page.locator("[aria-busy=true]")).to_have_count(0)
