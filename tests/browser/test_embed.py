"""A job in somebody else's page: as a frame, and as the element `<progress-job>`."""

from base64 import b64encode
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from aiohttp import web
from playwright.async_api import Page, expect

from tests.browser.accessibility import assert_accessible
from tests.browser.conftest import Contexts
from tests.browser.program import Deployment
from tests.browser.troubles import Troubles

JOB_ID = "night-run"
ADMIN, WORKER, READER = "admin-secret-12345", "worker-secret-1234", "reader-secret-1234"
LISTEN = """
globalThis.heard = [];
addEventListener("message", ({ data, origin }) => heard.push({ ...data, origin, at: performance.now() }));
for (const name of ["progress", "done", "gone", "denied", "close"]) {
  addEventListener(name, (event) => {
    if (event.target.localName !== "progress-job") return;
    heard.push({ event: name, ...event.detail, at: performance.now() });
  });
}
"""
DOCUMENT = """<!doctype html><html lang="en"><head><title>An app</title><link rel="icon" href="data:,">
<script src="/listen.js"></script><script type="module" src="{url}/web/progress-job.js"></script></head>
<body><main><h1>An app</h1><button>Open</button>{body}</main></body></html>"""
POLICY = (
    "default-src 'none'; script-src 'self' {url}; connect-src {url}; style-src 'self'; frame-src {url}; img-src data:"
)


DARK = 64
READ_PIXEL = """async (source) => {
  const picture = new Image();
  picture.src = source;
  await picture.decode();
  const context = Object.assign(document.createElement("canvas"), { width: 1, height: 1 }).getContext("2d");
  context.drawImage(picture, 0, 0);
  return [...context.getImageData(0, 0, 1, 1).data].slice(0, 3);
}"""
COUNT_CHANGES = """(card) => {
  globalThis.changes = 0;
  const count = (records) => (globalThis.changes += records.length);
  new MutationObserver(count).observe(card, { childList: true, characterData: true, subtree: true });
}"""


class App:
    """An app of another origin, with a policy as strict as the sidecar's own; `body` is what its page has."""

    def __init__(self) -> None:
        self.body = ""
        self.origin = ""
        self.sidecar_url = ""

    @property
    def application(self) -> web.Application:
        """What serves it."""
        application = web.Application()
        application.add_routes([web.get("/", self._page), web.get("/listen.js", self._script)])
        return application

    async def _page(self, _: web.Request) -> web.Response:
        text = DOCUMENT.format(url=self.sidecar_url, body=self.body)
        policy = {"Content-Security-Policy": POLICY.format(url=self.sidecar_url)}
        return web.Response(text=text, content_type="text/html", headers=policy)

    async def _script(self, _: web.Request) -> web.Response:
        return web.Response(text=LISTEN, content_type="text/javascript")


@dataclass(frozen=True, slots=True)
class Embedding:
    """The app, the sidecar that names its origin, and the page in which it is open."""

    app: App
    sidecar: Deployment
    page: Page

    async def frame(self, query: str = "") -> None:
        """Open the app with the job in a frame."""
        await self.open(f'<iframe title="Job" src="{self.sidecar.url}/embed/{JOB_ID}{query}"></iframe>')

    async def open(self, body: str) -> None:
        """Open the app with this in its page."""
        self.app.body = body
        await self.page.goto(self.app.origin)

    async def heard(self, event: str) -> dict[str, Any]:
        """Wait for an event, and return the last of its name."""
        found = await self.page.wait_for_function(
            "(event) => globalThis.heard.findLast((each) => each.event === event)", arg=event
        )
        return dict(await found.json_value())


