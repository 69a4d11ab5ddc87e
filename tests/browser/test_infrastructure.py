"""That the tests here see what goes wrong in a page."""

import pytest
from playwright.async_api import Error, Page

from tests.browser.accessibility import assert_accessible
from tests.browser.looks import Look
from tests.browser.program import Deployment
from tests.browser.troubles import LOST_CONNECTION, Troubles

UNPAINTED = "favicon.ico"
"""What a browser asks for beside a document that names no icon."""

STRICT = {
    "Content-Type": "text/html",
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; img-src data:",
}
INACCESSIBLE = "<html lang=en><title>x</title><link rel=icon href='data:,'><h1>x</h1><img src='data:,'></html>"
ACCESSIBLE = INACCESSIBLE.replace("<img", "<img alt=x")


async def test_a_page_of_a_sidecar_that_answers_gives_no_trouble(
    page: Page, sidecar: Deployment, troubles: Troubles
) -> None:
    troubles.expect(UNPAINTED)

    answer = await page.goto(f"{sidecar.url}/healthz")

    assert answer is not None
    assert answer.status == 200


async def test_an_uncaught_error_is_trouble(page: Page, troubles: Troubles) -> None:
    await page.goto("about:blank")
    async with page.expect_event("pageerror"):
        await page.evaluate("() => { setTimeout(() => { throw new Error('oh dear'); }); }")

    assert "oh dear" in troubles.unexpected()[0]
    troubles.expect("oh dear")
    assert troubles.unexpected() == []


async def test_a_console_error_is_trouble(page: Page, troubles: Troubles) -> None:
    async with page.expect_console_message():
        await page.evaluate("() => console.error('not well')")

    assert "not well" in troubles.unexpected()[0]
    troubles.expect("not well")


async def test_a_server_that_is_gone_is_trouble(page: Page, own_sidecar: Deployment, troubles: Troubles) -> None:
    own_sidecar.kill()
    with pytest.raises(Error):
        await page.goto(own_sidecar.url)

    assert troubles.unexpected()
    troubles.expect(LOST_CONNECTION)
    assert troubles.unexpected() == []


async def test_a_request_to_a_stranger_is_trouble(page: Page, sidecar: Deployment, troubles: Troubles) -> None:
    await page.goto(f"{sidecar.url}/healthz")
    with pytest.raises(Error):
        await page.evaluate("() => fetch('http://stranger.example/')")

    assert any("a stranger was asked" in each for each in troubles.unexpected())
    troubles.expect("stranger.example", LOST_CONNECTION, UNPAINTED)


async def test_axe_finds_what_nobody_can_hear_in_a_page_that_runs_no_foreign_script(page: Page) -> None:
    await page.route("**/with", lambda route: route.fulfill(body=ACCESSIBLE, headers=STRICT))
    await page.route("**/without", lambda route: route.fulfill(body=INACCESSIBLE, headers=STRICT))

    await page.goto("http://127.0.0.1:9/without")
    with pytest.raises(AssertionError, match="image-alt"):
        await assert_accessible(page)

    await page.goto("http://127.0.0.1:9/with")
    await assert_accessible(page)


async def test_each_look_reaches_the_page(any_page: Page, look: Look) -> None:
    assert await any_page.evaluate("() => innerWidth") == look.width
    is_dark = await any_page.evaluate("() => matchMedia('(prefers-color-scheme: dark)').matches")
    assert is_dark == (look.color_scheme == "dark")


async def test_a_restarted_sidecar_remembers_and_keeps_its_address(own_sidecar: Deployment) -> None:
    await own_sidecar.push("a", current=3, total=4)

    await own_sidecar.restart()

    assert (await own_sidecar.job("a"))["percent"] == 75


async def test_a_killed_valkey_comes_back(own_sidecar: Deployment) -> None:
    await own_sidecar.push("a", current=1, total=4)

    own_sidecar.kill_valkey()

    assert (await own_sidecar.push("a", current=2))["percent"] == 50
