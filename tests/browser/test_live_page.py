"""The live page, as its readers see it, over a real sidecar."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import Page, expect

from tests.browser.accessibility import assert_accessible
from tests.browser.conftest import Contexts
from tests.browser.program import Deployment
from tests.browser.troubles import LOST_CONNECTION, Troubles

HOSTILE = '<img src="x" onerror="document.title=1">'
MANY = 1_000
BACK_MILLISECONDS = 20_000
"""How long a page may take to be back after a break: it waits longer after each failure."""

TOKEN = "a-token-of-many-characters"
KEEP_ROWS = """() => { globalThis.kept = new Map(
  [...document.querySelectorAll("#active .job")].map((row) => [row.querySelector(".id").textContent, row])); }"""
ARE_SAME_ROWS = """() => [...document.querySelectorAll("#active .job")]
  .every((row) => globalThis.kept.get(row.querySelector(".id").textContent) === row)"""


async def opened(page: Page, sidecar: Deployment, query: str) -> Page:
    """Open the page, and wait until it is live."""
    await page.goto(f"{sidecar.url}/{query}")
    await expect(page.locator("#connection")).to_have_text("Live")
    return page


async def test_bar_moves_while_a_worker_pushes_and_the_job_ends_below(
    page: Page, sidecar: Deployment, project: str
) -> None:
    job_id = f"{project}-moving"
    await sidecar.push(job_id, project=project, current=10, total=100, unit="files", message="the first ten")
    await opened(page, sidecar, f"?project={project}")
    bar = page.locator("#active").get_by_role("progressbar", name=job_id)
    await expect(bar).to_have_attribute("aria-valuenow", "10")
    await sidecar.push(job_id, current=60, message="more than half")
    await expect(bar).to_have_attribute("aria-valuenow", "60")
    await expect(page.get_by_text("more than half")).to_be_visible()
    await sidecar.push(job_id, status="completed")
    done = page.locator("#finished").get_by_role("progressbar", name=job_id)
    await expect(done).to_have_attribute("aria-valuenow", "100")
    await expect(bar).to_have_count(0)
    await expect(page.locator("#announcements")).to_contain_text(f"{job_id}: Completed.")


async def test_newest_jobs_stand_first_wherever_they_come_from(page: Page, sidecar: Deployment, project: str) -> None:
    for name in ("a", "b", "c"):
        await sidecar.push(f"{project}-{name}", project=project, current=1)
    await opened(page, sidecar, f"?project={project}")
    await sidecar.push(f"{project}-d", project=project, current=1)
    await sidecar.push(f"{project}-a", current=2)
    ids = page.locator("#active .id")
    await expect(ids).to_have_text([f"{project}-{name}" for name in ("d", "c", "b", "a")])


async def test_deleted_job_leaves(page: Page, sidecar: Deployment, project: str) -> None:
    await sidecar.push(f"{project}-a", project=project, current=1)
    await opened(page, sidecar, f"?project={project}")
    await expect(page.locator("#active .id")).to_have_count(1)
    await sidecar.delete(f"{project}-a")
    await expect(page.locator("#active .id")).to_have_count(0)
    await expect(page.locator("#nothing")).to_contain_text("No jobs yet")


async def test_filters_stand_in_the_address_and_survive_a_reload(page: Page, sidecar: Deployment, project: str) -> None:
    await sidecar.push(f"{project}-run", project=project, job_type="import", current=1)
    await sidecar.push(f"{project}-wait", project=project, job_type="import", status="paused")
    await sidecar.push(f"{project}-other", project=project, job_type="crawl", current=1)
    await opened(page, sidecar, f"?project={project}")
    ids = page.locator("#active .id:visible")
    await expect(ids).to_have_count(3)
    await page.get_by_role("combobox", name="Type").select_option("import")
    await expect(ids).to_have_count(2)
    await page.get_by_role("button", name="Paused").click()
    await expect(ids).to_have_text([f"{project}-wait"])
    assert page.url.endswith(f"/?project={project}&job_type=import&status=paused")
    await page.reload()
    await expect(ids).to_have_text([f"{project}-wait"])
    await expect(page.get_by_role("button", name="Paused")).to_have_attribute("aria-pressed", "true")
    await page.get_by_role("button", name="Paused").click()
    await page.get_by_label("Search by id").fill("-RUN")
    await expect(ids).to_have_text([f"{project}-run"])


async def test_counts_say_how_many_there_are_of_each_status(page: Page, sidecar: Deployment, project: str) -> None:
    for number, status in enumerate(("running", "running", "queued", "paused", "blocked")):
        await sidecar.push(f"{project}-{number}", project=project, status=status, blocked_on="a key")
    await opened(page, sidecar, f"?project={project}")
    numbers = page.locator("#counts .number")
    await expect(numbers).to_have_text(["2", "0", "1", "1", "1"])
    await sidecar.push(f"{project}-0", status="completed")
    await expect(numbers).to_have_text(["1", "0", "1", "1", "1"])


async def test_job_is_found_by_keyboard_alone(page: Page, sidecar: Deployment, project: str) -> None:
    await sidecar.push(f"{project}-key", project=project, current=1)
    await opened(page, sidecar, f"?project={project}")
    await page.keyboard.press("/")
    await expect(page.get_by_label("Search by id")).to_be_focused()
    await page.keyboard.type(f"{project}-key")
    await page.keyboard.press("Enter")
    await page.wait_for_url(f"{sidecar.url}/jobs/{project}-key")


async def test_hostile_words_stay_words(page: Page, sidecar: Deployment, project: str) -> None:
    await sidecar.push(
        f"{project}-bad", project=project, current=1, total=3, message=HOSTILE, unit="<b>files</b>", stage="<i>one</i>"
    )
    await opened(page, sidecar, f"?project={project}")
    await expect(page.get_by_text(HOSTILE)).to_be_visible()
    await expect(page.get_by_text("<i>one</i> · 1 of 3 <b>files</b>")).to_be_visible()
    assert await page.locator("#active :is(img, b, i)").count() == 0


async def test_thousand_jobs_change_without_flicker(page: Page, own_sidecar: Deployment) -> None:
    await own_sidecar.push_many([{"job_id": f"job-{n}", "current": 0, "total": 1000} for n in range(MANY)])
    await opened(page, own_sidecar, "")
    await expect(page.locator("#active-count")).to_have_text("1,000")
    await page.evaluate(KEEP_ROWS)
    for step in range(1, 11):
        await own_sidecar.push_many([{"job_id": f"job-{n}", "current": step} for n in range(0, MANY, 2)])
    await expect(page.get_by_role("progressbar", name="job-998", exact=True)).to_have_attribute("aria-valuenow", "1")
    assert await page.evaluate(ARE_SAME_ROWS)
    assert await page.locator("#active .job").count() == MANY


async def test_page_survives_a_restart_of_the_sidecar_and_of_redis(
    page: Page, own_sidecar: Deployment, troubles: Troubles
) -> None:
    troubles.expect(LOST_CONNECTION, "503")
    await own_sidecar.push("job", current=1, total=10)
    await opened(page, own_sidecar, "")
    own_sidecar.kill()
    await expect(page.locator("#connection")).to_have_text("Reconnecting")
    await own_sidecar.up()
    await expect(page.locator("#connection")).to_have_text("Live", timeout=BACK_MILLISECONDS)
    await own_sidecar.push("job", current=5)
    bar = page.get_by_role("progressbar", name="job", exact=True)
    await expect(bar).to_have_attribute("aria-valuenow", "50")
    own_sidecar.kill_valkey()
    await own_sidecar.push("job", current=7)
    await expect(bar).to_have_attribute("aria-valuenow", "70", timeout=BACK_MILLISECONDS)
    await expect(page.locator("#notice")).to_be_hidden()


async def test_whoever_has_no_session_signs_in(page: Page, guarded_sidecar: Deployment, troubles: Troubles) -> None:
    troubles.expect("401")
    await page.goto(guarded_sidecar.url)
    dialog = page.get_by_role("dialog", name="Sign in")
    await dialog.get_by_label("Token").fill("not-the-right-token")
    await dialog.get_by_role("button", name="Sign in").click()
    await expect(dialog.get_by_role("alert")).to_have_text("This token is not known here.")
    await dialog.get_by_label("Token").fill(TOKEN)
    await dialog.get_by_role("button", name="Sign in").click()
    await expect(page.locator("#connection")).to_have_text("Live")
    await page.reload()
    await expect(page.locator("#connection")).to_have_text("Live")
    assert await page.evaluate("document.cookie") == ""


@pytest_asyncio.fixture(loop_scope="session")
async def guarded_sidecar(tmp_path: Path, contexts: Contexts) -> AsyncIterator[Deployment]:
    """Return a sidecar that wants a token."""
    deployment = await Deployment(tmp_path / "guarded", tokens=f"reader:*:{TOKEN}").up()
    yield deployment
    await contexts.close()
    deployment.kill()


@pytest.fixture
def stalled() -> dict[str, object]:
    """Return a job of which much is known."""
    return {"current": 74, "total": 216, "unit": "clusters", "stage": "solving", "message": "cluster 74 of 216"}


async def test_nothing_serious_keeps_anybody_from_reading_it(
    any_page: Page, sidecar: Deployment, project: str, stalled: dict[str, object]
) -> None:
    await sidecar.push(f"{project}-a", project=project, job_type="timetable", **stalled)
    await sidecar.push(f"{project}-b", project=project, status="blocked", blocked_on="a key")
    for status in ("completed", "failed", "cancelled"):
        await sidecar.push(f"{project}-{status}", project=project, current=1)
        await sidecar.push(f"{project}-{status}", status=status)
    await opened(any_page, sidecar, f"?project={project}")
    await expect(any_page.locator("#finished .job")).to_have_count(3)
    await assert_accessible(any_page)
    width = await any_page.evaluate("[document.documentElement.scrollWidth, innerWidth]")
    assert width[0] <= width[1]