@pytest_asyncio.fixture(loop_scope="session")
async def embed(tmp_path: Path, contexts: Contexts) -> AsyncIterator[Callable[..., Any]]:
    """Return what starts an app and a sidecar with some settings, and opens a page for them."""
    app = App()
    runner = web.AppRunner(app.application)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    app.origin = f"http://127.0.0.1:{runner.addresses[0][1]}"
    started: list[Deployment] = []

    async def start(page: Page | None = None, **settings: object) -> Embedding:
        sidecar = await Deployment(tmp_path / "home", cors_origins=app.origin, **settings).up()
        started.append(sidecar)
        app.sidecar_url = sidecar.url
        return Embedding(app, sidecar, page or await contexts.page())

    yield start
    await contexts.close()
    for sidecar in started:
        sidecar.kill()
    await runner.cleanup()


Start = Callable[..., Any]


async def test_a_frame_tells_its_parent_of_the_job_and_closes_itself_2_seconds_after_success(embed: Start) -> None:
    embedding: Embedding = await embed()
    await embedding.sidecar.push(JOB_ID, current=1, total=4)
    await embedding.frame()
    told = await embedding.heard("progress")
    assert (told["type"], told["job_id"], told["origin"]) == ("progress-job", JOB_ID, embedding.sidecar.url)
    assert told["job"]["percent"] == 25
    card = embedding.page.frame_locator("iframe").locator(".card")
    await expect(card).to_be_visible()
    assert (await embedding.heard("resize"))["height"] > 50

    await embedding.sidecar.push(JOB_ID, status="completed")
    done, closed = await embedding.heard("done"), await embedding.heard("close")
    assert done["job"]["status"] == "completed"
    assert 1900 < closed["at"] - done["at"] < 3500
    await expect(card).to_be_hidden()


async def test_an_element_shows_another_attempt_of_a_job_that_had_failed(embed: Start) -> None:
    embedding: Embedding = await embed()
    await embedding.page.clock.install()
    await embedding.sidecar.push(JOB_ID, current=1, total=4)
    await embedding.sidecar.push(JOB_ID, status="failed")
    await embedding.open(f'<progress-job job-id="{JOB_ID}" autoclose></progress-job>')
    card = embedding.page.locator("progress-job .card").first
    await expect(card.locator(".badge")).to_have_text("Failed")

    await embedding.sidecar.push(JOB_ID, attempt=2, current=2, total=4)
    await embedding.page.clock.fast_forward(16_000)
    await expect(card.locator(".badge")).to_have_text("Running")
    await expect(card.get_by_role("progressbar")).to_have_attribute("aria-valuenow", "50")


async def test_a_frame_stays_when_the_job_failed_and_can_be_closed(embed: Start) -> None:
    embedding: Embedding = await embed()
    await embedding.page.clock.install()
    await embedding.sidecar.push(JOB_ID, current=1, total=4)
    await embedding.frame()
    await embedding.heard("progress")
    await embedding.sidecar.push(JOB_ID, status="failed", error={"message": "<b>no room</b>"})
    await embedding.heard("done")

    await embedding.page.clock.fast_forward(60_000)
    frame = embedding.page.frame_locator("iframe")
    await expect(frame.locator(".error-message")).to_have_text("<b>no room</b>")
    await frame.get_by_role("button", name="Close").click()
    await embedding.heard("close")
    await expect(frame.locator(".card")).to_be_hidden()


async def test_a_frame_of_a_job_that_had_ended_before_stays(embed: Start) -> None:
    embedding: Embedding = await embed()
    await embedding.page.clock.install()
    await embedding.sidecar.push(JOB_ID, status="completed")
    await embedding.frame()
    await embedding.heard("done")

    await embedding.page.clock.fast_forward(60_000)
    await expect(embedding.page.frame_locator("iframe").get_by_text("Completed")).to_have_count(2)
    assert await embedding.page.evaluate("() => heard.some(({ event }) => event === 'close')") is False


