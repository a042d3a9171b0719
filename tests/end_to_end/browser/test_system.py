"""Admins see on "System" where a person is connected now, and disconnect a device."""

from __future__ import annotations

from dataclasses import replace

import pytest
from playwright.async_api import expect

from shared.domain.users import Role
from tests.end_to_end.browser.conftest import Open, Site
from tests.support.client import PASSWORD

pytestmark = pytest.mark.asyncio(loop_scope="package")


async def test_the_devices_of_a_person_come_and_go_while_an_admin_looks(site: Site, open_page: Open) -> None:
    admin, ann = await site.person("Adam", Role.ADMIN), await site.person("Ann")
    page = await open_page(f"/admin/system?user={ann.id}", admin)
    devices = page.locator("li[data-session]")
    await expect(devices).to_contain_text("Not connected")
    # On the other node than the admin's.
    theirs = await open_page("/messages", ann, node=1)
    await expect(devices).to_contain_text("Connected by WebSocket")
    await theirs.context.close()
    await expect(devices).to_contain_text("Not connected")
    # Another device, which was not there when the list was read.
    credentials = {"email": ann.email, "password": PASSWORD}
    answer = await site.rest.call("POST", "/api/login", 200, body=credentials)
    again = replace(ann, token=answer["access_token"], refresh_token=answer["refresh_token"])
    await open_page("/messages", again)
    await expect(devices.filter(has_text="Connected by WebSocket")).to_have_count(1)
    await expect(devices).to_have_count(2)
    await devices.filter(has_text="Connected by").get_by_role("button").click()
    await expect(devices).to_have_count(1)
    await expect(devices).to_contain_text("Not connected")