@pytest.mark.parametrize("scheme", ["dark", "light"])
async def test_a_frame_lets_the_page_around_it_shine_through(embed: Start, scheme: str) -> None:
    embedding: Embedding = await embed()
    await embedding.sidecar.push(JOB_ID, current=1, total=4)
    await embedding.frame(f"?theme={scheme}")
    await embedding.page.evaluate(
        """(scheme) => {
            document.documentElement.style.colorScheme = scheme;
            document.documentElement.style.background = "rgb(200, 30, 90)";
        }""",
        scheme,
    )
    await expect(embedding.page.frame_locator("iframe").get_by_role("progressbar")).to_be_visible()
    beside = await embedding.page.locator("iframe").evaluate(
        "(frame) => { const { x, y } = frame.getBoundingClientRect(); return [x + frame.clientLeft + 1, y + 60]; }"
    )
    assert await _pixel(embedding.page, *beside) == (200, 30, 90)


async def test_a_page_of_its_own_is_dark_for_who_prefers_that(embed: Start, dark_page: Page) -> None:
    embedding: Embedding = await embed(dark_page)
    await embedding.sidecar.push(JOB_ID, current=1, total=4)
    await dark_page.goto(f"{embedding.sidecar.url}/embed/{JOB_ID}")
    await expect(dark_page.get_by_role("progressbar")).to_be_visible()
    assert max(await _pixel(dark_page, 20, 700)) < DARK


async def _pixel(page: Page, x: float, y: float) -> tuple[int, ...]:
    """Return the colour of a place of the page."""
    picture = await page.screenshot(clip={"x": x, "y": y, "width": 1, "height": 1})
    source = f"data:image/png;base64,{b64encode(picture).decode()}"
    return tuple(await page.evaluate(READ_PIXEL, source))


async def test_a_frame_that_is_told_to_stay_stays(embed: Start) -> None:
    embedding: Embedding = await embed()
    await embedding.page.clock.install()
    await embedding.sidecar.push(JOB_ID, status="completed")
    await embedding.frame("?autoclose=false")
    await embedding.heard("done")

    await embedding.page.clock.fast_forward(60_000)
    await expect(embedding.page.frame_locator("iframe").get_by_text("Completed")).to_have_count(2)


async def test_a_frame_tells_nothing_to_another_origin_than_the_stated_one(embed: Start, troubles: Troubles) -> None:
    troubles.expect("does not match the recipient window's origin")
    embedding: Embedding = await embed()
    await embedding.sidecar.push(JOB_ID, current=1, total=4)
    async with embedding.page.expect_console_message(lambda message: "does not match" in message.text):
        await embedding.frame("?origin=http://127.0.0.1:1")

    await expect(embedding.page.frame_locator("iframe").get_by_role("progressbar")).to_be_visible()
    assert await embedding.page.evaluate("() => heard") == []


async def test_the_element_works_in_an_app_of_another_origin_with_a_strict_policy(embed: Start) -> None:
    embedding: Embedding = await embed()
    await embedding.sidecar.push(JOB_ID, current=1, total=4)
    await embedding.open(f'<progress-job job-id="{JOB_ID}" label="My &lt;b&gt;report&lt;/b&gt;"></progress-job>')
    bar = embedding.page.get_by_role("progressbar")
    await expect(bar).to_have_attribute("aria-valuenow", "25")
    await expect(bar).to_have_css("height", "8px")
    await expect(embedding.page.get_by_role("heading", level=2)).to_have_text("My <b>report</b>")
    await expect(embedding.page.get_by_role("button", name="Close")).to_have_count(0)

    await embedding.sidecar.push(JOB_ID, current=3)
    await expect(bar).to_have_attribute("aria-valuenow", "75")
    await embedding.sidecar.push(JOB_ID, status="completed", result={"pages": 3})
    assert (await embedding.heard("done"))["job"]["result"] == {"pages": 3}
    percents = await embedding.page.evaluate(
        "() => heard.filter(({ event }) => event === 'progress').map(({ job }) => job.percent)"
    )
    assert percents == sorted(percents)
    assert all(before != after for before, after in pairwise(percents[-2:]))


async def test_what_the_element_says_stays_where_it_is_while_it_says_the_same(embed: Start) -> None:
    embedding: Embedding = await embed()
    await embedding.page.clock.install()
    await embedding.sidecar.push(JOB_ID, stage="solving", current=1, total=4, message="one of four")
    await embedding.open(f'<progress-job job-id="{JOB_ID}"></progress-job>')
    card = embedding.page.locator("progress-job .card").first
    await expect(card.get_by_text("one of four")).to_be_visible()
    await card.evaluate(COUNT_CHANGES)
    await embedding.page.clock.run_for(3_000)
    assert await embedding.page.evaluate("changes") == 0

    await embedding.sidecar.push(JOB_ID, message="nearly two")
    await expect(card.get_by_text("nearly two")).to_be_visible()
    assert await embedding.page.evaluate("changes") == 1


async def test_the_element_closes_itself_2_seconds_after_success_and_stays_in_the_document(embed: Start) -> None:
    embedding: Embedding = await embed()
    await embedding.sidecar.push(JOB_ID, current=1, total=4)
    await embedding.open(f'<progress-job job-id="{JOB_ID}" autoclose></progress-job>')
    await embedding.heard("progress")
    await embedding.sidecar.push(JOB_ID, status="completed")

    done, closed = await embedding.heard("done"), await embedding.heard("close")
    assert closed["reason"] == "completed"
    assert 1900 < closed["at"] - done["at"] < 3500
    await expect(embedding.page.locator("progress-job")).to_be_hidden()
    await expect(embedding.page.locator("progress-job")).to_have_count(1)


async def test_the_element_as_a_dialog_is_modal_and_gives_the_focus_back(embed: Start) -> None:
    embedding: Embedding = await embed()
    await embedding.sidecar.push(JOB_ID, current=1, total=4)
    await embedding.open("")
    await embedding.page.get_by_role("button", name="Open").focus()
    await embedding.page.evaluate(
        """(jobId) => {
            const element = document.createElement("progress-job");
            element.setAttribute("job-id", jobId);
            element.setAttribute("dialog", "");
            document.querySelector("main").append(element);
        }""",
        JOB_ID,
    )
    dialog = embedding.page.get_by_role("dialog", name="Progress")
    await expect(dialog).to_be_visible()
    await expect(dialog.get_by_role("progressbar")).to_have_attribute("aria-valuenow", "25")
    await assert_accessible(embedding.page)

    await embedding.page.keyboard.press("Escape")
    assert (await embedding.heard("close"))["reason"] == "reader"
    await expect(dialog).to_be_hidden()
    await expect(embedding.page.get_by_role("button", name="Open")).to_be_focused()


async def test_another_job_id_shows_another_job(embed: Start) -> None:
    embedding: Embedding = await embed()
    await embedding.sidecar.push(JOB_ID, current=1, total=4)
    await embedding.sidecar.push("day-run", current=3, total=4)
    await embedding.open(f'<progress-job job-id="{JOB_ID}" dialog></progress-job>')
    await expect(embedding.page.get_by_role("progressbar")).to_have_attribute("aria-valuenow", "25")

    await embedding.page.locator("progress-job").evaluate("(element) => element.setAttribute('job-id', 'day-run')")
    await expect(embedding.page.get_by_role("progressbar")).to_have_attribute("aria-valuenow", "75")
    assert await embedding.page.evaluate("() => heard.some(({ event }) => event === 'close')") is False


async def test_a_dialog_that_is_closed_leaves_the_app_to_its_reader(embed: Start) -> None:
    embedding: Embedding = await embed()
    await embedding.sidecar.push(JOB_ID, current=1, total=4)
    await embedding.open(f'<progress-job job-id="{JOB_ID}" dialog></progress-job>')
    await embedding.page.get_by_role("button", name="Close").click()

    assert (await embedding.heard("close"))["reason"] == "reader"
    await embedding.page.get_by_role("button", name="Open").click()


async def test_an_element_that_is_removed_leaves_no_connection(embed: Start) -> None:
    embedding: Embedding = await embed()
    await embedding.sidecar.push(JOB_ID, current=1, total=4)
    await embedding.open(f'<progress-job job-id="{JOB_ID}"></progress-job>')
    await expect(embedding.page.get_by_role("progressbar")).to_have_attribute("aria-valuenow", "25")
    streams = 'progress_stream_connections{transport="sse"}'
    await embedding.sidecar.until_value(streams, 1)

    await embedding.page.locator("progress-job").evaluate("(element) => element.remove()")
    await embedding.sidecar.until_value(streams, 0)


async def test_the_element_watches_with_a_token_and_says_so_when_it_is_not_good_enough(
    embed: Start, troubles: Troubles
) -> None:
    troubles.expect("status of 401")
    embedding: Embedding = await embed(tokens=f"worker:*:{WORKER};reader:*:{READER}")
    answer = await embedding.page.request.post(
        f"{embedding.sidecar.url}/v1/jobs/{JOB_ID}",
        headers={"Authorization": f"Bearer {WORKER}"},
        data={"current": 1, "total": 4},
    )
    assert answer.ok
    await embedding.open(f'<progress-job job-id="{JOB_ID}" token="{READER}"></progress-job>')
    await expect(embedding.page.get_by_role("progressbar")).to_have_attribute("aria-valuenow", "25")

    await embedding.open(f'<progress-job job-id="{JOB_ID}" token="an-unknown-secret-1"></progress-job>')
    assert (await embedding.heard("denied"))["reason"] == "unauthorized"
    await expect(embedding.page.get_by_text("You may not see this job from here.")).to_be_visible()


async def test_a_link_lets_a_frame_and_an_element_on_another_site_show_their_job(embed: Start) -> None:
    embedding: Embedding = await embed(tokens=f"admin:*:{ADMIN}")
    headers, job = {"Authorization": f"Bearer {ADMIN}"}, f"{embedding.sidecar.url}/v1/jobs/{JOB_ID}"
    await embedding.page.request.post(job, headers=headers, data={"current": 1, "total": 4})
    made = await (await embedding.page.request.post(f"{job}/links", headers=headers)).json()

    await embedding.open(f'<iframe title="Job" src="{embedding.sidecar.url}{made["embed_url"]}"></iframe>')
    bar = embedding.page.frame_locator("iframe").get_by_role("progressbar")
    await expect(bar).to_have_attribute("aria-valuenow", "25")
    await embedding.page.request.post(job, headers=headers, data={"current": 2})
    await expect(bar).to_have_attribute("aria-valuenow", "50")

    await embedding.open(f'<progress-job job-id="{JOB_ID}" link="{made["link"]}"></progress-job>')
    await expect(embedding.page.get_by_role("progressbar")).to_have_attribute("aria-valuenow", "50")


async def test_nothing_serious_keeps_anyone_from_reading_it(embed: Start, any_page: Page) -> None:
    embedding: Embedding = await embed(any_page)
    await embedding.sidecar.push(JOB_ID, stage="solving", current=1, total=4, message="one of four")
    await embedding.open(f'<progress-job job-id="{JOB_ID}" autoclose></progress-job>')
    await expect(any_page.get_by_role("progressbar")).to_be_visible()
    await assert_accessible(any_page)
    await any_page.goto(f"{embedding.sidecar.url}/embed/{JOB_ID}")
    await expect(any_page.get_by_role("progressbar")).to_be_visible()
    await assert_accessible(any_page)

    await embedding.sidecar.push(JOB_ID, status="failed", error={"message": "no room", "stack": "x" * 300})
    await expect(any_page.locator(".error-message")).to_be_visible()
    await assert_accessible(any_page)
